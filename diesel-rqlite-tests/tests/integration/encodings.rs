//! Databases that were made elsewhere: not UTF-8, or with a virtual table of a module that rqlite does not have.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite_tests::Rqlited;

use super::RqliteConnection;

/// Of UTF-16le, with a table `t (a)` that holds `five`.
const UTF16: &[u8] = include_bytes!("utf16.db");

/// With the row (1, 1, 'k') in `t (id, n, key DEFAULT (hex(randomblob(8))))`, and a virtual table that has a default too.
const UNKNOWN_MODULE: &[u8] = include_bytes!("unknown_module.db");

/// A node with this database.
fn booted(file: &'static [u8]) -> Rqlited {
    let node = Rqlited::start();
    let http = diesel_rqlite::RqliteConnection::establish(&node.url())
        .expect("connects")
        .node_http();
    let length = Some(file.len() as u64);
    let booted = http.post("/boot", "application/octet-stream", &mut { file }, length);
    assert_eq!(booted.expect("answers").status(), 200);
    node
}

diesel::table! {
    t (id) { id -> Integer, n -> Integer, key -> Text, }
}

#[test]
fn reads_are_guarded_beside_a_table_that_the_server_can_not_read() {
    let node = booted(UNKNOWN_MODULE);
    let connect = || super::database::connect(&node.url());
    let (mut conn, mut other) = (connect(), connect());
    let insert = |conn: &mut RqliteConnection, id| {
        let row = (t::id.eq(id), t::n.eq(1));
        let insert = diesel::insert_into(t::table).values(row);
        insert.returning(t::key).get_result::<String>(conn)
    };
    assert_eq!(insert(&mut conn, 2).map(|key| key.len()), Ok(16));
    let outcome: QueryResult<usize> = conn.transaction(|conn| {
        let n: i32 = t::table.find(1).select(t::n).first(conn)?;
        diesel::update(t::table.find(1))
            .set(t::n.eq(7))
            .execute(&mut other)?;
        diesel::update(t::table.find(1))
            .set(t::n.eq(n + 1))
            .execute(conn)
    });
    assert!(
        matches!(
            outcome,
            Err(Error::DatabaseError(
                DatabaseErrorKind::SerializationFailure,
                _
            ))
        ),
        "{outcome:?}"
    );
    assert_eq!(t::table.find(1).select(t::n).first(&mut conn), Ok(7));
}

#[test]
fn database_in_utf_16_is_refused_at_once() {
    let node = booted(UTF16);
    match RqliteConnection::establish(&node.url()) {
        Err(error) => assert!(error.to_string().contains("UTF-16le"), "{error}"),
        Ok(_) => panic!("connects"),
    }
}
