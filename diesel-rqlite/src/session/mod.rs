//! A connection without Diesel: what is sent for a query, in which order, and what becomes of it.
//!
//! Written once for all clients. Its functions are `async`; a blocking client never lets them wait, so that
//! [`now`](crate::runtime::now) may run them to their end.

mod alone;
mod beside_sql;
mod coalesced;
mod commit;
mod counters;
mod credentials;
mod defaults;
mod foreign_keys;
mod guarded;
mod locked;
mod look;
mod pending;
mod queue;
mod schema;
mod scout;
mod setting;
mod stars;
mod streaming;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{ConnectionResult, QueryResult};
use diesel_rqlite_sql::{Entropy, Parsed, SqlError};

pub(crate) use self::coalesced::Coalescer;
use self::credentials::Renewal;
use self::foreign_keys::ForeignKeys;
use self::scout::Scout;
pub(crate) use self::scout::Vigil;
use self::streaming::FIRST;
pub(crate) use self::streaming::{Found, Streaming};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::config::{Provider, RqliteConfig};
use crate::error;
use crate::lock::Acquire;
use crate::protocol::call::{Call, SendError, Step};
use crate::protocol::encoding::Encoding;
use crate::protocol::failure::{Failure, Why};
use crate::protocol::nodes::{Known, Nodes};
use crate::protocol::request::{Exchange, Settings, Stake};
use crate::protocol::response::{Answer, StatementResult};
use crate::protocol::rows::Rows;
use crate::random::jittered;
use crate::runtime::Runtime;
use crate::sql::unstable::{self, Unstable};
use crate::statement::{self, Batch, Did, Place, Plan, Query, Statement, Statements, Wanted};
use crate::transaction::exactly_once::Commits;
use crate::transaction::{PrimaryKeys, Transaction};

/// What sends requests. A clone of it may use the same connections to a node.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    type Runtime: Acquire;
    type Rest: Rest;

    fn open(config: &RqliteConfig) -> ConnectionResult<Self>;

    /// Sends a request, and waits for its answer until the vigil says that there won't be one: for all of it, or, where it
    /// is longer and has status 200, for so many bytes at `first`.
    fn send(
        &mut self,
        request: http::Request<Bytes>,
        vigil: Vigil,
        first: usize,
    ) -> impl Future<Output = Result<Received<Self::Rest>, SendError>> + Send;

    /// Asks something small, in a connection of its own, within [`PROBE`](crate::protocol::cluster::PROBE).
    fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, SendError>> + Send;
}

/// An answer, or the begin of one and what is to come.
pub(crate) type Received<R> = (http::Response<Bytes>, Option<R>);

/// What is to come of an answer.
pub(crate) trait Rest: Send + 'static {
    /// Adds what comes next. 0: that was all.
    fn read(
        &mut self,
        bytes: &mut Vec<u8>,
    ) -> impl Future<Output = Result<usize, SendError>> + Send;
}

/// One client's conversation with a cluster.
#[derive(Debug)]
pub(crate) struct Session<C> {
    pub(crate) client: C,
    pub(crate) nodes: Nodes,
    pub(crate) settings: Settings,
    /// Where credentials come from that change.
    provider: Option<Provider>,
    scout: Arc<Scout>,
    pub(crate) statements: Arc<Statements>,
    /// When the last request had its answer. `None`: it had none.
    answered: Option<Instant>,
    pub(crate) transaction: Transaction,
    /// Learnt along the way.
    keys: PrimaryKeys,
    /// As of the last look; before the first one nothing is known of the schema.
    unstable: Option<Unstable>,
    /// The version of that schema, if it was a committed one.
    schema_version: Option<Rows>,
    /// The numbers of this connection's commits, once it has one.
    commits: Option<Commits>,
    pub(crate) foreign_keys: ForeignKeys,
    /// Defaults that each node makes for itself may have come since the last look at the schema.
    defaults_are_news: bool,
    /// What writes outside of transactions go through, if the configuration says so.
    pub(crate) coalescer: Option<Arc<Coalescer>>,
}

/// The machine's clock and randomness. In a transaction, `now` is when it began to need it.
pub(crate) struct System {
    now: SystemTime,
}

impl Entropy for System {
    fn now(&self) -> SystemTime {
        self.now
    }

    fn random(&mut self) -> Result<u64, SqlError> {
        getrandom::u64().map_err(|_| SqlError::NoRandomness)
    }
}

impl<C: Client> Session<C> {
    /// One that knows the cluster as `known` does, and begins with this node.
    pub(crate) fn open(
        config: &RqliteConfig,
        known: Known,
        statements: Arc<Statements>,
    ) -> ConnectionResult<Self> {
        let nodes = Nodes::new(known, config.first_node());
        let client = C::open(config)?;
        let settings = config.settings();
        let authorization = settings.authorization.clone();
        let scout = Scout::new(client.clone(), nodes.known.clone(), authorization);
        let session = Session::new(client, nodes, settings, statements, scout);
        Ok(Session {
            provider: config.provider.clone(),
            ..session
        })
    }

    fn new(
        client: C,
        nodes: Nodes,
        settings: Settings,
        statements: Arc<Statements>,
        scout: Arc<Scout>,
    ) -> Self {
        Session {
            scout,
            client,
            nodes,
            settings,
            statements,
            answered: None,
            provider: None,
            transaction: Transaction::default(),
            keys: PrimaryKeys::new(),
            unstable: None,
            schema_version: None,
            commits: None,
            foreign_keys: ForeignKeys::default(),
            defaults_are_news: false,
            coalescer: None,
        }
    }

    /// One that knows the same nodes, and nothing of the transaction.
    pub(crate) fn another(&self) -> Self {
        let mut session = self.courier();
        session.coalescer.clone_from(&self.coalescer);
        session.foreign_keys = self.foreign_keys;
        session.unstable.clone_from(&self.unstable);
        session.transaction.did = Did::unknown();
        session
    }

    /// One that knows the same nodes, and sends what it is given.
    fn courier(&self) -> Self {
        let mut session = Session::new(
            self.client.clone(),
            self.nodes.clone(),
            self.settings.clone(),
            Arc::clone(&self.statements),
            Arc::clone(&self.scout),
        );
        session.provider.clone_from(&self.provider);
        session
    }

    pub(crate) async fn send(&mut self, exchange: &Exchange) -> Result<Bytes, Failure> {
        let (body, _) = self.send_for(exchange, usize::MAX).await?;
        Ok(body)
    }

    /// Sends a request until it has an answer, of which so many bytes are waited for.
    async fn send_for(
        &mut self,
        exchange: &Exchange,
        first: usize,
    ) -> Result<(Bytes, Option<C::Rest>), Failure> {
        let scout = Arc::clone(&self.scout);
        let mut credentials = Renewal::new(self.provider.as_ref(), &self.settings.authorization);
        credentials
            .first()
            .await
            .map_err(|reason| exchange.failure(Why::NotApplied, reason))?;
        let mut rest = None;
        let mut call = Call::new(&mut self.nodes, &self.settings, exchange, Instant::now());
        let outcome = loop {
            match call.step(Instant::now()) {
                Step::Send(request, watch) => {
                    let vigil = Vigil::new(watch, Arc::clone(&scout));
                    let outcome = self.client.send(request, vigil, first).await;
                    let outcome = outcome.map(|(response, more)| {
                        rest = more;
                        response
                    });
                    match credentials.renewed_after(&outcome).await {
                        // To the same node, which has refused it.
                        Ok(true) => {}
                        Ok(false) => call.received(outcome, Instant::now()),
                        Err(reason) => break Err(exchange.failure(Why::NotApplied, reason)),
                    }
                }
                Step::Look => {
                    look::<C>(&scout).await;
                    call.looked(Instant::now());
                }
                Step::Wait(delay) => C::Runtime::wait(jittered(delay)).await,
                Step::Done(outcome) => break outcome,
            }
        };
        let now = Instant::now();
        self.answered = outcome.is_ok().then_some(now);
        // For the next time: nodes that come and go.
        if scout.known.cluster().wants_look(now) {
            scout.look();
        }
        if let Err(failure) = &outcome
            && failure.why == Why::Unknown
            && failure.stake == Stake::Nothing
            && self.transaction.is_open()
            && !self.transaction.committing
        {
            self.transaction.interrupted = true;
        }
        outcome.map(|body| (body, rest))
    }

    /// Whether the last request had its answer, and not long ago.
    #[cfg(any(feature = "async", feature = "r2d2"))]
    pub(crate) fn has_just_answered(&self) -> bool {
        const LONG_AGO: Duration = Duration::from_secs(10);
        self.answered.is_some_and(|at| at.elapsed() < LONG_AGO)
    }

    /// The answer to an exchange, where only an answer is of use.
    async fn answer(
        &mut self,
        exchange: &Exchange,
        encodings: &[Vec<Encoding>],
    ) -> QueryResult<Answer> {
        let body = self.send(exchange).await;
        let body = body.map_err(error::failure)?;
        error::answer(exchange, &body, encodings)
    }

    pub(crate) async fn ask(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        self.ask_by(&statement::query(statement), statement).await
    }

    async fn ask_by(
        &mut self,
        exchange: &Exchange,
        statement: &Statement<'_>,
    ) -> QueryResult<Rows> {
        let encodings = std::slice::from_ref(&statement.encodings);
        let mut answer = self.answer(exchange, encodings).await?;
        rows_of(answer.results.pop(), statement)
    }

    /// Whether the cluster answers. What it says of its schema saves requests later.
    pub(crate) async fn greet(&mut self) -> QueryResult<()> {
        match self.ask(&Statement::plain(unstable::QUERY)).await {
            Ok(rows) => {
                self.learn_unstable(&rows);
                self.check_encoding()
            }
            // A schema that the server can't read whole: with a module that it does not have.
            Err(Error::DatabaseError(DatabaseErrorKind::Unknown, _)) => {
                self.ask(&Statement::plain("SELECT 1")).await.map(|_| ())
            }
            Err(error) => Err(error),
        }
    }

    /// `hex()` gives the bytes of a text in the database's own encoding, so that none would be read as it is.
    fn check_encoding(&self) -> QueryResult<()> {
        let schema = self.unstable.as_ref();
        match schema.and_then(Unstable::other_encoding) {
            None => Ok(()),
            Some(encoding) => Err(error::of_kind(
                DatabaseErrorKind::Unknown,
                format!(
                    "the database stores text as {encoding}, of which texts can't be read back exactly; make it UTF-8: with \
                     `.dump` of SQLite's shell, and `diesel-rqlite load` of that into an empty database"
                ),
            )),
        }
    }

    fn entropy(&mut self) -> System {
        let now = match self.transaction.is_open() {
            true => *self.transaction.now.get_or_insert_with(SystemTime::now),
            false => SystemTime::now(),
        };
        System { now }
    }

    fn place(&self) -> Place {
        match self.transaction.is_open() {
            true => Place::Transaction,
            false => Place::Alone,
        }
    }

    /// Runs a query for the number of rows it affects.
    pub(crate) async fn execute(
        &mut self,
        query: Query<'_>,
        binds: Vec<Bind<'_>>,
    ) -> QueryResult<usize> {
        let place = self.place();
        let query = self.with_defaults(self.with_counters(query)?).await?;
        let plan = Plan::new(query, binds, Wanted::Count, place, &mut self.entropy());
        match (plan.map_err(error::not_sent)?, place) {
            (Plan::Nothing, _) => Ok(0),
            (Plan::Set(setting), _) => self.set(setting).await.map(|_| 0),
            (Plan::Write(batch), place) => {
                let batch = self.guard_drops(batch).await?;
                match place {
                    Place::Alone => self.write(batch).await,
                    Place::Transaction => self.transaction_write(batch).await,
                }
            }
            (Plan::Read(read), Place::Alone) => self.untyped_read(&read).await.map(|_| 0),
            (Plan::Read(read), Place::Transaction) => {
                self.transaction_read(&read, None).await.map(|_| 0)
            }
        }
    }

    /// Runs a query for its rows, of which some may still be to come.
    pub(crate) async fn rows(
        &mut self,
        query: Query<'_>,
        binds: Vec<Bind<'_>>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Found<C>> {
        let place = self.place();
        let query = self.with_defaults(self.with_counters(query)?).await?;
        let query = self.with_columns(query).await?;
        let wanted = Wanted::Rows(types);
        let plan = Plan::new(query, binds, wanted, place, &mut self.entropy());
        match (plan.map_err(error::not_sent)?, place) {
            (Plan::Nothing, _) => Ok(Vec::new().into()),
            (Plan::Set(setting), _) => Ok(vec![self.set(setting).await?].into()),
            (Plan::Read(read), Place::Alone) => self.read(&read, types, FIRST).await,
            (Plan::Read(read), Place::Transaction) => {
                Ok(vec![self.transaction_read(&read, types).await?].into())
            }
            (Plan::Write(batch), place) => {
                let batch = self.guard_drops(batch).await?;
                let returned = match place {
                    Place::Alone => self.write_returning(batch).await,
                    Place::Transaction => self.transaction_write_returning(batch).await,
                };
                returned.map(Found::from)
            }
        }
    }

    /// Runs statements, none of which is transaction control, for what they do.
    pub(crate) async fn run(&mut self, found: &[Parsed<'_>], framed: bool) -> QueryResult<()> {
        let place = self.place();
        let found = self.script_with_counters(found)?;
        let found = &self.script_with_defaults(&found).await?;
        let batch = Batch::script(found, framed, place, &mut self.entropy());
        let batch = self.guard_drops(batch.map_err(error::not_sent)?).await?;
        match place {
            Place::Alone => self.write(batch).await.map(|_| ()),
            Place::Transaction => self.transaction_run(batch).await,
        }
    }
}

/// Asks all nodes who leads, until that is known, or all have answered that will.
async fn look<C: Client>(scout: &Scout) {
    const STEP: Duration = Duration::from_millis(2);
    let began = Instant::now();
    scout.look();
    loop {
        {
            let cluster = scout.known.cluster();
            if cluster.has_found(began) || !cluster.is_looking(Instant::now()) {
                return;
            }
        }
        C::Runtime::wait(STEP).await;
    }
}

fn rows_of_query(exchange: &Exchange, body: &[u8], statement: &Statement<'_>) -> QueryResult<Rows> {
    let encodings = std::slice::from_ref(&statement.encodings);
    let mut answer = error::answer(exchange, body, encodings)?;
    rows_of(answer.results.pop(), statement)
}

/// The rows of a query.
fn rows_of(result: Option<StatementResult>, statement: &Statement<'_>) -> QueryResult<Rows> {
    match result.ok_or_else(error::cut_short)? {
        StatementResult::Rows(rows) => Ok(named(rows, statement)),
        StatementResult::Failed(message) => Err(error::statement_error(&message, None)),
        // A PRAGMA that returns nothing.
        StatementResult::Executed { .. } if statement.may_be_rowless => Ok(Rows::default()),
        StatementResult::Executed { .. } => Err(error::no_rows()),
    }
}

/// What SQL around the values did to the names of the columns is undone.
fn named(mut rows: Rows, statement: &Statement<'_>) -> Rows {
    if statement.names.len() == rows.width() {
        rows.columns.clone_from(&statement.names);
    }
    rows
}
