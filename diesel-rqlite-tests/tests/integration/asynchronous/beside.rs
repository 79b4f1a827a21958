//! Queries at the same time, by a shared reference to one connection.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::Duration;

use diesel::result::Error;
use diesel::{ExpressionMethods, QueryDsl, QueryResult};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager as _};
use diesel_rqlite::{AsyncRqliteConnection, AsyncRqliteTransactionManager, RqliteConfig};
use diesel_rqlite_tests::{Cluster, Rqlited};

use super::adapter::block_on;
use crate::proxy::{Fate, Proxy};
use crate::support::database_error;

diesel::table! { t (id) { id -> Integer, n -> Integer, } }

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)";

async fn connect(url: &str) -> AsyncRqliteConnection {
    let config: RqliteConfig = url.parse().expect("a URL");
    let config = config.request_timeout(Duration::from_secs(20));
    config.connect_async().await.expect("connects")
}

async fn rows(conn: &AsyncRqliteConnection) -> QueryResult<Vec<i32>> {
    let rows = t::table.order(t::n).select(t::n);
    rows.load(&mut &*conn).await
}

async fn insert(conn: &AsyncRqliteConnection, n: i32) -> QueryResult<usize> {
    let insert = diesel::insert_into(t::table).values(t::n.eq(n));
    insert.execute(&mut &*conn).await
}

/// The node sees each of three requests only when all of them are there.
#[test]
fn queries_are_on_their_way_at_the_same_time() {
    block_on(async {
        let node = Rqlited::start();
        let asked = Arc::new(AtomicBool::new(false));
        let (meet, meeting) = (Arc::clone(&asked), Barrier::new(3));
        let proxy = Proxy::start(node.address(), move |_, _| {
            if AtomicBool::load(&meet, Ordering::SeqCst) {
                meeting.wait();
            }
            Fate::Pass
        });
        let conn = connect(&proxy.url()).await;
        (&conn).batch_execute(SCHEMA).await.expect("creates");
        asked.store(true, Ordering::SeqCst);
        let done = tokio::join!(insert(&conn, 1), insert(&conn, 2), rows(&conn));
        asked.store(false, Ordering::SeqCst);
        assert_eq!((done.0, done.1), (Ok(1), Ok(1)));
        assert!(done.2.is_ok_and(|seen| seen.len() <= 2));
        assert_eq!(rows(&conn).await, Ok(vec![1, 2]));
    });
}

#[test]
fn transactions_have_their_connection_for_themselves() {
    block_on(async {
        let node = Rqlited::start();
        let mut conn = connect(&node.url()).await;
        conn.batch_execute(SCHEMA).await.expect("creates");
        let begun = AsyncRqliteTransactionManager::begin_transaction(&mut conn);
        begun.await.expect("begins");
        assert_eq!(insert(&conn, 1).await, Err(Error::AlreadyInTransaction));
        assert_eq!(rows(&conn).await, Err(Error::AlreadyInTransaction));
        let script = (&conn).batch_execute("DELETE FROM t").await;
        assert_eq!(script, Err(Error::AlreadyInTransaction));
        let rolled_back = AsyncRqliteTransactionManager::rollback_transaction(&mut conn);
        assert_eq!(rolled_back.await, Ok(()));
        // One that is begun beside others would be nobody's.
        for begin in ["BEGIN", "SAVEPOINT a"] {
            let begun = diesel::sql_query(begin).execute(&mut &conn).await;
            let (_, information) = database_error(begun);
            assert!(information.message().contains("for itself"), "{begin}");
            let script = format!("{begin}; INSERT INTO t (n) VALUES (7)");
            let (_, information) = database_error((&conn).batch_execute(&script).await);
            assert!(information.message().contains("for itself"), "{begin}");
        }
        // Nothing of such a script is done.
        let script = "INSERT INTO t (n) VALUES (8); BEGIN; INSERT INTO t (n) VALUES (9)";
        let (_, information) = database_error((&conn).batch_execute(script).await);
        assert!(information.message().contains("for itself"));
        let before = conn.http_requests();
        assert_eq!(insert(&conn, 2).await, Ok(1));
        assert_eq!(rows(&conn).await, Ok(vec![2]));
        assert!(conn.http_requests() >= before + 2, "they are counted");
        let whole = "BEGIN; INSERT INTO t (n) VALUES (3); COMMIT";
        assert_eq!((&conn).batch_execute(whole).await, Ok(()));
        assert_eq!(
            conn.transaction(async |conn| rows(conn).await).await.err(),
            Some(Error::AlreadyInTransaction)
        );
        assert_eq!(rows(&conn).await, Ok(vec![2, 3]));
    });
}

/// A default that each node would make for itself, of a table that the connection has just made.
#[test]
fn inserts_at_the_same_time_have_the_same_defaults_on_all_nodes() {
    diesel::table! { d (id) { id -> Integer, key -> Text, } }

    const WAIT: Duration = Duration::from_secs(30);
    let cluster = Cluster::start(3);
    let urls: Vec<_> = (0..3)
        .map(|node| cluster.address(node).to_owned())
        .collect();
    block_on(async {
        let mut conn = connect(&cluster.url(0)).await;
        let create =
            "CREATE TABLE d (id INTEGER PRIMARY KEY, key TEXT DEFAULT (hex(randomblob(8))))";
        conn.batch_execute(create).await.expect("creates");
        let inserts = [1, 2].map(|id| diesel::insert_into(d::table).values(d::id.eq(id)));
        let [one, two] = inserts;
        let (mut first, mut second) = (&conn, &conn);
        let done = tokio::join!(one.execute(&mut first), two.execute(&mut second));
        assert_eq!(done, (Ok(1), Ok(1)));
        let wanted: Vec<(i32, String)> =
            d::table.order(d::id).load(&mut conn).await.expect("reads");
        assert_eq!(wanted.len(), 2);
        for url in urls {
            let mut node = connect(&format!("rqlite://{url}?level=none")).await;
            let caught_up = async {
                loop {
                    let rows = d::table.order(d::id).load::<(i32, String)>(&mut node).await;
                    match rows {
                        Ok(rows) if rows.len() == 2 => return rows,
                        _ => tokio::time::sleep(Duration::from_millis(10)).await,
                    }
                }
            };
            let rows = tokio::time::timeout(WAIT, caught_up).await;
            assert_eq!(rows.expect("the node is behind"), wanted, "{url}");
        }
    });
}

/// Polls a future once and drops it. On a busy machine it may be done by then.
async fn begin_and_drop<T>(future: impl Future<Output = T>) {
    let mut future = Box::pin(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
}

/// The writes may have been applied, so that the rowid of an earlier one is not the last.
#[test]
fn what_a_write_without_an_answer_has_inserted_is_unknown() {
    block_on(async {
        let node = Rqlited::start();
        let proxy = Proxy::start(node.address(), |_, text| match text.contains("666") {
            true => Fate::Lose,
            false => Fate::Pass,
        });
        let mut conn = connect(&format!("{}?discovery=false", proxy.url())).await;
        conn.batch_execute(SCHEMA).await.expect("creates");
        for place in 0..4 {
            let known = diesel::sql_query("INSERT INTO t (n) VALUES (1)");
            assert_eq!(known.execute(&mut conn).await, Ok(1));
            let rowid = diesel::dsl::sql::<diesel::sql_types::BigInt>("SELECT last_insert_rowid()");
            assert!(rowid.get_result::<i64>(&mut conn).await.is_ok());
            let lost = diesel::sql_query("INSERT INTO t (n) VALUES (666)");
            match place {
                0 => assert!(lost.execute(&mut &conn).await.is_err()),
                1 => begin_and_drop(lost.execute(&mut &conn)).await,
                2 => begin_and_drop(lost.execute(&mut conn)).await,
                _ => begin_and_drop(conn.transaction(async |conn| lost.execute(conn).await)).await,
            }
            let rowid = diesel::dsl::sql::<diesel::sql_types::BigInt>("SELECT last_insert_rowid()");
            let outcome = rowid.get_result::<i64>(&mut conn).await;
            let said = format!("{:?}", outcome.expect_err("is unknown"));
            assert!(
                said.contains("() is about what a connection"),
                "{place}: {said}"
            );
        }
    });
}
