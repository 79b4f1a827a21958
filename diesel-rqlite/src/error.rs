//! What went wrong, as Diesel says it.
//!
//! Diesel's error information can't be downcast, so its kind carries the meaning:
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
    information.message = said(message).into_owned();
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
    let message = self::said(message);
    information.message = match said.is_empty() {
        true => message.into_owned(),
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

/// The message of SQLite, unless it is that of a check of this crate's own.
fn said(message: &str) -> Cow<'_, str> {
    if StatementError(message).is_without_rowid() {
        return Cow::Owned(SqlError::OfConnection("last_insert_rowid").to_string());
    }
    match StatementError(message).table_behind_dropped() {
        Some(table) => Cow::Owned(format!(
            "the nodes enforce foreign keys, so that dropping this table would delete or change rows of `{table}`, which \
             refers to it. To rebuild the table and keep them, say `PRAGMA foreign_keys = OFF` outside of the transaction: \
             before the migrations run, or in a migration that says `run_in_transaction = false` in its metadata.toml, with \
             BEGIN and COMMIT behind it. To lose them, DELETE the rows of this table first, and DROP it without IF EXISTS"
        )),
        None => Cow::Borrowed(message),
    }
}

/// The kind of an error of SQLite, and what it tells.
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

/// An error of the request as a whole, answered with status 200.
pub(crate) fn request_error(exchange: &Exchange, message: &str) -> Error {
    if exchange.stake() == Stake::Nothing {
        return statement_error(message, None);
    }
    match RequestError::of(message) {
        // A deferred foreign key fails at the commit, for which there is no statement.
        RequestError::Constraint(_) => statement_error(message, None),
        RequestError::NotHere | RequestError::Refused => {
            failure(exchange.failure(Why::NotApplied, message))
        }
        RequestError::TransactionOpen => statement_error(
            message,
            Some("another client has left a transaction open".to_owned()),
        ),
        RequestError::LeadershipLost | RequestError::NothingToApply | RequestError::Other => {
            failure(exchange.failure(Why::Unknown, message))
        }
    }
}

impl From<NoRandomness> for Error {
    /// Nothing is sent that would need to be told from others.
    fn from(error: NoRandomness) -> Self {
        of_kind(DatabaseErrorKind::UnableToSendCommand, error.to_string())
    }
}

/// There is no answer.
pub(crate) fn failure(failure: Failure) -> Error {
    let (kind, details) = match failure.why {
        Why::NotApplied => (DatabaseErrorKind::UnableToSendCommand, None),
        // Nothing was applied, since there was nothing to apply.
        Why::Unknown if failure.stake == Stake::Nothing => {
            (DatabaseErrorKind::UnableToSendCommand, None)
        }
        Why::Unknown => (
            DatabaseErrorKind::ClosedConnection,
            Some("it is unknown whether the write was applied; it was not sent again"),
        ),
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

/// Whether a read failed only because rqlite can't write a value as JSON (a time beyond the year 9999).
pub(crate) fn is_unwritable(error: &Error) -> bool {
    match error {
        Error::DatabaseError(_, information) => {
            StatementError(information.message()).is_unwritable_time()
        }
        _ => false,
    }
}

/// What a body says, unless it can't be read, or the request failed as a whole.
pub(crate) fn answer(
    exchange: &Exchange,
    body: &[u8],
    encodings: &[Vec<Encoding>],
) -> QueryResult<Answer> {
    let answer = exchange.answer(body, encodings).map_err(failure)?;
    accepted(exchange, answer)
}

/// An answer, unless it says that the request failed as a whole.
pub(crate) fn accepted(exchange: &Exchange, answer: Answer) -> QueryResult<Answer> {
    match &answer.error {
        Some(message) => Err(request_error(exchange, message)),
        None => Ok(answer),
    }
}

/// The answer to a read came, and is of no use.
pub(crate) fn useless_answer(message: impl Into<String>) -> Error {
    of_kind(DatabaseErrorKind::ClosedConnection, message)
}

/// A value that is no JSON, which was not asked for in another form.
pub(crate) fn unwritable() -> Error {
    useless_answer("rqlite can't write the values as JSON")
}

/// A query was answered as what returns no rows is.
pub(crate) fn no_rows() -> Error {
    useless_answer("unreadable answer: no columns for a query")
}

/// An answer to a read that says less than was asked.
pub(crate) fn cut_short() -> Error {
    useless_answer("an answer with too few results")
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

    #[test]
    fn an_unknown_outcome_says_so() {
        let endpoint = Endpoint::Execute {
            transaction: false,
            returning: false,
        };
        let write = Exchange::new(endpoint, Statements::default());
        let Error::DatabaseError(kind, information) =
            request_error(&write, "leadership lost while committing log")
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
