//! What went wrong, as Diesel says it.
//!
//! Diesel's error information can't be downcast, so its kind carries the meaning:
//!
//! | kind | when | was the write applied? |
//! |---|---|---|
//! | `UniqueViolation`, `ForeignKeyViolation`, `NotNullViolation`, `CheckViolation` | SQLite says so | no |
//! | `SerializationFailure` | what a transaction saw is no longer so, or its lock was lost: run it again | no |
//! | `ReadOnlyTransaction` | a write in a read-only transaction | no |
//! | `UnableToSendCommand` | no node ran it: refused, no leader, 401, bad request | no |
//! | `ClosedConnection` | it left and no readable answer came | **unknown**; it is never sent again |
//! | `Unknown` | any other message of SQLite | no |
//! | [`QueryBuilderError`](Error::QueryBuilderError) | the SQL can't be sent as it is | no |
//! | [`DeserializationError`](Error::DeserializationError) | a returned value does not fit its type | yes |

use diesel::QueryResult;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use diesel_rqlite_sql::{Position, SqlError};

use crate::lock::LockError;
use crate::protocol::call::Failure;
use crate::protocol::response::Answer;
use crate::sql::results::Encoding;

/// A message with what can be told from it.
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

/// An error of SQLite for one statement. `details` says which, where there were several.
pub(crate) fn statement_error(message: &str, details: Option<String>) -> Error {
    let (kind, mut information) = constraint(message);
    information.message = message.to_owned();
    information.details = details;
    database_error(kind, information)
}

/// Where the statement stood that failed.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) migration: Option<String>,
    /// In a script.
    pub(crate) position: Option<Position>,
    /// Among several statements of one request.
    pub(crate) which: Option<String>,
}

impl Place {
    /// Of the statement with this number, counted from 1, among so many of one request.
    pub(crate) fn among(number: usize, all: usize, position: Option<Position>) -> Self {
        Place {
            migration: None,
            position,
            which: (all > 1).then(|| format!("statement {number} of {all}")),
        }
    }
}

/// An error of SQLite for one statement of several. For one of a migration, or behind the first line of a script, the
/// message says where it stands; the details do in any case.
pub(crate) fn error_at(message: &str, place: Place) -> Error {
    let (kind, mut information) = constraint(message);
    let position = place
        .position
        .filter(|position| place.migration.is_some() || position.line > 1);
    let position = position.map(|position| position.to_string());
    let said: Vec<_> = place.migration.iter().chain(&position).cloned().collect();
    information.message = match said.is_empty() {
        true => message.to_owned(),
        false => format!("{message} ({})", said.join(", ")),
    };
    information.details = position.or(place.which);
    database_error(kind, information)
}

/// An error without a statement.
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

/// A transaction that must be run again, since something it was shown is no longer so.
pub(crate) fn conflict(message: String, details: Option<String>) -> Error {
    let information = Information {
        message,
        details,
        ..Information::default()
    };
    database_error(DatabaseErrorKind::SerializationFailure, information)
}

/// A statement behind one that failed.
pub(crate) fn aborted(cause: &str) -> Error {
    of_kind(
        DatabaseErrorKind::Unknown,
        format!("the transaction is aborted, since an earlier statement failed: {cause}"),
    )
}

/// The lock of a transaction can't be had, or was lost.
pub(crate) fn lock(error: &LockError) -> Error {
    if error.is_lost() {
        return conflict(error.to_string(), None);
    }
    let kind = DatabaseErrorKind::UnableToSendCommand;
    of_kind(kind, error.to_string())
}

/// SQLite names no constraint but CHECKs and indexes on expressions; columns come as `table.column`.
fn constraint(message: &str) -> (DatabaseErrorKind, Information) {
    let none = Information::default;
    if let Some(what) = message.strip_prefix("UNIQUE constraint failed: ") {
        let information = match what.strip_prefix("index '") {
            Some(index) => Information {
                constraint: Some(index.trim_end_matches('\'').to_owned()),
                ..none()
            },
            None => columns(what),
        };
        (DatabaseErrorKind::UniqueViolation, information)
    } else if let Some(what) = message.strip_prefix("NOT NULL constraint failed: ") {
        (DatabaseErrorKind::NotNullViolation, columns(what))
    } else if let Some(what) = message.strip_prefix("CHECK constraint failed: ") {
        let information = Information {
            constraint: Some(what.to_owned()),
            ..none()
        };
        (DatabaseErrorKind::CheckViolation, information)
    } else if message == "FOREIGN KEY constraint failed" {
        (DatabaseErrorKind::ForeignKeyViolation, none())
    } else {
        (DatabaseErrorKind::Unknown, none())
    }
}

/// `t.a, t.b` → table `t`, column `a, b`.
fn columns(list: &str) -> Information {
    let names = list.split(", ").map(|name| name.split_once('.'));
    let names: Option<Vec<_>> = names.collect();
    let Some(names) = names else {
        return Information::default();
    };
    let columns: Vec<_> = names.iter().map(|(_, column)| *column).collect();
    Information {
        table: names.first().map(|(table, _)| (*table).to_owned()),
        column: Some(columns.join(", ")),
        ..Information::default()
    }
}

const NOT_APPLIED: [&str; 2] = ["disallowed pragma", "timed out enqueuing operation"];
const TRANSACTION_OPEN: &str = "cannot start a transaction within a transaction";

/// Whether an error of a whole request says that it was not applied.
pub(crate) fn is_decided(message: &str) -> bool {
    let (kind, _) = constraint(message);
    kind != DatabaseErrorKind::Unknown
        || NOT_APPLIED.contains(&message)
        || message == TRANSACTION_OPEN
}

/// An error of the request as a whole, answered with status 200.
pub(crate) fn request_error(message: &str, is_read: bool) -> Error {
    let (kind, _) = constraint(message);
    if kind != DatabaseErrorKind::Unknown || is_read {
        // A deferred foreign key fails at the commit, for which there is no statement.
        statement_error(message, None)
    } else if NOT_APPLIED.contains(&message) {
        failure(Failure::NotApplied(message.to_owned()), is_read)
    } else if message == TRANSACTION_OPEN {
        statement_error(
            message,
            Some("another client has left a transaction open".to_owned()),
        )
    } else {
        failure(Failure::Unknown(message.to_owned()), is_read)
    }
}

/// There is no answer.
pub(crate) fn failure(failure: Failure, is_read: bool) -> Error {
    let unknown = |message: String, details: &str| {
        let information = Information {
            message,
            details: (!is_read).then(|| details.to_owned()),
            ..Information::default()
        };
        database_error(DatabaseErrorKind::ClosedConnection, information)
    };
    match failure {
        Failure::NotApplied(message) => database_error(
            DatabaseErrorKind::UnableToSendCommand,
            Information {
                message,
                ..Information::default()
            },
        ),
        Failure::Unknown(message) => unknown(
            message,
            "it is unknown whether the write was applied; it was not sent again",
        ),
        Failure::Unwritable(message) => unknown(
            message,
            "the write was applied, but rqlite could not write its values as JSON",
        ),
    }
}

/// Whether a read failed only because rqlite can't write a value as JSON (a time beyond the year 9999).
pub(crate) fn is_unwritable(error: &Error) -> bool {
    match error {
        Error::DatabaseError(_, information) => information.message().contains("Time.MarshalText"),
        _ => false,
    }
}

/// What a body says, unless it can't be read, or the request failed as a whole.
pub(crate) fn answer(
    body: &[u8],
    encodings: &[Vec<Encoding>],
    is_read: bool,
) -> QueryResult<Answer> {
    let answer = Answer::parse(body, encodings).map_err(|error| unreadable(&error, is_read))?;
    match &answer.error {
        Some(message) => Err(request_error(message, is_read)),
        None => Ok(answer),
    }
}

/// An answer that says less than was asked.
pub(crate) fn cut_short() -> Error {
    let message = "an answer with too few results".to_owned();
    failure(Failure::Unknown(message), true)
}

/// An answer that is none of rqlite's.
fn unreadable(error: &serde_json::Error, is_read: bool) -> Error {
    failure(
        Failure::Unknown(format!("unreadable answer: {error}")),
        is_read,
    )
}

/// A write was done, but its rows did not come back.
pub(crate) fn rows_lost() -> Error {
    Error::DeserializationError(
        "the write was applied, but rqlite returned no rows: its own parser did not understand the \
         statement, or lost the RETURNING clause"
            .into(),
    )
}

/// The rows of a write that a transaction looked at did not come.
pub(crate) fn rows_lost_in_transaction() -> Error {
    Error::DeserializationError(
        "rqlite returned no rows: its own parser did not understand the statement, or lost the RETURNING \
         clause; the write is not part of the transaction"
            .into(),
    )
}

/// The SQL is not sent.
pub(crate) fn not_sent(error: SqlError) -> Error {
    if error.is_of_sqlite() {
        return statement_error(&error.to_string(), None);
    }
    // As text, which is what `unwrap` shows of it.
    Error::QueryBuilderError(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_unknown_outcome_says_so() {
        let Error::DatabaseError(kind, information) =
            request_error("leadership lost while committing log", false)
        else {
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
