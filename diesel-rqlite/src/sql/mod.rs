//! The SQL that is put around a user's text: rows in an exact form, and guards.
//!
//! `diesel_rqlite_sql` parses the user's own text.
//!
//! * `results`: outside of transactions, the SQL around a query or after RETURNING that makes the JSON of the answer
//!   exact.
//! * `cells`: inside of transactions, each row as one text, and the guard that compares all texts.
//! * `compared`: inside of transactions, the guard that compares one row value by value.
//! * `unstable`: what the schema says about values that a guard must not compare.
//!
//! All of it is text in and text out. The modules take the user's text as `statement` has written it for its values,
//! and never change it. What they put around it uses the name [`results::SUBQUERY`] and the columns `c0`, `c1` and so
//! on, so that an error of SQLite about this SQL can be told from one about the user's. Guards have to give the same
//! result on every node; the SQL of `results` is only read by the client that asked.

pub(crate) mod cells;
pub(crate) mod compared;
pub(crate) mod results;
pub(crate) mod unstable;

use crate::protocol::message::GUARD;

#[cfg(test)]
use diesel_rqlite_sql::{Parsed, SqlError, parse};

/// Returns the statement that fails unless a condition holds. The error names the guard. Only the branch that is taken is
/// evaluated, so the statement can be prepared in any case.
pub(crate) fn fails_unless(condition: &str, guard: &str) -> String {
    let (fails, end) = (" THEN 1 ELSE json_extract('{}','", "') END");
    ["SELECT CASE WHEN ", condition, fails, GUARD, guard, end].concat()
}

/// Returns the only statement of a text.
#[cfg(test)]
pub(crate) fn one(sql: &str) -> Result<Parsed<'_>, SqlError> {
    parse(sql)?.pop().ok_or(SqlError::Empty)
}
