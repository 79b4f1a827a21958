//! Reads inside a transaction: looks at the database as if what is pending had been applied.

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

/// How many bytes a transaction may read and still be guarded: they are part of its commit, and of the Raft log.
pub(super) const GUARDS: usize = 16 << 20;

impl<C: Client> Session<C> {
    /// Runs statements as if everything the transaction did had been applied, and keeps nothing of it.
    pub(super) async fn look(
        &mut self,
        tails: &[&Statement<'_>],
        writes: bool,
    ) -> QueryResult<Vec<StatementResult>> {
        let results = self.look_at_writable(tails, writes).await?;
        results.ok_or_else(error::unwritable)
    }

    /// The same. `None`: rqlite can't write the values as JSON.
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
            // From a node that lags behind, the same rows would come again.
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
            // The node may lag behind, and not know the table yet.
            return self.peek(&peek, &exchange.at(ReadConsistency::Weak)).await;
        }
        Ok(Some(results))
    }

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

    /// Asks for something of the schema, as the transaction sees it, if one is open that may look.
    pub(super) async fn ask_as_seen(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let is_seen = self.transaction.is_open()
            && self.transaction.options.mode != TransactionMode::Deferred;
        match is_seen {
            true => self.look_at(statement).await,
            false => self.ask(statement).await,
        }
    }

    pub(super) async fn look_at(&mut self, statement: &Statement<'_>) -> QueryResult<Rows> {
        let mut results = self.look(&[statement], false).await?;
        rows_of(results.pop(), statement)
    }

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
                // It has another number of columns, as Diesel will say.
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

    /// The names of the columns, as the server knows them. See [`statement::raw_query`] for the query in front.
    async fn columns_of(&mut self, read: &Read<'_>) -> QueryResult<Vec<String>> {
        let (schema, columns) = (statement::read_of_schema(), read.columns());
        let mut results = self.look(&[&schema, &columns], false).await?;
        rows_of(results.pop(), &columns).map(|rows| rows.columns)
    }

    /// Takes a lock in rqlite and reads, in one request. `None`: there is no lock to take, another held it, or the rows
    /// need another form.
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

    /// An error, if the transaction has read too much to go on with anything else.
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

    pub(super) fn row_of(
        &self,
        by_key: &ByKey,
        value: impl Fn(usize) -> Option<Bind<'static>>,
    ) -> Option<RowKey> {
        row_of(by_key, &self.keys, value)
    }
}
