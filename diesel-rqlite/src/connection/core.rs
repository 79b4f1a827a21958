//! The common part of the blocking and the asynchronous connection: transactions, their locks, and
//! scripts. Diesel's traits are implemented in the neighbouring files, one for each kind of
//! connection.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
#[cfg(feature = "async")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use diesel::QueryResult;
use diesel::connection::{
    CacheSize, DebugQuery, DynInstrumentation, InstrumentationEvent, StrQueryHelper,
};
use diesel::result::{ConnectionError, ConnectionResult, Error};
use diesel_rqlite_sql::{Control, Form, Parsed, Setting, SqlError, parse};

use super::Steered;
use super::holding::Holding;
use super::script::{self, Section};
use super::shared;
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::config::RqliteConfig;
use crate::error;
use crate::lock::{Locking, RqliteLock};
use crate::mutex::{inner, locked};
use crate::observe::{Count, End as Ended, Observed, Operation, Span, What, carried};
use crate::protocol::message::TRANSACTION_OPEN;
#[cfg(feature = "async")]
use crate::protocol::nodes::Nodes;
use crate::protocol::options::QueryOptions;
#[cfg(any(feature = "async", feature = "r2d2"))]
use crate::protocol::request::ReadConsistency;
use crate::runtime::Runtime;
use crate::session::{Client, Found, Session};
#[cfg(any(feature = "async", feature = "r2d2"))]
use crate::statement;
#[cfg(feature = "async")]
use crate::statement::Did;
use crate::statement::{Kept, Query, strip_begin_and_commit};
use crate::transaction::{Options, TransactionMode};

/// The core of a connection, blocking or asynchronous.
pub(crate) struct Core<C: Client> {
    pub(crate) session: Session<C>,
    pub(crate) config: RqliteConfig,
    /// The options of queries that have none of their own. They are already applied to the
    /// session's settings.
    pub(crate) options: QueryOptions,
    /// The options of the next transaction, if they differ from the configuration.
    next: Option<Options>,
    holding: Holding,
    observed: Observed,
    /// Behind a mutex, since several queries may be reported at the same time.
    instrumentation: Mutex<DynInstrumentation>,
    /// State learned by queries that ran concurrently with this connection's own.
    #[cfg(feature = "async")]
    concurrent: Concurrent,
    /// `true` if the core serves a single query, and must leave no transaction open.
    is_concurrent: bool,
    /// See [`Statements`](crate::statement::Statements).
    keeps_statements: bool,
    /// The number of transactions that Diesel believes to be open. SQL may have ended some of them.
    own: usize,
}

/// State learned by concurrent queries, for example which node leads.
#[cfg(feature = "async")]
#[derive(Default)]
struct Concurrent {
    nodes: Mutex<Option<Nodes>>,
    /// Set if one of them wrote something.
    wrote: AtomicBool,
}

/// The way a transaction ends.
#[derive(Clone, Copy)]
enum End {
    Commit,
    RollBack,
}

impl End {
    fn event(self) -> fn(NonZeroU32) -> InstrumentationEvent<'static> {
        match self {
            End::Commit => InstrumentationEvent::commit_transaction,
            End::RollBack => InstrumentationEvent::rollback_transaction,
        }
    }

    /// Returns the SQL that Diesel sends to SQLite to end the innermost of `depth` transactions.
    fn as_sql(self, depth: usize) -> Cow<'static, str> {
        match (self, depth) {
            (End::Commit, 0 | 1) => "COMMIT".into(),
            (End::RollBack, 0 | 1) => "ROLLBACK".into(),
            (End::Commit, _) => format!("RELEASE SAVEPOINT diesel_savepoint_{}", depth - 1).into(),
            (End::RollBack, _) => {
                format!("ROLLBACK TO SAVEPOINT diesel_savepoint_{}", depth - 1).into()
            }
        }
    }

    /// Returns SQLite's error message for the case that no transaction is active.
    fn without_transaction(self) -> &'static str {
        match self {
            End::Commit => "cannot commit - no transaction is active",
            End::RollBack => "cannot rollback - no transaction is active",
        }
    }
}

impl<C: Client> Core<C> {
    pub(crate) async fn connect(config: &RqliteConfig, url: &str) -> ConnectionResult<Self> {
        let mut instrumentation = DynInstrumentation::default_instrumentation();
        instrumentation.on_connection_event(InstrumentationEvent::start_establish_connection(url));
        let connected = Self::reach(config).await;
        instrumentation.on_connection_event(InstrumentationEvent::finish_establish_connection(
            url,
            connected.as_ref().err(),
        ));
        let mut core = connected?;
        core.instrument(instrumentation);
        Ok(core)
    }

    async fn reach(config: &RqliteConfig) -> ConnectionResult<Self> {
        let mut session = Session::open(config, shared::of(config))?;
        session.coalescer = shared::coalescer::<C::Runtime>(config);
        let mut core = Self::of(session, config);
        let operation = core.begin_operation(What::Connect);
        let greeted = operation.within(core.session.greet()).await;
        let greeted = greeted.map_err(|error| ConnectionError::BadConnection(error.to_string()));
        core.session.observer.finish(operation, "", &greeted);
        greeted.map(|()| core)
    }

    fn of(session: Session<C>, config: &RqliteConfig) -> Self {
        Core {
            session,
            config: config.clone(),
            options: QueryOptions::default(),
            next: None,
            holding: Holding::default(),
            observed: Observed::default(),
            instrumentation: Mutex::new(DynInstrumentation::none()),
            #[cfg(feature = "async")]
            concurrent: Concurrent::default(),
            is_concurrent: false,
            keeps_statements: true,
            own: 0,
        }
    }

    pub(crate) fn immediate_options(&self) -> Options {
        let mut options = self.config.transaction_options();
        options.immediate = true;
        if options.locking == Locking::None {
            options.locking = Locking::Rqlite(RqliteLock::new("database"));
        }
        options
    }

    /// Prepares the next transaction as a test transaction, whose commit never comes. Each write
    /// runs on the server at once, since an error would otherwise never be reported.
    pub(crate) fn prepare_test(&mut self) -> QueryResult<()> {
        let mut options = self.config.transaction_options();
        if options.mode == TransactionMode::Interactive {
            options.mode = TransactionMode::Eager;
        }
        self.prepare(options)
    }

    /// Does the same as [`prepare_test`](Self::prepare_test) if the next transaction is an
    /// outermost one.
    pub(crate) fn prepare_test_if_outermost(&mut self) {
        // An error means that it is not an outermost one.
        let _ = self.prepare_test();
    }

    /// Sets the options of the next transaction, which must be an outermost one.
    pub(crate) fn prepare(&mut self, options: Options) -> QueryResult<()> {
        if self.is_in_transaction() {
            return Err(Error::AlreadyInTransaction);
        }
        self.next = Some(options);
        Ok(())
    }

    /// Returns whether the last transaction failed because data it had read was changed, its lock
    /// was lost, or one of its reads had no answer. Nothing of it was applied.
    pub(crate) fn has_conflicted(&self) -> bool {
        let transaction = &self.session.transaction;
        transaction.conflicted || transaction.interrupted
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.session.transaction.is_open()
    }

    /// Checks that the node is reachable. It does not check whether the node leads, which would
    /// cost a round trip within the cluster. The node is asked only if the last request had no
    /// answer or was long ago. HTTP has no session that could be lost, and each query finds a node
    /// that works.
    #[cfg(any(feature = "async", feature = "r2d2"))]
    pub(crate) async fn ping(&mut self) -> QueryResult<()> {
        if self.session.has_just_answered() {
            return Ok(());
        }
        let exchange =
            statement::query(&statement::Statement::raw("SELECT 1")).at(ReadConsistency::None);
        let answered = self.session.send(&exchange).await;
        answered.map(|_| ()).map_err(error::failure)
    }

    /// Opens a transaction for Diesel. It is reported to the instrumentation as by Diesel's own
    /// backends.
    pub(crate) async fn begin_for_diesel(&mut self) -> QueryResult<()> {
        let depth = self.session.transaction.depth();
        let is_immediate = self.next.as_ref().is_some_and(|options| options.immediate);
        let text: Cow<'_, str> = match depth {
            0 if is_immediate => "BEGIN IMMEDIATE".into(),
            0 => "BEGIN".into(),
            _ => format!("SAVEPOINT diesel_savepoint_{depth}").into(),
        };
        self.event(self.depth(1), InstrumentationEvent::begin_transaction);
        let query = StrQueryHelper::new(&text);
        self.started(&query);
        let outcome = self.open(None).await;
        self.finished(&query, outcome.as_ref().err());
        if outcome.is_ok() {
            self.own = if depth == 0 { 1 } else { self.own + 1 };
        }
        outcome
    }

    /// Opens a transaction for a `BEGIN` or `SAVEPOINT` in SQL.
    async fn begin(&mut self, name: Option<String>) -> QueryResult<()> {
        self.event(self.depth(1), InstrumentationEvent::begin_transaction);
        self.open(name).await
    }

    /// Opens a transaction. An outermost one takes its lock.
    async fn open(&mut self, name: Option<String>) -> QueryResult<()> {
        if self.is_in_transaction() {
            return self.session.transaction.begin(name);
        }
        // These are reset even if the lock can't be acquired, which is not a conflict.
        self.session.transaction.conflicted = false;
        self.session.transaction.interrupted = false;
        self.session.transaction.committing = false;
        let options = self.next.take();
        let options = options.unwrap_or_else(|| self.config.transaction_options());
        let mut scope = Scope::new(self);
        let core = scope.core();
        let immediate = options.immediate;
        core.observed = core.session.observer.begin_transaction(options.mode.name());
        core.hold(&options).await?;
        core.session.transaction.options = core.session.transaction_options(options);
        if let Err(error) = core.session.transaction.begin(name) {
            core.holding.end().await;
            return Err(error);
        }
        if immediate {
            let began = Instant::now();
            let taken = core.session.take_lock_if_wanted();
            let taken = core.observed.within(taken).await;
            core.keep_lock(began);
            if let Err(error) = taken {
                core.roll_back_innermost().await?;
                return Err(error);
            }
        }
        scope.keep();
        Ok(())
    }

    /// Takes a lock that is not in rqlite.
    async fn hold(&mut self, options: &Options) -> QueryResult<()> {
        let taking = self
            .holding
            .begin::<C::Runtime>(&mut self.session.transaction, options);
        let Locking::Outside(lock) = &options.locking else {
            return taking.await;
        };
        let parent = self.observed.parent();
        let waiting = self.session.observer.wait_for_lock(lock.name(), &parent);
        let taken = waiting.within(taking).await;
        waiting.finish(&taken);
        if taken.is_ok() {
            self.observed.has_lock();
        }
        taken
    }

    /// Returns the span of the outermost transaction if it has just begun. For a nested transaction
    /// the span is empty.
    pub(crate) fn span_of_begun(&self) -> Span {
        match self.session.transaction.depth() {
            1 => self.observed.span(),
            _ => Span::default(),
        }
    }

    pub(super) fn begin_operation(&self, what: What<'_>) -> Operation {
        self.session.observer.begin(what, &self.observed.parent())
    }

    /// Records the end of the outermost transaction.
    fn end_transaction(&mut self, ended: Ended) {
        let ended = match self.session.transaction.conflicted {
            true => Ended::Conflicted,
            false => ended,
        };
        self.observed.end(ended);
    }

    /// Releases the lock of an abandoned transaction after a while, see [`Holding::watch`].
    #[cfg(feature = "async")]
    pub(crate) fn watch(&mut self) {
        self.holding.watch::<C::Runtime>(&self.session.transaction);
    }

    /// Commits the innermost transaction, which may be a savepoint.
    async fn commit_innermost(&mut self) -> QueryResult<()> {
        if self.session.transaction.depth() != 1 {
            return self.session.commit().await;
        }
        // If the future of the commit is dropped, the transaction is over nevertheless. The commit
        // must not be sent again.
        let mut scope = Scope::above(self, 0);
        let core = scope.core();
        let _in_use = core.holding.in_use();
        if let Err(lost) = core.holding.check() {
            core.session.transaction.lose_lock(&lost);
        }
        let migration = core.session.transaction.journal.migration();
        let ended = match migration {
            Some(version) => core.observed.is_migration(version),
            None => Ended::Committed,
        };
        let operation = core.begin_operation(What::Commit(migration));
        let outcome = match core.holding.is_outside() {
            true => operation.within(core.commit_and_release()).await,
            false => operation.within(core.session.commit()).await,
        };
        core.session.observer.finish(operation, "COMMIT", &outcome);
        core.holding.end().await;
        core.end_transaction(match &outcome {
            Ok(()) => ended,
            Err(_) => Ended::RolledBack,
        });
        outcome
    }

    /// Commits, and releases the lock once the outcome is known, even if the future is dropped.
    /// Otherwise the next holder could read data that this commit is about to change.
    async fn commit_and_release(&mut self) -> QueryResult<()> {
        let another = self.session.another();
        let mut session = std::mem::replace(&mut self.session, another);
        let mut holding = std::mem::take(&mut self.holding);
        let (session, outcome) = C::Runtime::run_to_completion(carried(async move {
            let outcome = session.commit().await;
            holding.end().await;
            (session, outcome)
        }))
        .await;
        self.session = session;
        outcome
    }

    async fn roll_back_innermost(&mut self) -> QueryResult<()> {
        if self.session.transaction.depth() != 1 {
            return self.session.roll_back().await;
        }
        let mut scope = Scope::above(self, 0);
        let core = scope.core();
        let outcome = core.observed.within(core.session.roll_back()).await;
        core.holding.end().await;
        core.end_transaction(Ended::RolledBack);
        outcome
    }

    /// Rolls back the open transactions above a depth, without waiting. A lock is released in the
    /// background.
    pub(crate) fn abandon(&mut self, depth: usize) {
        while self.session.transaction.depth() > depth {
            let level = self.depth(0);
            self.event(level, InstrumentationEvent::rollback_transaction);
            if self.session.abandon().is_err() {
                break;
            }
        }
        if !self.is_in_transaction() {
            self.holding.abandon();
            self.end_transaction(Ended::RolledBack);
        }
    }

    /// Starts to renew a lock that was acquired by an operation that began at `began`.
    fn keep_lock(&mut self, began: Instant) {
        if let Some(lease) = &self.session.transaction.lease {
            if lease.is_held() {
                self.observed.has_lock();
            }
            self.holding.keep_alive::<C>(lease, began, &self.config);
        }
    }

    /// Returns the parsed statement of a text if it is cached. `is_kept` means that the text is
    /// likely to be run again.
    fn known_statement(&self, sql: &str, is_kept: bool) -> Option<Arc<Kept>> {
        (is_kept && self.keeps_statements)
            .then(|| self.session.statements.get(sql))
            .flatten()
    }

    fn query<'q>(
        &self,
        known: Option<&'q Kept>,
        sql: &'q str,
        is_kept: bool,
    ) -> QueryResult<Query<'q>> {
        if let Some(known) = known {
            self.session.observer.count(Count::CacheHits);
            return Ok(known.query());
        }
        self.session.observer.count(Count::CacheMisses);
        let query = Query::parse(sql).map_err(|error| self.not_sent(error))?;
        if is_kept && self.keeps_statements && self.session.statements.keep(sql, &query) {
            self.tell(InstrumentationEvent::cache_query(sql));
        }
        Ok(query)
    }

    /// Returns the error for a text that can't be parsed.
    pub(super) fn not_sent(&self, error: SqlError) -> Error {
        let error = error::not_sent(error);
        self.session.observer.refuse(&error);
        error
    }

    /// Sets whether statements are cached, see [`Statements`](crate::statement::Statements).
    pub(crate) fn keep_statements(&mut self, size: CacheSize) {
        self.keeps_statements = !matches!(size, CacheSize::Disabled);
    }

    pub(crate) async fn execute(
        &mut self,
        sql: &str,
        is_kept: bool,
        binds: Vec<Bind<'_>>,
        options: Option<Box<QueryOptions>>,
    ) -> QueryResult<usize> {
        let mut steered = Steered::for_query(self, options)?;
        let core = steered.core();
        let known = core.known_statement(sql, is_kept);
        let query = core.query(known.as_deref(), sql, is_kept)?;
        if let Some(control) = query.control().map_err(error::not_sent)? {
            core.check_may_begin()?;
            return core.control(control).await.map(|()| 0);
        }
        core.learn_from_concurrent();
        let mut scope = Scope::of_query(core);
        let core = scope.core();
        let _in_use = core.holding.in_use();
        let began = Instant::now();
        let operation = core.begin_operation(What::Query {
            found: query.found(),
            binds: &binds,
        });
        let outcome = operation.within(core.session.execute(query, binds)).await;
        core.session.observer.finish(operation, sql, &outcome);
        core.keep_lock(began);
        scope.keep();
        outcome
    }

    pub(crate) async fn rows(
        &mut self,
        sql: &str,
        is_kept: bool,
        binds: Vec<Bind<'_>>,
        types: Option<&[RqliteType]>,
        options: Option<Box<QueryOptions>>,
    ) -> QueryResult<Found<C>> {
        let mut steered = Steered::for_query(self, options)?;
        let core = steered.core();
        let known = core.known_statement(sql, is_kept);
        let query = core.query(known.as_deref(), sql, is_kept)?;
        core.learn_from_concurrent();
        let mut scope = Scope::of_query(core);
        let core = scope.core();
        let _in_use = core.holding.in_use();
        let began = Instant::now();
        let operation = core.begin_operation(What::Query {
            found: query.found(),
            binds: &binds,
        });
        let outcome = operation
            .within(core.session.rows(query, binds, types))
            .await;
        core.session.observer.finish(operation, sql, &outcome);
        core.keep_lock(began);
        scope.keep();
        outcome
    }

    /// Returns a core for a query that runs concurrently with others. Such a query can't be part of
    /// a transaction.
    #[cfg(feature = "async")]
    pub(crate) fn concurrent(&self) -> QueryResult<Self> {
        if self.is_in_transaction() {
            return Err(Error::AlreadyInTransaction);
        }
        let mut core = Self::of(self.session.another(), &self.config);
        core.is_concurrent = true;
        core.options = self.options.clone();
        core.keeps_statements = self.keeps_statements;
        if let Some(nodes) = &*locked(&self.concurrent.nodes) {
            core.session.nodes = nodes.clone();
        }
        Ok(core)
    }

    /// Takes over state that a concurrent query has learned.
    #[cfg(feature = "async")]
    pub(crate) fn end_concurrent(&self, other: &mut Self) {
        let nodes = other.session.nodes.clone();
        *locked(&self.concurrent.nodes) = Some(nodes);
        if other.session.transaction.did != Did::unknown() {
            self.concurrent.wrote.store(true, Ordering::Relaxed);
        }
    }

    /// Applies state that concurrent queries have learned.
    pub(super) fn learn_from_concurrent(&mut self) {
        #[cfg(feature = "async")]
        if let Some(nodes) = inner(&mut self.concurrent.nodes).take() {
            self.session.nodes = nodes;
            if self.concurrent.wrote.swap(false, Ordering::Relaxed) {
                self.session.transaction.did = Did::unknown();
            }
        }
    }

    /// Refuses to begin a transaction in a concurrent query, since nothing could end it.
    fn check_may_begin(&self) -> QueryResult<()> {
        match self.is_concurrent {
            true => Err(error::statement_error(
                "a transaction needs the connection for itself",
                None,
            )),
            false => Ok(()),
        }
    }

    /// Runs a script. Its statements are one atomic request, unless the script begins and ends
    /// transactions of its own, or switches foreign keys on or off.
    pub(crate) async fn script(&mut self, sql: &str) -> QueryResult<()> {
        let found = parse(sql).map_err(|error| self.not_sent(error))?;
        self.learn_from_concurrent();
        if found.iter().all(|parsed| parsed.form().is_control()) {
            // Transactions have their own spans, which may outlive the script.
            return self.statements_of_script(found).await;
        }
        let operation = self.begin_operation(What::Script(&found));
        let outcome = operation.within(self.statements_of_script(found)).await;
        self.session.observer.finish(operation, sql, &outcome);
        outcome
    }

    async fn statements_of_script(&mut self, found: Vec<Parsed<'_>>) -> QueryResult<()> {
        for parsed in &found {
            let not_sent = |error: SqlError| error::not_sent(error.at(parsed.position()));
            if Control::of(parsed).map_err(not_sent)?.is_none() {
                parsed.check().map_err(not_sent)?;
            }
        }
        let sections = script::sections(found, self.is_in_transaction());
        let last = script::last_foreign_keys(&sections);
        if last == Some(true) {
            self.session.check_foreign_keys().await?;
        }
        let outcome = self.sections(sections).await;
        if outcome.is_err() && last == Some(true) && !self.is_in_transaction() {
            // If the script switched foreign keys off, they are switched on again.
            self.session.set(Setting::ForeignKeys(true)).await?;
        }
        outcome
    }

    async fn sections(&mut self, sections: Vec<Section<'_>>) -> QueryResult<()> {
        for section in sections {
            match section {
                Section::Set(setting) => {
                    self.session.set(setting).await?;
                }
                Section::Statements(found) => self.section(found).await?,
            }
        }
        Ok(())
    }

    async fn section(&mut self, mut found: Vec<Parsed<'_>>) -> QueryResult<()> {
        let controls = found.iter().map(Control::of);
        let controls: Result<Vec<_>, _> = controls.collect();
        let controls = controls.map_err(error::not_sent)?;
        let mut scope = Scope::of_query(self);
        let core = scope.core();
        let number = controls.iter().flatten().count();
        let framed = number == 2 && !core.is_in_transaction() && strip_begin_and_commit(&mut found);
        let outcome = match number {
            0 => core.run_around_vacuums(&found).await,
            _ if framed => core.run(&found, true).await,
            _ => core.run_between(found, controls).await,
        };
        scope.keep();
        outcome
    }

    /// Runs statements that may include VACUUM. VACUUM can't run in a transaction, so the
    /// statements before and after it are separate requests.
    async fn run_around_vacuums(&mut self, found: &[Parsed<'_>]) -> QueryResult<()> {
        let is_vacuum = |parsed: &Parsed<'_>| parsed.form() == Form::Vacuum;
        if self.is_in_transaction() || !found.iter().any(is_vacuum) {
            return self.run(found, false).await;
        }
        let kinds = |one: &Parsed<'_>, other: &Parsed<'_>| !is_vacuum(one) && !is_vacuum(other);
        for group in found.chunk_by(kinds) {
            self.run(group, false).await?;
        }
        Ok(())
    }

    async fn run_between(
        &mut self,
        found: Vec<Parsed<'_>>,
        controls: Vec<Option<Control>>,
    ) -> QueryResult<()> {
        self.check_may_begin()?;
        let mut statements = found.into_iter();
        let mut group = Vec::new();
        for control in controls {
            let parsed = statements.next();
            match control {
                None => group.extend(parsed),
                Some(control) => {
                    self.run(&std::mem::take(&mut group), false).await?;
                    self.control(control).await?;
                }
            }
        }
        self.run(&group, false).await
    }

    async fn run(&mut self, found: &[Parsed<'_>], framed: bool) -> QueryResult<()> {
        let _in_use = self.holding.in_use();
        let began = Instant::now();
        let outcome = self.session.run(found, framed).await;
        self.keep_lock(began);
        outcome
    }

    /// Applies `BEGIN`, `COMMIT` and similar statements to the client's transaction.
    async fn control(&mut self, control: Control) -> QueryResult<()> {
        let depth = self.session.transaction.depth();
        let sqlite = |message: &str| Err(error::statement_error(message, None));
        match control {
            Control::Begin { .. } if depth > 0 => sqlite(TRANSACTION_OPEN),
            Control::Begin { immediate } => {
                if immediate {
                    self.next = Some(self.immediate_options());
                }
                self.begin(None).await
            }
            Control::Savepoint(name) => self.begin(Some(name)).await,
            Control::Commit if depth == 0 => sqlite(End::Commit.without_transaction()),
            Control::Commit => self.close_to(0, End::Commit).await,
            Control::RollBack if depth == 0 => sqlite(End::RollBack.without_transaction()),
            Control::RollBack => self.close_to(0, End::RollBack).await,
            Control::Release(name) => match self.session.transaction.depth_of(&name) {
                Some(depth) => self.close_to(depth - 1, End::Commit).await,
                None => sqlite(&format!("no such savepoint: {name}")),
            },
            Control::RollBackTo(name) => match self.session.transaction.depth_of(&name) {
                Some(depth) => {
                    self.close_to(depth, End::RollBack).await?;
                    self.session.transaction.roll_back_to_mark();
                    Ok(())
                }
                None => sqlite(&format!("no such savepoint: {name}")),
            },
        }
    }

    /// Commits the innermost transaction that Diesel began. If its savepoints can't be closed, it
    /// is rolled back.
    pub(crate) async fn commit_for_diesel(&mut self) -> QueryResult<()> {
        let committed = self.close_savepoints(End::Commit).await;
        if committed.is_err() {
            self.roll_back_for_diesel().await?;
            return committed;
        }
        self.end_for_diesel(End::Commit).await
    }

    pub(crate) async fn roll_back_for_diesel(&mut self) -> QueryResult<()> {
        self.close_savepoints(End::RollBack).await?;
        self.end_for_diesel(End::RollBack).await
    }

    /// Ends the innermost transaction that Diesel began. The end is reported to the instrumentation
    /// as by Diesel's own backends.
    async fn end_for_diesel(&mut self, end: End) -> QueryResult<()> {
        let depth = self.session.transaction.depth();
        let was_ended = depth == 0 && self.own > 0;
        self.own = self.own.saturating_sub(1);
        if depth == 0 && !was_ended {
            return Err(Error::NotInTransaction);
        }
        self.event(self.depth(0).or(NonZeroU32::new(1)), end.event());
        let text = end.as_sql(depth);
        let query = StrQueryHelper::new(&text);
        self.started(&query);
        let outcome = match end {
            _ if was_ended => Err(error::statement_error(end.without_transaction(), None)),
            End::Commit => self.commit_innermost().await,
            End::RollBack => self.roll_back_innermost().await,
        };
        self.finished(&query, outcome.as_ref().err());
        outcome
    }

    /// Ends the savepoints that SQL opened inside the innermost transaction that Diesel began. They
    /// end with it, as on SQLite. Otherwise the end of the transaction would be taken for the end
    /// of a savepoint.
    async fn close_savepoints(&mut self, end: End) -> QueryResult<()> {
        match self.session.transaction.depth_without_savepoints() {
            Some(depth) => self.close_to(depth, end).await,
            None => Ok(()),
        }
    }

    /// Ends transactions until only `depth` of them are open.
    async fn close_to(&mut self, depth: usize, end: End) -> QueryResult<()> {
        while self.session.transaction.depth() > depth {
            self.event(self.depth(0), end.event());
            match end {
                End::Commit => self.commit_innermost().await?,
                End::RollBack => self.roll_back_innermost().await?,
            }
        }
        Ok(())
    }

    pub(crate) fn describe(&self, mut text: fmt::DebugStruct<'_, '_>) -> fmt::Result {
        text.field("nodes", &self.session.nodes)
            .field("transaction", &self.session.transaction)
            .finish_non_exhaustive()
    }

    pub(crate) fn instrument(&mut self, instrumentation: DynInstrumentation) {
        *self.instrumentation() = instrumentation;
    }

    pub(crate) fn instrumentation(&mut self) -> &mut DynInstrumentation {
        inner(&mut self.instrumentation)
    }

    fn tell(&self, event: InstrumentationEvent<'_>) {
        locked(&self.instrumentation).on_connection_event(event);
    }

    pub(crate) fn started(&self, query: &dyn DebugQuery) {
        self.named(query, |query| {
            self.tell(InstrumentationEvent::start_query(query));
        });
    }

    pub(crate) fn finished(&self, query: &dyn DebugQuery, error: Option<&Error>) {
        self.named(query, |query| {
            self.tell(InstrumentationEvent::finish_query(query, error));
        });
    }

    /// Reports a query, with the comment of its options put before its text.
    fn named(&self, query: &dyn DebugQuery, tell: impl FnOnce(&dyn DebugQuery)) {
        match self.options.comment() {
            None => tell(query),
            Some(comment) => tell(&StrQueryHelper::new(&format!("{comment}{query}"))),
        }
    }

    /// Returns the depth of the innermost open transaction after `change` more have begun.
    fn depth(&self, change: usize) -> Option<NonZeroU32> {
        let depth = u32::try_from(self.session.transaction.depth() + change).ok()?;
        NonZeroU32::new(depth)
    }

    fn event(
        &self,
        depth: Option<NonZeroU32>,
        event: fn(NonZeroU32) -> InstrumentationEvent<'static>,
    ) {
        if let Some(depth) = depth {
            self.tell(event(depth));
        }
    }
}

impl<C: Client> Drop for Core<C> {
    /// Releases the lock of a transaction that is still open.
    fn drop(&mut self) {
        if std::thread::panicking() {
            // An instrumentation that panics as well would abort the process.
            self.instrument(DynInstrumentation::none());
        }
        self.abandon(0);
    }
}

/// A type that contains a [`Core`].
pub(crate) trait HasCore {
    type Client: Client;

    fn core(&mut self) -> &mut Core<Self::Client>;
}

impl<C: Client> HasCore for Core<C> {
    type Client = C;

    fn core(&mut self) -> &mut Core<C> {
        self
    }
}

/// A scope that rolls back transactions on drop if they were opened inside it and are still open,
/// after a panic or when a future is dropped. A later user of the connection must not commit them.
pub(crate) struct Scope<'a, T: HasCore> {
    of: &'a mut T,
    depth: usize,
    /// For a query: the serial number of the outermost transaction, and the length of its journal
    /// before the query.
    query: Option<(u64, usize)>,
}

impl<'a, T: HasCore> Scope<'a, T> {
    pub(crate) fn new(of: &'a mut T) -> Self {
        let depth = of.core().session.transaction.depth();
        Self::above(of, depth)
    }

    fn above(of: &'a mut T, depth: usize) -> Self {
        Scope {
            of,
            depth,
            query: None,
        }
    }

    /// Opens a scope for one query, which may consist of several statements. Either the whole query
    /// is collected, or nothing of it.
    fn of_query(of: &'a mut T) -> Self {
        let transaction = &of.core().session.transaction;
        let query = transaction.is_open();
        let query = query.then(|| (transaction.serial(), transaction.journal.len()));
        let mut scope = Self::new(of);
        scope.query = query;
        scope
    }

    pub(crate) fn get(&mut self) -> &mut T {
        self.of
    }

    pub(crate) fn core(&mut self) -> &mut Core<T::Client> {
        self.of.core()
    }

    /// Closes the scope after success: transactions that are open now stay open.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl<T: HasCore> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        let (mut depth, query) = (self.depth, self.query);
        let core = self.core();
        if query.is_some_and(|(serial, _)| serial != core.session.transaction.serial()) {
            // A script has ended the transaction it was in, and has begun another one.
            depth = 0;
        }
        core.abandon(depth);
        if let Some((_, before)) = query
            && core.session.transaction.depth() == depth
        {
            core.session.transaction.undo_query(before);
        }
    }
}
