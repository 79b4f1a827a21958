//! Rows and values as text, the same from both connections.

use diesel::backend::Backend;
use diesel::deserialize::{self, QueryableByName};
use diesel::result::Error;
use diesel::row::{Field, NamedRow, Row};
use diesel::sqlite::{Sqlite, SqliteType};
use diesel_rqlite::Rqlite;

/// A row of any columns.
pub struct Shown(pub String);

/// A value that says of which kind it is.
pub trait Value: Backend {
    fn text(value: Self::RawValue<'_>) -> String;
}

impl<DB: Value> QueryableByName<DB> for Shown {
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> deserialize::Result<Self> {
        let mut text = String::new();
        for column in 0..row.field_count() {
            let field = Row::get(row, column).ok_or("no such column")?;
            text.push_str(field.field_name().unwrap_or("?"));
            text.push('=');
            match field.value() {
                Some(value) => text.push_str(&DB::text(value)),
                None => text.push_str("NULL"),
            }
            text.push_str("; ");
        }
        Ok(Shown(text))
    }
}

fn integer(value: i64) -> String {
    value.to_string()
}

/// rqlite writes the REAL 1.0 as 1.
fn real(value: f64) -> String {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if value.fract() == 0.0 && (-BOUND..BOUND).contains(&value) {
        return integer(value as i64);
    }
    format!("{value:?}")
}

fn bytes(value: &[u8], is_text: bool) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if is_text => format!("{text:?}"),
        // Text that is no UTF-8 comes as bytes.
        _ => format!("x{value:02x?}"),
    }
}

impl Value for Sqlite {
    fn text(mut value: Self::RawValue<'_>) -> String {
        match value.value_type() {
            None => "NULL".to_owned(),
            Some(SqliteType::Text) => bytes(value.read_blob(), true),
            Some(SqliteType::Binary) => bytes(value.read_blob(), false),
            Some(SqliteType::Float | SqliteType::Double) => real(value.read_double()),
            Some(SqliteType::SmallInt | SqliteType::Integer | SqliteType::Long) => {
                integer(value.read_long())
            }
        }
    }
}

impl Value for Rqlite {
    fn text(mut value: Self::RawValue<'_>) -> String {
        let debug = format!("{value:?}");
        let is = |kind: &str| debug.starts_with(&format!("RqliteValue {{ value: {kind}("));
        let no = |_| format!("unreadable {debug}");
        if is("Integer") {
            value.read_long().map_or_else(no, integer)
        } else if is("Real") {
            value.read_double().map_or_else(no, real)
        } else {
            let text = is("Text");
            value
                .read_blob()
                .map_or_else(no, |value| bytes(value, text))
        }
    }
}

/// The kind and message of an error.
pub fn error(error: &Error) -> String {
    match error {
        Error::DatabaseError(kind, information) => {
            format!("{kind:?}: {}", information.message())
        }
        error => format!("{error:?}"),
    }
}
