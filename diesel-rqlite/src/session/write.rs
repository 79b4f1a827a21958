//! Writes inside a transaction. They wait for the commit, and are peeked if their outcome must be known before.
//!
//! Each write goes through these steps:
//!
//! 1. [`Transaction::check_writable`] refuses it if the transaction can't go on, is read-only, or has read too much.
//! 2. [`Session::take_write`] or [`Session::take_returning`] finds out what the closure is told: a count, or rows. The
//!    mode decides where it comes from: the text, knowledge of the rows, or a peek.
//! 3. [`Session::keep`] adds the write to the journal, with the [`Count`] that says how sure that is. The commit
//!    compares it.
//!
//! | count | where it comes from |
//! | --- | --- |
//! | `Unobserved` | The closure was told nothing that the commit could compare. |
//! | `Predicted` | [`Session::predict`] derived it, without a request. |
//! | `Observed` | A peek told it. |
//! | `FewerThan` | A peek failed because of a constraint, and the closure was told the error. |
//!
//! A query of several statements, such as a batch of rows, is taken as a whole or not at all: if one of them fails, the
//! entries of the others are undone. Only the failure itself stays in the journal, if it was shown. If the future is
//! dropped in the middle, `connection::core` does the same.
//!
//! A server that runs a write in a peek undoes it. So a write is in the database only after the commit, in every mode.
//!
//! [`Transaction::check_writable`]: crate::transaction::Transaction::check_writable

use diesel::QueryResult;
use diesel::result::Error;
use diesel_rqlite_sql::SqlError;

use super::autocommit::affected;
use super::{Client, Session};
use crate::error;
use crate::migration;
use crate::protocol::message::StatementError;
use crate::protocol::response::StatementResult;
use crate::protocol::rows::Rows;
use crate::sql::unstable::Ending;
use crate::statement::{Batch, Statement};
use crate::transaction::{Count, RowKey, TransactionMode, Write};

/// The column that tells equal rows apart, in a table that has rowids. It is read with the rows of RETURNING, for their
/// guard, and not returned to the caller.
const ROWID: &str = "_rowid_";

impl<C: Client> Session<C> {
    /// Takes writes, and returns the number of rows they affect. If one of several fails, none of them is kept.
    pub(super) async fn transaction_write(&mut self, batch: Batch<'_>) -> QueryResult<usize> {
        self.transaction.check_writable()?;
        let before = self.transaction.journal().len();
        let several = batch.statements.len() > 1;
        let mut rows = 0;
        for statement in batch.statements {
            match self.take_write(statement.into_owned()).await {
                Ok(written) => rows += written,
                Err(error) if several => return Err(self.undo_query(before, error)),
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    /// Takes writes, and returns the rows of those that have RETURNING. If one of several fails, none of them is kept.
    pub(super) async fn transaction_write_returning(
        &mut self,
        batch: Batch<'_>,
    ) -> QueryResult<Vec<Rows>> {
        self.transaction.check_writable()?;
        let before = self.transaction.journal().len();
        let several = batch.statements.len() > 1;
        let mut returned = Vec::new();
        for statement in batch.statements {
            let statement = statement.into_owned();
            let outcome = if statement.source.is_some() {
                self.take_returning(statement)
                    .await
                    .map(|rows| returned.push(rows))
            } else {
                self.take_write(statement).await.map(|_| ())
            };
            match outcome {
                Err(error) if several => return Err(self.undo_query(before, error)),
                outcome => outcome?,
            }
        }
        Ok(returned)
    }

    /// Takes the statements of a script. In the mode Eager a server runs them first, all in one peek. If one fails
    /// there, none is kept. In the other modes an error shows at the next peek, at the end of a nested transaction, or
    /// at the commit.
    ///
    /// The count of a statement is not told to anyone, so none is compared.
    pub(super) async fn transaction_run(&mut self, batch: Batch<'_>) -> QueryResult<()> {
        self.transaction.check_writable()?;
        let statements: Vec<_> = batch
            .statements
            .into_iter()
            .map(Statement::into_owned)
            .collect();
        if statements.is_empty() {
            return Ok(());
        }
        let seen = self.transaction.mode() == TransactionMode::Eager;
        if seen {
            let tails: Vec<_> = statements.iter().collect();
            let results = self.peek(&tails, true).await?;
            if let Some(StatementResult::Failed(message)) = results.last() {
                // The results end with the statement that failed.
                let failed = tails.get(results.len() - 1);
                let position = failed.and_then(|failed| failed.position);
                if failed.is_some_and(|failed| self.ending_of(failed).is_by(message)) {
                    self.transaction.ended_by_statement(message);
                }
                let place = error::Place::among(results.len(), tails.len(), position);
                return Err(error::error_at(message, place));
            }
        }
        for statement in statements {
            self.check_counters(&statement)?;
            let write = Write::new(statement, Count::Unobserved);
            self.keep(if seen { write.seen() } else { write });
        }
        Ok(())
    }

    /// Undoes a query of several statements that failed in the middle. Only the fact that it failed is kept. `before`
    /// is the length of the journal before the query. Returns the error.
    fn undo_query(&mut self, before: usize, error: Error) -> Error {
        self.transaction.undo_query(before);
        error
    }

    /// Fails if a statement asks for what the connection did last, and no write of this transaction stands before it.
    /// The server would answer for the write of another client.
    fn check_counters(&self, statement: &Statement<'_>) -> QueryResult<()> {
        let facts = statement.facts.as_ref();
        let function = facts.and_then(|facts| facts.connection_function);
        match function {
            Some(function) if !self.transaction.journal().has_live_writes() => {
                Err(error::not_sent(SqlError::OfConnection(function)))
            }
            _ => Ok(()),
        }
    }

    /// Takes one write, and returns the number of rows it affects. Asks a server if the mode or the write requires it.
    ///
    /// * Deferred: nothing is sent.
    /// * Interactive: nothing is sent if the statement has no count, like DDL, or if [`predict`](Self::predict) tells it.
    /// * Otherwise the write is peeked. If it fails there, its error is returned and it is not kept.
    async fn take_write(&mut self, statement: Statement<'static>) -> QueryResult<usize> {
        self.check_counters(&statement)?;
        if self.transaction.mode() == TransactionMode::Deferred {
            return self.defer(statement);
        }
        if self.transaction.mode() == TransactionMode::Interactive {
            if !statement.counted {
                self.keep(Write::new(statement, Count::Unobserved));
                return Ok(0);
            }
            if let Some(rows) = self.predict(&statement) {
                self.keep(Write::new(statement, Count::Predicted(rows)));
                return Ok(rows);
            }
        }
        let result = self.peek_write(&statement, &statement).await?;
        let rows = affected(&result);
        let count = match statement.counted {
            true => self.shown(&statement, rows),
            false => Count::Unobserved,
        };
        let told = if statement.counted { rows } else { 0 };
        self.keep(Write::new(statement, count).seen());
        Ok(told)
    }

    /// Takes a write without asking a server. Fails if it has RETURNING. Returns its count if the text tells it, and 0
    /// if not. The count is not compared at the commit.
    fn defer(&mut self, statement: Statement<'static>) -> QueryResult<usize> {
        if statement.source.is_some() {
            let message = "RETURNING in a transaction of the mode Deferred: its rows are not known before the commit; \
                           use the mode Interactive";
            return Err(Error::QueryBuilderError(message.into()));
        }
        let rows = statement.known_rows().unwrap_or(0);
        self.keep(Write::new(statement, Count::Unobserved));
        Ok(rows)
    }

    /// Returns the number of rows that a write will affect, if the client can tell. Returns `None` if a server has to
    /// be asked.
    ///
    /// The count of an INSERT of rows follows from its text. That of an UPDATE or DELETE by primary key follows from
    /// what the transaction knows of that row, or from how often the same text has found its row. The commit compares
    /// the count, so a wrong one costs a conflict and no more. Nothing is predicted
    ///
    /// * if the failure of the write may end the whole transaction: the closure has to learn that at once;
    /// * if the schema is not known, or may make the table skip rows without an error;
    /// * if an assumption was wrong before: about this text, or in the last transaction that failed, if none was
    ///   committed since.
    fn predict(&mut self, statement: &Statement<'_>) -> Option<usize> {
        if self.ending_of(statement).may_be() {
            return None;
        }
        let facts = statement.facts.as_ref();
        let table = facts.and_then(|facts| facts.written_table.as_deref())?;
        let proved = (self.unstable.as_ref()).is_some_and(|schema| !schema.may_skip_rows(table));
        if !proved {
            return None;
        }
        let row = self.row_of_write(statement);
        self.transaction.predict(statement, row.as_ref())
    }

    /// Peeks one form of a write to see its result. `form` is `statement` itself, or the same with a RETURNING clause.
    /// The schema is learnt by the same request. An error of the write is returned after
    /// [`write_failed`](Self::write_failed) has noted it.
    async fn peek_write(
        &mut self,
        statement: &Statement<'static>,
        form: &Statement<'_>,
    ) -> QueryResult<StatementResult> {
        let by_key = statement.by_key();
        let result = self.peek_and_learn(form, by_key, true).await?;
        let result = result.ok_or_else(error::unwritable)?;
        match result {
            StatementResult::Failed(message) => Err(self.write_failed(statement, &message).await),
            result => Ok(result),
        }
    }

    /// Returns the error of a write that failed in a peek, after noting what the closure learns by it:
    ///
    /// * A failure that ends the transaction on SQLite, by `OR ROLLBACK` for example, ends it here.
    /// * An INSERT of rows that violates a UNIQUE, NOT NULL or CHECK constraint must fail at the commit as well. The
    ///   journal gets it as an `INSERT OR IGNORE` that writes fewer rows, if another peek confirms that.
    /// * Any other failure leaves no trace in the journal, so the commit does not compare it.
    async fn write_failed(&mut self, statement: &Statement<'static>, message: &str) -> Error {
        if self.ending_of(statement).is_by(message) {
            self.transaction.ended_by_statement(message);
            return error::statement_error(message, None);
        }
        if let Some(write) = Write::failed(statement, message)
            && self.is_so(&write).await
        {
            self.transaction.write_was_shown_to_fail(write);
        }
        error::statement_error(message, None)
    }

    /// Asks a server whether a write has its count. An `INSERT OR IGNORE` may still fail: at a row that violates
    /// something else, or in a trigger, where OR IGNORE holds as well.
    async fn is_so(&mut self, write: &Write) -> bool {
        let guard = write.count.guard();
        let tails: Vec<_> = std::iter::once(&write.statement).chain(&guard).collect();
        let results = self.peek(&tails, true).await.unwrap_or_default();
        let failed = |result: &StatementResult| matches!(result, StatementResult::Failed(_));
        results.len() == tails.len() && !results.iter().any(failed)
    }

    /// Takes a write with RETURNING, and returns its rows. It is always peeked. Fails in the mode Deferred.
    ///
    /// The peek reads a key with each row, so that the guard can tell equal rows apart: the rowid, or the primary key
    /// if the server says that there is no rowid. The key is removed from the rows before they are returned. The
    /// journal gets the statement without RETURNING for later peeks, and a guarded form for the commit, unless no value
    /// of it may be compared.
    async fn take_returning(&mut self, mut statement: Statement<'static>) -> QueryResult<Rows> {
        if self.transaction.mode() == TransactionMode::Deferred {
            return self.defer(statement).map(|_| Rows::default());
        }
        let Some(source) = statement.source.take() else {
            return Ok(Rows::default());
        };
        self.check_counters(&statement)?;
        let mut key = vec![ROWID.to_owned()];
        let result = loop {
            let outcome = self.peek_write(&statement, &source.peeked(&key)).await;
            match outcome {
                // The table is WITHOUT ROWID, or is a view.
                Err(Error::DatabaseError(_, information))
                    if key == [ROWID]
                        && StatementError(information.message()).is_missing_column(ROWID) =>
                {
                    key = self.primary_key_of(&statement).await?;
                }
                outcome => break outcome?,
            }
        };
        let StatementResult::Rows(mut rows) = result else {
            return Err(error::rows_lost_in_transaction());
        };
        let guarded = self
            .transaction
            .compares_rows()
            .then(|| source.guarded(&rows, &key, self.unstable.as_ref()?))
            .flatten();
        let count = self.shown(&statement, rows.len());
        for _ in &key {
            rows.drop_last_column();
        }
        rows.rename(&source.names);
        let write = Write::new(statement, count).seen();
        self.keep(Write { guarded, ..write });
        Ok(rows)
    }

    /// Returns a count that a server told. It is not compared if it depends on values that each node has of its own.
    fn shown(&self, statement: &Statement<'_>, rows: usize) -> Count {
        let facts = statement.facts.as_ref();
        let decisive = facts.and_then(|facts| facts.decisive.as_ref());
        let is_undecided = match (decisive, &self.unstable) {
            (Some(decisive), Some(unstable)) => unstable.decides_about(decisive),
            (decisive, None) => decisive.is_some(),
            (None, Some(_)) => false,
        };
        match is_undecided {
            true => Count::Unobserved,
            false => Count::Observed(rows),
        }
    }

    /// Returns the columns of the primary key of the table that is written, in quotes. They are empty if it has no key,
    /// or is a view. Costs a request unless the key is known.
    async fn primary_key_of(&mut self, statement: &Statement<'static>) -> QueryResult<Vec<String>> {
        let facts = statement.facts.as_ref();
        let Some(table) = facts.and_then(|facts| facts.written_table.clone()) else {
            return Ok(Vec::new());
        };
        if let Some(query) = self.primary_key_query(Some(&table)) {
            let mut results = self.peek(&[&query], false).await?;
            self.learn_primary_key(Some(&table), results.pop());
        }
        let columns = self.keys.get(&table).into_iter().flatten();
        let quoted = columns.map(|column| format!("\"{}\"", column.replace('"', "\"\"")));
        Ok(quoted.collect())
    }

    /// Adds a write to the journal, with what is known of it, and learns from it.
    ///
    /// It notes the role of the write in a migration, since a commit that is a migration and nothing else begins with a
    /// check, and the way in which a failure of the write ends the transaction. Knowledge of rows and of the schema is
    /// updated before the write is added.
    fn keep(&mut self, mut write: Write) {
        write.migration = migration::part(&write.statement);
        write.statement.ends = self.ending_of(&write.statement);
        self.learn_from(&write);
        self.transaction.write(write);
    }

    /// Returns how the write ends the transaction if it fails: by its own words, or by those of the schema. While the
    /// schema is not known, only the write's own words count.
    fn ending_of(&self, statement: &Statement<'_>) -> Ending {
        let facts = statement.facts.as_ref();
        let table = facts.and_then(|facts| facts.written_table.as_deref());
        let schema = self.unstable.as_ref();
        let by_schema = table.and_then(|table| Some(schema?.ending_of(table)));
        let mut ending = by_schema.unwrap_or_default();
        ending.on_conflict |= statement.ends.on_conflict;
        ending
    }

    /// Notes what a write tells about the schema, about keys, and about the rows that exist.
    ///
    /// An INSERT tells nothing: what is known stays. A write without a count may change the schema, so the primary keys
    /// are forgotten.
    fn learn_from(&mut self, write: &Write) {
        let statement = &write.statement;
        if statement.is_insert() {
            return;
        }
        let row = self.row_of_write(statement);
        if !statement.counted {
            self.keys.clear();
        }
        self.note_schema_change(statement);
        self.transaction.learn_from(write, row);
    }

    /// Returns the only row that an UPDATE or DELETE is about, if it names the whole primary key.
    fn row_of_write(&self, statement: &Statement<'_>) -> Option<RowKey> {
        self.row_of(statement.by_key()?, |place| statement.bound(place))
    }
}
