//! The beginning and the end of transactions: for Diesel, and for SQL that says so.
//!
//! The outermost transaction takes its lock when it begins. One that is a row in rqlite is taken with
//! the first request, unless the transaction is immediate. `Holding` keeps the lock until the outcome is known.
//!
//! There are three ways to the end: a commit, a rollback, and [`Core::abandon`], which can't wait. After
//! each of them the transaction is over for the client, whatever the outcome, and the lock is given
//! back. A lock that is not in rqlite is given back only after the answer to the
//! commit, even if the future of the commit is dropped.
//!
//! Diesel counts its own transactions. SQL may open savepoints inside of them, and may end them.
//! `Core::own` is Diesel's count; the depth of the session's transaction is the real one.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Instant;

use diesel::QueryResult;
use diesel::connection::{InstrumentationEvent, StrQueryHelper};
use diesel::result::Error;

use super::{Core, Scope};
use crate::error;
use crate::lock::{Locking, RqliteLock};
use crate::observe::{End as Ended, Span, What, carried};
use crate::runtime::Runtime;
use crate::session::{Client, Committed};
use crate::transaction::{Claim, Options, TransactionMode};

/// The way a transaction ends.
#[derive(Clone, Copy)]
pub(super) enum End {
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
    pub(super) fn without_transaction(self) -> &'static str {
        match self {
            End::Commit => "cannot commit - no transaction is active",
            End::RollBack => "cannot rollback - no transaction is active",
        }
    }
}

impl<C: Client> Core<C> {
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
    pub(crate) fn may_be_run_again(&self) -> bool {
        self.session.transaction.may_be_run_again()
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.session.transaction.is_open()
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
    pub(super) async fn begin(&mut self, name: Option<String>) -> QueryResult<()> {
        self.event(self.depth(1), InstrumentationEvent::begin_transaction);
        self.open(name).await
    }

    /// Opens a transaction. An outermost one takes its lock.
    async fn open(&mut self, name: Option<String>) -> QueryResult<()> {
        if self.is_in_transaction() {
            return self.session.transaction.begin(name);
        }
        self.session.transaction.forget_the_last();
        let options = self.next.take();
        let options = options.unwrap_or_else(|| self.config.transaction_options());
        let mut scope = Scope::new(self);
        let core = scope.core();
        let immediate = options.immediate;
        core.observed = core.session.observer.begin_transaction(options.mode.name());
        let claim = core.hold(&options).await?;
        let options = core.session.transaction_options(options);
        if let Err(error) = core.session.transaction.open(options, claim, name) {
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
    async fn hold(&mut self, options: &Options) -> QueryResult<Claim> {
        let taking = self.holding.begin::<C::Runtime>(options);
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

    /// Records the end of the outermost transaction.
    fn end_transaction(&mut self, ended: Ended) {
        let ended = match self.session.transaction.has_conflicted() {
            true => Ended::Conflicted,
            false => ended,
        };
        self.observed.end(ended);
    }

    /// Releases the lock of a transaction that is no longer used, after a while, see [`Holding::watch`].
    #[cfg(feature = "async")]
    pub(crate) fn watch(&mut self) {
        self.holding.watch::<C::Runtime>(&self.session.transaction);
    }

    /// Commits the innermost transaction, which may be a savepoint.
    async fn commit_innermost(&mut self) -> QueryResult<()> {
        if self.session.transaction.depth() != 1 {
            return self.session.commit().await.map(|_| ());
        }
        // If the future of the commit is dropped, the transaction is over nevertheless. The commit
        // must not be sent again.
        let mut scope = Scope::above(self, 0);
        let core = scope.core();
        let _in_use = core.holding.in_use();
        if let Err(lost) = core.holding.check() {
            core.session.transaction.lose_lock(&lost);
        }
        let migration = core.session.transaction.journal().migration();
        let is_migration = migration.is_some();
        if let Some(version) = migration {
            core.observed.is_migration(version);
        }
        let operation = core.begin_operation(What::Commit(migration));
        let outcome = match core.holding.is_outside() {
            true => operation.within(core.commit_and_release()).await,
            false => operation.within(core.session.commit()).await,
        };
        let ended = match &outcome {
            Ok(Committed::Here) if is_migration => Ended::Migrated,
            Ok(Committed::Here) => Ended::Committed,
            Ok(Committed::AlreadyMigrated) => Ended::AlreadyMigrated,
            Err(_) => Ended::RolledBack,
        };
        let outcome = outcome.map(|_| ());
        core.session.observer.finish(operation, "COMMIT", &outcome);
        core.holding.end().await;
        core.end_transaction(ended);
        outcome
    }

    /// Commits, and releases the lock once the outcome is known, even if the future is dropped.
    /// Otherwise the next holder could read data that this commit is about to change.
    async fn commit_and_release(&mut self) -> QueryResult<Committed> {
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
    pub(super) fn keep_lock(&mut self, began: Instant) {
        if let Some(lease) = self.session.transaction.claim().lease() {
            if lease.is_held() {
                self.observed.has_lock();
            }
            self.holding.keep_alive::<C>(lease, began, &self.config);
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
    pub(super) async fn close_to(&mut self, depth: usize, end: End) -> QueryResult<()> {
        while self.session.transaction.depth() > depth {
            self.event(self.depth(0), end.event());
            match end {
                End::Commit => self.commit_innermost().await?,
                End::RollBack => self.roll_back_innermost().await?,
            }
        }
        Ok(())
    }
}
