//! The connection: Diesel's traits on one side, requests and answers on the other.

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
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
use crate::migration;
use crate::protocol::call::{Call, Failure, Step};
use crate::protocol::nodes::Nodes;
#[cfg(feature = "r2d2")]
use crate::protocol::request::ReadConsistency;
use crate::protocol::request::{Exchange, Settings};
use crate::protocol::response::{Answer, StatementResult};
use crate::protocol::rows::Rows;
use crate::query_builder::RqliteQueryBuilder;
use crate::row::{RqliteCursor, RqliteRow};
use crate::sql::pin::Entropy;
use crate::statement::{self, Batch, Plan, Read, Statement};
use crate::transaction::Transaction;
use crate::transport::blocking::Http;

/// A connection to an rqlite cluster.
///
/// [`establish`](Connection::establish) takes a URL, see [`RqliteConfig`]. It holds one HTTP connection,
/// to the leader where the read level needs one, and follows the leader when that changes.
pub struct RqliteConnection {
    http: Http,
    nodes: Nodes,
    settings: Settings,
    transaction: Transaction,
    instrumentation: DynInstrumentation,
    metadata_lookup: (),
}

impl std::fmt::Debug for RqliteConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RqliteConnection")
            .field("nodes", &self.nodes)
            .field("transaction", &self.transaction)
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
            http: Http::new(config)?,
            nodes: Nodes::new(config.nodes()),
            settings: config.settings(),
            transaction: Transaction::default(),
            instrumentation: DynInstrumentation::none(),
            metadata_lookup: (),
        };
        let reached = connection.ask(&Statement::plain("SELECT 1"));
        match reached {
            Ok(_) => Ok(connection),
            Err(error) => Err(ConnectionError::BadConnection(error.to_string())),
        }
    }

    /// How many HTTP requests this connection has sent, retries and redirects included: to see what a program
    /// costs.
    pub fn http_requests(&self) -> u64 {
        self.http.requests()
    }

    fn send(&mut self, exchange: &Exchange) -> Result<Bytes, Failure> {
        let began = Instant::now();
        let mut call = Call::new(&mut self.nodes, &self.settings, exchange);
        loop {
            match call.step() {
                Step::Send(request) => {
                    let outcome = self.http.send(request);
                    call.received(outcome, began.elapsed());
                }
                Step::Wait(delay) => thread::sleep(delay),
                Step::Done(outcome) => return outcome,
            }
        }
    }

    fn ask(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let exchange = statement::query(statement);
        let body = self
            .send(&exchange)
            .map_err(|failure| error::failure(failure, true))?;
        rows_of_query(&body, statement)
    }

    fn read(&mut self, read: &Read<'_>, types: Option<&[RqliteType]>) -> QueryResult<Rows> {
        match types {
            Some(types) if read.is_wrappable() => self.typed_read(read, types),
            _ => self.untyped_read(read),
        }
    }

    fn typed_read(&mut self, read: &Read<'_>, types: &[RqliteType]) -> QueryResult<Rows> {
        let statement = read.typed(types);
        let exchange = statement::query(&statement);
        let body = match self.send(&exchange) {
            Err(Failure::Unwritable(_)) => {
                return self.ask(&read.tagged(statement.names));
            }
            outcome => outcome.map_err(|failure| error::failure(failure, true))?,
        };
        let rows = match rows_of_query(&body, &statement) {
            // The subquery is what SQLite does not like: it has another number of columns (then Diesel says
            // so), or is nested too deeply for a server before 9.
            Err(Error::DatabaseError(_, information))
                if information.message().contains(&results_subquery())
                    || information.message().contains("parser stack overflow") =>
            {
                return self.untyped_read(read);
            }
            rows => rows?,
        };
        if rows.may_be_lossy() {
            return self.ask(&read.tagged(statement.names));
        }
        Ok(rows)
    }

    /// Raw SQL: sent as it is, and once more in an exact form if its columns turn out to need it.
    fn untyped_read(&mut self, read: &Read<'_>) -> QueryResult<Rows> {
        let statement = read.plain();
        let rows = match self.send(&statement::raw_query(statement.clone())) {
            Err(Failure::Unwritable(_)) => None,
            Err(failure) => return Err(error::failure(failure, true)),
            Ok(body) => match rows_of_query(&body, &statement) {
                // A column declared as a time holds a number beyond the year 9999.
                Err(error) if error::is_unwritable(&error) => None,
                rows => Some(rows?),
            },
        };
        match rows {
            Some(rows) if !rows.may_be_lossy() || !read.is_wrappable() => Ok(rows),
            Some(rows) => self.ask(&read.tagged(rows.columns)),
            None if !read.is_wrappable() => Err(error::failure(
                Failure::Unwritable("rqlite can't write the values as JSON".to_owned()),
                true,
            )),
            None => {
                let columns = self.ask(&read.columns())?.columns;
                self.ask(&read.tagged(columns))
            }
        }
    }

    /// Sends writes as one request. All were run, or there is an error and none was applied.
    fn write(&mut self, batch: &Batch<'_>) -> QueryResult<Vec<StatementResult>> {
        let statements = &batch.statements;
        let exchange = statement::execute(batch);
        let body = self
            .send(&exchange)
            .map_err(|failure| error::failure(failure, false))?;
        let encodings: Vec<_> = statements
            .iter()
            .map(|statement| statement.encodings.clone())
            .collect();
        let answer =
            Answer::parse(&body, &encodings).map_err(|error| error::unreadable(&error, false))?;
        if let Some(message) = &answer.error {
            return Err(error::request_error(message, false));
        }
        if let Some((place, message)) = answer.first_failure() {
            let which = (statements.len() > 1)
                .then(|| format!("statement {} of {}", place + 1, statements.len()));
            return Err(error::statement_error(message, which));
        }
        if answer.results.len() != statements.len() {
            let message = format!(
                "{} results for {} statements",
                answer.results.len(),
                statements.len()
            );
            return Err(error::failure(Failure::Unknown(message), false));
        }
        Ok(answer.results)
    }

    /// Sends writes now, or adds them to the open transaction. Returns the rows they affected.
    fn run(&mut self, batch: Batch<'_>) -> QueryResult<usize> {
        if self.transaction.is_open() {
            let mut rows = 0;
            for statement in batch.statements {
                rows += self.transaction.push(statement.into_owned())?;
            }
            return Ok(rows);
        }
        if batch.statements.is_empty() {
            return Ok(0);
        }
        let results = self.write(&batch)?;
        let counted = batch.statements.iter().zip(&results);
        let counted = counted.filter(|(statement, _)| statement.counted);
        Ok(counted.map(|(_, result)| affected(result)).sum())
    }

    fn execute(&mut self, sql: &str, binds: Vec<Bind<'_>>) -> QueryResult<usize> {
        let plan = Plan::new(sql, binds, None, &mut System);
        match plan.map_err(error::not_sent)? {
            Plan::Nothing => Ok(0),
            Plan::Write(batch) => self.run(batch),
            Plan::Read(read) => {
                self.transaction.check_read()?;
                self.untyped_read(&read).map(|_| 0)
            }
        }
    }

    fn rows(
        &mut self,
        sql: &str,
        binds: Vec<Bind<'_>>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Vec<Rows>> {
        let plan = Plan::new(sql, binds, types, &mut System);
        match plan.map_err(error::not_sent)? {
            Plan::Nothing => Ok(Vec::new()),
            Plan::Read(read) => {
                self.transaction.check_read()?;
                self.read(&read, types).map(|rows| vec![rows])
            }
            Plan::Write(batch) if self.transaction.is_open() => self.run(batch).map(|_| Vec::new()),
            Plan::Write(batch) => returned(&batch.statements, self.write(&batch)?),
        }
    }

    fn script(&mut self, sql: &str) -> QueryResult<()> {
        let batch = Batch::script(sql, &mut System).map_err(error::not_sent)?;
        self.run(batch).map(|_| ())
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
        let depth = u32::try_from(self.transaction.depth() + change).ok()?;
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

fn results_subquery() -> String {
    format!("table {}", crate::sql::results::SUBQUERY)
}

/// How many rows a statement wrote.
fn affected(result: &StatementResult) -> usize {
    match result {
        StatementResult::Executed { rows_affected } => *rows_affected,
        StatementResult::Rows(rows) => rows.len(),
        StatementResult::Failed(_) => 0,
    }
}

fn rows_of_query(body: &[u8], statement: &Statement<'_>) -> QueryResult<Rows> {
    let encodings = std::slice::from_ref(&statement.encodings);
    let mut answer =
        Answer::parse(body, encodings).map_err(|error| error::unreadable(&error, true))?;
    if let Some(message) = &answer.error {
        return Err(error::request_error(message, true));
    }
    match answer.results.pop() {
        Some(StatementResult::Rows(rows)) => Ok(named(rows, statement)),
        Some(StatementResult::Failed(message)) => Err(error::statement_error(&message, None)),
        // A PRAGMA that returns nothing.
        Some(StatementResult::Executed { .. }) => Ok(Rows::default()),
        None => {
            let message = "an answer without a result".to_owned();
            Err(error::failure(Failure::Unknown(message), true))
        }
    }
}

/// What SQL around the values did to the names of the columns is undone.
fn named(mut rows: Rows, statement: &Statement<'_>) -> Rows {
    if statement.names.len() == rows.width() {
        rows.columns.clone_from(&statement.names);
    }
    rows
}

/// The rows of the statements that have RETURNING.
fn returned(statements: &[Statement<'_>], results: Vec<StatementResult>) -> QueryResult<Vec<Rows>> {
    let mut returned = Vec::new();
    for (statement, result) in statements.iter().zip(results) {
        match result {
            StatementResult::Rows(rows) if statement.returning => {
                returned.push(named(rows, statement));
            }
            _ if statement.returning => return Err(error::rows_lost()),
            _ => {}
        }
    }
    Ok(returned)
}

/// The machine's clock and randomness.
struct System;

impl Entropy for System {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn random(&mut self) -> u64 {
        // Fails only on a system without any source of randomness; a constant is then no surprise.
        getrandom::u64().unwrap_or_default()
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
        &mut self.transaction
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
            let rows = connection.rows(&sql, collect_binds(&source)?, types.as_deref())?;
            Ok(RqliteCursor::new(rows))
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
        let answered = self.send(&exchange);
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
        let depth = connection.depth(1);
        connection.event(depth, InstrumentationEvent::begin_transaction);
        connection.transaction.begin()
    }

    fn rollback_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        let depth = connection.depth(0);
        connection.event(depth, InstrumentationEvent::rollback_transaction);
        connection.transaction.rollback()
    }

    fn commit_transaction(connection: &mut RqliteConnection) -> QueryResult<()> {
        let depth = connection.depth(0);
        connection.event(depth, InstrumentationEvent::commit_transaction);
        let statements = connection.transaction.commit()?;
        if statements.is_empty() {
            return Ok(());
        }
        let batch = Batch {
            statements,
            atomic: true,
        };
        connection.observed(&StrQueryHelper::new("COMMIT"), |connection| {
            connection.write(&batch).map(|_| ())
        })
    }

    fn transaction_manager_status_mut(
        connection: &mut RqliteConnection,
    ) -> &mut TransactionManagerStatus {
        &mut connection.transaction.status
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
