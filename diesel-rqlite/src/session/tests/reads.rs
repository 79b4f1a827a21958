//! Queries outside of transactions: in which form they are asked, and asked again; and defaults that come too late.

use super::script::{EXECUTE, QUERY, done, on, rows, session, wrote};
use super::*;
use crate::sql::unstable;

const SELECT: &str = "SELECT a FROM t";
/// The first words of a query with SQL around it.
const AROUND: &str = "WITH …";
/// The statement before a query whose columns the client does not know.
const BEFORE: &str = "SELECT 1 FROM sqlite_master LIMIT 1";

fn integer() -> Option<&'static [RqliteType]> {
    Some(&[RqliteType::Long])
}

#[test]
fn a_query_is_sent_in_the_exact_form_first_and_as_it_is_written_from_then_on() {
    let mut session = session([
        on(QUERY, [AROUND]).answers([rows(&["a"], "", "[1]")]),
        on(QUERY, [SELECT]).answers([rows(&["a"], "integer", "[1]")]),
    ]);
    let found = query(&mut session, SELECT, integer()).expect("is found");
    assert_eq!(integers(&found.rows[0]), [1]);
    let found = query_again(&mut session, SELECT, integer()).expect("is found");
    assert_eq!(integers(&found.rows[0]), [1]);
    done(&session);
}

#[test]
fn a_value_that_may_not_be_the_stored_one_is_asked_for_in_the_exact_form_for_good() {
    let mut session = session([
        on(QUERY, [SELECT]).answers([rows(&["a"], "boolean", "[true]")]),
        on(QUERY, [AROUND]).answers([rows(&["a"], "", "[7]")]),
        on(QUERY, [AROUND]).answers([rows(&["a"], "", "[8]")]),
    ]);
    for value in [7, 8] {
        let found = query_again(&mut session, SELECT, integer()).expect("is found");
        assert_eq!(integers(&found.rows[0]), [value]);
    }
    done(&session);
}

#[test]
fn values_that_the_server_cannot_write_are_asked_for_in_another_form() {
    let unwritable = "json: unsupported value: +Inf";
    let mut session = session([
        on(QUERY, [SELECT]).says(500, unwritable),
        on(QUERY, [AROUND]).answers([rows(&["a"], "", "[7]")]),
        on(QUERY, [AROUND]).answers([rows(&["a"], "", "[7]")]),
    ]);
    for _ in 0..2 {
        let found = query_again(&mut session, SELECT, integer()).expect("is found");
        assert_eq!(integers(&found.rows[0]), [7]);
    }
    done(&session);
}

#[test]
fn a_query_that_the_sql_around_it_does_not_suit_is_sent_as_it_is_written() {
    let several = r#"{"error":"table _diesel_rqlite has 2 values for 1 columns"}"#;
    let two = rows(&["a", "b"], "integer", "[1,2]");
    let mut session = session([
        on(QUERY, [AROUND]).answers([several]),
        on(QUERY, [BEFORE, SELECT]).answers([rows(&["1"], "integer", "[1]"), two]),
    ]);
    let found = query(&mut session, SELECT, integer()).expect("is found");
    assert_eq!(found.rows[0].width(), 2);
    done(&session);
}

#[test]
fn defaults_that_each_node_makes_are_asked_for_after_a_change_of_the_schema() {
    let create = "CREATE TABLE t (a INTEGER, at TEXT DEFAULT CURRENT_TIMESTAMP)";
    let asks = || on(QUERY, [unstable::QUERY]);
    let insert = "INSERT INTO t (a) VALUES (1)";
    let with_default = "INSERT INTO t (a, \"at\") VALUES (1, …";
    let mut session = session([
        on(EXECUTE, [create]).answers([wrote(0)]),
        // A question that fails is asked again, and nothing is inserted before.
        asks().says(400, "bad"),
        asks().answers([schema(Some("CURRENT_TIMESTAMP"))]),
        on(EXECUTE, [with_default]).answers([wrote(1)]),
        on(EXECUTE, [with_default]).answers([wrote(1)]),
    ]);
    knows_schema(&mut session);
    execute(&mut session, create).expect("is created");
    assert!(execute(&mut session, insert).is_err());
    for _ in 0..2 {
        assert_eq!(execute(&mut session, insert), Ok(1));
    }
    done(&session);
}

#[test]
fn another_session_knows_that_defaults_are_to_be_asked_for() {
    let create = "CREATE TABLE t (a INTEGER, at TEXT DEFAULT CURRENT_TIMESTAMP)";
    let mut session = session([
        on(EXECUTE, [create]).gets_lost(),
        on(QUERY, [unstable::QUERY]).answers([schema(None)]),
        on(EXECUTE, ["INSERT INTO t (a) VALUES (1)"]).answers([wrote(1)]),
    ]);
    knows_schema(&mut session);
    assert!(execute(&mut session, create).is_err());
    let mut another = session.another();
    assert!(!another.transaction.keeps_track());
    assert_eq!(execute(&mut another, "INSERT INTO t (a) VALUES (1)"), Ok(1));
    assert!(another.transaction.keeps_track());
    done(&session);
}
