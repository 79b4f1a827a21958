//! Databases that are not UTF-8, brought by other clients.

use diesel::prelude::*;
use diesel_rqlite_tests::Rqlited;

use super::RqliteConnection;

/// Of UTF-16le, with a table `t (a)` that holds `five`.
const UTF16: &[u8] = include_bytes!("utf16.db");

#[test]
fn database_in_utf_16_is_refused_at_once() {
    let node = Rqlited::start();
    let http = diesel_rqlite::RqliteConnection::establish(&node.url())
        .expect("connects")
        .node_http();
    let length = Some(UTF16.len() as u64);
    let booted = http.post("/boot", "application/octet-stream", &mut &*UTF16, length);
    assert_eq!(booted.expect("answers").status(), 200);
    match RqliteConnection::establish(&node.url()) {
        Err(error) => assert!(error.to_string().contains("UTF-16le"), "{error}"),
        Ok(_) => panic!("connects"),
    }
}
