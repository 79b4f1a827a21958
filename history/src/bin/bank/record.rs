//! What workers say about their transfers, as lines of JSON.

use serde::{Deserialize, Serialize};

/// A line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Record {
    /// From now on the transfer may be found in the database.
    Begun(i64),
    Ended(Ended),
    /// What all accounts held together, in a transaction that only read them, one by one.
    Audited(i64),
}

/// What became of a transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) id: i64,
    pub(crate) outcome: Outcome,
    pub(crate) seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Committed,
    /// Certainly not.
    RolledBack(Cause),
    /// The answer to the commit was lost, and could not be asked for.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// There was not enough on the account.
    Refused,
    /// Even after all retries.
    Conflict,
    /// The lock could not be had.
    NoLock,
    /// No node took it.
    NotSent,
    Failed(String),
}

/// What happened on the way to the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// How often the closure ran.
    pub(crate) runs: u32,
    /// Rows or counts had changed.
    pub(crate) conflicts: u32,
    /// The client knew that the lock was lost.
    pub(crate) lost: u32,
    /// The client did not know, and the database refused the commit or a read.
    pub(crate) fenced: u32,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.conflicts += other.conflicts;
        self.lost += other.lost;
        self.fenced += other.fenced;
    }
}
