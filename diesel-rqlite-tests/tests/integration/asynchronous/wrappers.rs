//! What diesel-async puts around connections: streams, migrations, and the blocking connection on a thread of its own.

use std::future::poll_fn;
use std::pin::pin;

use diesel::result::Error;
use diesel::{ExpressionMethods, QueryDsl, QueryResult};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, AsyncMigrationHarness, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use diesel_rqlite::{AsyncRqliteConnection, Pages, RqliteConnection};
use diesel_rqlite_tests::Rqlited;
use futures_core::Stream;
use tokio::runtime::Runtime;

diesel::table! { t (id) { id -> Integer, name -> Text, } }

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL)";

/// As a program of a user runs them.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).enable_all();
    builder.build().expect("a runtime")
}

/// A node with rows of these names, and a connection.
async fn filled(names: impl Iterator<Item = String>) -> (Rqlited, AsyncRqliteConnection) {
    let node = Rqlited::start();
    let conn = AsyncRqliteConnection::establish(&node.url()).await;
    let mut conn = conn.expect("connects");
    conn.batch_execute(SCHEMA).await.expect("creates");
    let rows: Vec<_> = names.map(|name| t::name.eq(name)).collect();
    let count = rows.len();
    let inserted = diesel::insert_into(t::table)
        .values(rows)
        .execute(&mut conn);
    assert_eq!(inserted.await, Ok(count));
    (node, conn)
}

/// The next of a stream.
async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|context| pin!(&mut *stream).poll_next(context)).await
}

#[test]
fn rows_come_as_a_stream() {
    runtime().block_on(async {
        let (_node, mut conn) = filled((0..1000).map(|id| format!("name {id}"))).await;
        let stream = t::table
            .order(t::id)
            .load_stream::<(i32, String)>(&mut conn);
        let mut stream = stream.await.expect("reads");
        let mut id = 0;
        while let Some(row) = next(&mut stream).await {
            assert_eq!(row, Ok((id + 1, format!("name {id}"))));
            id += 1;
        }
        assert_eq!(id, 1000);
        // What does not fit is an error where it stands, and the rows behind it come.
        diesel::sql_query("UPDATE t SET name = x'ff' WHERE id = 2")
            .execute(&mut conn)
            .await
            .expect("updates");
        let stream = t::table
            .order(t::id)
            .limit(3)
            .load_stream::<(i32, String)>(&mut conn);
        let mut stream = stream.await.expect("reads");
        assert!(next(&mut stream).await.expect("a row").is_ok());
        let wrong = next(&mut stream).await.expect("a row");
        assert!(
            matches!(wrong, Err(Error::DeserializationError(_))),
            "{wrong:?}"
        );
        assert!(next(&mut stream).await.expect("a row").is_ok());
        assert!(next(&mut stream).await.is_none());
    });
}

/// As with the streams of diesel-async's own connections.
#[test]
fn connection_is_used_while_its_rows_come() {
    runtime().block_on(async {
        let (_node, mut conn) = filled((0..1000).map(|_| "n".repeat(1000))).await;
        let stream = t::table.order(t::id).select(t::id);
        let stream = stream.filter(t::name.ne("")).into_boxed();
        let names = t::table
            .order(t::id)
            .load_stream::<(i32, String)>(&mut conn);
        let mut names = names.await.expect("reads");
        let mut ids = stream.load_stream::<i32>(&mut conn).await.expect("reads");
        for id in 1..=1000 {
            let row = next(&mut names).await.expect("a row").expect("is read");
            assert_eq!(row.0, id);
            assert_eq!(next(&mut ids).await, Some(Ok(id)));
            if id % 100 == 0 {
                let touched = diesel::update(t::table.find(id)).set(t::name.eq("seen"));
                assert_eq!(touched.execute(&mut conn).await, Ok(1));
            }
        }
        assert!(next(&mut names).await.is_none());
        assert!(next(&mut ids).await.is_none());
    });
}

#[test]
fn table_is_walked_page_by_page() {
    runtime().block_on(async {
        let (_node, mut conn) = filled((1..=10).map(|id| id.to_string())).await;
        let mut pages = Pages::new(t::table, t::id, 4);
        let mut sizes = Vec::new();
        while let Some(page) = pages
            .next_async(&mut conn, |row: &(i32, String)| row.0)
            .await
            .expect("loads")
        {
            sizes.push((page.len(), page[0].0));
        }
        assert_eq!(sizes, [(4, 1), (4, 5), (2, 9)]);
    });
}

#[test]
fn migrations_run_on_an_asynchronous_connection() {
    let files = tempfile::tempdir().expect("a directory");
    for (name, up) in [
        ("1_t", SCHEMA),
        (
            "2_rows",
            "INSERT INTO t VALUES (1, 'a'); INSERT INTO t VALUES (2, 'b')",
        ),
    ] {
        let migration = files.path().join(name);
        std::fs::create_dir(&migration).expect("creates");
        std::fs::write(migration.join("up.sql"), up).expect("writes");
        std::fs::write(migration.join("down.sql"), "DELETE FROM t").expect("writes");
    }
    let source = || FileBasedMigrations::from_path(files.path()).expect("migrations");
    runtime().block_on(async {
        let node = Rqlited::start();
        let conn = AsyncRqliteConnection::establish(&node.url())
            .await
            .expect("connects");
        let mut harness = AsyncMigrationHarness::new(conn);
        let run = harness
            .run_pending_migrations(source())
            .map(|run| run.len());
        assert_eq!(run.expect("runs"), 2);
        let run = harness
            .run_pending_migrations(source())
            .map(|run| run.len());
        assert_eq!(run.expect("runs"), 0);
        let mut conn = harness.into_inner();
        let count = t::table.count().get_result::<i64>(&mut conn).await;
        assert_eq!(count, Ok(2));
        let mut harness = AsyncMigrationHarness::new(conn);
        harness.revert_last_migration(source()).expect("reverts");
        let mut conn = harness.into_inner();
        let count = t::table.count().get_result::<i64>(&mut conn).await;
        assert_eq!(count, Ok(0));
    });
}

#[test]
fn the_blocking_connection_works_on_a_thread_of_its_own() {
    runtime().block_on(async {
        let node = Rqlited::start();
        let mut conn = SyncConnectionWrapper::<RqliteConnection>::establish(&node.url())
            .await
            .expect("connects");
        conn.batch_execute(SCHEMA).await.expect("creates");
        let names = || t::table.order(t::id).select(t::name);
        let committed = conn.transaction(async |conn| {
            let row = t::name.eq("a");
            diesel::insert_into(t::table)
                .values(row)
                .execute(conn)
                .await?;
            assert_eq!(names().load::<String>(conn).await?, ["a"]);
            Ok::<_, Error>(())
        });
        assert_eq!(committed.await, Ok(()));
        let rolled_back: QueryResult<()> = conn
            .transaction(async |conn| {
                let row = t::name.eq("b");
                diesel::insert_into(t::table)
                    .values(row)
                    .execute(conn)
                    .await?;
                Err(Error::RollbackTransaction)
            })
            .await;
        assert_eq!(rolled_back, Err(Error::RollbackTransaction));
        assert_eq!(
            names().load::<String>(&mut conn).await,
            Ok(vec!["a".to_owned()])
        );
        let twice = diesel::insert_into(t::table)
            .values((t::id.eq(1), t::name.eq("c")))
            .execute(&mut conn)
            .await;
        crate::support::assert_kind!(twice, UniqueViolation);
    });
}
