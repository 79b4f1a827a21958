//! Queries outside of transactions.
//!
//! A read is sent in one of four forms. The first that is known to be exact is used, and the answer shows whether it
//! was:
//!
//! | form | sent | if it is not exact |
//! | --- | --- | --- |
//! | stored | if the text was run before | the exact or untyped form follows, also the next time |
//! | exact | if the columns are known | the tagged form follows |
//! | tagged | after one of the others | never: every value is exact |
//! | untyped | if the columns are not known | the tagged form follows |
//!
//! A read has no effect, so that it can be sent again in another form. The rows of both answers may differ, but only
//! those of the last one are returned. Once rows were returned and the answer goes on, `streaming` has to take care of
//! that.
//!
//! Writes are one request: by themselves, together with the writes of others (`coalesced`), or without foreign keys
//! (`foreign_keys`). The rows of RETURNING come in an exact form at once, since a write can't be run again.

use diesel::QueryResult;
use diesel::result::Error;

use super::streaming::Found;
use super::{Client, Session, named, rows_of_query};
use crate::backend::RqliteType;
use crate::error;
use crate::protocol::encoding::Doubtful;
use crate::protocol::failure::{Failure, Why};
use crate::protocol::message::StatementError;
use crate::protocol::request::Exchange;
use crate::protocol::response::{Answer, StatementResult};
use crate::protocol::rows::Rows;
use crate::sql::results::SUBQUERY;
use crate::statement::{self, Batch, Learnt, Read, Statement};

/// The results of writes that were applied, one for each statement.
pub(super) enum Applied {
    Told(Vec<StatementResult>),
    /// Made up from the texts: they do not tell what the connection did last.
    Untold(Vec<StatementResult>),
}

/// The failure of writes, which may have been applied all the same.
pub(super) struct WriteFailure {
    error: Error,
    /// Set if it is certain that none was applied.
    is_certain: bool,
}

impl WriteFailure {
    pub(super) fn certainly(error: Error) -> Self {
        WriteFailure {
            error,
            is_certain: true,
        }
    }

    pub(super) fn by_request(failure: Failure) -> Self {
        WriteFailure {
            is_certain: failure.why == Why::NotApplied,
            error: error::failure(failure),
        }
    }
}

/// Returns the answer to writes, unless it says that their request failed as a whole.
pub(super) fn accepted(exchange: &Exchange, answer: Answer) -> Result<Answer, WriteFailure> {
    let Some(message) = &answer.error else {
        return Ok(answer);
    };
    Err(match error::refusal(exchange, message) {
        Ok(error) => WriteFailure::certainly(error),
        Err(failure) => WriteFailure::by_request(failure),
    })
}

impl<C: Client> Session<C> {
    /// Runs a query, and waits for the first `first` bytes of its answer. With `usize::MAX` the rows are complete.
    ///
    /// Also serves reads in transactions of the mode Deferred. Fails if the query fails, if there is no answer, or if
    /// the values can't be had in any form.
    pub(super) async fn read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
        first: usize,
    ) -> QueryResult<Found<C>> {
        if let Some(learnt) = read.learnt()
            && let Some(statement) = read.stored(types, learnt.doubtful())
            && let Some(found) = self
                .stored_read(read, &statement, types, (learnt, first))
                .await?
        {
            return Ok(found);
        }
        match read.exact(types) {
            Some(statement) => Box::pin(self.exact_read(read, types, &statement, first)).await,
            None => Ok(vec![Box::pin(self.untyped_read(read)).await?].into()),
        }
    }

    /// Sends a query as it is written, or with SQL around those columns only that are known not to be exact that way.
    /// Returns `None` if a value of the answer may differ from the stored one, or if the form does not suit the query.
    /// The query then has to be sent in another form; `learnt` remembers the columns for the next time.
    ///
    /// Only what has arrived is checked here. The stream checks the rest of the answer.
    async fn stored_read(
        &mut self,
        read: &Read<'_>,
        statement: &Statement<'_>,
        types: Option<&[RqliteType]>,
        (learnt, first): (&Learnt, usize),
    ) -> QueryResult<Option<Found<C>>> {
        // More bytes of BLOBs are faster in hexadecimal than as arrays.
        const LONG: usize = 4096;
        let exchange = statement::query(statement);
        let answer = match self.send_for(&exchange, first).await {
            Err(failure) if failure.is_unwritable() => {
                learnt.learn(Doubtful::ALL);
                return Ok(None);
            }
            outcome => outcome.map_err(error::failure)?,
        };
        let first = self.first_rows(&exchange, answer, statement, Some(learnt));
        let (rows, coming) = match first.await {
            Err(error) if error::is_unwritable(&error) => {
                learnt.learn(Doubtful::ALL);
                return Ok(None);
            }
            Err(Error::DatabaseError(_, information)) if is_about_form(information.message()) => {
                return Ok(None);
            }
            rows => rows?,
        };
        if types.is_some_and(|types| types.len() != rows.width()) {
            return Ok(None);
        }
        learnt.learn(rows.doubtful());
        if rows.blob_bytes() > LONG {
            learnt.learn(rows.blobs());
        }
        Ok((!rows.may_differ()).then(|| self.found(rows, coming, read, types, statement)))
    }

    /// Sends a query in the form that is exact for nearly all values, and again in the tagged form if a value needs it.
    ///
    /// If SQLite rejects the SQL around the query, it is sent as it is written, so that its own error or its columns
    /// are reported rather than those of the form.
    async fn exact_read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
        statement: &Statement<'_>,
        first: usize,
    ) -> QueryResult<Found<C>> {
        let exchange = statement::query(statement);
        let answer = match self.send_for(&exchange, first).await {
            Err(failure) if failure.is_unwritable() => {
                return Box::pin(self.tagged_read(read, types, statement.names.clone(), first))
                    .await;
            }
            outcome => outcome.map_err(error::failure)?,
        };
        let (rows, coming) = match self.first_rows(&exchange, answer, statement, None).await {
            // SQLite rejects the subquery. Either it has another number of columns, which Diesel then reports, or it is
            // nested too deeply for a server before 9.
            Err(Error::DatabaseError(_, information)) if is_about_form(information.message()) => {
                return Ok(vec![Box::pin(self.untyped_read(read)).await?].into());
            }
            rows => rows?,
        };
        if rows.may_differ() {
            return Box::pin(self.tagged_read(read, types, statement.names.clone(), first)).await;
        }
        Ok(self.found(rows, coming, read, types, statement))
    }

    /// Sends a query in the form that is exact for every value: the storage class stands before each. It is the last
    /// resort, so any failure is one of the query.
    async fn tagged_read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
        names: Vec<String>,
        first: usize,
    ) -> QueryResult<Found<C>> {
        let statement = read.tagged(types, names);
        let exchange = statement::query(&statement);
        let answer = self
            .send_for(&exchange, first)
            .await
            .map_err(error::failure)?;
        let (rows, coming) = self.first_rows(&exchange, answer, &statement, None).await?;
        Ok(self.found(rows, coming, read, types, &statement))
    }

    /// Runs raw SQL that does not name its columns. Sends it as it is written, and once more in an exact form if a
    /// value turns out to need it. If rqlite can't even write the values, the names of the columns are asked for first.
    ///
    /// Returns all rows at once. A PRAGMA or EXPLAIN has no exact form: its values are returned as they came.
    pub(super) async fn untyped_read(&mut self, read: &Read<'_>) -> QueryResult<Rows> {
        let statement = read.plain();
        let exchange = statement::raw_query(&statement);
        let rows = match self.send(&exchange).await {
            Err(failure) if failure.is_unwritable() => None,
            Err(failure) => return Err(error::failure(failure)),
            Ok(body) => match rows_of_query(&exchange, &body, &statement) {
                // A column declared as a time holds a number beyond the year 9999.
                Err(error) if error::is_unwritable(&error) => None,
                rows => Some(rows?),
            },
        };
        match rows {
            Some(rows) if !rows.may_be_converted() || !read.is_wrappable() => {
                Ok(rows.with_whole_reals())
            }
            Some(rows) => self.ask(&read.tagged(None, rows.columns().to_vec())).await,
            None if !read.is_wrappable() => Err(error::unwritable()),
            None => {
                let rows = self.ask(&read.columns()).await?;
                self.ask(&read.tagged(None, rows.columns().to_vec())).await
            }
        }
    }

    /// Sends writes. Returns the number of rows they affected: the sum over the statements that write rows, without
    /// checks and other statements that were put in front of them. An empty batch sends nothing.
    pub(super) async fn write(&mut self, batch: Batch<'_>) -> QueryResult<usize> {
        if batch.statements.is_empty() {
            return Ok(0);
        }
        let batch = batch.alone().map_err(error::not_sent)?;
        let results = self.send_writes(&batch).await?;
        let counted = batch.statements.iter().zip(&results);
        let counted = counted.filter(|(statement, _)| statement.counted);
        Ok(counted.map(|(_, result)| affected(result)).sum())
    }

    /// Sends writes. Returns the rows of those that have RETURNING, one element for each.
    ///
    /// Fails if a server has run a write but returned no rows for it. Then the write was applied.
    pub(super) async fn write_returning(&mut self, batch: Batch<'_>) -> QueryResult<Vec<Rows>> {
        let batch = batch.alone().map_err(error::not_sent)?;
        let results = self.send_writes(&batch).await?;
        returned(&batch.statements, results)
    }

    /// Sends writes as one request. On success all of them ran. On an error none was applied, unless the error says
    /// that the outcome is unknown. The result has one element for each statement of the batch.
    ///
    /// The effects are noted for `last_insert_rowid()` and `changes()`: as the answer tells them, or as unknown if the
    /// answer was lost. What the statements do to the schema is noted before they are sent, since they may be applied
    /// without an answer.
    async fn send_writes(&mut self, batch: &Batch<'_>) -> QueryResult<Vec<StatementResult>> {
        let statements = &batch.statements;
        for statement in statements {
            self.note_schema_change(statement);
        }
        let _announced = self.announcement();
        // Nothing is known if this future is dropped while the request is under way.
        let known = self.transaction.forget_effects();
        let outcome = match self.foreign_keys.are_off() {
            true => self.send_unenforced(batch).await,
            false => self.send_enforced(batch).await,
        };
        match outcome {
            Ok(Applied::Told(results)) => {
                self.transaction.remember_effects(known);
                let writes = statements.iter().zip(&results);
                self.transaction.ran_alone(writes);
                Ok(results)
            }
            Ok(Applied::Untold(results)) => Ok(results),
            Err(WriteFailure { error, is_certain }) => {
                if is_certain {
                    self.transaction.remember_effects(known);
                }
                Err(error)
            }
        }
    }

    async fn send_enforced(&mut self, batch: &Batch<'_>) -> Result<Applied, WriteFailure> {
        let statements = &batch.statements;
        let exchange = statement::execute(batch);
        let coalescer = self
            .coalescer
            .clone()
            .filter(|coalescer| batch.may_be_coalesced() && coalescer.suits(&self.settings));
        let outcome = match coalescer {
            Some(coalescer) => self.send_coalesced(&coalescer, &exchange).await,
            None => self.send_by_itself(&exchange, statements).await,
        };
        let answer = outcome.map_err(WriteFailure::by_request)?;
        let answer = accepted(&exchange, answer)?;
        if let Some((place, message)) = answer.first_failure() {
            // A default was added to a column that is gone.
            self.defaults_are_news |= StatementError(message).is_about_no_column();
            return Err(WriteFailure::certainly(batch.failed_at(place, message)));
        }
        Ok(Applied::Told(answer.results))
    }

    /// Sends the request by itself, not together with writes of other callers. A statement that failed is part of the
    /// answer, not a failure.
    async fn send_by_itself(
        &mut self,
        exchange: &Exchange,
        statements: &[Statement<'_>],
    ) -> Result<Answer, Failure> {
        let body = self.send(exchange).await?;
        let encodings: Vec<_> = statements
            .iter()
            .map(|statement| statement.encodings.clone())
            .collect();
        exchange.answer(&body, &encodings)
    }
}

/// Returns whether SQLite rejects the SQL that was put around a query. The query itself may be valid.
pub(super) fn is_about_form(message: &str) -> bool {
    is_about_subquery(message) || StatementError(message).is_nested_too_deeply()
}

/// Returns whether SQLite complains about the number of columns in the SQL that was put around a query.
pub(super) fn is_about_subquery(message: &str) -> bool {
    StatementError(message).is_about_table(SUBQUERY)
}

/// Returns the number of rows that a statement wrote. With RETURNING, that is the number of rows it returned.
pub(super) fn affected(result: &StatementResult) -> usize {
    match result {
        StatementResult::Executed { rows_affected, .. } => *rows_affected,
        StatementResult::Rows(rows) => rows.len(),
        StatementResult::Failed(_) => 0,
    }
}

/// Returns the rows of the statements that have RETURNING. Fails if the server returned none for one of them.
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
