//! Reads inside a transaction: peeks at the database as if the pending writes had been applied.

use diesel::QueryResult;
use diesel::result::Error;
use diesel_rqlite_sql::ByKey;

use super::alone::is_about_subquery;
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

/// The largest size of a transaction's guards, in bytes. They are part of its commit, and of the Raft log.
pub(super) const GUARDS: usize = 16 << 20;

impl<C: Client> Session<C> {
    /// Runs statements after everything that the transaction did so far, and keeps none of their effects.
    pub(super) async fn look(
        &mut self,
        tails: &[&Statement<'_>],
        writes: bool,
    ) -> QueryResult<Vec<StatementResult>> {
        let results = self.look_at_writable(tails, writes).await?;
        results.ok_or_else(error::unwritable)
    }

    /// Does the same as [`look`](Self::look). Returns `None` if rqlite can't write the values as JSON.
    pub(super) async fn look_at_writable(
        &mut self,
        tails: &[&Statement<'_>],
        writes: bool,
    ) -> QueryResult<Option<Vec<StatementResult>>> {
        self.check_guarded()?;
        if self.wants_lock() {
            if !writes && !self.transaction.journal.has_writes() {
                let results = self.lock_and_look(tails).await?.unwrap_or_default();
                if !results.is_empty() {
                    return Ok(Some(results));
                }
            } else {
                self.take_lock().await?;
            }
        }
        let validate = tails.is_empty() || self.transaction.journal.wants_validation();
        let peek = self.transaction.peek(tails, writes, validate);
        let mut exchange = peek.exchange.clone();
        if self.settings.level == ReadConsistency::None && self.transaction.past.conflict {
            // A node that lags behind would return the same rows again.
            exchange = exchange.at(ReadConsistency::Weak);
        }
        let Some(results) = self.peek(&peek, &exchange).await? else {
            return Ok(None);
        };
        let failed = matches!(results.last(), Some(StatementResult::Failed(_)));
        if failed
            && self.settings.level == ReadConsistency::None
            && exchange.level.is_none()
            && !peek.writes
        {
            // The node may lag behind and not know the table yet.
            return self.peek(&peek, &exchange.at(ReadConsistency::Weak)).await;
        }
        Ok(Some(results))
    }

    /// Sends a peek. Returns `None` if rqlite can't write the values as JSON.
    async fn peek(
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
    /// Deferred.
    pub(super) async fn ask_as_seen(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let is_seen = self.transaction.is_open()
            && self.transaction.options.mode != TransactionMode::Deferred;
        match is_seen {
            true => self.look_at(statement).await,
            false => self.ask(statement).await,
        }
    }

    /// Runs one statement as the transaction sees the database, without a guard. Returns its rows.
    pub(super) async fn look_at(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let mut results = self.look(&[statement], false).await?;
        rows_of(results.pop(), statement)
    }

    /// Runs a query in a transaction. Guards its rows if they can be compared, except in the mode Deferred.
    pub(super) async fn transaction_read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Rows> {
        self.transaction.check_usable()?;
        self.check_may_read()?;
        if self.transaction.options.mode == TransactionMode::Deferred {
            if let Some(rows) = self.read_with_lock(read, types).await? {
                return Ok(rows);
            }
            self.take_lock_if_wanted().await?;
            self.raise_fence_if_wanted().await?;
            self.warn_of_unguarded_read();
            let mut found = self.read(read, types, usize::MAX).await?;
            return found.rows.pop().ok_or_else(error::cut_short);
        }
        if !read.is_wrappable() {
            return self.look_at(&read.plain()).await;
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
            Some(names) => names,
            None => self.columns_of(read).await?,
        };
        self.guarded_read(read, None, names).await
    }

    /// Returns the names of the columns as the server knows them. [`statement::raw_query`] explains the query before
    /// it.
    async fn columns_of(&mut self, read: &Read<'_>) -> QueryResult<Vec<String>> {
        let (schema, columns) = (statement::read_of_schema(), read.columns());
        let mut results = self.look(&[&schema, &columns], false).await?;
        rows_of(results.pop(), &columns).map(|rows| rows.columns)
    }

    /// Takes a lock in rqlite and reads, in one request. Returns `None` if there is no lock to take, if another client
    /// held it, or if the rows need another form.
    async fn read_with_lock(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
    ) -> QueryResult<Option<Rows>> {
        let Some(statement) = read.exact(types).filter(|_| self.wants_lock()) else {
            return Ok(None);
        };
        let results = self.lock_and_look(&[&statement]).await?;
        let result = results.and_then(|results| results.into_iter().next());
        Ok(match result {
            Some(StatementResult::Rows(rows)) if !rows.may_be_lossy() => {
                Some(named(rows, &statement))
            }
            _ => None,
        })
    }

    fn warn_of_unguarded_read(&self) {
        #[cfg(feature = "tracing")]
        if self.transaction.options.locking == crate::lock::Locking::None {
            static ONCE: std::sync::Once = std::sync::Once::new();
            ONCE.call_once(|| {
                tracing::warn!(
                    "a transaction of the mode Deferred reads without a lock: what it read may have changed at its commit"
                );
            });
        }
    }

    /// Fails if the transaction has read too much to do anything more.
    pub(super) fn check_guarded(&self) -> QueryResult<()> {
        match &self.transaction.journal.unguarded {
            None => Ok(()),
            Some(sql) => {
                let message = format!(
                    "the transaction has read more than {} MiB, which its commit would have to compare; read less, read \
                     before it begins, or use a lock and the mode Deferred: {sql}",
                    GUARDS >> 20,
                );
                Err(Error::QueryBuilderError(message.into()))
            }
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
