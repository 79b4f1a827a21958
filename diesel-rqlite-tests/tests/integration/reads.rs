//! Read levels.

use std::time::{Duration, Instant};

use super::RqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::database::{Database, connect};

diesel::table! {
    t (id) {
        id -> Integer,
    }
}

#[test]
fn every_level_reads() {
    let db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    for level in ["none", "weak", "linearizable", "strong", "auto"] {
        let mut conn = connect(&format!("{}?level={level}", db.node.url()));
        assert_eq!(
            t::table.select(t::id).load::<i32>(&mut conn),
            Ok(vec![1]),
            "{level}"
        );
    }
    let mut fresh = connect(&format!(
        "{}?level=none&freshness=1m&freshness_strict=true",
        db.node.url()
    ));
    assert_eq!(t::table.select(t::id).load::<i32>(&mut fresh), Ok(vec![1]));
}

#[test]
fn a_read_is_a_read_whatever_its_text_looks_like() {
    let mut db =
        Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    for sql in [
        "SELECT 1 AS value /* INSERT INTO t */",
        "WITH a AS (SELECT 1 AS value) SELECT value FROM a",
        "select count(*) as value from t where 'DELETE FROM t' <> ''",
    ] {
        assert_eq!(db.one(sql), 1, "{sql}");
    }
    let values = diesel::dsl::sql::<(diesel::sql_types::Integer, diesel::sql_types::Text)>(
        "VALUES (1, 'a'), (2, 'b')",
    );
    let rows: Vec<(i32, String)> = values.load(&mut *db).expect("loads");
    assert_eq!(rows, [(1, "a".to_owned()), (2, "b".to_owned())]);
}

#[test]
fn writes_are_read_by_the_next_read_after_a_restart() {
    // A node that has just been started answers weak reads while it still applies its log.
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    for id in 0..1500 {
        diesel::insert_into(t::table)
            .values(t::id.eq(id))
            .execute(&mut *db)
            .expect("inserts");
    }
    for level in ["weak", "linearizable", "strong"] {
        db.node.kill();
        db.node.start_again();
        let url = format!("{}?level={level}", db.node.url());
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut conn = loop {
            match RqliteConnection::establish(&url) {
                Ok(conn) => break conn,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        assert_eq!(
            t::table.count().get_result(&mut conn),
            Ok(1500_i64),
            "{level}"
        );
    }
}

#[test]
fn point_read_is_one_request() {
    let mut db =
        Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    let (found, requests) = db.requests(|conn| t::table.find(1).select(t::id).first::<i32>(conn));
    assert_eq!((found, requests), (Ok(1), 1));
    db.batch_execute("DELETE FROM t").expect("deletes");
    assert_eq!(
        t::table
            .find(1)
            .select(t::id)
            .first::<i32>(&mut *db)
            .optional(),
        Ok(None)
    );
}
