//! Which transaction must have come before which.

use crate::history::{History, Outcome};

use super::appends::Appends;
use super::reads::ExternalRead;

/// Why one comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dependency {
    /// It appended what stands right before (ww).
    Write(i64),
    /// The other saw what it appended (wr).
    Read(i64),
    /// It did not see what the other appended (rw).
    Overwritten(i64),
    /// It had ended when the other began.
    RealTime,
}

impl Dependency {
    /// Its place in the order in which graphs are searched.
    pub(crate) fn level(self) -> usize {
        match self {
            Dependency::Write(_) => 0,
            Dependency::Read(_) => 1,
            Dependency::Overwritten(_) => 2,
            Dependency::RealTime => 3,
        }
    }
}

/// Transactions by their place in the history, and what depends on what.
#[derive(Debug)]
pub(crate) struct Graph {
    edges: Vec<Vec<(usize, Dependency)>>,
}

impl Graph {
    pub(crate) fn new(transactions: usize) -> Self {
        Graph {
            edges: vec![Vec::new(); transactions],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.edges.len()
    }

    /// What comes behind a transaction.
    pub(crate) fn behind(&self, transaction: usize) -> &[(usize, Dependency)] {
        &self.edges[transaction]
    }

    fn add(&mut self, before: usize, behind: usize, dependency: Dependency) {
        if before != behind {
            self.edges[before].push((behind, dependency));
        }
    }

    /// Appends in the order of the final lists.
    pub(crate) fn add_versions(&mut self, history: &History, appends: &Appends) {
        for (&list, items) in &history.state.lists {
            let writers = items.iter().filter_map(|item| appends.writer(list, *item));
            let writers: Vec<_> = writers.collect();
            for pair in writers.windows(2) {
                self.add(pair[0], pair[1], Dependency::Write(list));
            }
        }
    }

    /// Each read behind the append it saw last, and before the first it did not see.
    pub(crate) fn add_reads(
        &mut self,
        history: &History,
        appends: &Appends,
        reads: &[ExternalRead],
    ) {
        for read in reads {
            let Some(items) = history.state.lists.get(&read.list) else {
                continue;
            };
            let (seen, unseen) = items.split_at(read.length.min(items.len()));
            let writer = |item: &i64| appends.writer(read.list, *item);
            // An own append can't stand at the end of what was read of others, except by an anomaly.
            if let Some(writer) = seen.last().and_then(writer) {
                self.add(writer, read.transaction, Dependency::Read(read.list));
            }
            if let Some(writer) = unseen.first().and_then(writer) {
                self.add(read.transaction, writer, Dependency::Overwritten(read.list));
            }
        }
    }

    /// Each transaction behind those that had ended when it began; without those that follow from others.
    pub(crate) fn add_real_time(&mut self, history: &History, appends: &Appends) {
        let mut moments = Vec::new();
        for (place, transaction) in history.transactions.iter().enumerate() {
            if !appends.is_committed(place) {
                continue;
            }
            // An end at the same moment as a start is not before it.
            moments.push((transaction.start, false, place));
            // One without an answer may have been applied at any time later.
            if transaction.outcome == Outcome::Committed {
                moments.push((transaction.end, true, place));
            }
        }
        moments.sort_unstable();
        // Those that ended, and behind which none that ended has begun.
        let mut latest: Vec<usize> = Vec::new();
        for (_, is_end, place) in moments {
            if is_end {
                let start = history.transactions[place].start;
                latest.retain(|&other| history.transactions[other].end >= start);
                latest.push(place);
            } else {
                for &before in &latest {
                    self.add(before, place, Dependency::RealTime);
                }
            }
        }
    }
}
