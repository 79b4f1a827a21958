//! The kinds of errors, as Diesel names them.

use diesel::result::{ConnectionError, DatabaseErrorKind, Error};

use super::statistics::Kind;
use crate::error;

/// An error of an operation.
pub(crate) trait Failed {
    fn kind(&self) -> Kind;

    /// Returns whether the operation may have been applied.
    fn is_unknown_outcome(&self) -> bool {
        false
    }

    /// Returns the message, which may contain values.
    fn text(&self) -> String;
}

impl Failed for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::DatabaseError(kind, _) => of_database(kind),
            Error::QueryBuilderError(_) => Kind::QueryBuilderError,
            Error::DeserializationError(_) => Kind::DeserializationError,
            _ => Kind::Other,
        }
    }

    fn is_unknown_outcome(&self) -> bool {
        error::is_unknown_outcome(self)
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

impl Failed for ConnectionError {
    fn kind(&self) -> Kind {
        Kind::ConnectionError
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

fn of_database(kind: &DatabaseErrorKind) -> Kind {
    match kind {
        DatabaseErrorKind::UniqueViolation => Kind::UniqueViolation,
        DatabaseErrorKind::ForeignKeyViolation => Kind::ForeignKeyViolation,
        DatabaseErrorKind::NotNullViolation => Kind::NotNullViolation,
        DatabaseErrorKind::CheckViolation => Kind::CheckViolation,
        DatabaseErrorKind::SerializationFailure => Kind::SerializationFailure,
        DatabaseErrorKind::ReadOnlyTransaction => Kind::ReadOnlyTransaction,
        DatabaseErrorKind::UnableToSendCommand => Kind::UnableToSendCommand,
        DatabaseErrorKind::ClosedConnection => Kind::ClosedConnection,
        DatabaseErrorKind::Unknown => Kind::Unknown,
        _ => Kind::Other,
    }
}
