//! Queued writes: what they do, what is refused, what is not told.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel_rqlite::{QueryOptions, QueueOutcome, RqliteQueryDsl};
use diesel_rqlite_tests::{Cluster, Rqlited};

use super::RqliteConnection;
use super::database::{Database, connect};
use crate::proxy::Fate;
use crate::recorder::Recorder;
use crate::support::{assert_kind, assert_none};

diesel::table! {
    t (id) {
        id -> Integer,
        n -> Nullable<Integer>,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)";

/// Far longer than it takes.
const LONG: Duration = Duration::from_secs(20);

fn number(outcome: QueryResult<QueueOutcome>) -> u64 {
    match outcome {
        Ok(QueueOutcome::Done(number)) => number.get(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_waited_for_is_there() {
    let recorder = Recorder::start();
    let conn = &mut connect(&recorder.url());
    conn.batch_execute(SCHEMA).expect("creates");
    recorder.sent();
    let insert = |n: i32| diesel::insert_into(t::table).values(t::n.eq(n));
    let first = conn.execute_queued(&insert(1)).expect("queues").get();
    let several = conn
        .queue()
        .add(&insert(2))
        .and_then(|queue| queue.add(&insert(3)));
    let second = several
        .and_then(|queue| queue.send())
        .expect("queues")
        .get();
    let rows = diesel::insert_into(t::table).values(vec![t::n.eq(4), t::n.eq(5)]);
    let third = number(conn.execute_queued_and_wait(&rows, LONG));
    let update = diesel::update(t::table.filter(t::n.eq(5))).set(t::n.eq(6));
    let delete = diesel::delete(t::table.filter(t::n.eq(1)));
    let both = conn
        .queue()
        .add(&update)
        .and_then(|queue| queue.add(&delete));
    let fourth = number(both.and_then(|queue| queue.send_and_wait(LONG)));
    // Greater than what JSON's own numbers hold.
    assert!(1 << 53 < first && first < second && second < third && third < fourth);
    let paths: Vec<_> = recorder.sent().into_iter().map(|sent| sent.path).collect();
    let plain = "/db/execute?queue&norwtime&norwrandom";
    let waiting = format!("{plain}&wait&timeout=20000000000ns");
    assert_eq!(paths, [plain, plain, &waiting, &waiting]);
    let found = t::table.order(t::n).select(t::n).load(conn);
    assert_eq!(found, Ok(vec![Some(2), Some(3), Some(4), Some(6)]));
}

#[test]
fn each_node_has_the_same() {
    let cluster = Cluster::start(3);
    let conn = &mut connect(&cluster.url(cluster.leader()));
    conn.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER DEFAULT (random()))")
        .expect("creates");
    let random = diesel::sql_query("INSERT INTO t (n) VALUES (random())");
    let by_default = diesel::sql_query("INSERT INTO t (id) VALUES (9)");
    let both = conn
        .queue()
        .add(&random)
        .and_then(|queue| queue.add(&by_default));
    number(both.and_then(|queue| queue.send_and_wait(LONG)));
    let wide = |conn: &mut RqliteConnection| {
        let rows = "SELECT n AS value FROM t ORDER BY id";
        diesel::sql_query(rows).load::<One>(conn)
    };
    let wanted = wide(conn).expect("loads");
    assert_eq!(wanted.len(), 2);
    for node in 0..3 {
        let url = format!("{}?level=none&discovery=false", cluster.node(node).url());
        let mut local = connect(&url);
        let seen = loop {
            // A follower hears of it a moment later.
            match wide(&mut local) {
                Ok(rows) if rows.len() == 2 => break rows,
                _ => std::thread::yield_now(),
            }
        };
        assert_eq!(seen, wanted, "node {node}");
    }
}

#[derive(Debug, PartialEq, QueryableByName)]
struct One {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    value: i64,
}

#[test]
fn what_can_not_be_queued_is_refused_before_anything_is_sent() {
    let db = &mut Database::with(SCHEMA);
    let mut wrong = Vec::new();
    for sql in [
        "SELECT 1",
        "EXPLAIN DELETE FROM t",
        "INSERT INTO t (n) VALUES (1) RETURNING id",
        "DELETE FROM t RETURNING *",
        "INSERT OR ROLLBACK INTO t (n) VALUES (1)",
        "UPDATE OR ROLLBACK t SET n = 1",
        "CREATE TABLE u (id INTEGER)",
        "DROP TABLE t",
        "CREATE TABLE u AS SELECT * FROM t",
        "PRAGMA foreign_keys = OFF",
        "PRAGMA user_version = 1",
        "PRAGMA journal_mode = DELETE",
        "VACUUM",
        "ANALYZE",
        "BEGIN",
        "COMMIT",
        "INSERT INTO t (n) VALUES (1); DELETE FROM t",
        "INSERT INTO t (n) VALUES (datetime('now', 'localtime'))",
        "INSERT INTO t (n) VALUES (?)",
        "",
    ] {
        let (outcome, requests) = db.requests(|conn| conn.execute_queued(&diesel::sql_query(sql)));
        if !matches!(&outcome, Err(Error::QueryBuilderError(_))) || requests != 0 {
            wrong.push(format!("{sql}: {requests} requests, {outcome:?}"));
        }
    }
    assert_none(&wrong);
    let rows = vec![(Some(t::id.eq(7)), t::n.eq(1)), (None, t::n.eq(2))];
    let several = diesel::insert_into(t::table).values(rows);
    let nothing = diesel::insert_into(t::table).values(Vec::<(diesel::dsl::Eq<t::n, i32>,)>::new());
    let (outcomes, requests) = db.requests(|conn| {
        let insert = diesel::sql_query("INSERT INTO t (n) VALUES (1)");
        let in_transaction = conn.transaction(|conn| conn.execute_queued(&insert));
        [
            conn.execute_queued(&several),
            conn.execute_queued(&nothing),
            conn.queue().send(),
            in_transaction,
        ]
    });
    let [several, nothing, empty, in_transaction] = outcomes;
    for refused in [several, nothing, empty] {
        assert!(
            matches!(refused, Err(Error::QueryBuilderError(_))),
            "{refused:?}"
        );
    }
    assert_eq!(in_transaction, Err(Error::AlreadyInTransaction));
    assert_eq!(requests, 0);
    assert_eq!(db.count("t"), 0);
}

#[test]
fn without_foreign_keys_nothing_is_queued() {
    let db = &mut Database::on(Rqlited::builder().foreign_keys());
    db.batch_execute(SCHEMA).expect("creates");
    db.batch_execute("PRAGMA foreign_keys = OFF")
        .expect("is done");
    let insert = diesel::insert_into(t::table).values(t::n.eq(1));
    let (outcome, requests) = db.requests(|conn| conn.execute_queued(&insert));
    assert!(
        matches!(outcome, Err(Error::QueryBuilderError(_))),
        "{outcome:?}"
    );
    assert_eq!(requests, 0);
}

#[test]
fn nobody_hears_of_an_error_and_the_others_are_applied() {
    let db = &mut Database::with(SCHEMA);
    let insert = |id: i32| diesel::insert_into(t::table).values(t::id.eq(id));
    let missing = diesel::sql_query("INSERT INTO missing VALUES (1)");
    let writes = db
        .queue()
        .add(&insert(1))
        .and_then(|queue| queue.add(&insert(1)));
    let writes = writes.and_then(|queue| queue.add(&missing));
    let writes = writes.and_then(|queue| queue.add(&insert(2)));
    number(writes.and_then(|queue| queue.send_and_wait(LONG)));
    assert_eq!(db.count("t"), 2);
}

#[test]
fn what_was_not_waited_for_long_enough_comes_later() {
    let db = &mut Database::with(SCHEMA);
    let insert = diesel::insert_into(t::table).values(t::n.eq(1));
    let outcome = db.execute_queued_and_wait(&insert, Duration::from_nanos(1));
    assert_eq!(outcome, Ok(QueueOutcome::Pending));
    // In the same queue, behind it.
    number(db.execute_queued_and_wait(&insert, LONG));
    assert_eq!(db.count("t"), 2);
}

#[test]
fn without_an_answer_nobody_knows() {
    let recorder = Recorder::with(Rqlited::builder(), |sent| match sent.has("queue") {
        true => Fate::HoldAnswer,
        false => Fate::Pass,
    });
    let conn = &mut connect(&recorder.url());
    conn.batch_execute(SCHEMA).expect("creates");
    let insert = diesel::insert_into(t::table).values(t::n.eq(1));
    let soon = QueryOptions::new().request_timeout(Duration::from_millis(200));
    let insert = insert.with_options(soon);
    assert_kind!(conn.execute_queued(&insert), ClosedConnection);
    // Longer than it may take to be done.
    let wait = Duration::from_millis(200);
    assert_kind!(
        conn.execute_queued_and_wait(&insert, wait),
        ClosedConnection
    );
    let queued = recorder.sent().into_iter().filter(|sent| sent.has("queue"));
    assert_eq!(queued.count(), 2, "it is never sent a second time");
}

#[test]
fn what_the_connection_did_last_is_not_known_behind_it() {
    let db = &mut Database::with(SCHEMA);
    let insert = diesel::insert_into(t::table).values(t::n.eq(1));
    insert.execute(&mut **db).expect("inserts");
    assert_eq!(db.one("SELECT last_insert_rowid() AS value"), 1);
    number(db.execute_queued_and_wait(&insert, LONG));
    let last = diesel::sql_query("SELECT last_insert_rowid() AS value").load::<One>(&mut **db);
    assert!(matches!(last, Err(Error::QueryBuilderError(_))), "{last:?}");
}
