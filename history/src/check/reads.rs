//! What transactions saw of others.

use std::collections::{HashMap, HashSet};

use crate::history::{History, Operation, Transaction};

use super::anomaly::{Anomaly, Kind};
use super::appends::Appends;

/// A transaction saw the first `length` items of a list, and none of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExternalRead {
    pub(crate) transaction: usize,
    pub(crate) list: i64,
    pub(crate) length: usize,
}

/// The reads that fit the final lists, and what is wrong with the others.
pub(crate) fn check(history: &History, appends: &Appends) -> (Vec<ExternalRead>, Vec<Anomaly>) {
    let mut reads = Vec::new();
    let mut anomalies = Vec::new();
    let mut reported = HashSet::new();
    for (place, transaction) in history.transactions.iter().enumerate() {
        if !appends.is_committed(place) {
            continue;
        }
        for (list, items) in external(transaction, &mut anomalies) {
            anomalies.extend(intermediate(place, list, items, history, appends));
            match unlike(list, items, history) {
                None => reads.push(ExternalRead {
                    transaction: place,
                    list,
                    length: items.len(),
                }),
                // Everybody who reads behind it sees the same.
                Some(at) if !reported.insert((list, items[at])) => {}
                Some(at) => {
                    let detail = format!(
                        "{} read item {} at place {at} of list {list}, where there is another one",
                        transaction.id, items[at]
                    );
                    let by = vec![transaction.id];
                    anomalies.push(Anomaly::new(Kind::IncompatibleOrder, by, detail));
                }
            }
        }
    }
    (reads, anomalies)
}

/// The first place at which what was read is not what is there.
fn unlike(list: i64, items: &[i64], history: &History) -> Option<usize> {
    let last = history
        .state
        .lists
        .get(&list)
        .map_or(&[][..], Vec::as_slice);
    (0..items.len()).find(|&place| last.get(place) != Some(&items[place]))
}

/// What a transaction read of others: without its own appends, each list once.
fn external<'a>(
    transaction: &'a Transaction,
    anomalies: &mut Vec<Anomaly>,
) -> Vec<(i64, &'a [i64])> {
    let mut own: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut first: HashMap<i64, &[i64]> = HashMap::new();
    let mut internal = |list: i64, what: &str| {
        let detail = format!("{} and list {list}: {what}", transaction.id);
        anomalies.push(Anomaly::new(Kind::Internal, vec![transaction.id], detail));
    };
    for operation in &transaction.operations {
        match operation {
            Operation::Append { list, item } => own.entry(*list).or_default().push(*item),
            Operation::Read { list, items } => {
                let own = own.get(list).map_or(&[][..], Vec::as_slice);
                let Some(others) = items.strip_suffix(own) else {
                    internal(*list, "its own appends are not at the end");
                    continue;
                };
                if *first.entry(*list).or_insert(others) != others {
                    internal(*list, "read twice, with different contents");
                }
            }
            _ => {}
        }
    }
    let mut reads: Vec<_> = first.into_iter().collect();
    reads.sort_unstable();
    reads
}

fn intermediate(
    reader: usize,
    list: i64,
    items: &[i64],
    history: &History,
    appends: &Appends,
) -> Option<Anomaly> {
    let last = *items.last()?;
    let writer = appends.writer(list, last)?;
    if writer == reader || !appends.is_intermediate(list, last) {
        return None;
    }
    let [writer, reader] = [writer, reader].map(|place| history.transactions[place].id);
    let detail = format!(
        "{reader} read list {list} up to item {last} of {writer}, which appended more to it"
    );
    Some(Anomaly::new(
        Kind::IntermediateRead,
        vec![writer, reader],
        detail,
    ))
}
