//! The reasons why there is no answer, and the consequences.

use http::StatusCode;

use super::request::{Exchange, Stake};

/// The reason why there is no answer. It is made by the [`Exchange`] that failed, so that it knows what was at stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) why: Why,
    pub(crate) stake: Stake,
    pub(crate) message: String,
    /// The status of the answer, if the node has answered something other than what was requested.
    pub(crate) status: Option<StatusCode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// No node has applied the request, and none will.
    NotApplied,
    /// The request may have been applied, once.
    Unknown,
    /// The server ran the request but can't write its values as JSON (an infinite REAL).
    Unwritable,
}

impl Failure {
    pub(crate) fn is_unwritable(&self) -> bool {
        self.why == Why::Unwritable
    }
}

impl Exchange {
    /// Returns the failure of this exchange.
    pub(crate) fn failure(&self, why: Why, message: impl Into<String>) -> Failure {
        Failure {
            why,
            stake: self.stake(),
            message: message.into(),
            status: None,
        }
    }
}
