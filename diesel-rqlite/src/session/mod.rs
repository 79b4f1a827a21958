//! A connection without Diesel: what is sent for a query, in which order, and what the answer means.
//!
//! Written once for all clients. Its functions are `async`. With a blocking client they never have to wait, so that
//! [`block_on`](crate::runtime::block_on) can run them to completion.
//!
//! # From a query to its rows
//!
//! `connection::core` parses the text and calls [`Session::execute`] for a count, [`Session::rows`] for rows, or
//! [`Session::run`] for a script. These prepare the query in this order:
//!
//! 1. `counters` replaces `last_insert_rowid()` and `changes()` by the values that the client knows.
//! 2. `defaults` adds the defaults that each node would otherwise compute for itself.
//! 3. `stars` replaces `RETURNING *` by the names of the columns, if rows are wanted.
//! 4. [`Plan::new`] decides whether the query is nothing, a PRAGMA, a read, or writes.
//! 5. `foreign_keys` puts a check before a `DROP TABLE` that would change rows of other tables.
//!
//! Steps 2, 3 and 5 may send requests of their own. What follows depends on the plan and on the place:
//!
//! | plan | outside of a transaction | inside a transaction |
//! | --- | --- | --- |
//! | a PRAGMA that sets up a connection | `setting` | `setting` |
//! | a read | `autocommit`; a long answer continues in `streaming` | `peek`, then `guarded` |
//! | writes | `autocommit`; perhaps `coalesced`, or `foreign_keys` if they are off | `write`; `commit` sends them |
//!
//! Inside a transaction, `schema` learns with each read, and each write that is peeked, what decides how its rows
//! are guarded, and `row_lock` takes a lock that is a row in rqlite. `queue` and `administration` serve callers other than Diesel's traits.
//!
//! # From a request to its answer
//!
//! All requests for SQL go through [`Session::send`]. It drives a [`Call`], which decides on the node, redirects and
//! retries. `credentials` supplies credentials that change, and `scout` asks the other nodes about the leader while an
//! answer is outstanding.
//!
//! # Invariants
//!
//! * A write of the program is sent again only after proof that it was not applied. For a lost answer, [`Call`] decides
//!   that. The functions here send a write again only because of what an answer says. The commit is the exception: with
//!   `exactly_once`, it settles the outcome of a lost one, see `commit`. Reads and peeks may run any number of times.
//! * [`Session::schema_version`] and [`Session::keys`] may be forgotten at any time, at the price of one more question.
//!   [`Session::unstable`] may be forgotten only if `defaults_are_news` is set along with it, unless the schema had no
//!   defaults that each node computes for itself: an INSERT outside of transactions relies on it.
//! * The opening and nesting of transactions is the business of `connection::core`. A session never begins a
//!   transaction. It ends one only in [`Session::commit`], [`Session::roll_back`] and [`Session::abandon`].

mod administration;
mod autocommit;
mod coalesced;
mod commit;
mod counters;
mod credentials;
mod defaults;
mod foreign_keys;
mod guarded;
mod peek;
mod queue;
mod row_lock;
mod schema;
mod scout;
mod setting;
mod stars;
mod streaming;
#[cfg(test)]
mod tests;
mod write;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{ConnectionResult, QueryResult};
use diesel_rqlite_sql::{Entropy, Parsed, SqlError};

pub(crate) use self::coalesced::Coalescer;
pub(crate) use self::commit::Committed;
use self::credentials::Renewal;
pub(crate) use self::defaults::SchemaChanges;
pub(crate) use self::defaults::Tables;
use self::foreign_keys::ForeignKeys;
use self::schema::SchemaVersion;
use self::scout::Scout;
pub(crate) use self::scout::Vigil;
use self::streaming::FIRST;
pub(crate) use self::streaming::{Found, Streaming};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::config::{Provider, RqliteConfig};
use crate::error;
use crate::lock::Acquire;
use crate::observe::{Attempts, Observer};
use crate::protocol::call::{Call, SendError, Step};
use crate::protocol::encoding::Encoding;
use crate::protocol::failure::{Failure, Why};
use crate::protocol::head::Request;
use crate::protocol::nodes::{Known, Nodes};
use crate::protocol::request::{Exchange, ReadConsistency, Settings};
use crate::protocol::response::{Answer, StatementResult};
use crate::protocol::rows::Rows;
use crate::random::jittered;
use crate::runtime::Runtime;
use crate::sql::unstable::{self, Unstable};
use crate::statement::{self, Batch, Place, Plan, Query, Statement, Statements, Wanted};
use crate::transaction::exactly_once::Commits;
use crate::transaction::{PrimaryKeys, Transaction};

/// A client that sends requests. A clone may use the same connections to a node.
///
/// A client knows neither SQL nor clusters. It sends one request to the node that the request names. All decisions
/// about redirects, other nodes and requests that are sent again are those of [`Call`].
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// The runtime whose threads or tasks wait for the client. Where [`Runtime::DROPS_FUTURES`] is `false`, the client
    /// blocks its thread, and its futures are never pending.
    type Runtime: Acquire;
    /// The rest of a long answer, which the client still receives.
    type Rest: Rest;

    /// Prepares the client, for example its TLS configuration. Nothing is sent: [`Session::greet`] sends the first
    /// request.
    fn open(config: &RqliteConfig) -> ConnectionResult<Self>;

    /// Sends a request and waits for its answer until `vigil` gives up. Waits for the whole body or, if the status is
    /// 200 and the body is longer, for `first` bytes. In the second case the rest is returned as well.
    ///
    /// The error tells whether all of the request had left the client, since only then may a node have applied it.
    fn send(
        &mut self,
        request: Request,
        vigil: Vigil,
        first: usize,
    ) -> impl Future<Output = Result<Received<Self::Rest>, SendError>> + Send;

    /// Sends a small request on a connection of its own, within [`PROBE`](crate::protocol::cluster::PROBE). It is sent
    /// to find out whether a node still answers, while another request may be waiting for that node.
    fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, SendError>> + Send;
}

/// An answer, or the start of one and its rest.
pub(crate) type Received<R> = (http::Response<Bytes>, Option<Box<R>>);

/// The part of an answer that is still to come. To drop it is to give up the rest of the answer.
pub(crate) trait Rest: Send + 'static {
    /// Appends the next bytes. Returns 0 at the end of the answer.
    fn read(
        &mut self,
        bytes: &mut Vec<u8>,
    ) -> impl Future<Output = Result<usize, SendError>> + Send;
}

/// The state that the sessions of one configuration share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The knowledge of the cluster.
    pub(crate) known: Known,
    /// The cache of parsed statements.
    pub(crate) statements: Arc<Statements>,
    pub(crate) changes: Arc<SchemaChanges>,
}

/// One client's conversation with a cluster: what the client knows, and the transaction that is open.
///
/// Several sessions may share the knowledge of the cluster, the scout and the cache of statements. All other state
/// belongs to one session. A session runs one query at a time.
#[derive(Debug)]
pub(crate) struct Session<C> {
    pub(crate) client: C,
    /// The node that is asked next, and what this session knows of it and of the cluster.
    pub(crate) nodes: Nodes,
    /// The settings of the next request. The connection changes them for queries with options of their own, and changes
    /// them back afterwards.
    pub(crate) settings: Settings,
    pub(crate) observer: Observer,
    /// The source of credentials that change.
    provider: Option<Provider>,
    scout: Arc<Scout>,
    /// The cache of parsed statements, shared by the connections of a configuration.
    pub(crate) statements: Arc<Statements>,
    /// The time of the last answer. `None` if the last request had none.
    answered: Option<Instant>,
    /// The transaction, open or not. It also knows what writes outside of transactions did.
    pub(crate) transaction: Transaction,
    /// The primary keys that this connection has learnt, by table. They may be out of date: another client may change
    /// the schema. A wrong key can only make a guard fail, and after a conflict the guards do without keys.
    keys: PrimaryKeys,
    /// The schema as it was last read: with the greeting, a peek, or before an INSERT. `None` if the server can't read
    /// it, and after a statement that may make a table skip rows. Without it, no rows are compared and no count is predicted.
    unstable: Option<Unstable>,
    /// The version of that schema, if the schema was a committed one. `None` makes the next peek ask for the schema
    /// itself.
    schema_version: Option<SchemaVersion>,
    /// The numbers of this connection's commits. `None` until it registers, which is before its first commit with
    /// `exactly_once`.
    commits: Option<Commits>,
    pub(crate) foreign_keys: ForeignKeys,
    /// Set if the defaults that each node computes for itself may have changed since the schema was asked for.
    defaults_are_news: bool,
    /// Set if a statement of this session, which is not sent yet, may change them.
    is_unannounced: bool,
    /// Counts the changes to such defaults by all sessions of the configuration. `seen_changes` is the count at which
    /// this session last asked for the schema.
    changes: Arc<SchemaChanges>,
    seen_changes: u64,
    /// The queue for writes outside of transactions, if the configuration asks for it.
    pub(crate) coalescer: Option<Arc<Coalescer>>,
}

/// The machine's clock and randomness. In a transaction, `now` is the time of its first use.
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
    /// Opens a session that begins with the configuration's first node.
    pub(crate) fn open(config: &RqliteConfig, shared: Shared) -> ConnectionResult<Self> {
        let nodes = Nodes::new(shared.known, config.first_node());
        let client = C::open(config)?;
        let settings = config.settings();
        let authorization = settings.authorization.clone();
        let observer = Observer::new(&config.together, config.observing);
        let scout = Scout::new(
            client.clone(),
            nodes.known.clone(),
            authorization,
            observer.clone(),
        );
        let statements = shared.statements;
        let session = Session::new(client, nodes, settings, statements, (scout, observer));
        Ok(Session {
            provider: config.provider.clone(),
            seen_changes: shared.changes.count(),
            changes: shared.changes,
            ..session
        })
    }

    /// Puts a session together. It shares what it is given, and knows nothing else: no provider, coalescer, schema or
    /// transaction.
    fn new(
        client: C,
        nodes: Nodes,
        settings: Settings,
        statements: Arc<Statements>,
        (scout, observer): (Arc<Scout>, Observer),
    ) -> Self {
        Session {
            scout,
            observer,
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
            is_unannounced: false,
            changes: Arc::default(),
            seen_changes: 0,
            coalescer: None,
        }
    }

    /// Returns a session that knows the same nodes, and nothing of the transaction.
    ///
    /// It serves queries that run concurrently with this session's own, and a lock that is given back in the
    /// background. It takes over the schema and the setting of foreign keys, since both decide what is sent. It does
    /// not know what this session wrote last, so `last_insert_rowid()` and `changes()` are refused until it writes
    /// something itself.
    pub(crate) fn another(&self) -> Self {
        let mut session = self.courier();
        session.coalescer.clone_from(&self.coalescer);
        session.foreign_keys = self.foreign_keys;
        session.unstable.clone_from(&self.unstable);
        session.defaults_are_news = self.defaults_are_news;
        session.changes.clone_from(&self.changes);
        session.seen_changes = self.seen_changes;
        session.transaction.lose_track();
        session
    }

    /// Returns a session that knows the same nodes, to send given requests. It needs neither the schema nor a
    /// coalescer, because these requests are complete.
    fn courier(&self) -> Self {
        let mut session = Session::new(
            self.client.clone(),
            self.nodes.clone(),
            self.settings.clone(),
            Arc::clone(&self.statements),
            (Arc::clone(&self.scout), self.observer.clone()),
        );
        session.provider.clone_from(&self.provider);
        session
    }

    /// Sends a request and waits for its whole answer. Retries as the protocol allows.
    ///
    /// The failure says in `why` whether the request may have been applied. An answer that reports the failure of a
    /// statement is no failure here: its body is returned.
    pub(crate) async fn send(&mut self, exchange: &Exchange) -> Result<Bytes, Failure> {
        let (body, _) = self.send_for(exchange, usize::MAX).await?;
        Ok(body)
    }

    /// Sends a request until it has an answer. Waits for the first `first` bytes of that.
    ///
    /// This is the loop around [`Call`]: each step of the call is sent, waited for, or answered by a survey of the
    /// cluster. A node that refuses the credentials gets the request once more if the provider has others; the call
    /// does not learn of the refusal then.
    ///
    /// Whatever the outcome, the time of the answer is noted, and a survey of the cluster begins in the background if one
    /// is due. The transaction learns of a failure.
    async fn send_for(
        &mut self,
        exchange: &Exchange,
        first: usize,
    ) -> Result<(Bytes, Option<Box<C::Rest>>), Failure> {
        let scout = Arc::clone(&self.scout);
        let mut credentials = Renewal::new(self.provider.as_ref(), &self.settings.authorization);
        credentials
            .first()
            .await
            .map_err(|reason| exchange.failure(Why::NotApplied, reason))?;
        let mut rest = None;
        let mut call = Call::new(&mut self.nodes, &self.settings, exchange, Instant::now());
        let mut attempts = Attempts::default();
        let outcome = loop {
            match call.step(Instant::now()) {
                Step::Send(request, watch) => {
                    let vigil = Vigil::new(watch, Arc::clone(&scout));
                    let level = call.level().map(ReadConsistency::name);
                    let sent = self.observer.sending(&request, &mut attempts, level);
                    let sending = self.client.send(request, vigil, first);
                    let outcome = sent.within(sending).await;
                    let outcome = outcome.map(|(response, more)| {
                        rest = more;
                        response
                    });
                    self.observer.received(sent, &mut attempts, &outcome);
                    match credentials.renewed_after(&outcome).await {
                        // The request goes to the same node again, which has refused it.
                        Ok(true) => {}
                        Ok(false) => call.received(outcome, Instant::now()),
                        Err(reason) => break Err(exchange.failure(Why::NotApplied, reason)),
                    }
                }
                Step::Survey => {
                    survey::<C>(&scout).await;
                    call.surveyed(Instant::now());
                }
                Step::Wait(delay) => C::Runtime::wait(jittered(delay)).await,
                Step::Done(outcome) => break outcome,
            }
        };
        let now = Instant::now();
        self.answered = outcome.is_ok().then_some(now);
        // Nodes may have joined or left: this is for later requests.
        if scout.known.cluster().wants_survey(now) {
            scout.survey();
        }
        if let Err(failure) = &outcome {
            self.transaction.request_failed(failure);
        }
        outcome.map(|body| (body, rest))
    }

    /// Returns whether the last request was answered, not long ago.
    #[cfg(any(feature = "async", feature = "r2d2"))]
    pub(crate) fn has_just_answered(&self) -> bool {
        const LONG_AGO: Duration = Duration::from_secs(10);
        self.answered.is_some_and(|at| at.elapsed() < LONG_AGO)
    }

    /// Sends a request and returns its parsed answer. Fails if there is none, or if the request failed as a whole. A
    /// statement that failed is a result like any other, which the caller has to look for.
    async fn answer(
        &mut self,
        exchange: &Exchange,
        encodings: &[Vec<Encoding>],
    ) -> QueryResult<Answer> {
        let body = self.send(exchange).await;
        let body = body.map_err(error::failure)?;
        error::answer(exchange, &body, encodings)
    }

    /// Runs a query outside of the transaction, and returns its rows. It sees committed data only, also while a
    /// transaction is open, and nothing guards its rows.
    pub(crate) async fn ask(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        self.ask_by(&statement::query(statement), statement).await
    }

    /// Sends a request of one statement, and returns the rows of that.
    async fn ask_by(
        &mut self,
        exchange: &Exchange,
        statement: &Statement<'_>,
    ) -> QueryResult<Rows> {
        let encodings = std::slice::from_ref(&statement.encodings);
        let mut answer = self.answer(exchange, encodings).await?;
        rows_of(answer.results.pop(), statement)
    }

    /// Checks that the cluster answers. Learns the schema by the same request, which saves requests later.
    ///
    /// Fails if no node answers in time, if the credentials are refused, or if the database is not UTF-8. A schema that
    /// the server can't read is no failure: then it stays unknown, and a second request shows whether the server works.
    pub(crate) async fn greet(&mut self) -> QueryResult<()> {
        match self.ask(&Statement::raw(unstable::QUERY)).await {
            Ok(rows) => {
                self.learn_unstable(&rows);
                self.check_encoding()
            }
            // The server can't read the whole schema, because of a module that it does not have.
            Err(Error::DatabaseError(DatabaseErrorKind::Unknown, _)) => {
                self.ask(&Statement::raw("SELECT 1")).await.map(|_| ())
            }
            Err(error) => Err(error),
        }
    }

    /// Fails unless the database is UTF-8. `hex()` returns a text in the database's own encoding, so that no text would
    /// be read back exactly.
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

    /// Returns the clock and the randomness of a statement. In a transaction, `now` is always the same.
    pub(crate) fn entropy(&mut self) -> System {
        let now = self.transaction.now_or(SystemTime::now);
        System { now }
    }

    /// Returns the place where the next statement runs.
    fn place(&self) -> Place {
        match self.transaction.is_open() {
            true => Place::Transaction,
            false => Place::Alone,
        }
    }

    /// Runs a query, and returns the number of rows it affects. That is 0 for anything but a write of rows.
    ///
    /// Inside a transaction, a write is not sent but kept for the commit. It may be peeked, see `write`. A read is
    /// run and guarded, even though its rows are not returned.
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

    /// Runs a query, and returns its rows. Some of them may still be to come, but never inside a transaction: there the
    /// rows have to be complete to be guarded.
    ///
    /// `types` are the types that Diesel will read the columns as, if they are known. They decide in which form the
    /// query is sent. A batch of several statements with RETURNING has one element of [`Found::rows`] for each of them.
    ///
    /// A future has the size of its longest branch, and is copied before it is polled. So the branches beside a plain read
    /// are boxed.
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
            (Plan::Set(setting), _) => Ok(vec![Box::pin(self.set(setting)).await?].into()),
            (Plan::Read(read), Place::Alone) => self.read(&read, types, FIRST).await,
            (Plan::Read(read), Place::Transaction) => {
                Ok(vec![Box::pin(self.transaction_read(&read, types)).await?].into())
            }
            (Plan::Write(batch), place) => {
                let batch = Box::pin(self.guard_drops(batch)).await?;
                let returned = match place {
                    Place::Alone => Box::pin(self.write_returning(batch)).await,
                    Place::Transaction => Box::pin(self.transaction_write_returning(batch)).await,
                };
                returned.map(Found::from)
            }
        }
    }

    /// Runs statements for their effects. None of them may be transaction control. `framed` means that BEGIN and COMMIT
    /// were removed from around them.
    ///
    /// Outside of a transaction they are one request. If there are several, it is applied as a whole or not at all.
    /// Inside a transaction they are kept for the commit.
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

/// Asks all nodes which of them leads. Returns when that is known, or when no more answers are expected.
///
/// Callers that arrive while a survey is under way wait for that one. The state is polled in short steps, because the
/// answers arrive on other threads or tasks, which do not know who waits. The lock on the cluster is released during
/// each wait.
async fn survey<C: Client>(scout: &Scout) {
    const STEP: Duration = Duration::from_millis(2);
    let began = Instant::now();
    scout.survey();
    loop {
        {
            let cluster = scout.known.cluster();
            if cluster.has_found(began) || !cluster.is_surveying(Instant::now()) {
                return;
            }
        }
        C::Runtime::wait(STEP).await;
    }
}

/// Returns the rows from the body of an answer. If the request had two statements, they are those of the last one, see
/// [`statement::raw_query`].
fn rows_of_query(exchange: &Exchange, body: &[u8], statement: &Statement<'_>) -> QueryResult<Rows> {
    told_rows(exchange, body, statement).map(|rows| named(rows, statement))
}

/// Returns the same rows, with the names of columns that the answer tells.
fn told_rows(exchange: &Exchange, body: &[u8], statement: &Statement<'_>) -> QueryResult<Rows> {
    let encodings = std::slice::from_ref(&statement.encodings);
    let mut answer = error::answer(exchange, body, encodings)?;
    told_rows_of(answer.results.pop(), statement)
}

/// Returns the rows from the result of a query. Fails if there is no result, if the statement failed, or if the result
/// has no columns, unless the statement is one that may return nothing.
fn rows_of(result: Option<StatementResult>, statement: &Statement<'_>) -> QueryResult<Rows> {
    told_rows_of(result, statement).map(|rows| named(rows, statement))
}

fn told_rows_of(result: Option<StatementResult>, statement: &Statement<'_>) -> QueryResult<Rows> {
    match result.ok_or_else(error::cut_short)? {
        StatementResult::Rows(rows) => Ok(rows),
        StatementResult::Failed(message) => Err(error::statement_error(&message, None)),
        // A PRAGMA may return nothing.
        StatementResult::Executed { .. } if statement.may_be_rowless => Ok(Rows::default()),
        StatementResult::Executed { .. } => Err(error::no_rows()),
    }
}

/// Restores the names of the columns, which the SQL around the values has changed.
fn named(mut rows: Rows, statement: &Statement<'_>) -> Rows {
    if statement.names.len() == rows.width() {
        rows.rename(&statement.names);
    }
    rows
}
