//! What went wrong, as an answer that says whether to try again.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error};
use diesel_async::pooled_connection::deadpool::PoolError;
use serde_json::json;

#[derive(Debug)]
pub(crate) enum ApiError {
    NotFound,
    Exists(String),
    Invalid(String),
    /// Nothing was done; later it may be.
    Unavailable(String),
    /// It may have been done, or still be.
    Unknown(String),
    /// A mistake of ours.
    Internal(String),
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => ApiError::NotFound,
            Error::DatabaseError(kind, reason) => of_kind(kind, &*reason),
            other => ApiError::Internal(other.to_string()),
        }
    }
}

fn of_kind(kind: Kind, reason: &dyn DatabaseErrorInformation) -> ApiError {
    let message = reason.message().to_owned();
    match kind {
        Kind::UniqueViolation => ApiError::Exists(message),
        Kind::CheckViolation | Kind::ForeignKeyViolation | Kind::NotNullViolation => {
            ApiError::Invalid(message)
        }
        // Others were faster again and again; or no node could be reached, or there was no leader.
        Kind::SerializationFailure | Kind::UnableToSendCommand => ApiError::Unavailable(message),
        // It was sent and no answer came. Only the client can repeat it: by the same id it is done once.
        Kind::ClosedConnection => ApiError::Unknown(message),
        _ => ApiError::Internal(message),
    }
}

/// No connection was free in time, or none could be made.
impl From<PoolError> for ApiError {
    fn from(error: PoolError) -> Self {
        ApiError::Unavailable(error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            ApiError::NotFound => (StatusCode::NOT_FOUND, "no such account".to_owned()),
            ApiError::Exists(message) => (StatusCode::CONFLICT, message),
            ApiError::Invalid(message) => (StatusCode::UNPROCESSABLE_ENTITY, message),
            ApiError::Unavailable(reason) => {
                let message = "nothing was done, try again";
                (StatusCode::SERVICE_UNAVAILABLE, logged(message, &reason))
            }
            ApiError::Unknown(reason) => {
                let message = "it may have been done or not: send it again, it is done once";
                (StatusCode::GATEWAY_TIMEOUT, logged(message, &reason))
            }
            ApiError::Internal(reason) => {
                let message = "it failed";
                (StatusCode::INTERNAL_SERVER_ERROR, logged(message, &reason))
            }
        };
        let body = Json(json!({ "error": message }));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                (status, [(header::RETRY_AFTER, "1")], body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}

/// Reasons name servers, which are nobody's business but ours.
fn logged(message: &str, reason: &str) -> String {
    eprintln!("{message}: {reason}");
    message.to_owned()
}
