//! Reads inside a transaction: peeks at the database as if the writes that wait for the commit had been
//! applied.
//!
//! A peek is one request: the writes of the journal, the guards over what was shown before, and then the statements
//! that the caller wants to run, the *tails*. Its last statement fails on purpose, which undoes all of it. If neither
//! the journal nor the tails write, the request is a plain read.
//! [`Transaction::peek`](crate::transaction::Transaction::peek) puts it together, and
//! [`peeked`](crate::transaction::Transaction::peeked) reads its answer.
//!
//! [`Session::transaction_read`] decides how a query is run:
//!
//! * In the mode Deferred it runs like a query outside of transactions, once the lock is held.
//! * A PRAGMA or EXPLAIN can't be compared. It is peeked, without a guard.
//! * Any other query goes to [`Session::guarded_read`], which needs to know the number of its columns: from the types,
//!   from its text, or from the server.
//!
//! All peeks go through [`Session::try_peek`], except for what runs with the request that takes the lock
//! ([`Session::lock_and_peek`]). It decides which peeks compare earlier reads. A peek changes nothing on the server, so it may be sent any
//! number of times.

use diesel::QueryResult;
use diesel::result::Error;
use diesel_rqlite_sql::ByKey;

use super::autocommit::is_about_subquery;
use super::{Client, Session, named, rows_of};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::error;
use crate::observe::Count;
use crate::protocol::request::{Exchange, ReadConsistency};
use crate::protocol::response::StatementResult;
use crate::protocol::rows::Rows;
use crate::statement::{self, Read, Statement};
use crate::transaction::{Peek, RowKey, TransactionMode, row_of};

impl<C: Client> Session<C> {
    /// Runs statements after everything that the transaction did so far, and keeps none of their effects.
    ///
    /// `writes` tells whether one of them may write. Returns a result for each, up to the first that failed: the
    /// failure is the last result, and the following ones are missing. Without `tails` it only compares what was shown.
    ///
    /// Fails if a statement of the journal fails. Then the transaction is left in a state in which it has to be rolled
    /// back, wholly or to before that entry.
    pub(super) async fn peek(
        &mut self,
        tails: &[&Statement<'_>],
        writes: bool,
    ) -> QueryResult<Vec<StatementResult>> {
        let results = self.try_peek(tails, writes).await?;
        results.ok_or_else(error::unwritable)
    }

    /// Does the same as [`peek`](Self::peek). Returns `None` if rqlite can't write the values as JSON.
    ///
    /// The steps are:
    ///
    /// 1. If a lock in rqlite is still to be taken, it is taken. Where nothing writes, the tails run in the same
    ///    request, and their results are returned at once. There is nothing to compare then: the first thing that a
    ///    transaction with a lock is shown comes with the lock.
    /// 2. The peek is put together. It compares earlier reads if [`wants_validation`] says so, and always without
    ///    tails.
    /// 3. It is sent at the level of the connection. At the level `none`, the node may lag behind. So after a conflict
    ///    the peek is sent at `weak`, and a read that fails is sent again at `weak`.
    ///
    /// [`wants_validation`]: crate::transaction::Journal::wants_validation
    pub(super) async fn try_peek(
        &mut self,
        tails: &[&Statement<'_>],
        writes: bool,
    ) -> QueryResult<Option<Vec<StatementResult>>> {
        self.transaction.check_guarded()?;
        if self.wants_lock() {
            if !writes && !self.transaction.journal().has_writes() {
                let results = Box::pin(self.lock_and_peek(tails))
                    .await?
                    .unwrap_or_default();
                // Otherwise somebody else held the lock, or the values can't be written. The lock is held now, and the
                // peek follows.
                if !results.is_empty() {
                    return Ok(Some(results));
                }
            } else {
                Box::pin(self.take_lock()).await?;
            }
        }
        let validate = tails.is_empty() || self.transaction.journal().wants_validation();
        let peek = self.transaction.peek(tails, writes, validate);
        let mut exchange = peek.exchange.clone();
        if self.settings.level == ReadConsistency::None && self.transaction.follows_conflict() {
            // A node that lags behind would return the same rows again.
            exchange = exchange.at(ReadConsistency::Weak);
        }
        let Some(results) = self.send_peek(&peek, &exchange).await? else {
            return Ok(None);
        };
        let failed = matches!(results.last(), Some(StatementResult::Failed(_)));
        if failed
            && self.settings.level == ReadConsistency::None
            && exchange.level.is_none()
            && !peek.writes
        {
            // The node may lag behind and not know the table yet.
            return self
                .send_peek(&peek, &exchange.at(ReadConsistency::Weak))
                .await;
        }
        Ok(Some(results))
    }

    /// Sends a peek. Returns `None` if rqlite can't write the values as JSON. That shows either in the failure of the
    /// whole request or, for a time beyond the year 9999, in that of a statement.
    async fn send_peek(
        &mut self,
        peek: &Peek,
        exchange: &Exchange,
    ) -> QueryResult<Option<Vec<StatementResult>>> {
        self.observer.count(Count::Peeks);
        let body = match self.send(exchange).await {
            Err(failure) if failure.is_unwritable() => return Ok(None),
            outcome => outcome.map_err(error::failure)?,
        };
        match self.transaction.peeked(peek, &body) {
            Err(error) if error::is_unwritable(&error) => Ok(None),
            results => results.map(Some),
        }
    }

    /// Asks for a part of the schema. In an open transaction, asks as the transaction sees it, unless its mode is
    /// Deferred: that mode has no peeks. Nothing is guarded, so a later change of the schema by another client goes
    /// unnoticed here.
    pub(super) async fn ask_as_seen(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        match self.transaction.is_open() && self.sees_own_writes() {
            true => self.peek_rows(statement).await,
            false => self.ask(statement).await,
        }
    }

    /// Returns whether a question of the transaction sees its writes. Without foreign keys the mode is Deferred.
    pub(super) fn sees_own_writes(&self) -> bool {
        self.transaction.mode() != TransactionMode::Deferred
    }

    /// Runs one statement as the transaction sees the database, without a guard. Returns its rows.
    pub(super) async fn peek_rows(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let mut results = self.peek(&[statement], false).await?;
        rows_of(results.pop(), statement)
    }

    /// Runs a query in a transaction. Guards its rows if they can be compared, except in the mode Deferred.
    ///
    /// Returns all rows at once. Fails before anything is sent if the transaction can't go on, or if the connection has
    /// foreign keys off.
    pub(super) async fn transaction_read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Rows> {
        self.transaction.check_usable()?;
        self.check_may_read()?;
        if self.transaction.mode() == TransactionMode::Deferred {
            // A lock in rqlite and the first read are one request, if possible. Otherwise the lock has to be held
            // before the read begins, or the fence of a lock held elsewhere be raised: no commit compares these rows.
            if let Some(rows) = Box::pin(self.read_with_lock(read, types)).await? {
                return Ok(rows);
            }
            Box::pin(self.take_lock_if_wanted()).await?;
            self.raise_fence_if_wanted().await?;
            self.warn_of_unguarded_read();
            let mut found = self.read(read, types, usize::MAX).await?;
            return found.rows.pop().ok_or_else(error::cut_short);
        }
        if !read.is_wrappable() {
            return self.peek_rows(&read.plain()).await;
        }
        if let Some(types) = types {
            match self
                .guarded_read(read, Some(types), read.typed_names(types.len()))
                .await
            {
                // The query has another number of columns, which Diesel reports.
                Err(Error::DatabaseError(_, information))
                    if is_about_subquery(information.message()) => {}
                outcome => return outcome,
            }
        }
        let names = match read.column_names() {
            Some(names) => names.to_vec(),
            None => Box::pin(self.columns_of(read)).await?,
        };
        self.guarded_read(read, None, names).await
    }

    /// Returns the names of the columns as the server knows them, which costs a request. Before that, the
    /// schema is read, for the reason that [`statement::raw_query`] gives.
    async fn columns_of(&mut self, read: &Read<'_>) -> QueryResult<Vec<String>> {
        let (schema, columns) = (statement::read_of_schema(), read.columns());
        let mut results = self.peek(&[&schema, &columns], false).await?;
        rows_of(results.pop(), &columns).map(|rows| rows.columns().to_vec())
    }

    /// Takes a lock in rqlite and reads, in one request. Returns `None` if there is no lock to take, if another client
    /// held it, if the query failed, or if the rows need another form. The caller then runs the query again, which also
    /// reports its error. The lock may be held or not after that.
    async fn read_with_lock(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Option<Rows>> {
        let Some(statement) = read.exact(types).filter(|_| self.wants_lock()) else {
            return Ok(None);
        };
        let results = self.lock_and_peek(&[&statement]).await?;
        let result = results.and_then(|results| results.into_iter().next());
        Ok(match result {
            Some(StatementResult::Rows(rows)) if !rows.may_differ() => {
                Some(named(rows, &statement))
            }
            _ => None,
        })
    }

    /// Warns once per process of a read that neither a guard nor a lock protects.
    fn warn_of_unguarded_read(&self) {
        #[cfg(feature = "tracing")]
        if self.transaction.is_without_lock() {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| {
                tracing::warn!(
                    "a transaction of the mode Deferred reads without a lock: what it read may have changed at its commit"
                );
            });
        }
    }

    /// Returns the row that a statement finds by its primary key, if the key is known and given completely.
    pub(super) fn row_of(
        &self,
        by_key: &ByKey,
        value: impl Fn(usize) -> Option<Bind<'static>>,
    ) -> Option<RowKey> {
        row_of(by_key, &self.keys, value)
    }
}
