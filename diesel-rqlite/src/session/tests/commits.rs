//! Commits: what follows an answer, and a lost one.

use std::time::Duration;

use super::script::{EXECUTE, QUERY, REQUEST, done, on, rows, session, session_with, wrote};
use super::*;
use crate::error::is_unknown_outcome;
use crate::protocol::message::TRANSACTION_OPEN;
use crate::transaction::CREATE_TABLES;

const INSERT: &str = "INSERT INTO t VALUES (1)";
const REGISTER: &str = "INSERT INTO __diesel_rqlite_commits (client, number, applied) SELECT …";
const PRUNE: &str = "DELETE FROM __diesel_rqlite_commits WHERE …";
const NEWEST: &str = "SELECT max(client) FROM __diesel_rqlite_commits WHERE …";
const NUMBER: &str = "INSERT INTO __diesel_rqlite_commits (client, number, applied) VALUES …";
const SETTLE: &str = "UPDATE __diesel_rqlite_commits SET number = ?, applied = 0 …";
const NO_TABLE: &str = r#"{"error":"no such table: __diesel_rqlite_commits"}"#;

/// A commit of the number and the write.
fn numbered() -> script::Expected {
    on(EXECUTE, [NUMBER, INSERT]).with("transaction")
}

fn registers() -> script::Expected {
    on(REQUEST, [REGISTER, PRUNE, NEWEST]).answers_to(|sent| {
        let token = sent[0].rsplit('"').nth(1).expect("has a token");
        let newest = rows(
            &["max(client)"],
            "text",
            &format!(r#"["r0000000000000001-{token}"]"#),
        );
        script::answer([&wrote(1), &wrote(0), &newest])
    })
}

/// The question for the outcome of the commit with this number.
fn asks_for(number: u32) -> script::Expected {
    on(
        REQUEST,
        [
            SETTLE.to_owned(),
            "SELECT applied FROM __diesel_rqlite_commits WHERE …".to_owned(),
        ],
    )
    .number(number)
}

fn settled(applied: u32) -> [String; 2] {
    let applied = rows(&["applied"], "integer", &format!("[{applied}]"));
    [wrote(0), applied]
}

fn begun(expected: impl IntoIterator<Item = script::Expected>) -> Session<Scripted> {
    let mut session = session(expected);
    open(&mut session, TransactionMode::Deferred);
    execute(&mut session, INSERT).expect("waits");
    session
}

fn begun_exactly_once(expected: impl IntoIterator<Item = script::Expected>) -> Session<Scripted> {
    let mut session = session(expected);
    let options = Options {
        mode: TransactionMode::Deferred,
        exactly_once: true,
        ..Options::default()
    };
    open_with(&mut session, options, Claim::None);
    execute(&mut session, INSERT).expect("waits");
    session
}

#[test]
fn a_lost_commit_is_not_sent_again_and_its_outcome_is_unknown() {
    let mut session = begun([on(EXECUTE, [INSERT]).with("transaction").gets_lost()]);
    let error = commit(&mut session).expect_err("is lost");
    assert!(is_unknown_outcome(&error), "{error:?}");
    assert!(!session.transaction.is_open());
    assert!(!session.transaction.may_be_run_again());
    assert!(!session.transaction.keeps_track());
    done(&session);
}

#[test]
fn a_lost_commit_that_turns_out_applied_went_well() {
    let mut session = begun_exactly_once([
        registers(),
        numbered().gets_lost(),
        asks_for(1).answers(settled(1)),
    ]);
    commit(&mut session).expect("was applied");
    assert!(!session.transaction.is_open());
    done(&session);
}

#[test]
fn a_lost_commit_that_was_not_applied_is_sent_again_under_a_new_number() {
    let mut session = begun_exactly_once([
        registers(),
        numbered().number(1).gets_lost(),
        asks_for(1).answers(settled(0)),
        numbered().number(2).answers([wrote(1), wrote(1)]),
    ]);
    commit(&mut session).expect("is applied");
    done(&session);
}

#[test]
fn the_question_for_a_lost_commit_is_asked_until_there_is_an_answer() {
    let mut session = begun_exactly_once([
        registers(),
        numbered().gets_lost(),
        asks_for(1).says(503, "busy"),
        asks_for(1).answers(settled(1)),
    ]);
    session.settings.leader_timeout = Duration::from_secs(60);
    commit(&mut session).expect("was applied");
    done(&session);
}

#[test]
fn a_lost_commit_stays_unknown_if_nobody_tells_in_time_or_the_proof_is_gone() {
    let gone = [wrote(0), rows(&["applied"], "integer", "")];
    let no_table = [NO_TABLE.to_owned()];
    for question in [
        asks_for(1).says(503, "busy"),
        asks_for(1).answers(gone),
        asks_for(1).answers(no_table),
    ] {
        let mut session = begun_exactly_once([registers(), numbered().gets_lost(), question]);
        let error = commit(&mut session).expect_err("is lost");
        assert!(is_unknown_outcome(&error), "{error:?}");
        done(&session);
    }
}

#[test]
fn a_missing_table_is_created_and_the_commit_sent_again_once() {
    let creates = || on(EXECUTE, CREATE_TABLES).answers([wrote(0), wrote(0), wrote(0)]);
    let mut session = begun_exactly_once([
        registers(),
        numbered().number(1).answers([NO_TABLE]),
        creates(),
        numbered().number(1).answers([wrote(1), wrote(1)]),
    ]);
    commit(&mut session).expect("is applied");
    done(&session);
    let mut session = begun_exactly_once([
        registers(),
        numbered().answers([NO_TABLE]),
        creates(),
        numbered().answers([NO_TABLE]),
    ]);
    let (_, message) = kind(commit(&mut session));
    assert!(message.contains("was dropped"), "{message}");
    done(&session);
}

#[test]
fn a_connection_whose_row_is_gone_registers_anew() {
    let gone = r#"{"error":"bad JSON path: 'drq:gone'"}"#;
    let mut session = begun_exactly_once([
        registers(),
        numbered().answers([gone]),
        registers(),
        numbered().number(1).answers([wrote(1), wrote(1)]),
    ]);
    commit(&mut session).expect("is applied");
    done(&session);
    let mut session = begun_exactly_once([
        registers(),
        numbered().answers([gone]),
        registers(),
        numbered().answers([gone]),
    ]);
    let error = commit(&mut session).expect_err("there is no row");
    assert!(is_unknown_outcome(&error), "{error:?}");
    done(&session);
}

#[test]
fn a_commit_that_a_node_refuses_is_sent_to_the_leader() {
    for refused in [
        on(EXECUTE, [INSERT]).fails("not leader"),
        on(EXECUTE, [INSERT]).says(503, "leader not found"),
        on(EXECUTE, [INSERT]).redirects("b"),
        on(EXECUTE, [INSERT]).does_not_leave(),
    ] {
        let mut session = session_with(
            &["a", "b"],
            [
                refused.at("a").then_leads("b"),
                on(EXECUTE, [INSERT]).at("b").answers([wrote(1)]),
            ],
        );
        open(&mut session, TransactionMode::Deferred);
        execute(&mut session, INSERT).expect("waits");
        commit(&mut session).expect("is applied");
        done(&session);
    }
}

#[test]
fn a_write_outside_of_transactions_is_sent_again_only_if_it_was_not_applied() {
    let mut session = session_with(
        &["a", "b"],
        [
            on(EXECUTE, [INSERT])
                .at("a")
                .fails("not leader")
                .then_leads("b"),
            on(EXECUTE, [INSERT]).at("b").answers([wrote(1)]),
            on(EXECUTE, [INSERT])
                .at("b")
                .fails("leadership lost while committing log"),
            on(EXECUTE, [INSERT]).at("b").gets_lost(),
        ],
    );
    assert_eq!(execute(&mut session, INSERT), Ok(1));
    for _ in 0..2 {
        let error = execute(&mut session, INSERT).expect_err("is lost");
        assert!(is_unknown_outcome(&error), "{error:?}");
    }
    done(&session);
}

#[test]
fn the_last_effects_stay_known_if_the_server_says_that_a_write_was_not_applied() {
    for (error, are_known) in [
        ("FOREIGN KEY constraint failed", true),
        (TRANSACTION_OPEN, true),
        ("disallowed pragma", true),
        ("leadership lost while committing log", false),
        ("read protobuf length: EOF", false),
    ] {
        let mut committed = begun([on(EXECUTE, [INSERT]).with("transaction").fails(error)]);
        let error_of_commit = commit(&mut committed).expect_err("fails");
        assert_eq!(is_unknown_outcome(&error_of_commit), !are_known, "{error}");
        assert_eq!(committed.transaction.keeps_track(), are_known, "{error}");
        let enforced = [on(EXECUTE, [INSERT]).fails(error)];
        let unenforced = [
            on(QUERY, ["PRAGMA foreign_keys"]).answers([rows(&["foreign_keys"], "", "[1]")]),
            on(
                EXECUTE,
                ["SELECT …", INSERT, "SELECT …", "DROP …", "DROP …"],
            )
            .fails(error),
        ];
        let mut with = session(enforced);
        let mut without = session(unenforced);
        execute(&mut without, "PRAGMA foreign_keys = OFF").expect("is off");
        for session in [&mut with, &mut without] {
            execute(session, INSERT).expect_err("fails");
            assert_eq!(session.transaction.keeps_track(), are_known, "{error}");
            done(session);
        }
    }
}

#[test]
fn a_transaction_that_cannot_go_on_sends_no_commit() {
    let mut session = begun([]);
    session.transaction.conflict("changed".to_owned(), None);
    let (kind, _) = kind(commit(&mut session));
    assert!(matches!(kind, DatabaseErrorKind::SerializationFailure));
    assert!(session.transaction.may_be_run_again());
    done(&session);
}
