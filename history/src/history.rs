//! What clients did and were shown, and what was left in the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All that the checker knows.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Every attempt, whatever became of it.
    pub transactions: Vec<Transaction>,
    /// What the database held when nothing went on any more.
    pub state: State,
    /// What the accounts hold together, at any time.
    pub total: i64,
}

/// One attempt at a transaction: one call of its closure, and the commit behind it.
///
/// An attempt that is retried is followed by another one with another id, which appends other items. An attempt
/// said to have failed, but applied, is so told from its successor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// Not used by any other.
    pub id: i64,
    /// Who ran it.
    pub worker: u32,
    /// Nanoseconds of the machine's monotonic clock. Nothing of it was sent before.
    pub start: u64,
    /// The same clock, when its outcome was known.
    pub end: u64,
    /// In the order of the closure.
    pub operations: Vec<Operation>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a closure did, and what it was shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operation {
    /// A list was read.
    Read {
        /// Which.
        list: i64,
        /// All of it.
        items: Vec<i64>,
    },
    /// An item was appended, by whatever SQL.
    Append {
        /// To which list.
        list: i64,
        /// Not used by any other append.
        item: i64,
    },
    /// All accounts were read.
    Audit {
        /// Their sum.
        total: i64,
        /// The least of them.
        lowest: i64,
    },
    /// The doctors on call of a pair were counted. One must stay.
    OnCall {
        /// Which pair.
        pair: i64,
        /// 0, 1 or 2.
        count: i64,
    },
    /// A ticket was drawn.
    Ticket {
        /// From 1, without gaps.
        number: i64,
    },
}

/// How an attempt ended, as its client knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The commit was acknowledged.
    Committed,
    /// It was said that nothing was applied.
    Aborted(Cause),
    /// The answer to the commit was lost, or not understood.
    Unknown,
}

/// Why nothing was applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cause {
    /// Something it was shown was no longer true, and it was run again.
    Retried,
    /// The same, and it was not run again.
    Conflict,
    /// No node took it.
    NotSent,
    /// Any other error, with its text.
    Failed(String),
}

/// What the database holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// The items of each list.
    pub lists: BTreeMap<i64, Vec<i64>>,
    /// The accounts.
    pub balances: Vec<i64>,
    /// How many doctors of each pair are on call.
    pub on_call: BTreeMap<i64, i64>,
    /// The last ticket number drawn.
    pub counter: i64,
    /// Number and transaction of each ticket.
    pub tickets: Vec<(i64, i64)>,
}

impl Transaction {
    /// What it appended, in order.
    pub(crate) fn appends(&self) -> impl Iterator<Item = (i64, i64)> {
        let append = |operation: &Operation| match *operation {
            Operation::Append { list, item } => Some((list, item)),
            _ => None,
        };
        self.operations.iter().filter_map(append)
    }

    /// Whether it wrote nothing. A transfer leaves no operation, and writes.
    pub(crate) fn is_read_only(&self) -> bool {
        let reads = |operation: &Operation| {
            matches!(operation, Operation::Read { .. } | Operation::Audit { .. })
        };
        !self.operations.is_empty() && self.operations.iter().all(reads)
    }

    /// The lists it read.
    pub(crate) fn reads(&self) -> impl Iterator<Item = (i64, &[i64])> {
        self.operations
            .iter()
            .filter_map(|operation| match operation {
                Operation::Read { list, items } => Some((*list, items.as_slice())),
                _ => None,
            })
    }
}

/// A list as text.
pub(crate) fn items(text: &str) -> Vec<i64> {
    // A word that is no number can't have been appended; 0 is nobody's item, which the checker reports.
    let item = |word: &str| word.parse().unwrap_or_default();
    text.split_ascii_whitespace().map(item).collect()
}
