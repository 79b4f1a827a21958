//! The blocking connection.

use diesel::associations::HasTable;
use diesel::connection::{
    CacheSize, Connection, ConnectionSealed, DefaultLoadingMode, Instrumentation, LoadConnection,
    MultiConnectionHelper, SimpleConnection, StrQueryHelper, TransactionManager,
    TransactionManagerStatus, WithMetadataLookup,
};
use diesel::expression::{MixedAggregates, QueryMetadata, ValidGrouping, is_aggregate};
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};
use diesel::query_builder::{AsChangeset, IntoUpdateTarget, Query, QueryFragment, QueryId};
use diesel::query_dsl::{LoadQuery, RunQueryDsl, UpdateAndFetchResults};
use diesel::result::Error;
use diesel::{ConnectionResult, QueryResult, Table, dsl};

use super::cluster::RqliteCluster;
use super::cursor::RqliteCursor;
use super::{Core, HasCore, Scope, TransactionBuilder, collect_binds, types_of};
use crate::administration::Administration;
use crate::backend::Rqlite;
use crate::config::{RqliteConfig, redacted};
use crate::lock::TransactionLock;
use crate::observe::Statistics;
use crate::row::RqliteRow;
use crate::runtime::block_on;
use crate::transaction::{Transaction, TransactionMode};
use crate::transport::blocking::Http;
use crate::transport::node::NodeHttp;

/// A connection to an rqlite cluster.
///
/// [`establish`](Connection::establish) takes a URL, see [`RqliteConfig`]. The connection holds one
/// HTTP connection. That goes to the leader if the read level needs one, and follows the leader
/// when it changes.
pub struct RqliteConnection {
    pub(super) core: Core<Http>,
    metadata_lookup: (),
}

impl std::fmt::Debug for RqliteConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.core
            .describe(formatter.debug_struct("RqliteConnection"))
    }
}

impl HasCore for RqliteConnection {
    type Client = Http;

    fn core(&mut self) -> &mut Core<Http> {
        &mut self.core
    }
}

impl RqliteConnection {
    pub(crate) fn connect(config: &RqliteConfig, url: &str) -> ConnectionResult<Self> {
        Ok(RqliteConnection {
            core: block_on(Core::connect(config, url))?,
            metadata_lookup: (),
        })
    }

    /// Returns the number of HTTP requests that this connection has sent, including retries and
    /// redirects. It shows what a program costs.
    pub fn http_requests(&self) -> u64 {
        self.core.session.client.requests()
    }

    /// Returns the statistics of this connection: requests, errors by kind, transactions, locks and
    /// slow queries. The call is cheap.
    ///
    /// [`RqliteConfig::statistics`] covers all connections of a configuration, including those of a
    /// pool.
    ///
    /// ```no_run
    /// # use diesel::prelude::*;
    /// # use diesel_rqlite::RqliteConnection;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut conn = RqliteConnection::establish("rqlite://localhost?slow_query_threshold=200ms")?;
    /// diesel::sql_query("SELECT 1").execute(&mut conn)?;
    /// let statistics = conn.statistics();
    /// println!("{} operations, {} requests", statistics.operations, statistics.requests);
    /// # Ok(())
    /// # }
    /// ```
    pub fn statistics(&self) -> Statistics {
        self.core.session.observer.statistics()
    }

    /// Returns a client for requests that are not SQL, to the node that this connection talks to.
    /// If the read level needs a leader, that is the leader as of the last request.
    pub fn node_http(&self) -> NodeHttp {
        let session = &self.core.session;
        let is_trusted = session
            .nodes
            .known
            .cluster()
            .trusts(session.nodes.current());
        let authorization = is_trusted.then(|| session.settings.authorization.clone());
        NodeHttp::new(
            &session.client,
            session.nodes.current().to_owned(),
            authorization,
            self.core.config.request_timeout,
        )
    }

    /// Returns the cluster, for its administration: its nodes, its backups, and loading a database
    /// into it.
    pub fn cluster(&mut self) -> RqliteCluster<'_> {
        let patience = self.core.config.request_timeout;
        RqliteCluster::new(Administration::new(&mut self.core.session, patience))
    }

    /// Builds a transaction that differs from the configuration of the connection: another mode,
    /// another lock, retries.
    ///
    /// ```no_run
    /// use diesel::prelude::*;
    /// use diesel_rqlite::RqliteConnection;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut conn = RqliteConnection::establish("rqlite://localhost")?;
    /// let moved = conn
    ///     .build_transaction()
    ///     .exactly_once()
    ///     .retries(5)
    ///     .run(|conn| diesel::sql_query("UPDATE accounts SET balance = balance + 1").execute(conn))?;
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

    /// Runs a transaction like [`transaction`](Connection::transaction), but takes the lock before
    /// the closure runs. This corresponds to `BEGIN IMMEDIATE` on SQLite. If the configuration has
    /// no lock, an [`RqliteLock`](crate::RqliteLock) named `database` is taken.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside another transaction.
    pub fn immediate_transaction<T, E, F>(&mut self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        let options = self.core.immediate_options();
        self.core.prepare(options)?;
        self.transaction(f)
    }

    /// Does the same as [`immediate_transaction`](Self::immediate_transaction). Readers are never
    /// blocked.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside another transaction.
    pub fn exclusive_transaction<T, E, F>(&mut self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        self.immediate_transaction(f)
    }

    /// Runs a query, and reports its start and end to the instrumentation.
    fn observed<T>(
        &mut self,
        query: &dyn diesel::connection::DebugQuery,
        run: impl FnOnce(&mut Self) -> QueryResult<T>,
    ) -> QueryResult<T> {
        self.core.started(query);
        let outcome = run(self);
        self.core.finished(query, outcome.as_ref().err());
        outcome
    }
}

impl SimpleConnection for RqliteConnection {
    /// Runs a script as a whole or not at all: its statements are one atomic request.
    ///
    /// `BEGIN` and `COMMIT` around the script are allowed, and change nothing. Its SELECTs are run
    /// for their errors only.
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.observed(&StrQueryHelper::new(query), |connection| {
            block_on(connection.core.script(query))
        })
    }
}

impl ConnectionSealed for RqliteConnection {}

impl MigrationConnection for RqliteConnection {
    fn setup(&mut self) -> QueryResult<usize> {
        diesel::sql_query(CREATE_MIGRATIONS_TABLE).execute(self)
    }
}

impl Connection for RqliteConnection {
    type Backend = Rqlite;
    type TransactionManager = RqliteTransactionManager;

    fn establish(database_url: &str) -> ConnectionResult<Self> {
        let config: RqliteConfig = database_url.parse()?;
        Self::connect(&config, &redacted(database_url))
    }

    /// Begins a transaction in the mode [`Eager`](crate::TransactionMode::Eager), unless the
    /// configuration sets another mode than `Interactive`. The commit that would report the error
    /// of a write never comes.
    fn begin_test_transaction(&mut self) -> QueryResult<()> {
        self.core.prepare_test()?;
        RqliteTransactionManager::begin_transaction(self)?;
        RqliteTransactionManager::transaction_manager_status_mut(self).set_test_transaction_flag();
        Ok(())
    }

    /// Uses the same mode as [`begin_test_transaction`](Self::begin_test_transaction), unless it is
    /// inside another transaction.
    fn test_transaction<T, E, F>(&mut self, f: F) -> T
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: std::fmt::Debug,
    {
        self.core.prepare_test_if_outermost();
        let mut outcome = None;
        let rolled_back = self.transaction::<(), _, _>(|connection| {
            outcome = Some(f(connection));
            Err(Error::RollbackTransaction)
        });
        match outcome {
            Some(Ok(value)) => value,
            // As in Diesel's own implementation: this is for tests.
            Some(Err(error)) => panic!("Transaction did not succeed: {error:?}"),
            None => panic!("Transaction never executed: {rolled_back:?}"),
        }
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Rqlite> + QueryId,
    {
        self.observed(&diesel::debug_query::<Rqlite, _>(source), |connection| {
            let text = connection.core.text_of(source)?;
            let (binds, options) = collect_binds(source)?;
            block_on(connection.core.execute(&text, binds, options))
        })
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

    /// Sets whether parsed statements are cached. rqlite has no prepared statements. The cache
    /// keeps the result of parsing a text on the client, and the form in which its answers are
    /// exact. It holds some hundred statements, shared by the connections of one configuration.
    /// With `Disabled`, this connection does not use the cache.
    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.core.keep_statements(size);
    }
}

impl LoadConnection<DefaultLoadingMode> for RqliteConnection {
    type Cursor<'conn, 'query> = RqliteCursor<'conn>;
    type Row<'conn, 'query> = RqliteRow;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<RqliteCursor<'conn>>
    where
        T: Query + QueryFragment<Rqlite> + QueryId + 'query,
        Rqlite: QueryMetadata<T::SqlType>,
    {
        let types = types_of::<T::SqlType>();
        let found = self.observed(&diesel::debug_query::<Rqlite, _>(&source), |connection| {
            let text = connection.core.text_of(&source)?;
            let (binds, options) = collect_binds(&source)?;
            let types = types.as_deref();
            block_on(connection.core.rows(&text, binds, types, options))
        })?;
        Ok(RqliteCursor::new(found, &mut self.core.session))
    }
}

impl WithMetadataLookup for RqliteConnection {
    fn metadata_lookup(&mut self) -> &mut () {
        &mut self.metadata_lookup
    }
}

impl MultiConnectionHelper for RqliteConnection {
    fn to_any<'a>(lookup: &mut ()) -> &mut (dyn std::any::Any + 'a) {
        lookup
    }

    fn from_any(lookup: &mut dyn std::any::Any) -> Option<&mut ()> {
        lookup.downcast_mut()
    }
}

/// Runs `save_changes` as one request, with RETURNING.
impl<'b, Changes, Output> UpdateAndFetchResults<Changes, Output> for RqliteConnection
where
    Changes: Copy + AsChangeset<Target = <Changes as HasTable>::Table> + IntoUpdateTarget,
    dsl::Update<Changes, Changes>: LoadQuery<'b, RqliteConnection, Output>,
    <Changes::Table as Table>::AllColumns: ValidGrouping<()>,
    <<Changes::Table as Table>::AllColumns as ValidGrouping<()>>::IsAggregate:
        MixedAggregates<is_aggregate::No, Output = is_aggregate::No>,
{
    fn update_and_fetch(&mut self, changeset: Changes) -> QueryResult<Output> {
        diesel::update(changeset).set(changeset).get_result(self)
    }
}

#[cfg(feature = "r2d2")]
impl diesel::r2d2::R2D2Connection for RqliteConnection {
    fn ping(&mut self) -> QueryResult<()> {
        block_on(self.core.ping())
    }

    fn is_broken(&mut self) -> bool {
        RqliteTransactionManager::is_broken_transaction_manager(self)
    }
}

/// Manages this crate's transactions for Diesel: see [`TransactionMode`](crate::TransactionMode).
#[derive(Debug)]
pub struct RqliteTransactionManager;

impl TransactionManager<RqliteConnection> for RqliteTransactionManager {
    type TransactionStateData = Transaction;

    fn begin_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        block_on(connection.core.begin_for_diesel())
    }

    fn rollback_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        block_on(connection.core.roll_back_for_diesel())
    }

    fn commit_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        block_on(connection.core.commit_for_diesel())
    }

    fn transaction_manager_status_mut(
        connection: &mut RqliteConnection,
    ) -> &mut TransactionManagerStatus {
        connection.core.session.transaction.manager_status()
    }

    fn transaction<F, R, E>(connection: &mut RqliteConnection, callback: F) -> Result<R, E>
    where
        F: FnOnce(&mut RqliteConnection) -> Result<R, E>,
        E: From<Error>,
    {
        let mut scope = Scope::new(connection);
        Self::begin_transaction(scope.get())?;
        let span = scope.core().span_of_begun();
        match span.in_scope(|| callback(scope.get())) {
            Ok(value) => {
                Self::commit_transaction(scope.get())?;
                Ok(value)
            }
            Err(error) => {
                Self::rollback_transaction(scope.get())?;
                Err(error)
            }
        }
    }
}
