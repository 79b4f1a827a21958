//! Why there is no answer, and what is at stake then.

use http::StatusCode;

use super::request::{Exchange, Stake};

/// Why there is no answer. Made by the [`Exchange`] that failed, so that it knows what was at stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) why: Why,
    pub(crate) stake: Stake,
    pub(crate) message: String,
    /// Of a node that has answered something else than was asked for.
    pub(crate) status: Option<StatusCode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// No node has applied the request, and none will.
    NotApplied,
    /// The request may have been applied, once.
    Unknown,
    /// The server ran the request but cannot write its values as JSON (an infinite REAL).
    Unwritable,
}

impl Failure {
    pub(crate) fn is_unwritable(&self) -> bool {
        self.why == Why::Unwritable
    }
}

impl Exchange {
    /// What became of it, where that is no answer.
    pub(crate) fn failure(&self, why: Why, message: impl Into<String>) -> Failure {
        Failure {
            why,
            stake: self.stake(),
            message: message.into(),
            status: None,
        }
    }
}
