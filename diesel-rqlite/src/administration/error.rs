//! What can go wrong in a cluster, and whether anything was done.

use std::io;

use http::StatusCode;

use crate::protocol::failure::{Failure, Why};
use crate::protocol::message::ErrorBody;

/// Why a cluster did not do what it was asked, or did not say it. No text of it holds a password.
///
/// All but [`Unknown`](Self::Unknown) and [`NotTransferred`](Self::NotTransferred) mean that nothing was done. Nothing that
/// changes anything is sent a second time, unless it is proved that the first one was of no effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A node does not answer, or, where only the leader is of use, no node leads.
    #[error("{0}")]
    NoAnswer(String),
    /// User or password are wrong, or the user may not do that. See [`RqliteCluster`](crate::RqliteCluster) for the
    /// permissions.
    #[error("{0}")]
    Unauthorized(String),
    /// The version of the server can't do that.
    #[error("{0}")]
    Unsupported(String),
    /// The node has an answer, and it is no.
    #[error("{0}")]
    Refused(String),
    /// The node has answered, and it is not what it should be.
    #[error("{0}")]
    Unreadable(String),
    /// A node is not asked, since neither the configuration nor the cluster names it, so that it must not know who asks.
    #[error(
        "{0} is named neither by the configuration nor by the cluster: user and password were not sent there"
    )]
    NotTrusted(String),
    /// What is not the address of a node, or options that can't be had together.
    #[error("{0}")]
    Invalid(String),
    /// What was to be loaded can't be read, or is no whole SQLite file.
    #[error("what was to be loaded can't be used: {0}. The database was not changed")]
    File(io::Error),
    /// Another node leads than the one that was to, or the same as before.
    #[error("leadership was to be transferred to {wanted}, and {} leads", leader.as_deref().unwrap_or("no node"))]
    NotTransferred {
        /// The id of the node that was to lead, or words for any.
        wanted: String,
        /// The id of the one that does.
        leader: Option<String>,
    },
    /// It may have been done or not.
    #[error("{0}. It is unknown whether it was done; it was not sent again")]
    Unknown(Box<ClusterError>),
}

impl ClusterError {
    /// Whether it may have been done all the same.
    pub fn is_unknown(&self) -> bool {
        matches!(self, ClusterError::Unknown(_))
    }

    pub(super) fn unknown(self) -> Self {
        match self {
            ClusterError::Unknown(_) => self,
            error => ClusterError::Unknown(Box::new(error)),
        }
    }

    pub(super) fn no_answer(node: &str, reason: &str) -> Self {
        ClusterError::NoAnswer(format!("{node}: {reason}"))
    }

    pub(super) fn unreadable(node: &str, path: &str, reason: &str) -> Self {
        let path = without_query(path);
        let text = format!("{node}: the answer for {path} can't be understood: {reason}");
        ClusterError::Unreadable(text)
    }

    /// An answer that is none to what was asked.
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

    /// The same, where it changes something: is it proved that it did not?
    pub(super) fn of_change(node: &str, path: &str, status: StatusCode, text: &str) -> Self {
        let error = Self::of_status(node, path, status, text);
        let is_refused = status.is_client_error() || status.is_redirection();
        match is_refused || ErrorBody::of(text.trim()) == ErrorBody::NoLeader {
            true => error,
            false => error.unknown(),
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

impl From<Failure> for ClusterError {
    /// Of a request that was to go to the leader.
    fn from(failure: Failure) -> Self {
        let Failure {
            why,
            message,
            status,
            ..
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
            Why::NotApplied => error,
            Why::Unknown | Why::Unwritable => error.unknown(),
        }
    }
}
