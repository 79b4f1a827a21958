//! The core of a connection, blocking or asynchronous: its queries, and what they have in common.
//! Diesel's traits are implemented in the neighbouring files of `connection`, one for each kind of
//! connection.
//!
//! * `transactions` begins and ends transactions, with their locks.
//! * `script` runs several statements, and the `BEGIN`, `COMMIT` and so on among them; `sections`
//!   says where a script is split.
//! * `scope` rolls back what a panic or a dropped future leaves open.
//! * `concurrent` lets several queries run at the same time.
//! * `reports` tells the instrumentation what happens.
//!
//! Each query is run in the same order: its options apply; its text is parsed, or found in the
//! cache; a scope and an operation begin; the session runs it; the operation is recorded; and a lock
//! that the query has taken is renewed from then on.

mod concurrent;
mod reports;
mod scope;
mod script;
mod sections;
mod transactions;

use std::any::TypeId;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use diesel::QueryResult;
use diesel::connection::{CacheSize, DynInstrumentation, InstrumentationEvent};
use diesel::query_builder::{QueryFragment, QueryId};
use diesel::result::{ConnectionError, ConnectionResult, Error};
use diesel_rqlite_sql::SqlError;

#[cfg(feature = "async")]
use self::concurrent::Concurrent;
pub(crate) use self::scope::{HasCore, Scope};
use super::holding::Holding;
use super::shared;
use super::{Steered, render};
use crate::backend::{Rqlite, RqliteType};
use crate::bind_collector::Bind;
use crate::config::RqliteConfig;
use crate::error;
use crate::observe::{Count, Observed, Operation, What};
use crate::protocol::options::QueryOptions;
#[cfg(any(feature = "async", feature = "r2d2"))]
use crate::protocol::request::ReadConsistency;
use crate::session::{Client, Found, Session};
#[cfg(any(feature = "async", feature = "r2d2"))]
use crate::statement;
use crate::statement::{Kept, Query};
use crate::transaction::Options;

/// The text of a query that Diesel has built.
pub(crate) enum Text {
    /// Known from a query of the same type.
    Kept(Arc<Kept>),
    Rendered {
        sql: String,
        /// Set if the statement is to be kept, because the text is likely to be run again.
        is_kept: bool,
        /// The type of the query, if the text of a kept statement follows from it.
        of: Option<TypeId>,
    },
}

impl Text {
    /// Returns a text that is run once.
    pub(crate) fn of_one_run(sql: String) -> Self {
        Text::Rendered {
            sql,
            is_kept: false,
            of: None,
        }
    }

    pub(crate) fn sql(&self) -> &str {
        match self {
            Text::Kept(kept) => kept.sql(),
            Text::Rendered { sql, .. } => sql,
        }
    }
}

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
    /// State learnt by queries that ran concurrently with this connection's own.
    #[cfg(feature = "async")]
    concurrent: Concurrent,
    /// `true` if the core serves a single query, and must leave no transaction open.
    is_concurrent: bool,
    /// See [`Statements`](crate::statement::Statements).
    keeps_statements: bool,
    /// The number of transactions that Diesel believes to be open. SQL may have ended some of them.
    own: usize,
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

    pub(super) fn begin_operation(&self, what: What<'_>) -> Operation {
        self.session.observer.begin(what, &self.observed.parent())
    }

    /// Returns the text of a query. It is rendered only if no statement of this type of query is
    /// kept.
    pub(crate) fn text_of<T: QueryFragment<Rqlite> + QueryId>(
        &self,
        source: &T,
    ) -> QueryResult<Text> {
        let is_kept = self.keeps_statements && source.is_safe_to_cache_prepared(&Rqlite)?;
        let of = if is_kept { T::query_id() } else { None };
        match of.and_then(|of| self.session.statements.of_type(of)) {
            Some(kept) => Ok(Text::Kept(kept)),
            None => Ok(Text::Rendered {
                sql: render(source)?,
                is_kept,
                of,
            }),
        }
    }

    /// Returns the parsed statement of a text if it is kept.
    fn known_statement(&self, text: &Text) -> Option<Arc<Kept>> {
        match text {
            Text::Kept(kept) => Some(Arc::clone(kept)),
            Text::Rendered { is_kept: false, .. } => None,
            Text::Rendered { sql, of, .. } => {
                let kept = self.session.statements.get(sql)?;
                self.note_type(*of, &kept);
                Some(kept)
            }
        }
    }

    fn note_type(&self, of: Option<TypeId>, kept: &Arc<Kept>) {
        if let Some(of) = of {
            self.session.statements.note_type(of, kept);
        }
    }

    fn query<'q>(&self, known: Option<&'q Kept>, text: &'q Text) -> QueryResult<Query<'q>> {
        if let Some(known) = known {
            self.session.observer.count(Count::CacheHits);
            return Ok(known.query());
        }
        self.session.observer.count(Count::CacheMisses);
        let sql = text.sql();
        let query = Query::parse(sql).map_err(|error| self.not_sent(error))?;
        if let Text::Rendered {
            is_kept: true, of, ..
        } = text
            && let Some(kept) = self.session.statements.keep(sql, &query)
        {
            self.note_type(*of, &kept);
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
        text: &Text,
        binds: Vec<Bind<'_>>,
        options: Option<Box<QueryOptions>>,
    ) -> QueryResult<usize> {
        let mut steered = Steered::for_query(self, options)?;
        let core = steered.core();
        let known = core.known_statement(text);
        let query = core.query(known.as_deref(), text)?;
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
        core.session
            .observer
            .finish(operation, text.sql(), &outcome);
        core.keep_lock(began);
        scope.keep();
        outcome
    }

    pub(crate) async fn rows(
        &mut self,
        text: &Text,
        binds: Vec<Bind<'_>>,
        types: Option<&[RqliteType]>,
        options: Option<Box<QueryOptions>>,
    ) -> QueryResult<Found<C>> {
        let mut steered = Steered::for_query(self, options)?;
        let core = steered.core();
        let known = core.known_statement(text);
        let query = core.query(known.as_deref(), text)?;
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
        core.session
            .observer
            .finish(operation, text.sql(), &outcome);
        core.keep_lock(began);
        scope.keep();
        outcome
    }

    pub(crate) fn describe(&self, mut text: fmt::DebugStruct<'_, '_>) -> fmt::Result {
        text.field("nodes", &self.session.nodes)
            .field("transaction", &self.session.transaction)
            .finish_non_exhaustive()
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
