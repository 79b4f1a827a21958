//! Rows of a query in a transaction, which the commit compares.
//!
//! Rows come as they are stored if a query of that text returns at most one row. A query that was run before is assumed
//! to, until it has returned several. Other rows come as one text each, see [`cells`].
//!
//! [`Session::guarded_read`] tries the forms in this order, and takes the first that yields the rows exactly:
//!
//! 1. As stored: only if the text was run before, has not returned several rows, and tells the number of its columns.
//!    Columns that are known to lose something in JSON come as texts within the row.
//! 2. Each row as one text, in which each value says its type and its length.
//! 3. Each row as one text in hexadecimal, if a text may not be UTF-8.
//!
//! Each attempt is a peek, which changes nothing, so another one may follow. What an attempt teaches about the text of
//! the query is noted in [`Learnt`], so that the next run begins with the right form.
//!
//! Then [`Session::shown_rows`] builds the guard of that form and adds it to the journal. There is no guard if the rows
//! depend on more than the database, and no comparison of values that each node has for itself, see [`Comparable`].

use diesel::QueryResult;
use diesel_rqlite_sql::ByKey;

use super::{Client, Session, rows_of};
use crate::backend::RqliteType;
use crate::error;
use crate::protocol::encoding::{Doubtful, Encoding};
use crate::protocol::message::StatementError;
use crate::protocol::response::StatementResult;
use crate::protocol::rows::{Rows, Value};
use crate::sql::cells::{self, TextCell};
use crate::sql::unstable::Comparable;
use crate::statement::{GuardedRead, Keyed, Learnt, Read, Statement, StoredRow};
use crate::transaction::Guard;

/// Rows, and the form in which they came.
struct Peeked {
    rows: Rows,
    form: Form,
}

/// The form in which rows came. The guard has to yield the same form.
enum Form {
    /// At most one row, as it is stored, except for the columns that are cells.
    Stored(Vec<Encoding>, Doubtful),
    /// The texts of all rows.
    Cells(Rows, TextCell),
}

impl<C: Client> Session<C> {
    /// Runs a query in a transaction, and adds a guard over its rows to the journal.
    ///
    /// `names` are the names of its columns, and tell their number. The query must be one that can be a subquery. Fails
    /// if the query fails, or if the transaction can't go on. After a failure nothing has been added to the journal.
    pub(super) async fn guarded_read(
        &mut self,
        read: &Read<'_>,
        types: Option<&[RqliteType]>,
        names: Vec<String>,
    ) -> QueryResult<Rows> {
        // Where the query leaves the order of its rows open, the rowid decides it on each node, if there is one.
        let order = read.natural_order(self.unstable.as_ref());
        let guarded = read.in_transaction(&self.entropy(), names.len(), order.as_deref());
        let by_key = read.by_key();
        let stored = read.learnt().zip(read.as_stored(types));
        if let Some((learnt, stored)) = stored
            && !learnt.returns_several_rows()
            && let Some(shown) = self
                .stored_row(&guarded, learnt, stored, by_key, &names)
                .await?
        {
            return self.shown_rows(read, &guarded, shown, by_key);
        }
        let query = |form| guarded.rows(form);
        if let Some(shown) = Box::pin(self.cells(query, by_key, &names)).await? {
            return self.shown_rows(read, &guarded, shown, by_key);
        }
        // The table has been replaced by one without rowids in the meantime.
        let guarded = read.in_transaction(&self.entropy(), names.len(), None);
        let query = |form| guarded.rows(form);
        let shown = Box::pin(self.cells(query, by_key, &names)).await?;
        let shown = shown.ok_or_else(unreadable_cells)?;
        self.shown_rows(read, &guarded, shown, by_key)
    }

    /// Reads at most one row as it is stored. Returns `None` if there are more rows, if they need another form, or if
    /// SQLite rejects the SQL around the query.
    ///
    /// If values of some columns may have lost something, the query is sent again with these columns as texts. If
    /// rqlite can't write the values at all, all columns become texts. Each time, more columns are texts, so that this
    /// ends.
    async fn stored_row(
        &mut self,
        guarded: &GuardedRead,
        learnt: &Learnt,
        stored: Vec<Encoding>,
        by_key: Option<&ByKey>,
        names: &[String],
    ) -> QueryResult<Option<Peeked>> {
        loop {
            let as_cells = learnt.doubtful();
            let Some(query) = guarded.stored(&stored, as_cells) else {
                return Ok(None);
            };
            let rows = match self.peek_and_learn(&query, by_key, false).await? {
                Some(StatementResult::Rows(rows)) if rows.width() == stored.len() => rows,
                Some(StatementResult::Failed(message)) if !is_about_form(&message) => {
                    return Err(error::statement_error(&message, None));
                }
                None if as_cells != Doubtful::ALL => {
                    learnt.learn(Doubtful::ALL);
                    continue;
                }
                _ => return Ok(None),
            };
            if rows.len() > 1 {
                learnt.has_returned_several_rows();
                return Ok(None);
            }
            // A text may have been bytes that are not UTF-8, which only the hexadecimal form shows.
            if rows.has_replacement_character() {
                return Ok(None);
            }
            if !rows.doubtful().is_empty() && as_cells != Doubtful::ALL {
                learnt.learn(rows.doubtful());
                continue;
            }
            let is_cell = |column| as_cells.contains(column);
            let rows = cells::decode_some(&rows, is_cell, names.to_vec());
            return Ok(rows.map(|rows| Peeked {
                rows,
                form: Form::Stored(stored, as_cells),
            }));
        }
    }

    /// Reads each row as one text. Returns `None` if the table whose rowids order the rows has none. `query` writes the
    /// query for one form of texts. It is sent twice if a text may not be UTF-8.
    async fn cells(
        &mut self,
        query: impl Fn(TextCell) -> Statement<'static>,
        by_key: Option<&ByKey>,
        names: &[String],
    ) -> QueryResult<Option<Peeked>> {
        let mut form = TextCell::Counted;
        loop {
            let query = query(form);
            let result = self.peek_and_learn(&query, by_key, false).await?;
            let result = result.ok_or_else(error::unwritable)?;
            if is_without_rowid(&result) {
                return Ok(None);
            }
            let texts = rows_of(Some(result), &query)?;
            if form == TextCell::Counted && texts.has_replacement_character() {
                form = TextCell::Hex;
                continue;
            }
            let decoded = cells::decode(texts_of(&texts)?.into_iter(), names.to_vec());
            return Ok(Some(Peeked {
                rows: decoded.ok_or_else(unreadable_cells)?,
                form: Form::Cells(texts, form),
            }));
        }
    }

    /// Returns the rows, after guarding them. Sends nothing.
    ///
    /// The rows are not guarded
    ///
    /// * if the options of the transaction say so, or if the query has another value each time or on each node;
    /// * if it asks for the last rowid and the last write of this transaction has not inserted a row, because the nodes
    ///   may have different ones then;
    /// * if none of its values may be compared, or the schema is not known.
    ///
    /// A single row that was found by its primary key is also noted as one that exists. A later UPDATE of it needs no
    /// peek then.
    fn shown_rows(
        &mut self,
        read: &Read<'_>,
        guarded: &GuardedRead,
        shown: Peeked,
        by_key: Option<&ByKey>,
    ) -> QueryResult<Rows> {
        if !self.transaction.compares_rows() || !guarded.is_stable {
            return Ok(shown.rows);
        }
        let rows = &shown.rows;
        // The last rowid is the same on all nodes only after an INSERT of this very request.
        let inserted_into = match read.asks_for_counters() {
            true => match self.transaction.journal().last_insert() {
                Some(table) => Some(table),
                None => return Ok(shown.rows),
            },
            false => None,
        };
        let compared = match &self.unstable {
            Some(unstable) => read.comparable(unstable, rows.columns()),
            None => Comparable::Nothing,
        };
        let statement = match &shown.form {
            Form::Stored(stored, as_cells) => {
                let row = StoredRow {
                    rows,
                    stored,
                    as_cells: *as_cells,
                    compared: &compared,
                };
                match self.keyed(read, rows, by_key) {
                    Some(keyed) => keyed.guard(&row),
                    None => guarded.guard_of_row(&row, inserted_into),
                }
            }
            Form::Cells(texts, form) => {
                guarded.guard(texts_of(texts)?, rows, *form, inserted_into, &compared)
            }
        };
        let guard = statement.map(|statement| Guard {
            statement,
            sql: read.text().to_owned(),
        });
        let row = (rows.len() == 1).then(|| self.row_of(by_key?, |place| read.bound(place)));
        self.transaction.show(guard, row.flatten());
        Ok(shown.rows)
    }

    /// Returns the only row by its primary key, for the guard that a server prepares fastest. Returns `None` if the
    /// query is not by the whole primary key. What is known of the key may be out of date, so after a conflict the
    /// query itself is compared instead.
    fn keyed<'k>(
        &self,
        read: &Read<'_>,
        rows: &Rows,
        by_key: Option<&'k ByKey>,
    ) -> Option<Keyed<'k>> {
        let by_key = by_key.filter(|_| rows.len() == 1 && !self.transaction.follows_conflict())?;
        let key = self.keys.get(&by_key.table)?;
        let keyed = || Keyed::of(by_key, rows.width(), |place| read.bound(place));
        by_key.is_by(key).then(keyed).flatten()
    }
}

/// Returns whether SQLite rejects the SQL that this crate put around a query, or at its end.
fn is_about_form(message: &str) -> bool {
    super::autocommit::is_about_form(message) || StatementError(message).is_without_rowids()
}

/// Returns whether a query failed because a table has no rowids.
fn is_without_rowid(result: &StatementResult) -> bool {
    match result {
        StatementResult::Failed(message) => StatementError(message).is_without_rowids(),
        _ => false,
    }
}

/// Returns the one text of each row. Fails if a row is anything else.
fn texts_of(rows: &Rows) -> QueryResult<Vec<&str>> {
    let texts = (0..rows.len()).map(|row| match rows.width() {
        1 => match rows.value(row, 0) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        },
        // A row without columns has no value.
        _ => None,
    });
    texts.collect::<Option<_>>().ok_or_else(unreadable_cells)
}

/// Returns the error for rows that are not in the form in which they were requested.
fn unreadable_cells() -> diesel::result::Error {
    error::useless_answer("unreadable answer: rows that are not written as they were asked for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::response::Answer;

    #[test]
    fn rows_without_columns_are_unreadable() {
        let body = br#"{"results":[{"columns":[],"values":[[]]}]}"#;
        let mut answer = Answer::parse(body, &[]).expect("parses");
        match answer.results.pop() {
            Some(StatementResult::Rows(rows)) => assert!(texts_of(&rows).is_err()),
            other => panic!("no rows: {other:?}"),
        }
    }
}
