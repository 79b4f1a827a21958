//! The asynchronous connection, for diesel-async.

use std::future::Future;
use std::ops::AsyncFnOnce;
use std::pin::Pin;

use diesel::associations::Identifiable;
use diesel::connection::{CacheSize, Instrumentation, StrQueryHelper, TransactionManagerStatus};
use diesel::query_builder::{AsChangeset, AsQuery, IntoUpdateTarget, QueryFragment, QueryId};
use diesel::result::Error;
use diesel::{ConnectionResult, QueryResult};
use diesel_async::methods::LoadQuery;
use diesel_async::pooled_connection::{PoolableConnection, RecyclingMethod};
use diesel_async::{
    AsyncConnection, AsyncConnectionCore, SimpleAsyncConnection, TransactionManager,
    UpdateAndFetchResults,
};

use super::cluster::AsyncRqliteCluster;
use super::cursor::RqliteStream;
use super::{AsyncFunc, Core, HasCore, Rendered, Scope, TransactionBuilder};
use crate::administration::Administration;
use crate::backend::Rqlite;
use crate::config::{RqliteConfig, redacted};
use crate::lock::TransactionLock;
use crate::observe::Statistics;
use crate::row::RqliteRow;
use crate::transaction::{Transaction, TransactionMode};
use crate::transport::asynchronous::AsyncHttp;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A connection to an rqlite cluster for [diesel-async](diesel_async), on tokio.
///
/// [`establish`](AsyncConnection::establish) takes a URL, see [`RqliteConfig`]. Options,
/// transactions, locks and errors work as for [`RqliteConnection`](crate::RqliteConnection).
///
/// ```no_run
/// use diesel::prelude::*;
/// use diesel_async::{AsyncConnection, RunQueryDsl};
/// use diesel_rqlite::AsyncRqliteConnection;
///
/// diesel::table! {
///     posts {
///         id -> Integer,
///         title -> Text,
///     }
/// }
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let mut conn = AsyncRqliteConnection::establish("rqlite://localhost:4001").await?;
/// conn.transaction(async |conn| {
///     let count: i64 = posts::table.count().get_result(conn).await?;
///     let title = format!("post {}", count + 1);
///     diesel::insert_into(posts::table).values(posts::title.eq(title)).execute(conn).await
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// It needs a tokio runtime with timers and I/O (`enable_all`, which `#[tokio::main]` uses).
/// Outside of such a runtime it panics, as tokio does. This includes diesel-async's
/// `AsyncConnectionWrapper` outside of a runtime. The wrapper works in a multi-threaded runtime
/// that is entered. In a single-threaded runtime that is entered but not running, it waits forever,
/// since nothing drives sockets and timers there. Blocking programs should use
/// [`RqliteConnection`](crate::RqliteConnection). `AsyncMigrationHarness` needs the multi-threaded
/// runtime.
///
/// # Queries at the same time
///
/// A shared reference can run queries as well, and several at the same time:
///
/// ```no_run
/// # use diesel::prelude::*;
/// # use diesel_async::RunQueryDsl;
/// # use diesel_rqlite::AsyncRqliteConnection;
/// # diesel::table! { posts (id) { id -> Integer, title -> Text, } }
/// # async fn run(conn: AsyncRqliteConnection) -> QueryResult<()> {
/// let (mut one, mut other) = (&conn, &conn);
/// let (count, titles): (i64, Vec<String>) = tokio::try_join!(
///     posts::table.count().get_result(&mut one),
///     posts::table.select(posts::title).load(&mut other),
/// )?;
/// # Ok(())
/// # }
/// ```
///
/// Each query is a separate request, so writes are applied in any order. Inside a transaction,
/// where the order matters, such a query fails with `AlreadyInTransaction`.
///
/// # Futures that are dropped
///
/// A query whose future is dropped was applied as a whole or not at all, and the outcome is
/// unknown. In a transaction it has no effect. A [`transaction`](AsyncConnection::transaction)
/// whose future is dropped is rolled back and its lock is released, in the background. If its
/// commit is already being sent, the transaction is applied as a whole or not at all. The
/// connection can be used again in all cases.
///
/// A connection from a *pool* has a `transaction` of its own. It leaves the transaction open when
/// its future is dropped, and later work on that connection is never committed. The pool detects
/// this and drops the connection: bb8 when the connection is returned, deadpool and mobc before
/// they hand it out again. The lock is released then, or when the transaction has not been used for
/// 30 s. Prefer [`build_transaction`](Self::build_transaction) or `(&mut *conn).transaction(…)`,
/// which roll back at once.
pub struct AsyncRqliteConnection {
    pub(super) core: Core<AsyncHttp>,
}

impl std::fmt::Debug for AsyncRqliteConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.core
            .describe(formatter.debug_struct("AsyncRqliteConnection"))
    }
}

impl HasCore for AsyncRqliteConnection {
    type Client = AsyncHttp;

    fn core(&mut self) -> &mut Core<AsyncHttp> {
        &mut self.core
    }
}

impl AsyncRqliteConnection {
    pub(crate) async fn connect(config: &RqliteConfig, url: &str) -> ConnectionResult<Self> {
        let core = Core::connect(config, url).await?;
        Ok(AsyncRqliteConnection { core })
    }

    /// Returns the number of HTTP requests that this connection has sent, including retries and
    /// redirects. It shows what a program costs.
    pub fn http_requests(&self) -> u64 {
        self.core.session.client.requests()
    }

    /// Returns the statistics of this connection, including concurrent queries: see
    /// [`RqliteConnection::statistics`](crate::RqliteConnection::statistics).
    pub fn statistics(&self) -> Statistics {
        self.core.session.observer.statistics()
    }

    /// Returns the cluster, for its administration: its nodes, its backups, and loading a database
    /// into it.
    pub fn cluster(&mut self) -> AsyncRqliteCluster<'_> {
        let patience = self.core.config.request_timeout;
        AsyncRqliteCluster::new(Administration::new(&mut self.core.session, patience))
    }

    /// Builds a transaction that differs from the configuration of the connection: another mode,
    /// another lock, retries.
    ///
    /// ```no_run
    /// use diesel_async::{AsyncConnection, RunQueryDsl};
    /// use diesel_rqlite::AsyncRqliteConnection;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut conn = AsyncRqliteConnection::establish("rqlite://localhost").await?;
    /// let moved = conn
    ///     .build_transaction()
    ///     .exactly_once()
    ///     .retries(5)
    ///     .run(async |conn| diesel::sql_query("UPDATE accounts SET balance = balance + 1").execute(conn).await)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_transaction(&mut self) -> TransactionBuilder<'_, Self> {
        let options = self.core.config.transaction_options();
        TransactionBuilder::new(self, options)
    }

    /// Sets the lock that transactions take from now on. This is for connections that are made from
    /// a URL, such as those of a pool.
    pub fn set_transaction_lock(&mut self, lock: &impl TransactionLock) {
        self.core.config = self.core.config.clone().lock(lock);
    }

    /// Sets the mode of transactions from now on, which decides what they do before their commit.
    pub fn set_transaction_mode(&mut self, mode: TransactionMode) {
        self.core.config = self.core.config.clone().transaction_mode(mode);
    }

    /// Runs a transaction like [`transaction`](AsyncConnection::transaction), but takes the lock
    /// before the closure runs. This corresponds to `BEGIN IMMEDIATE` on SQLite. If the
    /// configuration has no lock, an [`RqliteLock`](crate::RqliteLock) named `database` is taken.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside another transaction.
    pub async fn immediate_transaction<T, E, F>(&mut self, f: F) -> Result<T, E>
    where
        for<'r> F: AsyncFnOnce(&'r mut Self) -> Result<T, E>
            + AsyncFunc<&'r mut Self, Result<T, E>, Fut: Send>
            + Send,
        E: From<Error> + Send,
        T: Send,
    {
        let options = self.core.immediate_options();
        self.core.prepare(options)?;
        run(self, f).await
    }

    /// Does the same as [`immediate_transaction`](Self::immediate_transaction). Readers are never
    /// blocked.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside another transaction.
    pub async fn exclusive_transaction<T, E, F>(&mut self, f: F) -> Result<T, E>
    where
        for<'r> F: AsyncFnOnce(&'r mut Self) -> Result<T, E>
            + AsyncFunc<&'r mut Self, Result<T, E>, Fut: Send>
            + Send,
        E: From<Error> + Send,
        T: Send,
    {
        self.immediate_transaction(f).await
    }
}

/// Runs a transaction with the options that were prepared.
pub(crate) async fn run<T, E, F>(connection: &mut AsyncRqliteConnection, f: F) -> Result<T, E>
where
    for<'r> F: AsyncFnOnce(&'r mut AsyncRqliteConnection) -> Result<T, E>
        + AsyncFunc<&'r mut AsyncRqliteConnection, Result<T, E>, Fut: Send>
        + Send,
    E: From<Error> + Send,
    T: Send,
{
    let mut scope = Scope::new(connection);
    scope.core().begin_for_diesel().await?;
    let span = scope.core().span_of_begun();
    match span.within(f(scope.get())).await {
        Ok(value) => {
            scope.core().commit_for_diesel().await?;
            Ok(value)
        }
        Err(error) => {
            scope.core().roll_back_for_diesel().await?;
            Err(error)
        }
    }
}

impl AsyncRqliteConnection {
    /// Renders a query, and reports its start to the instrumentation.
    fn start<T: QueryFragment<Rqlite> + QueryId>(&self, source: &T) -> QueryResult<Rendered> {
        let query = diesel::debug_query::<Rqlite, _>(source);
        self.core.started(&query);
        let text = self.core.text_of(source);
        let rendered = text.and_then(|text| Rendered::of(source, text));
        if let Err(error) = &rendered {
            self.core.finished(&query, Some(error));
        }
        rendered
    }

    fn finish<T>(&self, sql: &str, outcome: &QueryResult<T>) {
        let query = StrQueryHelper::new(sql);
        self.core.finished(&query, outcome.as_ref().err());
    }
}

impl SimpleAsyncConnection for AsyncRqliteConnection {
    /// Runs a script as a whole or not at all: its statements are one atomic request.
    ///
    /// `BEGIN` and `COMMIT` around the script are allowed, and change nothing. Its SELECTs are run
    /// for their errors only.
    async fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.core.started(&StrQueryHelper::new(query));
        let outcome = self.core.script(query).await;
        self.finish(query, &outcome);
        outcome
    }
}

impl AsyncConnectionCore for AsyncRqliteConnection {
    type ExecuteFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<usize>>;
    type LoadFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<RqliteStream>>;
    type Stream<'conn, 'query> = RqliteStream;
    type Row<'conn, 'query> = RqliteRow;
    type Backend = Rqlite;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Rqlite> + QueryId + 'query,
    {
        let rendered = self.start(&source.as_query());
        Box::pin(async move {
            let Rendered {
                text,
                binds,
                options,
            } = rendered?;
            // diesel-async knows the types of the columns, but does not pass them on.
            let outcome = self.core.rows(&text, binds, None, options).await;
            self.finish(text.sql(), &outcome);
            Ok(RqliteStream::new(outcome?, &self.core.session))
        })
    }

    fn execute_returning_count<'conn, 'query, T>(
        &'conn mut self,
        source: T,
    ) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Rqlite> + QueryId + 'query,
    {
        let rendered = self.start(&source);
        Box::pin(async move {
            let Rendered {
                text,
                binds,
                options,
            } = rendered?;
            let outcome = self.core.execute(&text, binds, options).await;
            self.finish(text.sql(), &outcome);
            outcome
        })
    }
}

/// A query that runs concurrently with others.
struct Concurrent<'a> {
    of: &'a AsyncRqliteConnection,
    core: Core<AsyncHttp>,
}

impl AsyncRqliteConnection {
    fn concurrent(&self) -> QueryResult<Concurrent<'_>> {
        Ok(Concurrent {
            of: self,
            core: self.core.concurrent()?,
        })
    }
}

impl Drop for Concurrent<'_> {
    fn drop(&mut self) {
        self.of.core.end_concurrent(&mut self.core);
    }
}

impl SimpleAsyncConnection for &AsyncRqliteConnection {
    /// Runs a script concurrently with other queries, as a whole or not at all.
    async fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.core.started(&StrQueryHelper::new(query));
        let outcome = match self.concurrent() {
            Ok(mut concurrent) => concurrent.core.script(query).await,
            Err(error) => Err(error),
        };
        self.finish(query, &outcome);
        outcome
    }
}

/// Runs several queries at the same time on one connection. Each is a separate request. See
/// [`AsyncRqliteConnection`], "Queries at the same time".
impl AsyncConnectionCore for &AsyncRqliteConnection {
    type ExecuteFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<usize>>;
    type LoadFuture<'conn, 'query> = BoxFuture<'conn, QueryResult<RqliteStream>>;
    type Stream<'conn, 'query> = RqliteStream;
    type Row<'conn, 'query> = RqliteRow;
    type Backend = Rqlite;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> Self::LoadFuture<'conn, 'query>
    where
        T: AsQuery + 'query,
        T::Query: QueryFragment<Rqlite> + QueryId + 'query,
    {
        let rendered = self.start(&source.as_query());
        Box::pin(async move {
            let Rendered {
                text,
                binds,
                options,
            } = rendered?;
            let outcome = match self.concurrent() {
                Ok(mut concurrent) => concurrent.core.rows(&text, binds, None, options).await,
                Err(error) => Err(error),
            };
            self.finish(text.sql(), &outcome);
            Ok(RqliteStream::new(outcome?, &self.core.session))
        })
    }

    fn execute_returning_count<'conn, 'query, T>(
        &'conn mut self,
        source: T,
    ) -> Self::ExecuteFuture<'conn, 'query>
    where
        T: QueryFragment<Rqlite> + QueryId + 'query,
    {
        let rendered = self.start(&source);
        Box::pin(async move {
            let Rendered {
                text,
                binds,
                options,
            } = rendered?;
            let outcome = match self.concurrent() {
                Ok(mut concurrent) => concurrent.core.execute(&text, binds, options).await,
                Err(error) => Err(error),
            };
            self.finish(text.sql(), &outcome);
            outcome
        })
    }
}

impl AsyncConnection for AsyncRqliteConnection {
    type TransactionManager = AsyncRqliteTransactionManager;

    async fn establish(database_url: &str) -> ConnectionResult<Self> {
        let config: RqliteConfig = database_url.parse()?;
        Self::connect(&config, &redacted(database_url)).await
    }

    /// Begins a transaction in the mode [`Eager`](TransactionMode::Eager), unless the configuration
    /// sets another mode than `Interactive`. The commit that would report the error of a write
    /// never comes.
    async fn begin_test_transaction(&mut self) -> QueryResult<()> {
        self.core.prepare_test()?;
        AsyncRqliteTransactionManager::begin_transaction(self).await?;
        AsyncRqliteTransactionManager::transaction_manager_status_mut(self)
            .set_test_transaction_flag();
        Ok(())
    }

    /// Uses the same mode as [`begin_test_transaction`](Self::begin_test_transaction), unless it is
    /// inside another transaction.
    // As in the manager's `transaction`: an `async fn` would need more bounds.
    #[allow(clippy::manual_async_fn)]
    fn test_transaction<'conn, 'a, R, E, F>(
        &'conn mut self,
        f: F,
    ) -> impl Future<Output = R> + Send + 'conn
    where
        for<'r> F: AsyncFnOnce(&'r mut Self) -> Result<R, E>
            + AsyncFunc<&'r mut Self, Result<R, E>, Fut: Send>
            + Send
            + 'a,
        E: std::fmt::Debug + Send + 'a,
        R: Send + 'a,
        'a: 'conn,
    {
        async move {
            self.core.prepare_test_if_outermost();
            let mut outcome = None;
            let seen = &mut outcome;
            let rolled_back = run(self, async |connection: &mut Self| {
                *seen = Some(f(connection).await);
                Err::<(), _>(Error::RollbackTransaction)
            })
            .await;
            match outcome {
                Some(Ok(value)) => value,
                // As in diesel-async's own implementation: this is for tests.
                Some(Err(error)) => panic!("Transaction did not succeed: {error:?}"),
                None => panic!("Transaction never executed: {rolled_back:?}"),
            }
        }
    }

    fn transaction_state(&mut self) -> &mut Transaction {
        &mut self.core.session.transaction
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut **self.core.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.core.instrument(instrumentation.into());
    }

    /// Sets whether parsed statements are cached: see
    /// [`RqliteConnection`](crate::RqliteConnection).
    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.core.keep_statements(size);
    }
}

/// Runs `save_changes` as one request, with RETURNING.
impl<'b, Changes, Output, Tab, V> UpdateAndFetchResults<Changes, Output> for AsyncRqliteConnection
where
    Output: Send + 'static,
    Changes: Copy + AsChangeset<Target = Tab> + Send + Identifiable<Table = Tab>,
    Tab: diesel::Table + diesel::query_dsl::methods::FindDsl<Changes::Id> + 'b,
    diesel::dsl::Find<Tab, Changes::Id>: IntoUpdateTarget<Table = Tab, WhereClause = V>,
    diesel::query_builder::UpdateStatement<Tab, V, Changes::Changeset>: AsQuery,
    diesel::dsl::Update<Changes, Changes>: LoadQuery<'b, Self, Output>,
    V: Send + 'b,
    Changes::Changeset: Send + 'b,
    Tab::FromClause: Send,
{
    fn update_and_fetch<'conn, 'changes>(
        &'conn mut self,
        changeset: Changes,
    ) -> BoxFuture<'changes, QueryResult<Output>>
    where
        Changes: 'changes,
        'conn: 'changes,
        Self: 'changes,
    {
        Box::pin(async move {
            let update = diesel::update(changeset).set(changeset);
            diesel_async::RunQueryDsl::get_result(update, self).await
        })
    }
}

impl PoolableConnection for AsyncRqliteConnection {
    async fn ping(&mut self, config: &RecyclingMethod<Self>) -> QueryResult<()> {
        // mobc checks nothing else when a connection comes back: diesel-async passes it the
        // opposite of `is_broken`.
        if self.is_broken() {
            return Err(Error::BrokenTransactionManager);
        }
        match config {
            RecyclingMethod::Fast => Ok(()),
            RecyclingMethod::Verified => self.core.ping().await,
            RecyclingMethod::CustomQuery(query) => {
                let query = diesel::sql_query(query.as_ref());
                self.execute_returning_count(query).await.map(|_| ())
            }
            RecyclingMethod::CustomFunction(check) => check(self).await,
        }
    }
}

/// Manages this crate's transactions for Diesel: see [`TransactionMode`].
#[derive(Debug)]
pub struct AsyncRqliteTransactionManager;

impl TransactionManager<AsyncRqliteConnection> for AsyncRqliteTransactionManager {
    type TransactionStateData = Transaction;

    async fn begin_transaction(connection: &mut AsyncRqliteConnection) -> QueryResult<()> {
        connection.core.begin_for_diesel().await?;
        connection.core.watch();
        Ok(())
    }

    async fn rollback_transaction(connection: &mut AsyncRqliteConnection) -> QueryResult<()> {
        connection.core.roll_back_for_diesel().await
    }

    async fn commit_transaction(connection: &mut AsyncRqliteConnection) -> QueryResult<()> {
        connection.core.commit_for_diesel().await
    }

    fn transaction_manager_status_mut(
        connection: &mut AsyncRqliteConnection,
    ) -> &mut TransactionManagerStatus {
        connection.core.session.transaction.manager_status()
    }

    /// Rolls back also if the future is dropped or the callback panics.
    // An `async fn` would need `R: 'conn`, which the trait does not have.
    #[allow(clippy::manual_async_fn)]
    fn transaction<'a, 'conn, F, R, E>(
        connection: &'conn mut AsyncRqliteConnection,
        callback: F,
    ) -> impl Future<Output = Result<R, E>> + Send + 'conn
    where
        for<'r> F: AsyncFnOnce(&'r mut AsyncRqliteConnection) -> Result<R, E>
            + AsyncFunc<&'r mut AsyncRqliteConnection, Result<R, E>, Fut: Send>
            + Send
            + 'a,
        E: From<Error> + Send,
        R: Send,
        'a: 'conn,
    {
        async move { run(connection, callback).await }
    }
}
