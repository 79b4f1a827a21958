//! The facts of the schema that a transaction needs. It asks for them together with what it peeks at.
//!
//! Three facts decide how rows are guarded and counts predicted:
//!
//! * [`Unstable`]: which values each node has for itself, which tables may skip rows or end the transaction, and which
//!   have no rowids. It is read as a whole.
//! * The version of the schema. Each peek of [`Session::peek_and_learn`] reads its number, or all of it if that was
//!   not done for a second. It reads the whole schema only if it is another version than the known one, or if none is known.
//! * The primary key of a table. It is asked for once per table, when a statement finds a row by a key.
//!
//! The version is kept only for a committed schema. The changes of the open transaction may be rolled back, after which
//! another schema may get the same version. So a transaction that may have changed the schema reads all of it each
//! time.

use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel_rqlite_sql::ByKey;

use super::{Client, Session};
use crate::bind_collector::Bind;
use crate::error;
use crate::protocol::response::StatementResult;
use crate::protocol::rows::{Rows, Value};
use crate::sql::unstable::{self, Unstable};
use crate::statement::Statement;

/// The version of a committed schema.
#[derive(Debug)]
pub(super) struct SchemaVersion {
    /// The row of [`unstable::VERSION`].
    rows: Rows,
    /// The time of the last answer to [`unstable::VERSION`]. Answers to [`unstable::NUMBER`] do not change it.
    seen: Instant,
}

impl SchemaVersion {
    pub(super) fn new(rows: Rows, seen: Instant) -> Self {
        SchemaVersion { rows, seen }
    }

    /// The time after which a file that was replaced is noticed, even if its schema has the same number.
    const FRESH: Duration = Duration::from_secs(1);

    /// Returns whether all of the version is to be read, not only its number.
    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) >= Self::FRESH
    }

    /// Compares it with an answer to [`unstable::NUMBER`] or [`unstable::VERSION`].
    fn is_still(&self, answer: &Rows) -> bool {
        match answer.width() {
            1 => answer.len() == 1 && answer.value(0, 0) == self.rows.value(0, 0),
            _ => *answer == self.rows,
        }
    }

    /// Notes the time if the answer is a whole version.
    fn seen(self, answer: Rows, now: Instant) -> Self {
        match answer.width() {
            1 => self,
            _ => SchemaVersion {
                rows: answer,
                seen: now,
            },
        }
    }
}

impl<C: Client> Session<C> {
    /// Peeks at one statement, and in the same request asks for what decides how it is guarded. Returns `None` if
    /// rqlite can't write its values as JSON.
    ///
    /// `writes` tells whether the statement may write. The result may be a failure of the statement: then nothing after
    /// it has run, and nothing is learnt. Fails if the peek itself fails, or if the answer about the
    /// schema has no columns.
    ///
    /// If the version turns out to be another one, everything is asked once more, now with the schema. The result has
    /// to belong to the schema that decides about it.
    ///
    /// Fails if the server can't read the whole schema: without it, it is not known what may be compared.
    pub(super) async fn peek_and_learn(
        &mut self,
        statement: &Statement<'_>,
        by_key: Option<&ByKey>,
        writes: bool,
    ) -> QueryResult<Option<StatementResult>> {
        let table = by_key.map(|by_key| &*by_key.table);
        let schema = Statement::raw(unstable::QUERY);
        loop {
            let keys = self.primary_key_query(table);
            // The changes of this transaction to the schema may be rolled back, and another schema may get the same
            // version.
            let is_committed =
                !(self.transaction.journal().may_change_schema() || writes && !statement.counted);
            // The version is taken out, so that it is not trusted if this future is dropped or fails.
            let known =
                (self.schema_version.take()).filter(|_| is_committed && self.unstable.is_some());
            let now = Instant::now();
            let question = match &known {
                Some(known) if !known.is_due(now) => unstable::NUMBER,
                _ => unstable::VERSION,
            };
            let version = Statement::raw(question);
            // The order matters: nothing runs after a statement that fails. So the caller's statement is the first, and
            // the schema, which a server may be unable to read, comes late.
            let asked = known.is_none().then_some(&schema);
            let tails: Vec<_> = [statement, &version]
                .into_iter()
                .chain(asked)
                .chain(&keys)
                .collect();
            let Some(results) = self.try_peek(&tails, writes).await? else {
                return Ok(None);
            };
            let mut results = results.into_iter();
            let result = results.next().ok_or_else(error::cut_short)?;
            let version = results.next();
            let schema = asked.and_then(|_| results.next());
            if [&version, &schema]
                .into_iter()
                .flatten()
                .any(|result| matches!(result, StatementResult::Executed { .. }))
            {
                // Without the schema nothing would be compared at the commit.
                return Err(error::no_rows());
            }
            let version = version.and_then(rows);
            match (known, schema) {
                (Some(known), _) => match version {
                    Some(version) if !known.is_still(&version) => continue,
                    Some(version) => self.schema_version = Some(known.seen(version, now)),
                    // The statement failed, so the version is not known to have changed.
                    None => self.schema_version = Some(known),
                },
                (None, Some(StatementResult::Rows(rows))) => {
                    self.learn_unstable(&rows);
                    let version = version.filter(|_| is_committed);
                    self.schema_version = version.map(|rows| SchemaVersion::new(rows, now));
                }
                (None, Some(StatementResult::Failed(message))) => {
                    return Err(error::schema_unreadable(&message));
                }
                // A statement before it failed.
                (None, _) => {}
            }
            self.learn_primary_key(table, results.next());
            return Ok(Some(result));
        }
    }

    /// Notes which values must not be compared, because each node has its own, from the result of [`unstable::QUERY`].
    /// Forgets the version: the caller sets it if it knows the version of just this schema. Rows of another width are
    /// ignored.
    pub(super) fn learn_unstable(&mut self, rows: &Rows) {
        if rows.width() == unstable::WIDTH {
            self.unstable = Some(Unstable::of(rows));
            self.schema_version = None;
        }
    }

    /// Returns the query for the primary key of a table. Returns `None` without a table, or if the key is known. A
    /// table without a primary key is known by an empty one.
    pub(super) fn primary_key_query(&self, table: Option<&str>) -> Option<Statement<'static>> {
        let table = table?;
        (!self.keys.contains_key(table)).then(|| {
            Statement::with_binds(
                "SELECT lower(name) FROM pragma_table_info(?) WHERE pk > 0",
                vec![Bind::Text(table.to_owned().into())],
            )
        })
    }

    /// Notes the primary key of a table from the result of [`primary_key_query`](Self::primary_key_query). Without a
    /// result, or with a failed one, nothing changes.
    pub(super) fn learn_primary_key(
        &mut self,
        table: Option<&str>,
        result: Option<StatementResult>,
    ) {
        if let (Some(table), Some(StatementResult::Rows(rows))) = (table, result)
            && rows.width() == 1
        {
            let columns = (0..rows.len()).filter_map(|row| match rows.value(row, 0) {
                Some(Value::Text(column)) => Some(column.to_owned()),
                _ => None,
            });
            self.keys.insert(table.to_owned(), columns.collect());
        }
    }
}

/// Returns the rows of a result, if it has any.
fn rows(result: StatementResult) -> Option<Rows> {
    match result {
        StatementResult::Rows(rows) => Some(rows),
        StatementResult::Executed { .. } | StatementResult::Failed(_) => None,
    }
}
