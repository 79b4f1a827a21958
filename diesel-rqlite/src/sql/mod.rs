//! What SQL is put around what a user wrote: rows in an exact form, guards.
//!
//! The user's own text is read by `diesel_rqlite_sql`.

pub(crate) mod cells;
pub(crate) mod compared;
pub(crate) mod results;
pub(crate) mod unstable;

#[cfg(test)]
use diesel_rqlite_sql::{Parsed, SqlError, parse};

/// The only statement of a text.
#[cfg(test)]
pub(crate) fn one(sql: &str) -> Result<Parsed<'_>, SqlError> {
    parse(sql)?.pop().ok_or(SqlError::Empty)
}
