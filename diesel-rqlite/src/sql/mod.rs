//! The SQL that is put around a user's text: rows in an exact form, and guards.
//!
//! `diesel_rqlite_sql` parses the user's own text.

pub(crate) mod cells;
pub(crate) mod compared;
pub(crate) mod results;
pub(crate) mod unstable;

#[cfg(test)]
use diesel_rqlite_sql::{Parsed, SqlError, parse};

/// Returns the only statement of a text.
#[cfg(test)]
pub(crate) fn one(sql: &str) -> Result<Parsed<'_>, SqlError> {
    parse(sql)?.pop().ok_or(SqlError::Empty)
}
