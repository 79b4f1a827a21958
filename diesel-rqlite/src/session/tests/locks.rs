//! The lock that is a row in rqlite, and the fence of one that is held elsewhere.

use std::time::Duration;

use super::script::{EXECUTE, QUERY, REQUEST, UNDO, UNDONE, done, on, rows, session, wrote};
use super::*;
use crate::lock::rqlite::Lease;
use crate::lock::{Fence, RqliteLock};
use crate::sql::unstable;
use crate::transaction::CREATE_TABLES;

const ACQUIRE: &str = "INSERT INTO __diesel_rqlite_locks …";
const LOOK: &str = "SELECT fence, beat, owner, lease_ms FROM __diesel_rqlite_locks …";
const TAKE_OVER: &str = "UPDATE __diesel_rqlite_locks SET fence = fence + 1, …";
const RELEASE: &str = "UPDATE __diesel_rqlite_locks SET owner = NULL …";
const CHECK: &str = "SELECT CASE WHEN EXISTS (SELECT 1 FROM __diesel_rqlite_locks …";
const RAISE: &str = "INSERT INTO __diesel_rqlite_fences …";
const SELECT: &str = "SELECT a FROM t";
const INSERT: &str = "INSERT INTO t VALUES (1)";
const LOST: &str = r#"{"error":"bad JSON path: 'drq:lock'"}"#;

/// Returns the row of the lock, with this beat and owner.
fn row(beat: u32, owner: Option<&str>) -> String {
    let owner = owner.map_or("null".to_owned(), |owner| format!("\"{owner}\""));
    let columns = ["fence", "beat", "owner", "lease_ms"];
    rows(&columns, "", &format!("[1,{beat},{owner},0]"))
}

fn mine() -> String {
    row(0, Some("mine"))
}

fn another(beat: u32) -> String {
    row(beat, Some("another"))
}

/// Begins a transaction with a lock that is a row, for which it waits this long.
fn begun(
    mode: TransactionMode,
    timeout: Duration,
    expected: impl IntoIterator<Item = script::Expected>,
) -> Session<Scripted> {
    let mut session = session(expected);
    knows_schema(&mut session);
    let lock = RqliteLock::new("l").timeout(timeout);
    let claim = Claim::Row(Lease::new(lock, "mine".to_owned()));
    let options = Options {
        mode,
        ..Options::default()
    };
    open_with(&mut session, options, claim);
    session
}

fn deferred(expected: impl IntoIterator<Item = script::Expected>) -> Session<Scripted> {
    begun(TransactionMode::Deferred, Duration::MAX, expected)
}

/// Reads a number, in the mode Deferred.
fn read(session: &mut Session<Scripted>) -> QueryResult<Vec<i64>> {
    let found = query(session, SELECT, Some(&[RqliteType::Long]))?;
    Ok(integers(&found.rows[0]))
}

fn tries() -> script::Expected {
    on(REQUEST, [ACQUIRE, LOOK])
}

fn looks() -> script::Expected {
    on(QUERY, [LOOK])
}

fn releases() -> script::Expected {
    on(EXECUTE, [RELEASE])
}

fn number(value: i64) -> String {
    rows(&["a"], "", &format!("[{value}]"))
}

#[test]
fn the_first_read_takes_the_lock() {
    let mut session = deferred([
        on(REQUEST, [ACQUIRE, LOOK, "WITH …"]).answers([wrote(1), mine(), number(7)]),
        on(QUERY, ["WITH …"]).answers([number(8)]),
        releases().answers([wrote(1)]),
    ]);
    assert_eq!(read(&mut session), Ok(vec![7]));
    assert_eq!(read(&mut session), Ok(vec![8]));
    commit(&mut session).expect("has held the lock");
    done(&session);
}

#[test]
fn rows_that_came_while_another_held_the_lock_are_not_shown() {
    let mut session = deferred([
        on(REQUEST, [ACQUIRE, LOOK, "WITH …"]).answers([wrote(0), another(1), number(7)]),
        // The holder gives signs of life, then none, and the lock is taken over.
        looks().answers([another(1)]),
        looks().answers([another(2)]),
        looks().answers([another(2)]),
        on(REQUEST, [TAKE_OVER, LOOK]).answers([wrote(1), mine()]),
        on(QUERY, ["WITH …"]).answers([number(8)]),
        releases().answers([wrote(1)]),
    ]);
    assert_eq!(read(&mut session), Ok(vec![8]));
    roll_back(&mut session);
    done(&session);
}

#[test]
fn a_lock_that_becomes_free_is_taken_unless_another_is_faster() {
    let mut session = deferred([
        tries().answers([wrote(0), another(1)]),
        looks().answers([row(1, None)]),
        tries().answers([wrote(0), row(1, Some("third"))]),
        looks().answers([row(1, Some("third"))]),
        looks().answers([rows(&["f", "b", "o", "l"], "", "")]),
        tries().answers([wrote(1), mine()]),
        releases().answers([wrote(1)]),
    ]);
    block_on(session.take_lock_if_wanted()).expect("is taken");
    block_on(session.take_lock_if_wanted()).expect("is held");
    roll_back(&mut session);
    done(&session);
}

#[test]
fn the_wait_for_a_lock_ends() {
    let mut session = begun(
        TransactionMode::Deferred,
        Duration::ZERO,
        [
            tries().answers([wrote(0), another(1)]),
            looks().answers([another(1)]),
            // A request for it was sent, so that it is given back.
            releases().answers([wrote(0)]),
        ],
    );
    let (_, message) = kind(block_on(session.take_lock_if_wanted()));
    assert!(message.contains("still held by another"), "{message}");
    roll_back(&mut session);
    assert!(!session.transaction.may_be_run_again());
    done(&session);
}

#[test]
fn the_table_of_locks_is_created_once() {
    let missing = r#"{"error":"no such table: __diesel_rqlite_locks"}"#;
    let creates = || on(EXECUTE, CREATE_TABLES).answers([wrote(0), wrote(0), wrote(0)]);
    let mut session = deferred([
        tries().answers([missing]),
        creates(),
        tries().answers([wrote(1), mine()]),
        releases().answers([wrote(1)]),
    ]);
    block_on(session.take_lock_if_wanted()).expect("is taken");
    roll_back(&mut session);
    done(&session);
    let mut session = deferred([
        tries().answers([missing]),
        creates(),
        tries().answers([missing]),
        releases().answers([missing]),
    ]);
    assert!(block_on(session.take_lock_if_wanted()).is_err());
    roll_back(&mut session);
    done(&session);
}

#[test]
fn a_commit_of_nothing_but_writes_takes_the_lock_itself_and_waits_for_it() {
    let mut session = deferred([
        on(EXECUTE, [ACQUIRE, CHECK, INSERT, RELEASE]).answers([&wrote(0), LOST]),
        tries().answers([wrote(0), another(1)]),
        looks().answers([row(1, None)]),
        tries().answers([wrote(1), mine()]),
        on(EXECUTE, [CHECK, INSERT, RELEASE]).answers([wrote(0), wrote(1), wrote(1)]),
    ]);
    execute(&mut session, INSERT).expect("waits");
    commit(&mut session).expect("is applied");
    done(&session);
}

#[test]
fn a_commit_behind_a_lost_lock_is_a_conflict() {
    let mut session = deferred([
        tries().answers([wrote(1), mine()]),
        on(EXECUTE, [CHECK, INSERT, RELEASE]).answers([LOST]),
        releases().answers([wrote(0)]),
    ]);
    block_on(session.take_lock_if_wanted()).expect("is taken");
    execute(&mut session, INSERT).expect("waits");
    let (kind, _) = kind(commit(&mut session));
    assert!(matches!(kind, DatabaseErrorKind::SerializationFailure));
    done(&session);
}

#[test]
fn reads_under_a_lock_that_was_lost_are_a_conflict() {
    let mut session = deferred([
        on(REQUEST, [ACQUIRE, LOOK, "WITH …"]).answers([wrote(1), mine(), number(7)]),
        releases().answers([wrote(0)]),
    ]);
    assert_eq!(read(&mut session), Ok(vec![7]));
    let (kind, _) = kind(commit(&mut session));
    assert!(matches!(kind, DatabaseErrorKind::SerializationFailure));
    done(&session);
}

#[test]
fn a_peek_behind_writes_takes_the_lock_before_it() {
    let update = "UPDATE t SET a = 2";
    let mut session = begun(
        TransactionMode::Interactive,
        Duration::MAX,
        [
            tries().answers([wrote(1), mine()]),
            on(REQUEST, [update, VERSION, unstable::QUERY, UNDO]).answers([
                wrote(1),
                version(1),
                schema(None),
                UNDONE.to_owned(),
            ]),
            releases().answers([wrote(1)]),
        ],
    );
    assert_eq!(execute(&mut session, update), Ok(1));
    roll_back(&mut session);
    done(&session);
}

#[test]
fn an_abandoned_lock_is_given_back_if_it_was_asked_for() {
    let mut session = deferred([]);
    session.abandon().expect("is open");
    done(&session);
    let mut session = deferred([
        tries().gets_lost(),
        tries().gets_lost(),
        tries().gets_lost(),
        tries().gets_lost(),
        releases().answers([wrote(1)]),
    ]);
    assert!(block_on(session.take_lock_if_wanted()).is_err());
    session.abandon().expect("is open");
    done(&session);
}

#[test]
fn the_fence_of_a_lock_held_elsewhere_is_raised_before_the_first_read_and_behind_the_last() {
    let fenced = |expected: Vec<script::Expected>| {
        let mut session = session(expected);
        let fence = Fence {
            number: 7,
            owner: "mine".to_owned(),
        };
        let options = Options {
            mode: TransactionMode::Deferred,
            ..Options::default()
        };
        open_with(&mut session, options, Claim::elsewhere("l", Some(fence)));
        session
    };
    let reads = || on(QUERY, ["WITH …"]).answers([number(7)]);
    let raises = || on(REQUEST, [RAISE]);
    let mut session = fenced(vec![
        raises().answers([wrote(1)]),
        reads(),
        reads(),
        raises().answers([LOST]),
    ]);
    assert_eq!(read(&mut session), Ok(vec![7]));
    assert_eq!(read(&mut session), Ok(vec![7]));
    let (kind, _) = kind(commit(&mut session));
    assert!(matches!(kind, DatabaseErrorKind::SerializationFailure));
    done(&session);
    // The commit of writes presents it as well.
    let mut session = fenced(vec![
        raises().answers([wrote(1)]),
        reads(),
        on(EXECUTE, [RAISE, INSERT]).answers([wrote(1), wrote(1)]),
    ]);
    assert_eq!(read(&mut session), Ok(vec![7]));
    execute(&mut session, INSERT).expect("waits");
    commit(&mut session).expect("is applied");
    done(&session);
}
