use diesel::result::{DatabaseErrorKind, Error};

use super::*;
use crate::protocol::failure::Why;
use crate::statement::Statement;

fn open() -> Transaction {
    let mut transaction = Transaction::default();
    transaction.begin(None).expect("begins");
    transaction
}

fn pending(transaction: &mut Transaction, sql: &'static str, count: Count) {
    transaction.journal.write(Write {
        statement: Statement::raw(sql),
        guarded: None,
        count,
        migration: None,
        seen: matches!(count, Count::Observed(_)),
    });
}

fn show(transaction: &mut Transaction, sql: &'static str) {
    let guard = Guard {
        statement: Statement::raw(sql),
        sql: sql.to_owned(),
    };
    transaction.journal.show(guard);
}

/// Returns the texts of the commit.
fn committed(transaction: &Transaction) -> Vec<String> {
    let commit = transaction.commit_request(Vec::new(), Vec::new(), true);
    let statements: Vec<Vec<String>> = serde_json::from_slice(&commit.exchange.body).expect("JSON");
    let elements = statements.iter().flatten();
    elements
        .flat_map(|element| element.split(";\n"))
        .map(str::to_owned)
        .collect()
}

const ONE: &str = "SELECT CASE WHEN changes()=1 THEN 1 ELSE json_extract('{}','drq:count') END";

#[test]
fn the_commit_has_everything_in_order() {
    let mut transaction = open();
    show(&mut transaction, "a?");
    pending(&mut transaction, "b", Count::Predicted(1));
    transaction.begin(None).expect("begins");
    pending(&mut transaction, "c", Count::Unobserved);
    transaction.release_inner().expect("commits");
    assert_eq!(committed(&transaction), ["a?", "b", ONE, "c"]);
    transaction.options.guards = false;
    assert_eq!(committed(&transaction), ["b", "c"]);
}

#[test]
fn what_nobody_saw_is_just_forgotten() {
    let mut transaction = open();
    pending(&mut transaction, "a", Count::Unobserved);
    transaction.begin(None).expect("begins");
    pending(&mut transaction, "b", Count::Unobserved);
    transaction.roll_back().expect("rolls back");
    pending(&mut transaction, "c", Count::Unobserved);
    assert_eq!(committed(&transaction), ["a", "c"]);
    assert!(transaction.journal.has_live_writes());
    transaction.roll_back().expect("rolls back");
    assert!(!transaction.is_open() && !transaction.journal.has_writes());
}

#[test]
fn what_was_seen_and_rolled_back_is_run_and_undone_again() {
    let mut transaction = open();
    transaction.begin(None).expect("begins");
    pending(&mut transaction, "a", Count::Predicted(1));
    transaction.begin(None).expect("begins");
    pending(&mut transaction, "b", Count::Observed(1));
    pending(&mut transaction, "c", Count::Unobserved);
    transaction.roll_back().expect("rolls back");
    show(&mut transaction, "d?");
    pending(&mut transaction, "e", Count::Unobserved);
    transaction.roll_back().expect("rolls back");
    assert_eq!(
        committed(&transaction),
        [
            "SAVEPOINT drq2",
            "a",
            ONE,
            "SAVEPOINT drq1",
            "b",
            ONE,
            "ROLLBACK TO drq1",
            "RELEASE drq1",
            "d?",
            "ROLLBACK TO drq2",
            "RELEASE drq2"
        ]
    );
    assert!(!transaction.journal.has_live_writes());
    // The last thing that was seen is inside of what was rolled back.
    let mut transaction = open();
    transaction.begin(None).expect("begins");
    pending(&mut transaction, "a", Count::Unobserved);
    transaction.begin(None).expect("begins");
    pending(&mut transaction, "b", Count::Observed(1));
    transaction.roll_back().expect("rolls back");
    pending(&mut transaction, "c", Count::Unobserved);
    transaction.roll_back().expect("rolls back");
    assert_eq!(
        committed(&transaction),
        [
            "SAVEPOINT drq2",
            "a",
            "SAVEPOINT drq1",
            "b",
            ONE,
            "ROLLBACK TO drq1",
            "RELEASE drq1",
            "ROLLBACK TO drq2",
            "RELEASE drq2"
        ]
    );
}

#[test]
fn rows_that_were_only_read_need_no_savepoint() {
    let mut transaction = open();
    transaction.begin(None).expect("begins");
    show(&mut transaction, "a?");
    show(&mut transaction, "a?");
    pending(&mut transaction, "b", Count::Unobserved);
    transaction.roll_back().expect("rolls back");
    assert_eq!(committed(&transaction), ["a?"]);
}

#[test]
fn savepoints_by_name() {
    let mut transaction = open();
    transaction.begin(Some("a".to_owned())).expect("begins");
    transaction.begin(Some("A".to_owned())).expect("begins");
    assert_eq!(transaction.depth_of("a"), Some(3), "the innermost");
    assert_eq!(transaction.depth_of("b"), None);
    pending(&mut transaction, "x", Count::Unobserved);
    transaction.roll_back_to_mark();
    assert_eq!(transaction.depth(), 3);
    assert!(committed(&transaction).is_empty());
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => "conflict",
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => "unique",
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => "unknown",
        Error::DatabaseError(DatabaseErrorKind::Unknown, _) => "other",
        Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, _) => "unreadable",
        _ => "no database error",
    }
}

/// Returns the verdict on the commit of a guard, a write that was seen, and one that was not.
fn verdict(body: &str) -> String {
    let mut transaction = open();
    show(&mut transaction, "a?");
    pending(&mut transaction, "b", Count::Observed(1));
    pending(&mut transaction, "c", Count::Unobserved);
    let commit = transaction.commit_request(Vec::new(), Vec::new(), true);
    match transaction.verdict(&commit, Ok(body.as_bytes())) {
        Verdict::Refused(error) => kind(&error).to_owned(),
        verdict => format!("{verdict:?}")
            .split('(')
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

#[test]
fn what_the_answer_to_a_commit_means() {
    for (body, wanted) in [
        (r#"{"results":[{},{},{}]}"#, "Applied"),
        (
            r#"{"results":[{"error":"bad JSON path: 'drq:rows'"}]}"#,
            "conflict",
        ),
        (r#"{"results":[{"error":"no such table: t"}]}"#, "conflict"),
        (
            r#"{"results":[{},{"error":"UNIQUE constraint failed: t.a"}]}"#,
            "conflict",
        ),
        (
            r#"{"results":[{},{"error":"bad JSON path: 'drq:count'"}]}"#,
            "conflict",
        ),
        (
            r#"{"results":[{},{},{"error":"UNIQUE constraint failed: t.a"}]}"#,
            "unique",
        ),
        (
            r#"{"results":[{},{},{"error":"no such table: t"}]}"#,
            "other",
        ),
        (
            r#"{"results":[],"error":"FOREIGN KEY constraint failed"}"#,
            "other",
        ),
        (
            r#"{"results":[],"error":"leadership lost while committing log"}"#,
            "Unknown",
        ),
        (
            r#"{"results":[],"error":"cannot commit - no transaction is active"}"#,
            "Unknown",
        ),
        (r#"{"results":[{},{}]}"#, "Unknown"),
        (r#"{"results":[{},{},{},{}]}"#, "Unknown"),
        (
            r#"{"results":[{"error":"bad JSON path: 'drq:rows'"},{},{},{}]}"#,
            "Unknown",
        ),
        (r#"{"results":[{},{},{}],"results":[]}"#, "Unknown"),
        ("<html>", "Unknown"),
    ] {
        // A foreign key has a kind of its own, which `kind` does not name.
        assert_eq!(
            verdict(body).replace("no database error", "other"),
            wanted,
            "{body}"
        );
    }
    let mut transaction = open();
    let commit = transaction.commit_request(Vec::new(), Vec::new(), true);
    let lost = Err(commit.exchange.failure(Why::Unknown, "lost"));
    assert!(matches!(
        transaction.verdict(&commit, lost),
        Verdict::Unknown(_)
    ));
}

#[test]
fn a_write_and_its_count_are_told_apart() {
    for (failure, wanted) in [
        (
            "bad JSON path: 'drq:count'",
            "a write affects another number of rows now: b",
        ),
        (
            "bad JSON path: 'x'",
            "a write that went well before now fails: bad JSON path: 'x'",
        ),
    ] {
        let mut transaction = open();
        pending(&mut transaction, "b", Count::Observed(1));
        let commit = transaction.commit_request(Vec::new(), Vec::new(), true);
        let body = format!(r#"{{"results":[{{"error":"{failure}"}}]}}"#);
        match transaction.verdict(&commit, Ok(body.as_bytes())) {
            Verdict::Refused(Error::DatabaseError(_, why)) => assert_eq!(why.message(), wanted),
            verdict => panic!("{failure}: {verdict:?}"),
        }
    }
}

#[test]
fn what_the_answer_to_a_peek_means() {
    let peeked = |body: &str| {
        let mut transaction = open();
        show(&mut transaction, "a?");
        pending(&mut transaction, "b", Count::Unobserved);
        let tail = Statement::raw("c");
        let peek = transaction.peek(&[&tail], false, true);
        let outcome = transaction.peeked(&peek, body.as_bytes());
        let usable = transaction.check_usable().is_ok();
        match outcome {
            Ok(results) => (format!("{} results", results.len()), usable),
            Err(error) => (kind(&error).to_owned(), usable),
        }
    };
    let undone = r#"{"error":"integer overflow"}"#;
    let some = |text: &str| text.to_owned();
    assert_eq!(
        peeked(&format!(r#"{{"results":[{{}},{{}},{{}},{undone}]}}"#)),
        (some("1 results"), true)
    );
    assert_eq!(
        peeked(r#"{"results":[{},{},{"error":"no such table: t"}]}"#),
        (some("1 results"), true)
    );
    assert_eq!(
        peeked(r#"{"results":[{"error":"bad JSON path: 'drq:rows'"}]}"#),
        (some("conflict"), false)
    );
    assert_eq!(
        peeked(r#"{"results":[{},{"error":"UNIQUE constraint failed: t.a"}]}"#),
        (some("unique"), false)
    );
    assert_eq!(
        peeked(r#"{"results":[{},{},{},{}]}"#),
        (some("unknown"), true),
        "it was not undone"
    );
    for body in [
        r#"{"results":[{},{},{}]}"#,
        r#"{"results":[{}]}"#,
        r#"{"results":[{},{},{},{"error":"integer overflow"},{}]}"#,
    ] {
        assert_eq!(peeked(body), (some("unreadable"), true), "{body}");
    }
}

#[test]
fn a_failed_write_is_over_behind_a_rollback_past_it() {
    let mut transaction = open();
    pending(&mut transaction, "a", Count::Unobserved);
    transaction.begin(None).expect("begins");
    pending(&mut transaction, "b", Count::Unobserved);
    let _ = transaction.part_failed(Part::Write(1), "UNIQUE constraint failed: t.a");
    assert!(transaction.check_usable().is_err());
    transaction.begin(None).expect("begins");
    transaction.roll_back().expect("rolls back");
    assert!(transaction.check_usable().is_err(), "it was before that");
    assert!(transaction.release_inner().is_err());
    assert!(transaction.check_usable().is_ok());
    assert_eq!(committed(&transaction), ["a"]);
    let _ = transaction.conflict("x".to_owned(), None);
    transaction.begin(None).expect("begins");
    transaction.roll_back().expect("rolls back");
    assert!(
        transaction.check_usable().is_err(),
        "a conflict is the end of all of it"
    );
}

#[test]
fn ending_what_is_not_open_is_an_error() {
    let mut transaction = Transaction::default();
    assert!(matches!(
        transaction.finish(&Ok(())),
        Err(Error::NotInTransaction)
    ));
    assert!(matches!(
        transaction.roll_back(),
        Err(Error::NotInTransaction)
    ));
}
