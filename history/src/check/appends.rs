//! Who appended what, and whether it counts.

use std::collections::{HashMap, HashSet};

use crate::history::{History, Outcome};

use super::anomaly::{Anomaly, Kind};

/// The appends of a history. Transactions are named by their place in it.
#[derive(Debug, Default)]
pub(crate) struct Appends {
    writers: HashMap<(i64, i64), Writer>,
    committed: Vec<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Writer {
    transaction: usize,
    /// Whether the same transaction appended nothing to this list behind it.
    last: bool,
}

impl Appends {
    /// And what is wrong with them in themselves.
    pub(crate) fn of(history: &History) -> (Self, Vec<Anomaly>) {
        let mut appends = Appends {
            writers: writers(history),
            committed: Vec::new(),
        };
        appends.decide(history);
        let mut anomalies = appends.foreign_or_aborted(history);
        anomalies.extend(doubled(history, &appends));
        anomalies.extend(appends.lost(history));
        (appends, anomalies)
    }

    /// Whether the transaction at this place took effect.
    pub(crate) fn is_committed(&self, transaction: usize) -> bool {
        self.committed[transaction]
    }

    /// Who committed this item.
    pub(crate) fn writer(&self, list: i64, item: i64) -> Option<usize> {
        let writer = self.writers.get(&(list, item))?;
        self.is_committed(writer.transaction)
            .then_some(writer.transaction)
    }

    /// Whether its transaction appended more to the same list.
    pub(crate) fn is_intermediate(&self, list: i64, item: i64) -> bool {
        self.writers
            .get(&(list, item))
            .is_some_and(|writer| !writer.last)
    }

    /// Unknown outcomes are decided by whether anybody saw an effect.
    fn decide(&mut self, history: &History) {
        let seen: HashSet<_> = visible(history).map(|(item, _)| item).collect();
        let holders: HashSet<_> = history
            .state
            .tickets
            .iter()
            .map(|(_, holder)| *holder)
            .collect();
        let committed = history
            .transactions
            .iter()
            .map(|transaction| match transaction.outcome {
                Outcome::Committed => true,
                Outcome::Aborted(_) => false,
                Outcome::Unknown => {
                    holders.contains(&transaction.id)
                        || transaction.appends().any(|append| seen.contains(&append))
                }
            });
        self.committed = committed.collect();
    }

    fn foreign_or_aborted(&self, history: &History) -> Vec<Anomaly> {
        let mut reported = HashSet::new();
        let mut anomalies = Vec::new();
        for ((list, item), reader) in visible(history) {
            let writer = self.writers.get(&(list, item));
            if writer.is_some_and(|writer| self.committed[writer.transaction])
                || !reported.insert((list, item))
            {
                continue;
            }
            let by = writer.map(|writer| history.transactions[writer.transaction].id);
            let kind = if by.is_some() {
                Kind::AbortedRead
            } else {
                Kind::ForeignItem
            };
            let detail = format!(
                "item {item} of list {list}, appended by {}, seen by {}",
                named(by, "nobody"),
                named(reader, "the final read")
            );
            anomalies.push(Anomaly::new(
                kind,
                by.into_iter().chain(reader).collect(),
                detail,
            ));
        }
        anomalies
    }

    fn lost(&self, history: &History) -> Vec<Anomaly> {
        let kept = |list: i64| history.state.lists.get(&list);
        let kept: HashMap<i64, HashSet<i64>> = history
            .transactions
            .iter()
            .flat_map(|transaction| transaction.appends().map(|(list, _)| list))
            .map(|list| (list, kept(list).into_iter().flatten().copied().collect()))
            .collect();
        let mut anomalies = Vec::new();
        for (place, transaction) in history.transactions.iter().enumerate() {
            if !self.committed[place] {
                continue;
            }
            for (list, item) in transaction.appends() {
                if !kept[&list].contains(&item) {
                    let detail = format!(
                        "item {item} of list {list}, {:?} by {}",
                        transaction.outcome, transaction.id
                    );
                    let by = vec![transaction.id];
                    anomalies.push(Anomaly::new(Kind::LostAppend, by, detail));
                }
            }
        }
        anomalies
    }
}

fn named(id: Option<i64>, otherwise: &str) -> String {
    id.map_or_else(|| otherwise.to_owned(), |id| id.to_string())
}

fn writers(history: &History) -> HashMap<(i64, i64), Writer> {
    let mut writers = HashMap::new();
    for (place, transaction) in history.transactions.iter().enumerate() {
        let mut last_of = HashMap::new();
        for (list, item) in transaction.appends() {
            let writer = Writer {
                transaction: place,
                last: false,
            };
            writers.insert((list, item), writer);
            last_of.insert(list, item);
        }
        for append in last_of {
            if let Some(writer) = writers.get_mut(&append) {
                writer.last = true;
            }
        }
    }
    writers
}

/// What can be seen of a history: the reads of its committed transactions, with their id, and the final state.
fn lists(history: &History) -> impl Iterator<Item = (i64, &[i64], Option<i64>)> {
    let committed = history
        .transactions
        .iter()
        .filter(|transaction| transaction.outcome == Outcome::Committed);
    let read = committed.flat_map(|transaction| {
        let reads = transaction.reads();
        reads.map(move |(list, items)| (list, items, Some(transaction.id)))
    });
    let state = history.state.lists.iter();
    read.chain(state.map(|(list, items)| (*list, items.as_slice(), None)))
}

/// The same, item by item. An own append that was read back proves nothing about its commit, but only committed
/// transactions are asked.
fn visible(history: &History) -> impl Iterator<Item = ((i64, i64), Option<i64>)> {
    lists(history)
        .flat_map(|(list, items, reader)| items.iter().map(move |item| ((list, *item), reader)))
}

fn doubled(history: &History, appends: &Appends) -> Vec<Anomaly> {
    let mut reported = HashSet::new();
    let mut anomalies = Vec::new();
    for (list, items, reader) in lists(history) {
        let mut distinct = HashSet::new();
        for item in items {
            if distinct.insert(item) || !reported.insert((list, *item)) {
                continue;
            }
            let writer = appends.writers.get(&(list, *item));
            let by = writer.map(|writer| history.transactions[writer.transaction].id);
            let detail = format!(
                "item {item} of list {list}, appended by {}, seen by {}",
                named(by, "nobody"),
                named(reader, "the final read")
            );
            let of = by.into_iter().chain(reader).collect();
            anomalies.push(Anomaly::new(Kind::DoubledAppend, of, detail));
        }
    }
    anomalies
}
