//! The errors of a cluster. They tell whether anything was done.
//!
//! Requests come here in two ways. Those that `administration` sends itself have an answer or none:
//! [`ClusterError::of_status`], [`ClusterError::of_change`] and [`ClusterError::no_answer`] make errors of that.
//! Those that the session sends to the leader fail with a [`Failure`], which already knows whether the request may
//! have been applied.
//!
//! An error is wrapped in [`ClusterError::Unknown`] if the request may have been carried out. The rule is the same
//! everywhere: without proof that nothing was done, the outcome is unknown.

use std::io;

use http::StatusCode;

use crate::protocol::failure::{Failure, Why};
use crate::protocol::message::ErrorBody;
use crate::protocol::request::Stake;

/// The reason why a cluster did not do what was requested, or did not report it. No message contains a password.
///
/// All errors but [`Unknown`](Self::Unknown) and [`NotTransferred`](Self::NotTransferred) mean that nothing was done. A
/// request that changes anything is sent a second time only if it is proved that the first one had no effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A node does not answer. For requests that only the leader can serve: no node leads.
    #[error("{0}")]
    NoAnswer(String),
    /// User or password are wrong, or the user lacks the permission. See [`RqliteCluster`](crate::RqliteCluster) for
    /// the permissions.
    #[error("{0}")]
    Unauthorized(String),
    /// The server's version does not support the request.
    #[error("{0}")]
    Unsupported(String),
    /// The node refused the request.
    #[error("{0}")]
    Refused(String),
    /// The answer of the node is not a valid one.
    #[error("{0}")]
    Unreadable(String),
    /// A node was not asked, because neither the configuration nor the cluster names it. It must not receive the
    /// credentials.
    #[error(
        "{0} is named neither by the configuration nor by the cluster: user and password were not sent there"
    )]
    NotTrusted(String),
    /// The string is not the address of a node, or the options can't be combined.
    #[error("{0}")]
    Invalid(String),
    /// The file to load can't be read, or is not a complete SQLite file.
    #[error("what was to be loaded can't be used: {0}. The database was not changed")]
    File(io::Error),
    /// Leadership was not transferred as requested. Another node leads, or the same node as before.
    #[error("leadership was to be transferred to {wanted}, and {} leads", leader.as_deref().unwrap_or("no node"))]
    NotTransferred {
        /// The id of the node that was to lead, or a text that stands for any node.
        wanted: String,
        /// The id of the node that leads.
        leader: Option<String>,
    },
    /// The request may or may not have been carried out.
    #[error("{0}. It is unknown whether it was done; it was not sent again")]
    Unknown(Box<ClusterError>),
}

impl ClusterError {
    /// Returns whether the request may have been carried out despite the error.
    pub fn is_unknown(&self) -> bool {
        matches!(self, ClusterError::Unknown(_))
    }

    /// Marks the request as one that may have been carried out. Does nothing if it is marked already.
    pub(super) fn unknown(self) -> Self {
        match self {
            ClusterError::Unknown(_) => self,
            error => ClusterError::Unknown(Box::new(error)),
        }
    }

    /// Returns the error for a node that gave no complete answer.
    pub(super) fn no_answer(node: &str, reason: &str) -> Self {
        ClusterError::NoAnswer(format!("{node}: {reason}"))
    }

    /// Returns the error for an answer whose content is not the expected one.
    pub(super) fn unreadable(node: &str, path: &str, reason: &str) -> Self {
        let path = without_query(path);
        let text = format!("{node}: the answer for {path} can't be understood: {reason}");
        ClusterError::Unreadable(text)
    }

    /// Returns the error for an answer with an unexpected status. It says that nothing was done, so that it is only
    /// for requests that change nothing: see [`of_change`](Self::of_change).
    pub(super) fn of_status(node: &str, path: &str, status: StatusCode, text: &str) -> Self {
        let path = without_query(path);
        let text = text.trim();
        let colon = if text.is_empty() { "" } else { ": " };
        let text = format!("{node}: {status} for {path}{colon}{text}");
        match status {
            StatusCode::UNAUTHORIZED => ClusterError::Unauthorized(text),
            StatusCode::NOT_FOUND => ClusterError::Unsupported(text),
            _ => ClusterError::Refused(text),
        }
    }

    /// Returns the error for such an answer to a request that changes something. Unless the answer proves that nothing
    /// was done, the error is [`Unknown`](Self::Unknown).
    pub(super) fn of_change(node: &str, path: &str, status: StatusCode, text: &str) -> Self {
        let error = Self::of_status(node, path, status, text);
        let is_refused = status.is_client_error() || status.is_redirection();
        match is_refused || ErrorBody::of(text.trim()) == ErrorBody::NoLeader {
            true => error,
            false => error.unknown(),
        }
    }
}

/// Returns the path for an error message. The query is of no interest to the reader.
fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

impl From<Failure> for ClusterError {
    /// Converts the failure of a request to the leader. The status decides the kind of the error, and the failure's
    /// reason whether the outcome is unknown.
    fn from(failure: Failure) -> Self {
        let Failure {
            why,
            stake,
            message,
            status,
        } = failure;
        let error = match status {
            None => ClusterError::NoAnswer(message),
            Some(StatusCode::UNAUTHORIZED) => ClusterError::Unauthorized(message),
            Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
                ClusterError::Unsupported(message)
            }
            Some(_) => ClusterError::Refused(message),
        };
        match why {
            // A question has no effect, whatever became of it.
            _ if stake == Stake::Nothing => error,
            Why::NotApplied => error,
            Why::Unknown | Why::Unwritable => error.unknown(),
        }
    }
}
