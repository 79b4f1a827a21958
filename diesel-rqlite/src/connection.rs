//! The connection: Diesel's traits on one side, requests and answers on the other.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use diesel::associations::HasTable;
use diesel::connection::{
    CacheSize, Connection, ConnectionSealed, DefaultLoadingMode, DynInstrumentation,
    Instrumentation, InstrumentationEvent, LoadConnection, MultiConnectionHelper, SimpleConnection,
    StrQueryHelper, TransactionManager, TransactionManagerStatus, WithMetadataLookup,
};
use diesel::expression::{MixedAggregates, QueryMetadata, ValidGrouping, is_aggregate};
use diesel::query_builder::{
    AsChangeset, IntoUpdateTarget, Query, QueryBuilder, QueryFragment, QueryId,
};
use diesel::query_dsl::{LoadQuery, RunQueryDsl, UpdateAndFetchResults};
use diesel::result::{ConnectionError, Error};
use diesel::{ConnectionResult, QueryResult, Table, dsl};

use crate::backend::{Rqlite, RqliteType};
use crate::bind_collector::{Bind, RqliteBindCollector};
use crate::config::RqliteConfig;
use crate::error;
use crate::lock::holding::Holding;
use crate::lock::{Locking, RqliteLock, TransactionLock};
use crate::migration;
#[cfg(feature = "r2d2")]
use crate::protocol::request::ReadConsistency;
use crate::query_builder::RqliteQueryBuilder;
use crate::row::{RqliteCursor, RqliteRow};
use crate::session::{Session, now};
use crate::sql::control::Control;
use crate::sql::refuse;
use crate::sql::scan::statements;
#[cfg(feature = "r2d2")]
use crate::statement;
use crate::statement::{Statement, strip_begin_and_commit};
use crate::transaction::{Options, Transaction, TransactionBuilder, TransactionMode};
use crate::transport::blocking::Http;

/// A connection to an rqlite cluster.
///
/// [`establish`](Connection::establish) takes a URL, see [`RqliteConfig`]. It holds one HTTP connection,
/// to the leader where the read level needs one, and follows the leader when that changes.
pub struct RqliteConnection {
    session: Session<Http>,
    config: RqliteConfig,
    /// Of the next transaction, if it is not to be as the configuration says.
    next: Option<Options>,
    holding: Holding,
    instrumentation: DynInstrumentation,
    metadata_lookup: (),
}

impl std::fmt::Debug for RqliteConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RqliteConnection")
            .field("nodes", &self.session.nodes)
            .field("transaction", &self.session.transaction)
            .finish_non_exhaustive()
    }
}

impl RqliteConnection {
    pub(crate) fn connect(config: &RqliteConfig, url: &str) -> ConnectionResult<Self> {
        let mut instrumentation = DynInstrumentation::default_instrumentation();
        instrumentation.on_connection_event(InstrumentationEvent::start_establish_connection(url));
        let connected = Self::reach(config);
        instrumentation.on_connection_event(InstrumentationEvent::finish_establish_connection(
            url,
            connected.as_ref().err(),
        ));
        let mut connection = connected?;
        connection.instrumentation = instrumentation;
        Ok(connection)
    }

    fn reach(config: &RqliteConfig) -> ConnectionResult<Self> {
        let mut connection = RqliteConnection {
            session: config.session()?,
            config: config.clone(),
            next: None,
            holding: Holding::default(),
            instrumentation: DynInstrumentation::none(),
            metadata_lookup: (),
        };
        let reached = now(connection.session.ask(&Statement::plain("SELECT 1")));
        match reached {
            Ok(_) => Ok(connection),
            Err(error) => Err(ConnectionError::BadConnection(error.to_string())),
        }
    }

    /// How many HTTP requests this connection has sent, retries and redirects included: to see what a program
    /// costs.
    pub fn http_requests(&self) -> u64 {
        self.session.client.requests()
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
    pub fn build_transaction(&mut self) -> TransactionBuilder<'_> {
        let options = self.config.transaction_options();
        TransactionBuilder::new(self, options)
    }

    /// The lock that transactions take from now on: for connections that are made by a URL, such as those of a pool.
    pub fn set_transaction_lock(&mut self, lock: &impl TransactionLock) {
        self.config = self.config.clone().lock(lock);
    }

    /// What transactions do before their commit, from now on.
    pub fn set_transaction_mode(&mut self, mode: TransactionMode) {
        self.config = self.config.clone().transaction_mode(mode);
    }

    /// As [`transaction`](Connection::transaction), with the lock taken before the closure runs: what `BEGIN
    /// IMMEDIATE` is on SQLite. Without a lock in the configuration it is an [`RqliteLock`] named `database`.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside of another one.
    pub fn immediate_transaction<T, E, F>(&mut self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        if self.session.transaction.is_open() {
            return Err(Error::AlreadyInTransaction.into());
        }
        self.next = Some(self.immediate_options());
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

    fn immediate_options(&self) -> Options {
        let mut options = self.config.transaction_options();
        options.immediate = true;
        if options.locking == Locking::None {
            options.locking = Locking::Rqlite(RqliteLock::new("database"));
        }
        options
    }

    /// The next transaction is to be as these options say.
    pub(crate) fn set_next_options(&mut self, options: Options) {
        self.next = Some(options);
    }

    /// Whether the last transaction failed because something it was shown had changed, or its lock was lost.
    pub(crate) fn has_conflicted(&self) -> bool {
        self.session.transaction.conflicted
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.session.transaction.is_open()
    }

    /// Opens a transaction, which takes its lock if it is the outermost one.
    fn begin(&mut self, name: Option<String>) -> QueryResult<()> {
        let depth = self.depth(1);
        self.event(depth, InstrumentationEvent::begin_transaction);
        if self.session.transaction.is_open() {
            return self.session.transaction.begin(name);
        }
        // Also where the lock can't be had, which is no conflict.
        self.session.transaction.conflicted = false;
        let options = self.next.take();
        let options = options.unwrap_or_else(|| self.config.transaction_options());
        let immediate = options.immediate;
        self.holding
            .begin(&mut self.session.transaction, &options)?;
        self.session.transaction.options = options;
        if let Err(error) = self.session.transaction.begin(name) {
            self.holding.end();
            return Err(error);
        }
        if immediate && let Err(error) = self.holding(|session| now(session.take_lock_if_wanted()))
        {
            self.roll_back()?;
            return Err(error);
        }
        Ok(())
    }

    fn commit(&mut self) -> QueryResult<()> {
        let depth = self.depth(0);
        self.event(depth, InstrumentationEvent::commit_transaction);
        if self.session.transaction.depth() != 1 {
            return now(self.session.commit());
        }
        if let Err(lost) = self.holding.check() {
            self.session.transaction.lose_lock(&lost);
        }
        let outcome = if self.session.transaction.journal.has_live_writes() {
            self.observed(&StrQueryHelper::new("COMMIT"), |connection| {
                now(connection.session.commit())
            })
        } else {
            now(self.session.commit())
        };
        self.holding.end();
        outcome
    }

    fn roll_back(&mut self) -> QueryResult<()> {
        let depth = self.depth(0);
        self.event(depth, InstrumentationEvent::rollback_transaction);
        let outcome = now(self.session.roll_back());
        if !self.session.transaction.is_open() {
            self.holding.end();
        }
        outcome
    }

    /// Runs something that may take the transaction's lock, which is then kept alive.
    fn holding<T>(&mut self, run: impl FnOnce(&mut Session<Http>) -> T) -> T {
        let began = Instant::now();
        let outcome = run(&mut self.session);
        if let Some(lease) = &self.session.transaction.lease {
            self.holding.keep_alive(lease, began, &self.config);
        }
        outcome
    }

    fn execute(&mut self, sql: &str, binds: Vec<Bind<'_>>) -> QueryResult<usize> {
        if may_be_control(sql)
            && let Ok([scanned]) = statements(sql).as_deref()
            && let Some(control) = Control::of(scanned).map_err(error::not_sent)?
        {
            return self.control(control).map(|()| 0);
        }
        self.holding(|session| now(session.execute(sql, binds)))
    }

    /// Runs a script: its statements as one atomic request, unless it begins and ends transactions of its own.
    fn script(&mut self, sql: &str) -> QueryResult<()> {
        let mut found = statements(sql).map_err(error::not_sent)?;
        let mut controls = Vec::with_capacity(found.len());
        for scanned in &found {
            let control = Control::of(scanned).map_err(error::not_sent)?;
            if control.is_none() {
                refuse::check(scanned).map_err(error::not_sent)?;
            }
            controls.push(control);
        }
        let number = controls.iter().flatten().count();
        if number == 0 {
            return self.holding(|session| now(session.run(&found, false)));
        }
        if number == 2 && !self.is_in_transaction() && strip_begin_and_commit(&mut found) {
            return self.holding(|session| now(session.run(&found, true)));
        }
        let mut statements = found.into_iter();
        let mut group = Vec::new();
        for control in controls {
            let scanned = statements.next();
            match control {
                None => group.extend(scanned),
                Some(control) => {
                    let group = std::mem::take(&mut group);
                    self.holding(|session| now(session.run(&group, false)))?;
                    self.control(control)?;
                }
            }
        }
        self.holding(|session| now(session.run(&group, false)))
    }

    /// `BEGIN`, `COMMIT` and the like, done to the client's transaction.
    fn control(&mut self, control: Control) -> QueryResult<()> {
        let depth = self.session.transaction.depth();
        let sqlite = |message: &str| Err(error::statement_error(message, None));
        match control {
            Control::Begin { .. } if depth > 0 => {
                sqlite("cannot start a transaction within a transaction")
            }
            Control::Begin { immediate } => {
                if immediate {
                    self.next = Some(self.immediate_options());
                }
                self.begin(None)
            }
            Control::Savepoint(name) => self.begin(Some(name)),
            Control::Commit if depth == 0 => sqlite("cannot commit - no transaction is active"),
            Control::Commit => self.close_to(0, Self::commit),
            Control::RollBack if depth == 0 => sqlite("cannot rollback - no transaction is active"),
            Control::RollBack => self.close_to(0, Self::roll_back),
            Control::Release(name) => match self.session.transaction.depth_of(&name) {
                Some(depth) => self.close_to(depth - 1, Self::commit),
                None => sqlite(&format!("no such savepoint: {name}")),
            },
            Control::RollBackTo(name) => match self.session.transaction.depth_of(&name) {
                Some(depth) => {
                    self.close_to(depth, Self::roll_back)?;
                    self.session.transaction.roll_back_to_mark();
                    Ok(())
                }
                None => sqlite(&format!("no such savepoint: {name}")),
            },
        }
    }

    /// Commits the innermost transaction that Diesel began. One that can't be is rolled back.
    fn commit_own(&mut self) -> QueryResult<()> {
        let committed = self.close_savepoints(Self::commit);
        if committed.is_err() {
            self.roll_back_own()?;
            return committed;
        }
        self.commit()
    }

    fn roll_back_own(&mut self) -> QueryResult<()> {
        self.close_savepoints(Self::roll_back)?;
        self.roll_back()
    }

    /// Ends the savepoints that were opened as SQL inside the innermost transaction that Diesel began: they end with
    /// it, as on SQLite, or their end would be taken for its own.
    fn close_savepoints(&mut self, end: impl Fn(&mut Self) -> QueryResult<()>) -> QueryResult<()> {
        match self.session.transaction.depth_without_savepoints() {
            Some(depth) => self.close_to(depth, end),
            None => Ok(()),
        }
    }

    /// Ends transactions until only so many are open.
    fn close_to(
        &mut self,
        depth: usize,
        end: impl Fn(&mut Self) -> QueryResult<()>,
    ) -> QueryResult<()> {
        while self.session.transaction.depth() > depth {
            end(self)?;
        }
        Ok(())
    }

    /// Tells instrumentation about a query around running it.
    fn observed<T>(
        &mut self,
        query: &dyn diesel::connection::DebugQuery,
        run: impl FnOnce(&mut Self) -> QueryResult<T>,
    ) -> QueryResult<T> {
        self.instrumentation
            .on_connection_event(InstrumentationEvent::start_query(query));
        let outcome = run(self);
        self.instrumentation
            .on_connection_event(InstrumentationEvent::finish_query(
                query,
                outcome.as_ref().err(),
            ));
        outcome
    }

    /// The depth of the innermost open transaction, after `change` more have begun.
    fn depth(&self, change: usize) -> Option<NonZeroU32> {
        let depth = u32::try_from(self.session.transaction.depth() + change).ok()?;
        NonZeroU32::new(depth)
    }

    fn event(
        &mut self,
        depth: Option<NonZeroU32>,
        event: fn(NonZeroU32) -> InstrumentationEvent<'static>,
    ) {
        if let Some(depth) = depth {
            self.instrumentation.on_connection_event(event(depth));
        }
    }
}

impl Drop for RqliteConnection {
    /// Gives back the lock of a transaction that is still open.
    fn drop(&mut self) {
        now(self.session.give_back_lock());
    }
}

/// A text that can't be transaction control needs no second look; nor does a long one, such as a batch insert
/// between BEGIN and COMMIT.
fn may_be_control(sql: &str) -> bool {
    const LONGEST: usize = 250;
    const WORDS: [&str; 6] = ["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"];
    let sql = sql.trim_start();
    let end = sql
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(sql.len());
    match &sql[..end] {
        _ if sql.len() > LONGEST => false,
        // A comment, say.
        "" => true,
        word => WORDS.iter().any(|known| word.eq_ignore_ascii_case(known)),
    }
}

fn render<T: QueryFragment<Rqlite>>(source: &T) -> QueryResult<String> {
    let mut builder = RqliteQueryBuilder::new();
    source.to_sql(&mut builder, &Rqlite)?;
    Ok(migration::with_run_on(builder.finish()))
}

fn collect_binds<T: QueryFragment<Rqlite>>(source: &T) -> QueryResult<Vec<Bind<'_>>> {
    let mut collector = RqliteBindCollector::default();
    source.collect_binds(&mut collector, &mut (), &Rqlite)?;
    Ok(collector.binds)
}

impl SimpleConnection for RqliteConnection {
    /// Runs a script, all of it or nothing: its statements are one atomic request.
    ///
    /// It may be framed by `BEGIN` and `COMMIT`, which changes nothing. Its SELECTs are run for their errors.
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.observed(&StrQueryHelper::new(query), |connection| {
            connection.script(query)
        })
    }
}

impl ConnectionSealed for RqliteConnection {}

impl Connection for RqliteConnection {
    type Backend = Rqlite;
    type TransactionManager = RqliteTransactionManager;

    fn establish(database_url: &str) -> ConnectionResult<Self> {
        let config: RqliteConfig = database_url.parse()?;
        Self::connect(&config, database_url)
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Rqlite> + QueryId,
    {
        self.observed(&diesel::debug_query::<Rqlite, _>(source), |connection| {
            let sql = render(source)?;
            connection.execute(&sql, collect_binds(source)?)
        })
    }

    fn transaction_state(&mut self) -> &mut Transaction {
        &mut self.session.transaction
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut *self.instrumentation
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.instrumentation = instrumentation.into();
    }

    /// Does nothing: rqlite has no prepared statements.
    fn set_prepared_statement_cache_size(&mut self, _size: CacheSize) {}
}

impl LoadConnection<DefaultLoadingMode> for RqliteConnection {
    type Cursor<'conn, 'query> = RqliteCursor;
    type Row<'conn, 'query> = RqliteRow;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<RqliteCursor>
    where
        T: Query + QueryFragment<Rqlite> + QueryId + 'query,
        Rqlite: QueryMetadata<T::SqlType>,
    {
        let mut types = Vec::new();
        Rqlite::row_metadata(&mut (), &mut types);
        // Raw SQL has no types.
        let types: Option<Vec<RqliteType>> = types.into_iter().collect();
        self.observed(&diesel::debug_query::<Rqlite, _>(&source), |connection| {
            let sql = render(&source)?;
            let binds = collect_binds(&source)?;
            let rows =
                connection.holding(|session| now(session.rows(&sql, binds, types.as_deref())));
            Ok(RqliteCursor::new(rows?))
        })
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
        // Whether the node is there; not whether it leads, which would cost a round of the cluster.
        let exchange = statement::query(&Statement::plain("SELECT 1")).at(ReadConsistency::None);
        let answered = now(self.session.send(&exchange));
        answered
            .map(|_| ())
            .map_err(|failure| error::failure(failure, true))
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
        connection.begin(None)
    }

    fn rollback_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        connection.roll_back_own()
    }

    fn commit_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        connection.commit_own()
    }

    fn transaction_manager_status_mut(
        connection: &mut RqliteConnection,
    ) -> &mut TransactionManagerStatus {
        &mut connection.session.transaction.status
    }

    fn transaction<F, R, E>(connection: &mut RqliteConnection, callback: F) -> Result<R, E>
    where
        F: FnOnce(&mut RqliteConnection) -> Result<R, E>,
        E: From<Error>,
    {
        Self::begin_transaction(connection)?;
        // A panic must not leave a transaction open that a later user of the connection would commit.
        match catch_unwind(AssertUnwindSafe(|| callback(&mut *connection))) {
            Ok(Ok(value)) => {
                Self::commit_transaction(connection)?;
                Ok(value)
            }
            Ok(Err(error)) => {
                Self::rollback_transaction(connection)?;
                Err(error)
            }
            Err(panic) => {
                let _ = Self::rollback_transaction(connection);
                resume_unwind(panic)
            }
        }
    }
}
