//! Converts failures to Diesel's errors.
//!
//! Diesel's error information can't be downcast. The kind of an error carries the meaning:
//!
//! | kind | when | was the write applied? |
//! |---|---|---|
//! | `UniqueViolation`, `ForeignKeyViolation`, `NotNullViolation`, `CheckViolation` | SQLite says so | no |
//! | `SerializationFailure` | what a transaction saw is no longer so, or its lock was lost: run it again | no |
//! | the same, for a row of a query | a long answer broke off, and the rows before are others by now: load it again | – |
//! | `ReadOnlyTransaction` | a write in a read-only transaction | no |
//! | `UnableToSendCommand` | no node ran it: refused, no leader, 401, bad request; or a read had no answer | no |
//! | `ClosedConnection` | a write or a commit left and no readable answer came | **unknown**; it is never sent again |
//! | `Unknown` | any other message of SQLite | no |
//! | [`QueryBuilderError`](Error::QueryBuilderError) | the SQL can't be sent as it is | no |
//! | [`DeserializationError`](Error::DeserializationError) | a returned value does not fit its type | yes |

use std::borrow::Cow;

use diesel::QueryResult;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use diesel_rqlite_sql::{Position, SqlError};

use crate::protocol::encoding::Encoding;
use crate::protocol::failure::{Failure, Why};
use crate::protocol::message::{Columns, Constraint, RequestError, StatementError};
use crate::protocol::request::{Exchange, Stake};
use crate::protocol::response::Answer;
use crate::random::NoRandomness;

/// A message and the details derived from it.
#[derive(Debug, Default, PartialEq)]
struct Information {
    message: String,
    details: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

impl DatabaseErrorInformation for Information {
    fn message(&self) -> &str {
        &self.message
    }

    fn details(&self) -> Option<&str> {
        self.details.as_deref()
    }

    fn hint(&self) -> Option<&str> {
        None
    }

    fn table_name(&self) -> Option<&str> {
        self.table.as_deref()
    }

    fn column_name(&self) -> Option<&str> {
        self.column.as_deref()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    fn statement_position(&self) -> Option<i32> {
        None
    }
}

fn database_error(kind: DatabaseErrorKind, information: Information) -> Error {
    Error::DatabaseError(kind, Box::new(information))
}

/// Returns the error of SQLite for one statement. If there were several statements, `details` says which one failed.
pub(crate) fn statement_error(message: &str, details: Option<String>) -> Error {
    let (kind, mut information) = constraint(message);
    information.message = said(message).into_owned();
    information.details = details;
    database_error(kind, information)
}

/// The position of a failed statement.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) migration: Option<String>,
    /// The position in a script.
    pub(crate) position: Option<Position>,
    /// The number among several statements of one request.
    pub(crate) which: Option<String>,
}

impl Place {
    /// Returns the place of the statement with this number, counted from 1, among all statements of one request.
    pub(crate) fn among(number: usize, all: usize, position: Option<Position>) -> Self {
        Place {
            migration: None,
            position,
            which: (all > 1).then(|| format!("statement {number} of {all}")),
        }
    }
}

/// Returns the error of SQLite for one of several statements. For a migration, or after the first line of a script,
/// the message includes the position. The details include it in any case.
pub(crate) fn error_at(message: &str, place: Place) -> Error {
    let (kind, mut information) = constraint(message);
    let position = place
        .position
        .filter(|position| place.migration.is_some() || position.line > 1);
    let position = position.map(|position| position.to_string());
    let said: Vec<_> = place.migration.iter().chain(&position).cloned().collect();
    let message = self::said(message);
    information.message = match said.is_empty() {
        true => message.into_owned(),
        false => format!("{message} ({})", said.join(", ")),
    };
    information.details = position.or(place.which);
    database_error(kind, information)
}

/// Returns an error that belongs to no statement.
pub(crate) fn of_kind(kind: DatabaseErrorKind, message: impl Into<String>) -> Error {
    let message = message.into();
    database_error(
        kind,
        Information {
            message,
            ..Information::default()
        },
    )
}

/// Returns the error of a transaction that must be run again because something it read has changed.
pub(crate) fn conflict(message: String, details: Option<String>) -> Error {
    let information = Information {
        message,
        details,
        ..Information::default()
    };
    database_error(DatabaseErrorKind::SerializationFailure, information)
}

/// Returns the error of a statement after one that failed.
pub(crate) fn aborted(cause: &str) -> Error {
    of_kind(
        DatabaseErrorKind::Unknown,
        format!("the transaction is aborted, since an earlier statement failed: {cause}"),
    )
}

/// Returns the message of SQLite, or the replacement for one that comes from a check of this crate.
fn said(message: &str) -> Cow<'_, str> {
    if StatementError(message).is_without_rowid() {
        return Cow::Owned(SqlError::OfConnection("last_insert_rowid").to_string());
    }
    match StatementError(message).table_behind_dropped() {
        Some(table) => Cow::Owned(format!(
            "the nodes enforce foreign keys, so that dropping this table would delete or change rows of `{table}`, which \
             refers to it. To rebuild the table and keep them, say `PRAGMA foreign_keys = OFF` outside of the transaction: \
             before the migrations run, or in a migration that says `run_in_transaction = false` in its metadata.toml, with \
             BEGIN and COMMIT after it. To lose them, DELETE the rows of this table first, and DROP it without IF EXISTS"
        )),
        None => Cow::Borrowed(message),
    }
}

/// Returns the kind of an error of SQLite, and the details in its message.
fn constraint(message: &str) -> (DatabaseErrorKind, Information) {
    let none = Information::default;
    let named = |name: &str| Information {
        constraint: Some(name.to_owned()),
        ..none()
    };
    match StatementError(message).constraint() {
        Some(Constraint::UniqueIndex(index)) => (DatabaseErrorKind::UniqueViolation, named(index)),
        Some(Constraint::Unique(what)) => (DatabaseErrorKind::UniqueViolation, columns(what)),
        Some(Constraint::NotNull(what)) => (DatabaseErrorKind::NotNullViolation, columns(what)),
        Some(Constraint::Check(name)) => (DatabaseErrorKind::CheckViolation, named(name)),
        Some(Constraint::ForeignKey) => (DatabaseErrorKind::ForeignKeyViolation, none()),
        None if StatementError(message).table_behind_dropped().is_some() => {
            (DatabaseErrorKind::ForeignKeyViolation, none())
        }
        None => (DatabaseErrorKind::Unknown, none()),
    }
}

fn columns(columns: Columns<'_>) -> Information {
    let Some((table, names)) = columns.split() else {
        return Information::default();
    };
    Information {
        table: Some(table.to_owned()),
        column: Some(names.join(", ")),
        ..Information::default()
    }
}

/// Returns the error of a request as a whole, which was answered with status 200.
fn request_error(exchange: &Exchange, message: &str) -> Error {
    refusal(exchange, message).unwrap_or_else(failure)
}

/// Returns the error of a request as a whole, if it is one of its statements. Then nothing was applied. Returns a
/// failure if the request itself failed.
pub(crate) fn refusal(exchange: &Exchange, message: &str) -> Result<Error, Failure> {
    if exchange.stake() == Stake::Nothing {
        return Ok(statement_error(message, None));
    }
    let said = RequestError::of(message);
    if !said.is_not_applied() {
        return Err(exchange.failure(Why::Unknown, message));
    }
    match said {
        // A deferred foreign key fails at the commit, which is not a statement of its own.
        RequestError::Constraint(_) => Ok(statement_error(message, None)),
        RequestError::TransactionOpen => Ok(statement_error(
            message,
            Some("another client has left a transaction open".to_owned()),
        )),
        _ => Err(exchange.failure(Why::NotApplied, message)),
    }
}

impl From<NoRandomness> for Error {
    /// A request that must be distinguishable from others is not sent without randomness.
    fn from(error: NoRandomness) -> Self {
        of_kind(DatabaseErrorKind::UnableToSendCommand, error.to_string())
    }
}

/// The part of an error message for a write without an answer.
const UNKNOWN_OUTCOME: &str = "it is unknown whether the write was applied; it was not sent again";

/// Returns whether an error says that a write may have been applied.
pub(crate) fn is_unknown_outcome(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, information) => {
            information.details() == Some(UNKNOWN_OUTCOME)
        }
        _ => false,
    }
}

/// Returns the error of a request without an answer.
pub(crate) fn failure(failure: Failure) -> Error {
    let (kind, details) = match failure.why {
        Why::NotApplied => (DatabaseErrorKind::UnableToSendCommand, None),
        // Nothing was applied, because there was nothing to apply.
        Why::Unknown if failure.stake == Stake::Nothing => {
            (DatabaseErrorKind::UnableToSendCommand, None)
        }
        Why::Unknown => (DatabaseErrorKind::ClosedConnection, Some(UNKNOWN_OUTCOME)),
        Why::Unwritable => (
            DatabaseErrorKind::ClosedConnection,
            Some("the write was applied, but rqlite could not write its values as JSON"),
        ),
    };
    let details = details.filter(|_| failure.stake == Stake::Write);
    let information = Information {
        message: failure.message,
        details: details.map(str::to_owned),
        ..Information::default()
    };
    database_error(kind, information)
}

/// Returns whether a read failed only because rqlite can't write a value as JSON (a time beyond the year 9999).
pub(crate) fn is_unwritable(error: &Error) -> bool {
    match error {
        Error::DatabaseError(_, information) => {
            StatementError(information.message()).is_unwritable_time()
        }
        _ => false,
    }
}

/// Parses a body. Fails if it can't be parsed, or if the request failed as a whole.
pub(crate) fn answer(
    exchange: &Exchange,
    body: &[u8],
    encodings: &[Vec<Encoding>],
) -> QueryResult<Answer> {
    let answer = exchange.answer(body, encodings).map_err(failure)?;
    match &answer.error {
        Some(message) => Err(request_error(exchange, message)),
        None => Ok(answer),
    }
}

/// Returns the error of a read whose answer can't be used.
pub(crate) fn useless_answer(message: impl Into<String>) -> Error {
    of_kind(DatabaseErrorKind::ClosedConnection, message)
}

/// Returns the error of a value that JSON can't represent, and that was not requested in another form.
pub(crate) fn unwritable() -> Error {
    useless_answer("rqlite can't write the values as JSON")
}

/// Returns the error of a query whose answer is that of a statement without rows.
pub(crate) fn no_rows() -> Error {
    useless_answer("unreadable answer: no columns for a query")
}

/// Returns the error of a read whose answer has less than was requested.
pub(crate) fn cut_short() -> Error {
    useless_answer("an answer with too few results")
}

/// Returns the error of a transaction's read if the server can't read its own schema.
pub(crate) fn schema_unreadable(message: &str) -> Error {
    of_kind(
        DatabaseErrorKind::Unknown,
        format!(
            "the server can't read the schema, which decides what a transaction may compare: {message}; a transaction in the \
             mode Deferred compares nothing"
        ),
    )
}

/// Returns the error of a write that was applied, but whose rows were not returned.
pub(crate) fn rows_lost() -> Error {
    Error::DeserializationError(
        "the write was applied, but rqlite returned no rows: its own parser did not understand the \
         statement, or lost the RETURNING clause"
            .into(),
    )
}

/// Returns the error of a write in a transaction whose rows were not returned.
pub(crate) fn rows_lost_in_transaction() -> Error {
    Error::DeserializationError(
        "rqlite returned no rows: its own parser did not understand the statement, or lost the RETURNING \
         clause; the write is not part of the transaction"
            .into(),
    )
}

/// Returns the error of SQL that is not sent.
pub(crate) fn not_sent(error: SqlError) -> Error {
    if error.is_of_sqlite() {
        return statement_error(&error.to_string(), None);
    }
    // The error is text, because `unwrap` prints it.
    Error::QueryBuilderError(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::TRANSACTION_OPEN;
    use crate::protocol::request::{Endpoint, Statements};

    #[test]
    fn constraints_name_what_they_are_about() {
        let about = |message| {
            let (kind, information) = constraint(message);
            (
                kind,
                information.table,
                information.column,
                information.constraint,
            )
        };
        let some = |text: &str| Some(text.to_owned());
        use DatabaseErrorKind as Kind;
        for (message, wanted) in [
            (
                "UNIQUE constraint failed: e.u",
                (Kind::UniqueViolation, some("e"), some("u"), None),
            ),
            (
                "UNIQUE constraint failed: e.a, e.b",
                (Kind::UniqueViolation, some("e"), some("a, b"), None),
            ),
            (
                "UNIQUE constraint failed: index 'e_x'",
                (Kind::UniqueViolation, None, None, some("e_x")),
            ),
            (
                "NOT NULL constraint failed: e.n",
                (Kind::NotNullViolation, some("e"), some("n"), None),
            ),
            (
                "CHECK constraint failed: ck>0",
                (Kind::CheckViolation, None, None, some("ck>0")),
            ),
            (
                "FOREIGN KEY constraint failed",
                (Kind::ForeignKeyViolation, None, None, None),
            ),
            ("no such table: t", (Kind::Unknown, None, None, None)),
        ] {
            let (kind, table, column, constraint) = about(message);
            assert_eq!(format!("{kind:?}"), format!("{:?}", wanted.0), "{message}");
            assert_eq!(
                (table, column, constraint),
                (wanted.1, wanted.2, wanted.3),
                "{message}"
            );
        }
    }

    fn write() -> Exchange {
        let endpoint = Endpoint::Execute {
            transaction: false,
            returning: false,
        };
        Exchange::new(endpoint, Statements::default())
    }

    #[test]
    fn outcome_is_unknown_unless_the_text_proves_that_nothing_was_applied() {
        let write = write();
        for text in [
            "leader not found",
            "disallowed pragma",
            TRANSACTION_OPEN,
            "FOREIGN KEY constraint failed",
            "leadership lost while committing log",
            "timeout waiting for fsm",
            "read protobuf length: EOF",
        ] {
            let is_proven = RequestError::of(text).is_not_applied();
            assert_eq!(is_unknown_outcome(&request_error(&write, text)), !is_proven);
        }
    }

    #[test]
    fn an_unknown_outcome_says_so() {
        let write = write();
        let error = request_error(&write, "leadership lost while committing log");
        assert!(is_unknown_outcome(&error));
        assert!(!is_unknown_outcome(&cut_short()));
        let Error::DatabaseError(kind, information) = error else {
            panic!("not a database error");
        };
        assert!(matches!(kind, DatabaseErrorKind::ClosedConnection));
        assert!(
            information
                .details()
                .is_some_and(|details| details.contains("unknown"))
        );
    }
}
