//! Defaults that each node would make for itself are given by the client, where an INSERT leaves them out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite_tests::{Cluster, Rqlited};

use super::RqliteConnection;
use super::database::connect;
use crate::proxy::{Fate, Proxy};

/// A random one shows on any clock.
const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, key TEXT DEFAULT (hex(randomblob(8))), \
     at TEXT DEFAULT CURRENT_TIMESTAMP)";

diesel::table! {
    t (id) { id -> Integer, a -> Nullable<Text>, key -> Text, at -> Text, }
}

fn rows(conn: &mut RqliteConnection) -> Vec<(i32, String, String)> {
    let rows = t::table.order(t::id).select((t::id, t::key, t::at));
    rows.load(conn).unwrap_or_default()
}

fn insert(conn: &mut RqliteConnection, id: i32) -> QueryResult<usize> {
    diesel::insert_into(t::table)
        .values(t::id.eq(id))
        .execute(conn)
}

/// Until this node has the table.
fn wait_for(node: &mut RqliteConnection, table: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let query = format!("SELECT a FROM {table}");
    while diesel::sql_query(&query).execute(node).is_err() {
        assert!(Instant::now() < deadline, "the node is behind");
    }
}

#[test]
fn defaults_are_the_same_on_all_nodes() {
    let cluster = Cluster::start(3);
    let mut conn = connect(&cluster.url(0));
    conn.batch_execute(SCHEMA).expect("creates");
    // The connection that made the table, and one that was opened behind it.
    let mut other = connect(&cluster.url(0));
    insert(&mut conn, 1).expect("inserts");
    insert(&mut other, 2).expect("inserts");
    diesel::insert_into(t::table)
        .values(&[
            (t::id.eq(3), Some(t::a.eq("a"))),
            (t::id.eq(4), None),
            (t::id.eq(5), Some(t::a.eq("b"))),
        ])
        .execute(&mut conn)
        .expect("inserts");
    diesel::insert_into(t::table)
        .default_values()
        .execute(&mut conn)
        .expect("inserts");
    diesel::sql_query("REPLACE INTO t (a, id) VALUES ('r', 7)")
        .execute(&mut conn)
        .expect("replaces");
    conn.batch_execute(
        "INSERT INTO t (id) VALUES (8), (9); INSERT INTO t (id, at) VALUES (10, 'mine');",
    )
    .expect("inserts");
    let returned: Vec<String> = diesel::insert_into(t::table)
        .values((t::id.eq(11), t::a.eq("x")))
        .returning(t::key)
        .get_results(&mut conn)
        .expect("inserts");
    assert_eq!(returned[0].len(), 16);
    conn.transaction(|conn| {
        insert(conn, 12)?;
        // A table of this very transaction.
        conn.batch_execute("CREATE TABLE u (a INTEGER, key TEXT DEFAULT (hex(randomblob(8))))")?;
        diesel::sql_query("INSERT INTO u (a) VALUES (1)").execute(conn)
    })
    .expect("commits");
    conn.batch_execute("ALTER TABLE u ADD COLUMN more")
        .expect("adds");
    insert(&mut conn, 13).expect("inserts");
    conn.batch_execute("CREATE TABLE behind (a)")
        .expect("creates");
    let wanted = rows(&mut conn);
    assert_eq!(wanted.len(), 13);
    let mut keys: Vec<_> = wanted.iter().map(|(_, key, _)| key.clone()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 13, "each row has its own");
    for place in 0..3 {
        let mut node = connect(&format!("rqlite://{}?level=none", cluster.address(place)));
        wait_for(&mut node, "behind");
        assert_eq!(rows(&mut node), wanted, "node {place}");
        let of_u = super::database::one(
            &mut node,
            "SELECT count(*) AS value FROM u WHERE length(key) = 16",
        );
        assert_eq!(of_u, 1);
    }
}

/// The question for the schema has no answer when the first row is inserted after the table was made.
#[test]
fn defaults_are_asked_for_again_where_the_question_failed() {
    let node = Rqlited::start();
    let is_deaf = Arc::new(AtomicBool::new(false));
    let sent = Arc::<Mutex<Vec<String>>>::default();
    let (deaf, log) = (Arc::clone(&is_deaf), Arc::clone(&sent));
    let proxy = Proxy::start(node.address(), move |_, text| {
        log.lock().expect("no panic").push(text.to_owned());
        match deaf.load(Ordering::SeqCst) && text.contains("pragma_table_info") {
            true => Fate::Lose,
            false => Fate::Pass,
        }
    });
    let mut conn = connect(&format!(
        "{}?discovery=false&leader_timeout=500ms",
        proxy.url()
    ));
    conn.batch_execute(SCHEMA).expect("creates");
    is_deaf.store(true, Ordering::SeqCst);
    assert!(insert(&mut conn, 1).is_err());
    is_deaf.store(false, Ordering::SeqCst);
    assert_eq!(insert(&mut conn, 2), Ok(1));
    let last = sent.lock().expect("no panic").pop().expect("was sent");
    assert!(
        last.contains("INSERT INTO") && last.contains("\\\"key\\\""),
        "{last}"
    );
    assert_eq!(rows(&mut conn).len(), 1);
}

/// What no client sees when it sends the statement, each node makes for itself.
#[test]
fn triggers_make_their_values_on_each_node() {
    let cluster = Cluster::start(3);
    let mut conn = connect(&cluster.url(0));
    conn.batch_execute(SCHEMA).expect("creates");
    conn.batch_execute(
        "CREATE TABLE log (key TEXT);
         CREATE TRIGGER logged AFTER INSERT ON t BEGIN INSERT INTO log VALUES (hex(randomblob(8))); END;",
    )
    .expect("creates");
    insert(&mut conn, 1).expect("inserts");
    diesel::sql_query("INSERT INTO t (a) SELECT 'selected'")
        .execute(&mut conn)
        .expect("inserts");
    conn.batch_execute("CREATE TABLE behind (a)")
        .expect("creates");
    for (sql, nodes_agree) in [
        ("SELECT key FROM t WHERE id = 1", true),
        ("SELECT key FROM log WHERE rowid = 1", false),
        ("SELECT key FROM t WHERE a = 'selected'", false),
    ] {
        let mut keys: Vec<String> = (0..3)
            .map(|place| {
                let address = cluster.address(place);
                let mut node = connect(&format!("rqlite://{address}?level=none"));
                wait_for(&mut node, "behind");
                let key = diesel::dsl::sql::<diesel::sql_types::Text>(sql);
                key.get_result(&mut node).expect(sql)
            })
            .collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len() == 1, nodes_agree, "{sql}: {keys:?}");
    }
}
