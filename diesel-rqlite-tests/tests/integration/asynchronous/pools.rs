//! bb8, deadpool and mobc: what one user of a connection left is not seen by the next.

use std::fmt::Debug;
use std::future::{Future, pending};
use std::ops::DerefMut;
use std::time::{Duration, Instant};

use diesel::{ExpressionMethods, QueryDsl, QueryResult};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager as Manager, ManagerConfig, bb8, deadpool, mobc,
};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection, TransactionManager as _};
use diesel_rqlite::{
    AsyncRqliteConnection, AsyncRqliteTransactionManager, QueryOptions, ReadConsistency,
    RqliteConfig, RqliteQueryDsl, ThreadLock,
};
use diesel_rqlite_tests::Rqlited;

use super::adapter::block_on;
use crate::front::{Act, Front, NO_LEADER};
use crate::proxy::{Fate, Proxy};
use crate::recorder::{Recorder, Sent};
use crate::support::assert_kind;

diesel::table! { t (id) { id -> Integer, } }

/// A pool of asynchronous connections.
trait Pool: Clone + Send + Sync + 'static {
    type Conn: DerefMut<Target = AsyncRqliteConnection> + Send + 'static;

    fn build(size: u32, config: ManagerConfig<AsyncRqliteConnection>)
    -> impl Future<Output = Self>;

    fn get(&self) -> impl Future<Output = Result<Self::Conn, String>> + Send;

    /// Whether a connection is handed out again. With diesel-async 0.9, mobc opens a new one each time.
    const KEEPS_CONNECTIONS: bool = true;
}

type Bb8 = bb8::Pool<AsyncRqliteConnection>;

impl Pool for Bb8 {
    type Conn = bb8::PooledConnection<'static, AsyncRqliteConnection>;

    async fn build(size: u32, config: ManagerConfig<AsyncRqliteConnection>) -> Self {
        let builder = bb8::Pool::builder().max_size(size);
        let builder = builder.connection_timeout(Duration::from_secs(10));
        let pool = builder.build(Manager::new_with_config("", config)).await;
        pool.expect("builds")
    }

    async fn get(&self) -> Result<Self::Conn, String> {
        shown(self.get_owned().await)
    }
}

type Deadpool = deadpool::Pool<AsyncRqliteConnection>;

impl Pool for Deadpool {
    type Conn = deadpool::Object<AsyncRqliteConnection>;

    async fn build(size: u32, config: ManagerConfig<AsyncRqliteConnection>) -> Self {
        let builder = deadpool::Pool::builder(Manager::new_with_config("", config));
        builder.max_size(size as usize).build().expect("builds")
    }

    async fn get(&self) -> Result<Self::Conn, String> {
        shown(deadpool::Pool::get(self).await)
    }
}

type Mobc = mobc::Pool<AsyncRqliteConnection>;

impl Pool for Mobc {
    type Conn = mobc::PooledConnection<AsyncRqliteConnection>;

    const KEEPS_CONNECTIONS: bool = false;

    async fn build(size: u32, config: ManagerConfig<AsyncRqliteConnection>) -> Self {
        let builder = mobc::Pool::builder().max_open(u64::from(size));
        builder.build(Manager::new_with_config("", config))
    }

    async fn get(&self) -> Result<Self::Conn, String> {
        shown(mobc::Pool::get(self).await)
    }
}

fn shown<T, E: Debug>(outcome: Result<T, E>) -> Result<T, String> {
    outcome.map_err(|error| format!("{error:?}"))
}

fn config(url: &str) -> RqliteConfig {
    url.parse().expect("a URL")
}

async fn node() -> Rqlited {
    let node = Rqlited::start();
    let mut conn = connect(&node).await;
    let created = conn.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    created.await.expect("creates");
    node
}

async fn connect(node: &Rqlited) -> AsyncRqliteConnection {
    let conn = AsyncRqliteConnection::establish(&node.url()).await;
    conn.expect("connects")
}

async fn count(node: &Rqlited) -> i64 {
    let mut conn = connect(node).await;
    let count = t::table.count().get_result(&mut conn).await;
    count.expect("counts")
}

async fn insert(conn: &mut AsyncRqliteConnection) -> QueryResult<usize> {
    let insert = diesel::insert_into(t::table).default_values();
    insert.execute(conn).await
}

/// Begins a transaction by what the pool hands out, and nobody waits for its end any more, be it before its first
/// statement or behind it.
async fn forget_a_transaction<C>(mut conn: C, writes: bool)
where
    C: DerefMut<Target = AsyncRqliteConnection> + Send,
{
    let (told, mut asked) = tokio::sync::oneshot::channel();
    let endless = conn.transaction(async move |conn| {
        if writes {
            insert(&mut *conn).await?;
        }
        let _ = told.send(());
        pending::<QueryResult<()>>().await
    });
    tokio::select! {
        _ = endless => panic!("ended"),
        told = &mut asked => told.expect("inserts"),
    }
}

/// Pooled connections ask one after the other over one HTTP connection, and many at once over several.
async fn connections_are_shared<P: Pool>() {
    let node = node().await;
    let proxy = Proxy::start(node.address(), |_, _| Fate::Pass);
    let pool = P::build(16, config(&proxy.url()).manager_config()).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(pool.get().await.expect("a connection"));
    }
    for conn in &mut held {
        insert(conn).await.expect("inserts");
    }
    // A second one is opened where the first is free a moment too late.
    assert!(proxy.connections() < 8, "{}", proxy.connections());
    drop(held);
    let tasks = (0..32).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let mut conn = pool.get().await?;
            let inserted = conn.transaction(async |conn| insert(&mut *conn).await);
            shown(inserted.await)
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        assert_eq!(task.await.expect("no panic"), Ok(1));
    }
    assert_eq!(count(&node).await, 48);
    let opened = proxy.connections();
    for _ in 0..4 {
        let mut conn = pool.get().await.expect("a connection");
        insert(&mut conn).await.expect("inserts");
    }
    assert_eq!(proxy.connections(), opened, "they are kept");
}

/// The next user of a connection finds no transaction, none of its statements and a free lock.
async fn forgotten_transactions_are_not_seen<P: Pool>() {
    let node = node().await;
    let config = config(&node.url()).lock(&ThreadLock::new(node.address()));
    let pool = P::build(1, config.manager_config()).await;
    forget_a_transaction(pool.get().await.expect("a connection"), true).await;
    let mut conn = pool.get().await.expect("a connection");
    assert_eq!(insert(&mut conn).await, Ok(1));
    assert_eq!(
        count(&node).await,
        1,
        "and not a part of what was forgotten"
    );
    let committed = conn.transaction(async |conn| insert(&mut *conn).await);
    assert_eq!(committed.await, Ok(1));
    assert_eq!(count(&node).await, 2);
}

/// One that was begun and not ended, on purpose or not.
async fn open_transactions_are_not_handed_on<P: Pool>() {
    let node = node().await;
    let pool = P::build(1, config(&node.url()).manager_config()).await;
    for begin in ["BEGIN", "SAVEPOINT a"] {
        let mut conn = pool.get().await.expect("a connection");
        conn.batch_execute(begin).await.expect("begins");
        insert(&mut conn).await.expect("is collected");
    }
    let mut conn = pool.get().await.expect("a connection");
    assert_eq!(insert(&mut conn).await, Ok(1));
    assert_eq!(count(&node).await, 1);
}

/// A node that is gone is an error, not a connection, and nothing that a pool would keep.
async fn dead_nodes_are_errors<P: Pool>() {
    let mut node = node().await;
    let config = config(&node.url()).request_timeout(Duration::from_secs(2));
    let pool = P::build(1, config.manager_config()).await;
    drop(pool.get().await.expect("a connection"));
    node.kill();
    let error = match pool.get().await {
        Err(error) => error,
        Ok(mut conn) => format!("{:?}", insert(&mut conn).await.expect_err("is dead")),
    };
    // bb8 tells its error sink why, and its user that time is up.
    let named = error.contains(&node.address()) || error.contains("TimedOut");
    assert!(named, "{error}");
    node.restart();
    let mut conn = pool.get().await.expect("a connection");
    assert_eq!(insert(&mut conn).await, Ok(1));
}

fn stale() -> QueryOptions {
    QueryOptions::new().read_level(ReadConsistency::None)
}

async fn read(conn: &mut AsyncRqliteConnection) -> QueryResult<Vec<i32>> {
    t::table.select(t::id).load(conn).await
}

#[track_caller]
fn assert_sent(recorder: &Recorder, flags: &[&str]) {
    let sent = recorder.sent();
    assert!(!sent.is_empty());
    for sent in sent {
        for flag in flags {
            assert!(sent.has(flag), "no {flag} in {}", sent.path);
        }
    }
}

/// The options of a query and of a closure are in their requests, and in none of the next user. Those of the connection
/// stay with it.
async fn options_are_sent_and_end<P: Pool>() {
    let recorder = Recorder::start();
    let url = format!("{}&level=strong", recorder.url());
    let pool = P::build(1, config(&url).manager_config()).await;
    let mut conn = pool.get().await.expect("a connection");
    let created = conn.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    created.await.expect("creates");
    insert(&mut conn).await.expect("inserts");
    recorder.sent();
    let all = || {
        stale()
            .db_timeout(Duration::from_secs(1))
            .freshness(Duration::from_secs(60))
    };
    let flags = [
        "level=none",
        "freshness=60000000000ns",
        "db_timeout=1000000000ns",
    ];
    let query = t::table.select(t::id).with_options(all());
    assert_eq!(query.load::<i32>(&mut *conn).await, Ok(vec![1]));
    assert_sent(&recorder, &flags);
    let seen = conn.with(all(), async |conn| read(conn).await).await;
    assert_eq!(seen, Ok(vec![1]));
    assert_sent(&recorder, &flags);
    let timed = QueryOptions::new().db_timeout(Duration::from_secs(1));
    let written = diesel::insert_into(t::table).values(t::id.eq(2));
    assert_eq!(written.with_options(timed).execute(&mut *conn).await, Ok(1));
    assert_sent(&recorder, &["db_timeout=1000000000ns"]);
    drop(conn);
    forget_a_closure(&recorder, pool.get().await.expect("a connection")).await;
    let mut conn = pool.get().await.expect("a connection");
    assert_eq!(conn.options(), &QueryOptions::new());
    recorder.sent();
    assert_eq!(read(&mut conn).await, Ok(vec![1, 2]));
    let sent = recorder.sent();
    let is_plain = |sent: &Sent| {
        sent.has("level=strong") && !sent.path.contains("timeout") && !sent.path.contains("fresh")
    };
    assert!(sent.len() == 1 && is_plain(&sent[0]), "{sent:?}");
    conn.set_options(all()).expect("no node");
    drop(conn);
    let mut conn = pool.get().await.expect("a connection");
    recorder.sent();
    assert_eq!(read(&mut conn).await, Ok(vec![1, 2]));
    let wanted = match P::KEEPS_CONNECTIONS {
        true => &flags[..],
        false => &["level=strong"],
    };
    assert_sent(&recorder, wanted);
}

/// Begins a closure with options by what the pool hands out, and nobody waits for its end any more.
async fn forget_a_closure<C>(recorder: &Recorder, mut conn: C)
where
    C: DerefMut<Target = AsyncRqliteConnection> + Send,
{
    recorder.sent();
    let (told, asked) = tokio::sync::oneshot::channel();
    let endless = conn.with(stale(), async move |conn| {
        read(conn).await?;
        let _ = told.send(());
        pending::<QueryResult<()>>().await
    });
    tokio::select! {
        _ = endless => panic!("ended"),
        told = asked => told.expect("reads"),
    }
    assert_sent(recorder, &["level=none"]);
}

/// A query of one user waits for a leader as long as that user likes.
async fn a_leader_is_waited_for_as_long_as_one_query_says<P: Pool>() {
    let node = node().await;
    let front = Front::start(node.address(), |request| match request.contains("mute") {
        true => Act::With(NO_LEADER),
        false => Act::Pass,
    });
    // Without its option the query would wait as long.
    let url = format!(
        "rqlite://{}?discovery=false&leader_timeout=10m",
        front.address
    );
    let pool = P::build(1, config(&url).manager_config()).await;
    let mut conn = pool.get().await.expect("a connection");
    let soon = || QueryOptions::new().leader_timeout(Duration::from_millis(200));
    let mute = || diesel::sql_query("INSERT INTO t SELECT 1 WHERE 'mute' <> ''");
    let began = Instant::now();
    let outcome = mute().with_options(soon()).execute(&mut *conn).await;
    assert_kind!(outcome, UnableToSendCommand);
    let outcome = conn.with(soon(), async |conn| mute().execute(conn).await);
    assert_kind!(outcome.await, UnableToSendCommand);
    assert!(began.elapsed() < Duration::from_secs(300));
    assert_eq!(read(&mut conn).await, Ok(vec![]));
}

macro_rules! on_every_pool {
    ($($case:ident),* $(,)?) => {
        on_every_pool!(bb8: super::Bb8, ($($case),*));
        on_every_pool!(deadpool: super::Deadpool, ($($case),*));
        on_every_pool!(mobc: super::Mobc, ($($case),*));
    };
    ($name:ident: $pool:ty, ($($case:ident),*)) => {
        mod $name {
            $(#[test]
            fn $case() {
                super::block_on(super::$case::<$pool>());
            })*
        }
    };
}

mod by {
    use super::*;
    on_every_pool!(
        connections_are_shared,
        forgotten_transactions_are_not_seen,
        open_transactions_are_not_handed_on,
        dead_nodes_are_errors,
        options_are_sent_and_end,
        a_leader_is_waited_for_as_long_as_one_query_says,
    );
}

/// Nobody asks the pool for another connection, so that it does not look at the one it has.
#[test]
fn the_lock_of_a_forgotten_transaction_is_given_back() {
    async fn forgotten(writes: bool) {
        let node = node().await;
        let config = config(&node.url()).lock(&ThreadLock::new(node.address()));
        let pool = Deadpool::build(1, config.manager_config()).await;
        forget_a_transaction(Pool::get(&pool).await.expect("a connection"), writes).await;
        assert_taken_over(&config, &node).await;
    }
    block_on(async { tokio::join!(forgotten(true), forgotten(false)) });
}

/// The same where somebody goes on in the end: too late.
#[test]
fn transactions_that_wait_for_too_long_lose_their_lock() {
    block_on(async {
        let node = node().await;
        let config = config(&node.url()).lock(&ThreadLock::new(node.address()));
        let mut conn = config.connect_async().await.expect("connects");
        let begun = AsyncRqliteTransactionManager::begin_transaction(&mut conn);
        begun.await.expect("begins");
        insert(&mut conn).await.expect("is collected");
        assert_taken_over(&config, &node).await;
        let late = AsyncRqliteTransactionManager::commit_transaction(&mut conn).await;
        let information = assert_kind!(late, SerializationFailure);
        assert!(
            information.message().contains("not used"),
            "{}",
            information.message()
        );
        assert_eq!(count(&node).await, 1);
        assert_eq!(insert(&mut conn).await, Ok(1), "the connection goes on");
    });
}

/// Another connection of the configuration gets the lock, after a while.
async fn assert_taken_over(config: &RqliteConfig, node: &Rqlited) {
    let mut other = config.connect_async().await.expect("connects");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let committed = other.transaction(async |conn| insert(conn).await).await;
        match committed {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
    assert_eq!(count(node).await, 1, "only what was committed");
}
