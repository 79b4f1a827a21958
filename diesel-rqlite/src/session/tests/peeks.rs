//! Reads and writes inside a transaction: what a peek teaches, and what it does when it fails.

use std::time::{Duration, Instant};

use super::script::{
    EXECUTE, QUERY, REQUEST, UNDO, UNDONE, done, on, rows, session, session_with, wrote,
};
use super::*;
use crate::session::schema::SchemaVersion;
use crate::sql::unstable;

const SELECT: &str = "SELECT a FROM t WHERE b = 1";
/// The first words of a query whose rows come as one text each.
const CELLS: &str =
    "WITH _diesel_rqlite(c0) AS MATERIALIZED (SELECT a FROM t WHERE b = 1) SELECT CASE typeof…";
/// The first words of a guard over rows.
const GUARD: &str =
    "WITH _diesel_rqlite(c0) AS MATERIALIZED (SELECT a FROM t WHERE b = 1) SELECT CASE WHEN …";
const INSERT: &str = "INSERT INTO t (a) VALUES (1)";
const UNIQUE: &str = r#"{"error":"UNIQUE constraint failed: t.a"}"#;

/// Begins a transaction that knows the schema.
fn begun(
    mode: TransactionMode,
    expected: impl IntoIterator<Item = script::Expected>,
) -> Session<Scripted> {
    let mut session = session(expected);
    knows_schema(&mut session);
    open(&mut session, mode);
    session
}

/// Returns the result of a query for one INTEGER, whose row is one text.
fn cell(value: i64) -> String {
    rows(&["c"], "text", &format!(r#"["i{value},"]"#))
}

fn read(session: &mut Session<Scripted>) -> QueryResult<Vec<i64>> {
    let found = query(session, SELECT, None)?;
    Ok(integers(&found.rows[0]))
}

#[test]
fn a_write_that_fails_when_a_later_peek_runs_it_is_its_own_error() {
    let mut session = begun(
        TransactionMode::Interactive,
        [on(
            REQUEST,
            [
                INSERT,
                "SELECT CASE WHEN changes()=1 …",
                CELLS,
                VERSION,
                unstable::QUERY,
                UNDO,
            ],
        )
        .answers([UNIQUE])],
    );
    assert_eq!(execute(&mut session, INSERT), Ok(1));
    let (kind_of, message) = kind(read(&mut session).map(|_| ()));
    assert!(
        matches!(kind_of, DatabaseErrorKind::UniqueViolation),
        "{message}"
    );
    // Nothing more is sent, the commit least of all.
    let (_, message) = kind(read(&mut session).map(|_| ()));
    assert!(
        message.starts_with("the transaction is aborted"),
        "{message}"
    );
    let (_, message) = kind(commit(&mut session));
    assert!(
        message.starts_with("the transaction is aborted"),
        "{message}"
    );
    assert!(!session.transaction.may_be_run_again());
    done(&session);
}

#[test]
fn rows_that_have_changed_are_a_conflict_that_a_later_peek_tells() {
    let first = on(QUERY, [CELLS, VERSION, unstable::QUERY]);
    let second = on(QUERY, [GUARD, CELLS, NUMBER]);
    let mut session = begun(
        TransactionMode::Interactive,
        [
            first.answers([cell(7), version(1), schema(None)]),
            second.answers([r#"{"error":"bad JSON path: 'drq:rows'"}"#]),
        ],
    );
    assert_eq!(read(&mut session), Ok(vec![7]));
    let (kind_of, _) = kind(read(&mut session).map(|_| ()));
    assert!(matches!(kind_of, DatabaseErrorKind::SerializationFailure));
    assert!(session.transaction.may_be_run_again());
    assert!(commit(&mut session).is_err());
    done(&session);
}

#[test]
fn a_read_belongs_to_the_schema_that_came_with_it() {
    let mut session = begun(
        TransactionMode::Interactive,
        [
            on(QUERY, [CELLS, NUMBER]).answers([cell(7), number(2)]),
            on(QUERY, [CELLS, VERSION, unstable::QUERY]).answers([
                cell(8),
                version(2),
                schema(None),
            ]),
            on(QUERY, [GUARD, CELLS, NUMBER]).answers([wrote(0), cell(8), number(2)]),
        ],
    );
    session.schema_version = Some(SchemaVersion::new(version_rows(1), Instant::now()));
    assert_eq!(read(&mut session), Ok(vec![8]));
    assert_eq!(read(&mut session), Ok(vec![8]));
    done(&session);
}

/// Another file may have the same number, but not everything that the version has.
#[test]
fn the_whole_version_is_asked_for_after_a_while() {
    let mut session = begun(
        TransactionMode::Interactive,
        [
            on(QUERY, [CELLS, VERSION]).answers([cell(7), version(1)]),
            on(QUERY, [GUARD, CELLS, NUMBER]).answers([wrote(0), cell(8), number(1)]),
        ],
    );
    let before = Instant::now().checked_sub(Duration::from_secs(1));
    let before = before.expect("the machine runs for longer");
    session.schema_version = Some(SchemaVersion::new(version_rows(1), before));
    assert_eq!(read(&mut session), Ok(vec![7]));
    assert_eq!(read(&mut session), Ok(vec![8]));
    done(&session);
}

#[test]
fn a_schema_that_the_server_can_not_read_fails_the_read() {
    let mut session = begun(
        TransactionMode::Interactive,
        [on(QUERY, [CELLS, VERSION, unstable::QUERY]).answers([
            cell(7),
            version(1),
            r#"{"error":"malformed database schema"}"#.to_owned(),
        ])],
    );
    let (_, message) = kind(read(&mut session).map(|_| ()));
    assert!(message.contains("malformed database schema"), "{message}");
    done(&session);
}

#[test]
fn a_peek_follows_the_leader() {
    let sent = || on(QUERY, [CELLS, VERSION, unstable::QUERY]);
    for lost in [
        sent().redirects("b"),
        sent().gets_lost(),
        sent().does_not_leave(),
        sent().fails("not leader"),
        sent().says(503, "leader not found"),
    ] {
        let mut session = session_with(
            &["a", "b"],
            [
                lost.at("a").then_leads("b"),
                sent().at("b").answers([cell(7), version(1), schema(None)]),
            ],
        );
        knows_schema(&mut session);
        open(&mut session, TransactionMode::Interactive);
        assert_eq!(read(&mut session), Ok(vec![7]));
        assert!(!session.transaction.may_be_run_again());
        done(&session);
    }
}

#[test]
fn a_transaction_whose_read_had_no_answer_may_be_run_again() {
    let sent = || on(QUERY, [CELLS, VERSION, unstable::QUERY]);
    let mut session = begun(
        TransactionMode::Interactive,
        [
            sent().gets_lost(),
            sent().gets_lost(),
            sent().gets_lost(),
            sent().gets_lost(),
        ],
    );
    assert!(read(&mut session).is_err());
    assert!(session.transaction.may_be_run_again());
    roll_back(&mut session);
    assert!(session.transaction.may_be_run_again());
    session.transaction.forget_the_last();
    assert!(!session.transaction.may_be_run_again());
    done(&session);
}

#[test]
fn a_write_that_a_server_ran_before_and_that_fails_now_is_a_conflict() {
    let update = "UPDATE t SET a = 2 WHERE b = 1";
    let with_count = "UPDATE t SET a = 2 WHERE b = 1;\nSELECT CASE WHEN changes()=3 …";
    let mut session = begun(
        TransactionMode::Interactive,
        [
            on(REQUEST, [update, VERSION, unstable::QUERY, UNDO]).answers([
                wrote(3),
                version(1),
                schema(None),
                UNDONE.to_owned(),
            ]),
            on(EXECUTE, [with_count]).answers([UNIQUE]),
        ],
    );
    assert_eq!(execute(&mut session, update), Ok(3));
    let (kind_of, message) = kind(commit(&mut session));
    assert!(
        matches!(kind_of, DatabaseErrorKind::SerializationFailure),
        "{message}"
    );
    assert!(session.transaction.may_be_run_again());
    done(&session);
}

#[test]
fn a_peek_that_was_not_undone_is_an_error() {
    let update = "UPDATE t SET a = 2";
    let mut session = begun(
        TransactionMode::Interactive,
        [
            on(REQUEST, [update, VERSION, unstable::QUERY, UNDO]).answers([
                wrote(3),
                version(1),
                schema(None),
                wrote(0),
            ]),
        ],
    );
    let (_, message) = kind(execute(&mut session, update).map(|_| ()));
    assert_eq!(message, "an answer with too few results");
    roll_back(&mut session);
    done(&session);
}
