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
    conn.batch_execute("CREATE TABLE behind (a)")
        .expect("creates");
    for (sql, nodes_agree) in [
        ("SELECT key FROM t WHERE id = 1", true),
        ("SELECT key FROM log WHERE rowid = 1", false),
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

#[test]
fn scripts_that_make_a_table_and_fill_it_have_the_same_defaults_on_all_nodes() {
    const MAKE: &str = "CREATE TABLE made (a INTEGER, key TEXT DEFAULT (hex(randomblob(8))));";
    const FILL: &str = "INSERT INTO made (a) VALUES (1), (2);";
    let cluster = Cluster::builder().foreign_keys().start(3);
    let mut conn = connect(&cluster.url(0));
    let make_and_fill = |table: &str| format!("{MAKE} {FILL}").replace("made", table);
    conn.batch_execute(&make_and_fill("a1")).expect("runs");
    conn.transaction(|conn| conn.batch_execute(&make_and_fill("a2")))
        .expect("commits");
    // This mode asks no server about what is not committed yet.
    conn.build_transaction()
        .deferred()
        .run(|conn| conn.batch_execute(&make_and_fill("a3")))
        .expect("commits");
    conn.build_transaction()
        .deferred()
        .run(|conn| {
            conn.batch_execute(&MAKE.replace("made", "a4"))?;
            conn.batch_execute(&FILL.replace("made", "a4"))
        })
        .expect("commits");
    conn.batch_execute(&format!(
        "PRAGMA foreign_keys = OFF; {} PRAGMA foreign_keys = ON;",
        make_and_fill("a5")
    ))
    .expect("runs");
    // The usual way to change a table of SQLite.
    conn.batch_execute(&format!(
        "{MAKE} ALTER TABLE made RENAME COLUMN key TO code; ALTER TABLE made RENAME TO a6; {}
        ALTER TABLE a6 RENAME COLUMN code TO key;",
        FILL.replace("made", "a6")
    ))
    .expect("runs");
    conn.batch_execute(&format!(
        "{MAKE} DROP TABLE made; CREATE TABLE made (a INTEGER, key TEXT DEFAULT 'constant'); {FILL}
        ALTER TABLE made RENAME TO a7; CREATE TABLE IF NOT EXISTS a7 (a, b DEFAULT (random()));
        INSERT INTO a7 (a) VALUES (3);"
    ))
    .expect("runs");
    conn.batch_execute(&make_and_fill("a8").replace("TABLE", "TABLE IF NOT EXISTS"))
        .expect("runs");
    // SQLite folds the case of ASCII letters only.
    conn.batch_execute(&make_and_fill("\"\u{c9}\"").replace("key", "\"K\"\"\u{c9}\""))
        .expect("runs");
    conn.batch_execute("INSERT INTO \u{c9} (a) VALUES (3)")
        .expect("inserts");
    conn.batch_execute("CREATE TABLE behind (a)")
        .expect("creates");
    same_on_all_nodes(
        &cluster,
        &["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "\u{c9}"],
    );
}

/// The table is made by another connection of the program, and its default changes.
#[test]
fn defaults_are_known_to_all_connections_of_a_program() {
    let cluster = Cluster::start(3);
    let mut maker = connect(&cluster.url(0));
    let mut writer = connect(&cluster.url(0));
    maker
        .batch_execute("CREATE TABLE b1 (a INTEGER, key TEXT DEFAULT (hex(randomblob(8))))")
        .expect("creates");
    let insert = |conn: &mut RqliteConnection, table: &str| {
        diesel::sql_query(format!("INSERT INTO {table} (a) VALUES (1)")).execute(conn)
    };
    assert_eq!(insert(&mut writer, "b1"), Ok(1));
    maker
        .transaction(|conn| {
            conn.batch_execute("CREATE TABLE b2 (a INTEGER, key TEXT DEFAULT (hex(randomblob(8))))")
        })
        .expect("commits");
    assert_eq!(insert(&mut writer, "b2"), Ok(1));
    maker
        .batch_execute(
            "DROP TABLE b2; CREATE TABLE b2 (a INTEGER, key2 TEXT DEFAULT (hex(randomblob(8))))",
        )
        .expect("replaces");
    assert_eq!(insert(&mut writer, "b2"), Ok(1));
    // What is rolled back was never there.
    let made = "CREATE TABLE b3 (a INTEGER, key TEXT DEFAULT (hex(randomblob(8))))";
    let undone: QueryResult<()> = maker.transaction(|conn| {
        conn.batch_execute(made)?;
        insert(conn, "b3")?;
        Err(diesel::result::Error::RollbackTransaction)
    });
    assert!(undone.is_err());
    maker
        .batch_execute("CREATE TABLE b3 (a INTEGER, other TEXT DEFAULT 'constant')")
        .expect("creates");
    assert_eq!(insert(&mut maker, "b3"), Ok(1));
    maker
        .batch_execute("CREATE TABLE behind (a)")
        .expect("creates");
    same_on_all_nodes(&cluster, &["b1", "b2", "b3"]);
}

#[test]
fn rows_of_a_query_get_the_time_as_a_default() {
    let cluster = Cluster::start(3);
    let mut conn = connect(&cluster.url(0));
    conn.batch_execute(
        "CREATE TABLE c1 (a INTEGER UNIQUE, at REAL DEFAULT (julianday('now')));
        CREATE TABLE c2 (a INTEGER, key TEXT DEFAULT (hex(randomblob(8))));",
    )
    .expect("creates");
    for (sql, rows) in [
        (
            "INSERT INTO c1 (a) SELECT 1 UNION ALL SELECT 2 ORDER BY 1",
            2,
        ),
        (
            "INSERT INTO c1 (a) SELECT value FROM json_each('[2, 3]') WHERE true ON CONFLICT (a) DO NOTHING",
            1,
        ),
        (
            "WITH w AS (SELECT 4 AS n) INSERT INTO c1 (a) SELECT n FROM w",
            1,
        ),
    ] {
        assert_eq!(diesel::sql_query(sql).execute(&mut conn), Ok(rows), "{sql}");
    }
    // One random value for all rows would be a surprise.
    let error = diesel::sql_query("INSERT INTO c2 (a) SELECT a FROM c1").execute(&mut conn);
    let error = error.expect_err("is refused").to_string();
    assert!(error.contains("random default"), "{error}");
    conn.batch_execute("INSERT INTO c2 (a, key) SELECT a, a FROM c1")
        .expect("inserts");
    conn.batch_execute("CREATE TABLE behind (a)")
        .expect("creates");
    same_on_all_nodes(&cluster, &["c1", "c2"]);
}

/// Checks that the tables have the same rows on all nodes, none of them empty or with a NULL.
fn same_on_all_nodes(cluster: &Cluster, tables: &[&str]) {
    let of_node = |place: usize| -> Vec<String> {
        let mut node = connect(&format!("rqlite://{}?level=none", cluster.address(place)));
        wait_for(&mut node, "behind");
        let rows = tables.iter().map(|table| {
            let columns = format!(
                "SELECT group_concat('\"' || replace(name, '\"', '\"\"') || '\"', ' || '' '' || ') FROM pragma_table_info('{table}')"
            );
            let columns: String = diesel::dsl::sql::<diesel::sql_types::Text>(&columns)
                .get_result(&mut node)
                .expect("reads");
            let rows = format!("SELECT group_concat({columns}, ', ') FROM {table}");
            let rows: Option<String> =
                diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::Text>>(&rows)
                    .get_result(&mut node)
                    .expect("reads");
            format!(
                "{table}: {}",
                rows.unwrap_or_else(|| panic!("no values in {table}"))
            )
        });
        rows.collect()
    };
    let wanted = of_node(0);
    for place in 1..3 {
        assert_eq!(of_node(place), wanted, "node {place}");
    }
}
