//! One row, compared value by value.
//!
//! A row that came as it is stored is guarded by its values. That costs the server a fifth of the time that a text of
//! them takes, see [`cells`](super::cells). The comparison must avoid conversions by SQLite: a unary plus removes the
//! affinity of a column, and a text is compared by its bytes.
//!
//! A caller makes one condition for each column, by [`push_stored`] or [`push_cell`], depending on the form in which the
//! column came. It joins them, each after ` AND `, and passes them to [`guard`] or [`guard_by_key`].
//!
//! Invariant: a condition holds for the value that was read and for no other value that the client could tell from it.
//! A condition that is NULL counts as false: `total(1 AND …)` counts a row only if all conditions are true.
//!
//! `place` in these functions binds a value and appends the SQL for it, including SQL for values that JSON can't carry.
//! Both are appended piece by piece: a transaction makes a guard for each of its reads.

use crate::bind_collector::Bind;
use crate::protocol::encoding::{Encoding, Wanted};
use crate::protocol::rows::{EXACT, Rows, Value};

use super::cells::{self, Classes, TextCell};
use super::fails_unless;
use super::results::SUBQUERY;

/// Appends the condition that the column of this name has the value of a row that came as it is stored.
///
/// Numbers are less than any text, and BLOBs are greater. So a comparison with `''` tells what `typeof` does, and SQLite
/// prepares it faster.
///
/// `name` is the SQL for the column. `encoding` tells how the value was read; a value that was read as a REAL is
/// compared as one. Reads the first row only.
pub(crate) fn push_stored(
    sql: &mut String,
    name: &str,
    row: &Rows,
    column: usize,
    encoding: Option<Encoding>,
    place: impl FnOnce(&mut String, Bind<'static>),
) {
    let as_real = encoding == Some(Encoding::Stored(Wanted::Real));
    let value = match row.value(0, column) {
        // The stored value may be an INTEGER that a REAL can't represent exactly.
        #[allow(clippy::cast_precision_loss)]
        Some(Value::Integer(value)) if as_real => Some(Value::Real(value as f64)),
        value => value,
    };
    // An INTEGER that a REAL represents exactly is equal to it. Beyond this number it may not be.
    #[allow(clippy::cast_precision_loss)]
    let is_exact = |real: f64| real.abs() < EXACT as f64;
    let (parts, value, end): (&[&str], _, _) = match value {
        None => return push(sql, &[name, " IS NULL"]),
        Some(Value::Real(value)) if as_real && !is_exact(value) => (
            &[name, "<'' AND CAST(", name, " AS REAL)="],
            Bind::Real(value),
            "",
        ),
        Some(Value::Integer(value)) => (&["+", name, " IS "], Bind::Integer(value), ""),
        Some(Value::Real(value)) => (&["+", name, " IS "], Bind::Real(value), ""),
        // rqlite does not distinguish a BLOB in a column of text from a text.
        Some(Value::Text(value)) => (
            &[name, ">='' AND CAST(", name, " AS TEXT)="],
            Bind::Text(value.to_owned().into()),
            " COLLATE BINARY",
        ),
        Some(Value::Binary(value)) => (
            &["typeof(", name, ")='blob' AND ", name, "="],
            Bind::Binary(value.to_vec().into()),
            "",
        ),
    };
    push(sql, parts);
    place(sql, value);
    sql.push_str(end);
}

fn push(sql: &mut String, parts: &[&str]) {
    for part in parts {
        sql.push_str(part);
    }
}

/// Appends the condition that the column of this name has the value of a row that came as a cell, or was decoded from
/// one.
///
/// The cell of that column in the first row is written on the client, and compared with the one that SQLite writes.
pub(crate) fn push_cell(
    sql: &mut String,
    name: &str,
    row: &Rows,
    column: usize,
    place: impl FnOnce(&mut String, Bind<'static>),
) {
    let classes = Classes::of(row)
        .get(column)
        .copied()
        .unwrap_or(Classes::ALL);
    let cell = cells::cell(name, classes, TextCell::Hex);
    let text = cells::row_text(row, 0, |other| other == column);
    push(sql, &[&cell, "="]);
    place(sql, Bind::Text(text.into()));
}

/// Returns the statement that fails unless a query returns no row, or one for which all conditions hold, or the SQL
/// condition `unless` holds.
///
/// `rows` is the number of rows that were shown, 0 or 1. `conditions` are about the columns `c0`, `c1` and so on of the
/// query. `unless` is empty, or begins with ` OR `.
pub(crate) fn guard(
    query: &str,
    width: usize,
    rows: usize,
    conditions: &str,
    unless: &str,
) -> String {
    let holds = match rows {
        0 => format!("NOT EXISTS (SELECT 1 FROM {SUBQUERY})"),
        _ => format!("(SELECT {} FROM {SUBQUERY})", is_the_row(conditions)),
    };
    let guard = named(&format!("{holds}{unless}"));
    format!("{}{guard}", cells::with(query, width))
}

/// The alias of the table in the conditions of a [`guard_by_key`].
pub(crate) const TABLE: &str = "t";

/// Returns the statement that fails unless one row of a table has this key, and all conditions hold for it. SQLite
/// prepares it in half the time of a [`guard`].
///
/// `table` is quoted, and `key` and `conditions` name columns by [`TABLE`]. The user's query is not run at all, so the
/// key must be the whole primary key, or other rows would be counted.
pub(crate) fn guard_by_key(table: &str, key: &str, conditions: &str) -> String {
    let is_the_row = is_the_row(conditions);
    let from = [" FROM ", table, " AS ", TABLE, " WHERE ", key].concat();
    [named(&is_the_row), from].concat()
}

/// Returns the condition that there is exactly one row, and that all conditions are true for it. It belongs in a query
/// over the rows, which yields one row itself.
fn is_the_row(conditions: &str) -> String {
    ["count(*)=1 AND total(1", conditions, ")=1"].concat()
}

/// Returns the statement that fails unless this holds. Its column has a short name, because rqlite returns the name in a
/// peek.
fn named(holds: &str) -> String {
    [&fails_unless(holds, "rows"), " AS held"].concat()
}
