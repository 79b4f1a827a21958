//! A query inside a transaction, and the guards over its rows.
//!
//! `Read::in_transaction` makes a [`GuardedRead`] of a query. The session (`session::guarded`) then sends one of two
//! forms, and makes the guard that belongs to it from the answer:
//!
//! | form | rows | guard |
//! |---|---|---|
//! | [`GuardedRead::stored`] | at most one, as it is stored | [`GuardedRead::guard_of_row`], value by value |
//! | [`GuardedRead::rows`] | any number, one text each | [`GuardedRead::guard`], all texts at once |
//!
//! Invariants: a guard contains the same text of the query, with the same values, as the request that showed the rows.
//! What it compares is the same on all nodes: values that differ between them are left out (`Comparable`), and no text
//! is compared that SQLite makes of a REAL. A guard returns no rows that anyone reads: it either runs without an error
//! or fails.

use diesel_rqlite_sql::{ByKey, fragment, unquoted};

use super::{Statement, one_more, wire};
use crate::bind_collector::{Bind, MAX_VARIABLES};
use crate::protocol::encoding::{Doubtful, Encoding};
use crate::protocol::rows::Rows;
use crate::query_builder::push_quoted;
use crate::sql::cells::{self, TextCell};
use crate::sql::compared;
use crate::sql::unstable::Comparable;

/// A query inside a transaction.
///
/// It borrows nothing, because its guards live in the journal until the commit.
#[derive(Debug)]
pub(crate) struct GuardedRead {
    /// The text of the query. Its rows have a fixed order, or are compared in any order.
    pub(super) text: String,
    pub(super) binds: Vec<Bind<'static>>,
    pub(super) width: usize,
    /// Set if the order of the rows is a part of what is compared.
    pub(super) ordered: bool,
    /// Set if the result depends on the database alone, so that the commit may run the query again.
    pub(crate) is_stable: bool,
}

impl GuardedRead {
    /// Returns the query that yields each row as one text.
    ///
    /// The statement has no encodings. The texts are decoded by `cells::decode`.
    pub(crate) fn rows(&self, text: TextCell) -> Statement<'static> {
        let sql = cells::query(&self.text, self.width, text);
        Statement::with_written(sql, self.binds.clone())
    }

    /// Returns the statement that fails unless the query returns these rows. They are given as texts, and as the values
    /// of those. Returns `None` if none of the values may be compared.
    ///
    /// `inserted_into`: the query asks for the rowid of the last INSERT, which was into this table. If the table has no
    /// rowids, that value is undefined and differs between nodes.
    ///
    /// `form` is the one in which the texts were read. If only some columns may be compared, the texts are made anew
    /// from `rows`, in hexadecimal. A column is written for those storage classes only that occur in `rows`: a value of
    /// another class yields another text, and so fails the guard.
    pub(crate) fn guard(
        &self,
        texts: Vec<&str>,
        rows: &Rows,
        form: TextCell,
        inserted_into: Option<&str>,
        compared: &Comparable,
    ) -> Option<Statement<'static>> {
        let unless = inserted_into.map(without_rowid).unwrap_or_default();
        let mut columns = cells::columns(&cells::Classes::of(rows));
        let (form, expected) = match compared {
            Comparable::Nothing => return None,
            Comparable::All => (form, cells::expected(texts, self.ordered)),
            Comparable::Some(compared) => {
                let mut compared = compared.iter();
                columns.retain(|_| compared.next() == Some(&true));
                (TextCell::Hex, self.expected_of(rows, &columns))
            }
        };
        let mut binds = self.binds.clone();
        let expected = one_more(&mut binds, expected);
        let sql = cells::guard(
            &self.text,
            self.width,
            &columns,
            form,
            self.ordered,
            &expected,
            &unless,
        );
        Some(Statement::with_written(sql, binds))
    }

    /// Returns the query as it is, except that the given columns come as cells. Returns `None` if the query has so many
    /// values that a guard would have too many.
    ///
    /// `stored` has the encoding of each column. The room for values is checked here, since `guard_of_row` adds up to
    /// one for each column, and has no other way to write them.
    pub(crate) fn stored(
        &self,
        stored: &[Encoding],
        as_cells: Doubtful,
    ) -> Option<Statement<'static>> {
        if self.binds.len() + self.width > MAX_VARIABLES {
            return None;
        }
        let mut encodings = stored.to_vec();
        for (column, encoding) in encodings.iter_mut().enumerate() {
            if as_cells.contains(column) {
                *encoding = Encoding::Plain;
            }
        }
        let sql = match as_cells.is_empty() {
            true => self.text.clone(),
            false => {
                cells::query_with_some(&self.text, self.width, |column| as_cells.contains(column))
            }
        };
        let mut statement = Statement::with_written(sql, self.binds.clone());
        statement.encodings = encodings;
        Some(statement)
    }

    /// Returns the statement that fails unless the query returns this one row, or none. Returns `None` if no value may be
    /// compared.
    pub(crate) fn guard_of_row(
        &self,
        row: &StoredRow<'_>,
        inserted_into: Option<&str>,
    ) -> Option<Statement<'static>> {
        let mut binds = self.binds.clone();
        let names = (0..self.width).map(|column| format!("c{column}"));
        let conditions = row.conditions(names, &mut binds)?;
        let unless = inserted_into.map(without_rowid).unwrap_or_default();
        let sql = compared::guard(&self.text, self.width, row.rows.len(), &conditions, &unless);
        Some(Statement::with_written(sql, binds))
    }

    /// Returns the text of all rows, with these columns only.
    fn expected_of(&self, rows: &Rows, columns: &[(String, cells::Classes)]) -> String {
        let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let is_wanted = |column: usize| names.contains(&format!("c{column}").as_str());
        let texts = (0..rows.len()).map(|row| cells::row_text(rows, row, is_wanted));
        let texts: Vec<_> = texts.collect();
        cells::expected(texts.iter().map(String::as_str).collect(), self.ordered)
    }
}

/// One row, or none, as [`GuardedRead::stored`] yielded it, and the columns of it that may be compared.
#[derive(Debug)]
pub(crate) struct StoredRow<'r> {
    /// With its cells decoded.
    pub(crate) rows: &'r Rows,
    pub(crate) stored: &'r [Encoding],
    pub(crate) as_cells: Doubtful,
    pub(crate) compared: &'r Comparable,
}

impl StoredRow<'_> {
    /// Returns the conditions that the columns of these names have the values of the row, each after ` AND `. Returns
    /// `None` if no value may be compared.
    fn conditions(
        &self,
        names: impl Iterator<Item = String>,
        binds: &mut Vec<Bind<'static>>,
    ) -> Option<String> {
        // The SQL of most columns is shorter.
        const LENGTH: usize = 64;
        if *self.compared == Comparable::Nothing {
            return None;
        }
        let is_compared = |column| !self.rows.is_empty() && self.compared.has(column);
        let mut sql = String::with_capacity(LENGTH * self.rows.width());
        for (column, name) in names.enumerate().filter(|(column, _)| is_compared(*column)) {
            sql.push_str(" AND ");
            let encoding = self.stored.get(column).copied();
            let place = |sql: &mut String, bind| push_placeholder(sql, binds, bind);
            match self.as_cells.contains(column) {
                true => compared::push_cell(&mut sql, &name, self.rows, column, place),
                false => {
                    compared::push_stored(&mut sql, &name, self.rows, column, encoding, place);
                }
            }
        }
        Some(sql)
    }
}

/// The only row of a table with this primary key, as a query by that key returns it.
///
/// It takes the place of the query in a guard. That is possible because the query returns nothing but columns of that
/// row.
#[derive(Debug)]
pub(crate) struct Keyed<'k> {
    by_key: &'k ByKey,
    columns: &'k [String],
    values: Vec<Bind<'static>>,
}

impl<'k> Keyed<'k> {
    /// The caller has checked that the query finds its row by the whole primary key. `width` is the number of columns
    /// that it has returned.
    ///
    /// Returns `None` if the query returns more than columns, or if the table or its key has a name that is not ASCII,
    /// so that SQLite may see another name in lower case.
    pub(crate) fn of(
        by_key: &'k ByKey,
        width: usize,
        value: impl Fn(usize) -> Option<Bind<'static>>,
    ) -> Option<Self> {
        let columns = by_key.shown.as_deref()?;
        let mut names = by_key.columns.iter().map(|(name, _)| name);
        let is_known = by_key.table.is_ascii() && names.all(|name| name.is_ascii());
        let values = by_key.columns.iter().map(|(_, place)| value(*place));
        let values = values.collect::<Option<_>>()?;
        (is_known && columns.len() == width).then_some(Keyed {
            by_key,
            columns,
            values,
        })
    }

    /// Returns the statement that fails unless the table still has the row. Returns `None` if no value may be compared.
    pub(crate) fn guard(&self, row: &StoredRow<'_>) -> Option<Statement<'static>> {
        let mut binds = Vec::new();
        let key = self.condition(&mut binds);
        let names = self.columns.iter().map(|name| qualified(name));
        let conditions = row.conditions(names, &mut binds)?;
        let mut table = String::new();
        push_quoted(&mut table, &self.by_key.table);
        let sql = compared::guard_by_key(&table, &key, &conditions);
        Some(Statement::with_written(sql, binds))
    }

    /// Returns the condition that a row has the key.
    fn condition(&self, binds: &mut Vec<Bind<'static>>) -> String {
        let mut condition = String::new();
        for ((name, _), value) in self.by_key.columns.iter().zip(&self.values) {
            condition.push_str(if condition.is_empty() { "" } else { " AND " });
            condition.push_str(&qualified(name));
            condition.push('=');
            push_placeholder(&mut condition, binds, value.clone());
        }
        condition
    }
}

/// Qualifies a name with the table. SQLite may take an unqualified name for a text.
fn qualified(name: &str) -> String {
    let mut sql = String::with_capacity(name.len() + 4);
    sql.push_str(compared::TABLE);
    sql.push('.');
    push_quoted(&mut sql, name);
    sql
}

/// Appends the placeholder for one more value, which there must be room for.
fn push_placeholder(sql: &mut String, binds: &mut Vec<Bind<'static>>, bind: Bind<'static>) {
    let (before, behind) = wire::conversion(&bind).unwrap_or_default();
    binds.push(bind);
    sql.push_str(before);
    sql.push('?');
    sql.push_str(&binds.len().to_string());
    sql.push_str(behind);
}

/// Returns the condition that a table, named as in the INSERT, has no rowids.
///
/// It begins with ` OR `, to be appended to the condition of a guard.
fn without_rowid(table: &str) -> String {
    let name = fragment(table).ok().and_then(|parsed| {
        let last = parsed.tokens().len().checked_sub(1)?;
        Some(unquoted(parsed.at(last)).replace('\'', "''"))
    });
    format!(
        " OR EXISTS (SELECT 1 FROM pragma_table_list WHERE name='{}' COLLATE NOCASE AND wr)",
        name.unwrap_or_default()
    )
}
