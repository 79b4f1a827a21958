//! One row, compared value by value.
//!
//! A row that came as it is stored is guarded by its values, which costs the server a fifth of making a text of them, see
//! [`cells`](super::cells). What may not be compared is what SQLite would convert first: a unary plus takes the affinity
//! from a column, and a text is compared by its bytes.

use crate::bind_collector::Bind;
use crate::protocol::encoding::{Encoding, Wanted};
use crate::protocol::rows::{Rows, Value};

use super::cells::{self, Classes, GUARD, TextCell};
use super::results::SUBQUERY;

/// The condition that the column of this name has the value of a row that came as it is stored. `place` writes a value.
///
/// Numbers are less than any text, and BLOBs are greater: comparing with `''` is what `typeof` says, in a tenth of the time.
pub(crate) fn as_stored(
    name: &str,
    row: &Rows,
    column: usize,
    encoding: Option<Encoding>,
    mut place: impl FnMut(Bind<'static>) -> String,
) -> String {
    let as_real = encoding == Some(Encoding::Stored(Wanted::Real));
    match row.value(0, column) {
        None => format!("{name} IS NULL"),
        #[allow(clippy::cast_precision_loss)]
        Some(Value::Integer(value)) if as_real => is_real(name, &place(Bind::Real(value as f64))),
        Some(Value::Real(value)) if as_real => is_real(name, &place(Bind::Real(value))),
        Some(Value::Integer(value)) => format!("+{name} IS {}", place(Bind::Integer(value))),
        Some(Value::Real(value)) => format!("+{name} IS {}", place(Bind::Real(value))),
        // rqlite does not tell a BLOB in a column of text from a text.
        Some(Value::Text(value)) => {
            let value = place(Bind::Text(value.to_owned().into()));
            format!("{name}>='' AND CAST({name} AS TEXT)={value} COLLATE BINARY")
        }
        Some(Value::Binary(value)) => {
            let value = place(Bind::Binary(value.to_vec().into()));
            format!("typeof({name})='blob' AND {name}={value}")
        }
    }
}

/// What is read as a REAL may be an INTEGER that is none to the last digit.
fn is_real(name: &str, value: &str) -> String {
    format!("{name}<'' AND CAST({name} AS REAL)={value}")
}

/// The condition that the column of this name has the value of a row that came as a cell, or was decoded from one.
pub(crate) fn as_cell(
    name: &str,
    row: &Rows,
    column: usize,
    mut place: impl FnMut(Bind<'static>) -> String,
) -> String {
    let classes = Classes::of(row)
        .get(column)
        .copied()
        .unwrap_or(Classes::ALL);
    let cell = cells::cell(name, classes, TextCell::Hex);
    let text = cells::row_text(row, 0, |other| other == column);
    format!("{cell}={}", place(Bind::Text(text.into())))
}

/// Fails unless a query returns no row, or one for which all conditions hold, or the SQL condition `unless` holds.
pub(crate) fn guard(
    query: &str,
    width: usize,
    rows: usize,
    conditions: &str,
    unless: &str,
) -> String {
    let holds = match rows {
        0 => format!("NOT EXISTS (SELECT 1 FROM {SUBQUERY})"),
        _ => is_the_row(conditions, SUBQUERY),
    };
    format!(
        "{}{}",
        cells::with(query, width),
        fails_unless(&holds, unless)
    )
}

/// What the table of a [`guard_by_key`] is called in its conditions.
pub(crate) const TABLE: &str = "t";

/// Fails unless one row of a table has this key, and all conditions hold for it. To prepare this takes SQLite half as long
/// as to prepare a [`guard`].
pub(crate) fn guard_by_key(table: &str, key: &str, conditions: &str) -> String {
    let row = format!("{table} AS {TABLE} WHERE {key}");
    fails_unless(&is_the_row(conditions, &row), "")
}

fn is_the_row(conditions: &str, from: &str) -> String {
    format!("(SELECT count(*)=1 AND total(1{conditions})=1 FROM {from})")
}

/// In a look at the database, rqlite answers with the name of the column.
fn fails_unless(holds: &str, unless: &str) -> String {
    format!(
        "SELECT CASE WHEN {holds}{unless} THEN 1 ELSE json_extract('{{}}','{GUARD}rows') END AS held"
    )
}
