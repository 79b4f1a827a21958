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
use super::{Core, HasCore, Scope, TransactionBuilder, collect_binds, is_kept, render, types_of};
use crate::administration::Administration;
use crate::backend::Rqlite;
use crate::config::{RqliteConfig, redacted};
use crate::lock::TransactionLock;
use crate::observe::Statistics;
use crate::row::RqliteRow;
use crate::runtime::now;
use crate::transaction::{Transaction, TransactionMode};
use crate::transport::blocking::Http;
use crate::transport::node::NodeHttp;

/// A connection to an rqlite cluster.
///
/// [`establish`](Connection::establish) takes a URL, see [`RqliteConfig`]. It holds one HTTP connection,
/// to the leader where the read level needs one, and follows the leader when that changes.
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
            core: now(Core::connect(config, url))?,
            metadata_lookup: (),
        })
    }

    /// How many HTTP requests this connection has sent, retries and redirects included: to see what a program
    /// costs.
    pub fn http_requests(&self) -> u64 {
        self.core.session.client.requests()
    }

    /// What this connection has done: requests, errors by their kind, transactions, locks, slow queries. Cheap to ask for.
    ///
    /// [`RqliteConfig::statistics`] is of all connections of a configuration, and a pool's.
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

    /// The node this connection talks to, the leader as of its last request where the read level needs one, for
    /// requests that are not SQL.
    pub fn node_http(&self) -> NodeHttp {
        let session = &self.core.session;
        let is_trusted = session
            .nodes
            .known
            .cluster()
            .trusts(session.nodes.current());
        let authorization = session.settings.authorization.get().filter(|_| is_trusted);
        let authorization = authorization.map(|value| session.client.concealed(&value));
        NodeHttp::new(
            session.client.agent(),
            session.nodes.current().to_owned(),
            authorization,
            self.core.config.request_timeout,
        )
    }

    /// The cluster, for whoever runs it: its nodes, backups, what is loaded into it.
    pub fn cluster(&mut self) -> RqliteCluster<'_> {
        let patience = self.core.config.request_timeout;
        RqliteCluster::new(Administration::new(&mut self.core.session, patience))
    }

    /// A transaction that is not as the connection's configuration says: another mode, another lock, retries.
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

    /// The lock that transactions take from now on: for connections that are made by a URL, such as those of a pool.
    pub fn set_transaction_lock(&mut self, lock: &impl TransactionLock) {
        self.core.config = self.core.config.clone().lock(lock);
    }

    /// What transactions do before their commit, from now on.
    pub fn set_transaction_mode(&mut self, mode: TransactionMode) {
        self.core.config = self.core.config.clone().transaction_mode(mode);
    }

    /// As [`transaction`](Connection::transaction), with the lock taken before the closure runs: what `BEGIN
    /// IMMEDIATE` is on SQLite. Without a lock in the configuration it is an [`RqliteLock`](crate::RqliteLock) named `database`.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside of another one.
    pub fn immediate_transaction<T, E, F>(&mut self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        let options = self.core.immediate_options();
        self.core.prepare(options)?;
        self.transaction(f)
    }

    /// The same as [`immediate_transaction`](Self::immediate_transaction): readers are never kept out.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside of another one.
    pub fn exclusive_transaction<T, E, F>(&mut self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        self.immediate_transaction(f)
    }

    /// Tells instrumentation about a query around running it.
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
    /// Runs a script, all of it or nothing: its statements are one atomic request.
    ///
    /// It may be framed by `BEGIN` and `COMMIT`, which changes nothing. Its SELECTs are run for their errors.
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.observed(&StrQueryHelper::new(query), |connection| {
            now(connection.core.script(query))
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

    /// In the mode [`Eager`](crate::TransactionMode::Eager) unless the configuration says another one than `Interactive`:
    /// the commit never comes that would tell the error of a write.
    fn begin_test_transaction(&mut self) -> QueryResult<()> {
        self.core.prepare_test()?;
        RqliteTransactionManager::begin_transaction(self)?;
        RqliteTransactionManager::transaction_manager_status_mut(self).set_test_transaction_flag();
        Ok(())
    }

    /// In the same mode as [`begin_test_transaction`](Self::begin_test_transaction), unless it stands inside another one.
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
            // As in Diesel's own: this is for tests.
            Some(Err(error)) => panic!("Transaction did not succeed: {error:?}"),
            None => panic!("Transaction never executed: {rolled_back:?}"),
        }
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Rqlite> + QueryId,
    {
        self.observed(&diesel::debug_query::<Rqlite, _>(source), |connection| {
            let sql = render(source)?;
            let is_kept = is_kept(source)?;
            let (binds, options) = collect_binds(source)?;
            now(connection.core.execute(&sql, is_kept, binds, options))
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

    /// rqlite has no prepared statements. What is kept is what the client makes of a text, and in which form its answers
    /// are exact: some hundred statements, shared by the connections of one configuration. `Disabled`: this connection
    /// takes no part in that.
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
            let sql = render(&source)?;
            let (binds, options) = collect_binds(&source)?;
            let is_kept = is_kept(&source)?;
            let types = types.as_deref();
            now(connection.core.rows(&sql, is_kept, binds, types, options))
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

/// `save_changes` is one request, by RETURNING.
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
        now(self.core.ping())
    }

    fn is_broken(&mut self) -> bool {
        RqliteTransactionManager::is_broken_transaction_manager(self)
    }
}

/// Diesel's view of this crate's transactions: see [`TransactionMode`](crate::TransactionMode).
#[derive(Debug)]
pub struct RqliteTransactionManager;

impl TransactionManager<RqliteConnection> for RqliteTransactionManager {
    type TransactionStateData = Transaction;

    fn begin_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        now(connection.core.begin_own())
    }

    fn rollback_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        now(connection.core.roll_back_own())
    }

    fn commit_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        now(connection.core.commit_own())
    }

    fn transaction_manager_status_mut(
        connection: &mut RqliteConnection,
    ) -> &mut TransactionManagerStatus {
        &mut connection.core.session.transaction.status
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
