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

/// The condition that a column has the value of a row that came as it is stored. `place` writes a value.
pub(crate) fn as_stored(
    row: &Rows,
    column: usize,
    encoding: Option<Encoding>,
    mut place: impl FnMut(Bind<'static>) -> String,
) -> String {
    let name = format!("c{column}");
    let as_real = encoding == Some(Encoding::Stored(Wanted::Real));
    match row.value(0, column) {
        None => format!("{name} IS NULL"),
        #[allow(clippy::cast_precision_loss)]
        Some(Value::Integer(value)) if as_real => is_real(&name, &place(Bind::Real(value as f64))),
        Some(Value::Real(value)) if as_real => is_real(&name, &place(Bind::Real(value))),
        Some(Value::Integer(value)) => format!("+{name} IS {}", place(Bind::Integer(value))),
        Some(Value::Real(value)) => format!("+{name} IS {}", place(Bind::Real(value))),
        // rqlite does not tell a BLOB in a column of text from a text.
        Some(Value::Text(value)) => {
            let value = place(Bind::Text(value.to_owned().into()));
            format!(
                "typeof({name}) IN ('text','blob') AND CAST({name} AS TEXT)={value} COLLATE BINARY"
            )
        }
        Some(Value::Binary(value)) => {
            let value = place(Bind::Binary(value.to_vec().into()));
            format!("typeof({name})='blob' AND {name}={value}")
        }
    }
}

/// What is read as a REAL may be an INTEGER that is none to the last digit.
fn is_real(name: &str, value: &str) -> String {
    format!("typeof({name}) IN ('integer','real') AND CAST({name} AS REAL)={value}")
}

/// The condition that a column has the value of a row that came as a cell, or was decoded from one.
pub(crate) fn as_cell(
    row: &Rows,
    column: usize,
    mut place: impl FnMut(Bind<'static>) -> String,
) -> String {
    let classes = Classes::of(row)
        .get(column)
        .copied()
        .unwrap_or(Classes::ALL);
    let cell = cells::cell(&format!("c{column}"), classes, TextCell::Hex);
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
        _ => format!("(SELECT count(*)=1 AND total(1{conditions})=1 FROM {SUBQUERY})"),
    };
    format!(
        "{}SELECT CASE WHEN {holds}{unless} THEN 1 ELSE json_extract('{{}}','{GUARD}rows') END",
        cells::with(query, width)
    )
}
