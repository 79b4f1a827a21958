//! Histories by hand: one that is right, and one for each anomaly.

mod cycles;
mod invariants;
mod lists;

use crate::history::{Cause, History, Operation, Outcome, State, Transaction};

use super::{Anomaly, Kind, check};

fn read(list: i64, items: &[i64]) -> Operation {
    let items = items.to_vec();
    Operation::Read { list, items }
}

fn append(list: i64, item: i64) -> Operation {
    Operation::Append { list, item }
}

/// Committed, and at the same time as all others.
fn transaction(id: i64, operations: &[Operation]) -> Transaction {
    Transaction {
        id,
        worker: 0,
        start: 0,
        end: 100,
        operations: operations.to_vec(),
        outcome: Outcome::Committed,
    }
}

fn at(moments: (u64, u64), transaction: Transaction) -> Transaction {
    let (start, end) = moments;
    Transaction {
        start,
        end,
        ..transaction
    }
}

fn ended(outcome: Outcome, transaction: Transaction) -> Transaction {
    Transaction {
        outcome,
        ..transaction
    }
}

fn aborted(transaction: Transaction) -> Transaction {
    ended(Outcome::Aborted(Cause::Conflict), transaction)
}

fn history(lists: &[(i64, &[i64])], transactions: Vec<Transaction>) -> History {
    let lists = lists.iter().map(|(list, items)| (*list, items.to_vec()));
    let state = State {
        lists: lists.collect(),
        ..State::default()
    };
    History {
        transactions,
        state,
        total: 0,
    }
}

fn kinds(anomalies: &[Anomaly]) -> Vec<Kind> {
    anomalies.iter().map(|anomaly| anomaly.kind).collect()
}

/// The only anomaly, strict or not.
#[track_caller]
fn only(history: &History) -> Anomaly {
    let mut found = check(history, true);
    assert_eq!(kinds(&found), kinds(&check(history, false)));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
