//! What went wrong, as an answer that says whether to try again.

use std::fmt;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error};
use diesel_async::pooled_connection::deadpool::PoolError;
use serde::Serialize;

/// Why there is nothing else to answer.
#[derive(Debug)]
pub enum ServiceError {
    /// There is no such account.
    NotFound,
    /// There is one already.
    Exists(String),
    /// Others were faster, again and again.
    Conflict(String),
    /// It must not be done.
    Invalid(String),
    /// Nothing was done; later it may be.
    Unavailable(String),
    /// It may have been done, or still be.
    Unknown(String),
    /// A mistake of ours.
    Internal(String),
}

/// An error as every framework can send it: what is left to each is a response of its own type.
#[derive(Debug)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The value of the header `Retry-After`, in seconds.
    pub retry_after: Option<&'static str>,
    /// To be sent as JSON.
    pub body: Problem,
}

/// What a client is told.
#[derive(Debug, Serialize)]
pub struct Problem {
    error: String,
    applied: Applied,
}

/// Whether anything was written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Applied {
    No,
    /// It may have been, or still be.
    Unknown,
}

impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => ServiceError::NotFound,
            Error::DatabaseError(kind, reason) => of_kind(kind, &*reason),
            other => ServiceError::Internal(other.to_string()),
        }
    }
}

fn of_kind(kind: Kind, reason: &dyn DatabaseErrorInformation) -> ServiceError {
    let message = reason.message().to_owned();
    match kind {
        Kind::UniqueViolation => ServiceError::Exists(message),
        Kind::CheckViolation | Kind::ForeignKeyViolation | Kind::NotNullViolation => {
            ServiceError::Invalid(message)
        }
        Kind::SerializationFailure => ServiceError::Conflict(message),
        // No node could be reached, or there was no leader.
        Kind::UnableToSendCommand => ServiceError::Unavailable(message),
        // It was sent and no answer came. Only the client can repeat it: by the same id it is done once.
        Kind::ClosedConnection => ServiceError::Unknown(message),
        _ => ServiceError::Internal(message),
    }
}

/// No connection was free in time, or none could be made.
impl From<PoolError> for ServiceError {
    fn from(error: PoolError) -> Self {
        ServiceError::Unavailable(error.to_string())
    }
}

impl ServiceError {
    /// What to answer. A reason that names servers, which are nobody's business but ours, is logged.
    pub fn answer(&self) -> Answer {
        let again = "nothing was done, try again";
        let once = "it may have been done or not: send it again, it is done once";
        match self {
            ServiceError::NotFound => Answer::no(404, "no such account"),
            ServiceError::Exists(message) => Answer::no(409, message),
            ServiceError::Conflict(reason) => Answer::no(409, again).later().because(reason),
            ServiceError::Invalid(message) => Answer::no(422, message),
            ServiceError::Unavailable(reason) => Answer::no(503, again).later().because(reason),
            ServiceError::Unknown(reason) => Answer::unknown(504, once).because(reason),
            ServiceError::Internal(reason) => Answer::unknown(500, "it failed").because(reason),
        }
    }
}

impl Answer {
    fn new(status: u16, error: &str, applied: Applied) -> Self {
        let error = error.to_owned();
        Answer {
            status,
            retry_after: None,
            body: Problem { error, applied },
        }
    }

    fn no(status: u16, error: &str) -> Self {
        Self::new(status, error, Applied::No)
    }

    fn unknown(status: u16, error: &str) -> Self {
        Self::new(status, error, Applied::Unknown)
    }

    fn later(mut self) -> Self {
        self.retry_after = Some("1");
        self
    }

    #[allow(clippy::print_stderr)]
    fn because(self, reason: &str) -> Self {
        eprintln!("{}: {reason}", self.body.error);
        self
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceError::NotFound => formatter.write_str("no such account"),
            ServiceError::Exists(reason)
            | ServiceError::Conflict(reason)
            | ServiceError::Invalid(reason)
            | ServiceError::Unavailable(reason)
            | ServiceError::Unknown(reason)
            | ServiceError::Internal(reason) => formatter.write_str(reason),
        }
    }
}

impl std::error::Error for ServiceError {}
