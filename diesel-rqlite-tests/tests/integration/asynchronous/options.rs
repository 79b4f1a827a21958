//! Options of an asynchronous connection: futures that are dropped, queries beside others, pools.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use diesel::dsl::sql;
use diesel::result::Error;
use diesel::sql_types::Integer;
use diesel::{ExpressionMethods, QueryDsl, QueryResult};
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_rqlite::{
    AsyncRqliteConnection, QueryOptions, QueryPlanStep, QueueOutcome, ReadConsistency,
    RqliteConfig, RqliteQueryDsl,
};

use super::adapter::block_on;
use crate::recorder::Recorder;

diesel::table! { t (id) { id -> Integer, n -> Integer, } }

const SCHEMA: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO t VALUES (1, 10)";

const COUNT: &str = "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT count(*) \
                     FROM c)";

async fn recorded() -> (Recorder, AsyncRqliteConnection) {
    let recorder = Recorder::start();
    let url = format!("{}&level=strong", recorder.url());
    let mut conn = AsyncRqliteConnection::establish(&url)
        .await
        .expect("connects");
    conn.batch_execute(SCHEMA).await.expect("creates");
    recorder.sent();
    (recorder, conn)
}

fn stale() -> QueryOptions {
    QueryOptions::new().read_level(ReadConsistency::None)
}

async fn read(conn: &mut AsyncRqliteConnection) -> QueryResult<Vec<i32>> {
    t::table.select(t::n).load(conn).await
}

#[track_caller]
fn assert_level(recorder: &Recorder, level: &str) {
    let sent = recorder.sent();
    assert!(
        !sent.is_empty() && sent.iter().all(|sent| sent.has(level)),
        "{sent:?}"
    );
}

#[test]
fn a_future_that_is_dropped_leaves_no_options() {
    block_on(async {
        let (recorder, mut conn) = recorded().await;
        let mut context = Context::from_waker(Waker::noop());
        {
            let mut future = pin!(conn.with(stale(), async |conn| {
                read(conn).await?;
                std::future::pending::<QueryResult<()>>().await
            }));
            // Until the closure has read, and waits forever.
            while recorder.sent().is_empty() {
                assert!(future.as_mut().poll(&mut context).is_pending());
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(conn.options(), &QueryOptions::new());
        assert_eq!(read(&mut conn).await, Ok(vec![10]));
        assert_level(&recorder, "level=strong");
        {
            // Takes a node a second, so that there is no answer yet.
            let query = diesel::select(sql::<Integer>(COUNT)).with_options(stale());
            let mut future = pin!(query.load::<i32>(&mut conn));
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(conn.options(), &QueryOptions::new());
        recorder.sent();
        assert_eq!(read(&mut conn).await, Ok(vec![10]));
        // The query that was dropped may be recorded only now.
        let mut sent = recorder.sent();
        sent.retain(|sent| !sent.body.contains("RECURSIVE"));
        let last = sent.pop().expect("was sent");
        assert!(last.has("level=strong"), "{last:?}");
    });
}

#[test]
fn queries_beside_others_have_options_of_their_own() {
    block_on(async {
        let (recorder, mut conn) = recorded().await;
        {
            let (mut one, mut other) = (&conn, &conn);
            let both = tokio::try_join!(
                t::table
                    .select(t::n)
                    .with_options(stale())
                    .load::<i32>(&mut one),
                t::table.select(t::id).load::<i32>(&mut other),
            );
            assert_eq!(both, Ok((vec![10], vec![1])));
        }
        let mut levels: Vec<_> = recorder
            .sent()
            .into_iter()
            .map(|sent| sent.has("level=none"))
            .collect();
        levels.sort();
        assert_eq!(levels, [false, true]);
        let seen = conn
            .with(stale(), async |conn| {
                let mut beside = &*conn;
                t::table.select(t::n).load::<i32>(&mut beside).await
            })
            .await;
        assert_eq!(seen, Ok(vec![10]));
        assert_level(&recorder, "level=none");
    });
}

#[test]
fn connections_of_a_pool_take_options_queue_and_explain() {
    block_on(async {
        let recorder = Recorder::start();
        let config: RqliteConfig = recorder.url().parse().expect("a URL");
        let config = config.manager_config();
        let manager =
            AsyncDieselConnectionManager::<AsyncRqliteConnection>::new_with_config("", config);
        let pool = Pool::builder(manager).max_size(1).build().expect("a pool");
        let mut conn = pool.get().await.expect("a connection");
        conn.batch_execute(SCHEMA).await.expect("creates");
        recorder.sent();
        let query = t::table.select(t::n).with_options(stale());
        assert_eq!(query.first::<i32>(&mut conn).await, Ok(10));
        assert_level(&recorder, "level=none");
        let seen = conn.with(stale(), async |conn| read(conn).await).await;
        assert_eq!(seen, Ok(vec![10]));
        assert_level(&recorder, "level=none");
        let plan = t::table
            .select(t::n)
            .explain_query_plan()
            .load::<QueryPlanStep>(&mut conn)
            .await;
        assert_eq!(plan.expect("explains")[0].detail, "SCAN t");
        let insert = diesel::insert_into(t::table).values(t::n.eq(20));
        let done = conn
            .execute_queued_and_wait(&insert, Duration::from_secs(20))
            .await;
        assert!(matches!(done, Ok(QueueOutcome::Done(_))), "{done:?}");
        conn.execute_queued(&insert).await.expect("queues");
        let failed = conn
            .with(stale(), async |_| Err::<(), _>(Error::NotFound))
            .await;
        assert_eq!(failed, Err(Error::NotFound));
    });
}
