//! Requests that are not SQL, and values as they are stored.

use std::io::Read as _;

use diesel::connection::LoadConnection as _;
use diesel::prelude::*;
use diesel::row::{Field as _, Row as _};
use diesel_rqlite::{RqliteConnection, RqliteType};
use diesel_rqlite_tests::{Cluster, Rqlited, User};

fn connect(url: &str) -> RqliteConnection {
    RqliteConnection::establish(url).expect(url)
}

#[test]
fn the_node_is_the_leader_with_the_credentials_of_the_connection() {
    let node = Rqlited::builder()
        .user(User::new("admin", "secret", &["all"]))
        .start();
    let http = connect(&node.url()).node_http();
    assert_eq!(http.base(), node.http_url());
    assert!(!format!("{http:?}").contains("secret"));
    let mut answer = http.get("/status?key=store.ready").expect("answers");
    let mut text = String::new();
    answer.body_mut().read_to_string(&mut text).expect("reads");
    assert_eq!((answer.status().as_u16(), text.as_str()), (200, "true"));
    assert_eq!(http.get("/nowhere").expect("answers").status(), 404);

    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    let through_follower = connect(&cluster.url((leader + 1) % 3)).node_http();
    assert_eq!(through_follower.base(), cluster.node(leader).http_url());
}

#[test]
fn a_body_is_sent_with_and_without_a_length() {
    let node = Rqlited::start();
    let http = connect(&node.url()).node_http();
    let sql = "[\"CREATE TABLE IF NOT EXISTS a (x)\"]";
    for length in [Some(sql.len() as u64), None] {
        let mut body = sql.as_bytes();
        let answer = http.post("/db/execute", "application/json", &mut body, length);
        let answer = std::io::read_to_string(answer.expect("answers").into_body());
        let answer = answer.expect("reads");
        assert!(answer.starts_with("{\"results\":[{}]"), "{answer}");
    }
}

#[test]
fn a_node_that_is_gone_is_named() {
    let mut node = Rqlited::start();
    let http = connect(&node.url()).node_http();
    node.kill();
    let error = http.get("/status").err().expect("nobody is there");
    assert!(error.to_string().starts_with(&node.http_url()), "{error}");
}

#[test]
fn values_say_what_is_stored() {
    let node = Rqlited::start();
    let mut connection = connect(&node.url());
    let query = diesel::sql_query("SELECT 1, 1.5, 'a', x'00', NULL");
    let row = connection.load(query).expect("loads").next();
    let row = row.expect("a row").expect("a row");
    let types = (0..row.field_count()).map(|index| {
        let field = row.get(index)?;
        field.value()?.value_type()
    });
    let wanted = [
        Some(RqliteType::Long),
        Some(RqliteType::Double),
        Some(RqliteType::Text),
        Some(RqliteType::Binary),
        None,
    ];
    assert_eq!(types.collect::<Vec<_>>(), wanted);
}
