//! What a run came to.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::check::{Anomaly, Kind};
use crate::faults::Injected;
use crate::history::{Cause, History, Operation, Outcome, Transaction};
use crate::options::Options;

/// How many anomalies of a kind are shown in full.
const SHOWN: usize = 3;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed of its random choices.
    pub seed: u64,
    /// How long it ran.
    pub seconds: u64,
    /// How attempts ended.
    pub counts: Counts,
    /// What happened to the servers.
    pub injected: Injected,
    /// What no serial order explains.
    pub anomalies: Vec<Anomaly>,
    /// The transactions of the anomalies that are shown, as text.
    shown: BTreeMap<i64, String>,
}

/// How attempts ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged.
    pub commits: usize,
    /// Of these: wrote something.
    pub writes: usize,
    /// Failed because something was no longer true, whether retried or not.
    pub conflicts: usize,
    /// Of these: run again.
    pub retries: usize,
    /// Taken by no node.
    pub not_sent: usize,
    /// With an unknown outcome.
    pub unknown: usize,
    /// Failed with another error, by its text.
    pub failed: BTreeMap<String, usize>,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        history: &History,
        injected: Injected,
        anomalies: Vec<Anomaly>,
    ) -> Self {
        let mut report = Report {
            seed: options.seed,
            seconds: options.seconds,
            counts: Counts::of(history),
            injected,
            anomalies,
            shown: BTreeMap::new(),
        };
        report.shown = report.details(history);
        report
    }

    /// How many anomalies of each kind there are.
    pub fn kinds(&self) -> BTreeMap<Kind, usize> {
        let mut kinds = BTreeMap::new();
        for anomaly in &self.anomalies {
            *kinds.entry(anomaly.kind).or_default() += 1;
        }
        kinds
    }

    /// Those shown in full: some of each kind.
    fn examples(&self) -> Vec<&Anomaly> {
        let kinds = self.kinds().into_keys();
        kinds
            .flat_map(|kind| {
                let same = self
                    .anomalies
                    .iter()
                    .filter(move |other| other.kind == kind);
                same.take(SHOWN)
            })
            .collect()
    }

    fn details(&self, history: &History) -> BTreeMap<i64, String> {
        let examples = self.examples().into_iter();
        let mut shown: BTreeMap<_, _> = examples
            .flat_map(|anomaly| anomaly.transactions.iter().map(|id| (*id, String::new())))
            .collect();
        for transaction in &history.transactions {
            if let Some(text) = shown.get_mut(&transaction.id) {
                *text = format!(
                    "worker {}, from {} to {} ns, {:?}: {}",
                    transaction.worker,
                    transaction.start,
                    transaction.end,
                    transaction.outcome,
                    operations(transaction)
                );
            }
        }
        shown
    }

    /// Writes the report as text.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Counts {
            commits,
            writes,
            conflicts,
            retries,
            not_sent,
            unknown,
            failed,
        } = &self.counts;
        let per_second = *commits as f64 / self.seconds as f64;
        writeln!(out, "seed              {}", self.seed)?;
        writeln!(out, "seconds           {}", self.seconds)?;
        for (fault, count) in self.injected.each() {
            writeln!(out, "faults, {:<9} {count}", fault.name())?;
        }
        writeln!(
            out,
            "commits           {commits}, {writes} of them writes, {per_second:.1} per second"
        )?;
        writeln!(
            out,
            "conflicts         {conflicts}, {retries} of them retried"
        )?;
        writeln!(out, "not sent          {not_sent}")?;
        writeln!(out, "unknown outcomes  {unknown}")?;
        for (error, count) in failed {
            writeln!(out, "other errors      {count}: {error}")?;
        }
        writeln!(out, "anomalies         {}", self.anomalies.len())?;
        for (kind, count) in self.kinds() {
            writeln!(out, "  {kind:<28} {count}")?;
        }
        for anomaly in self.examples() {
            writeln!(out, "\n{anomaly}")?;
            for id in &anomaly.transactions {
                let text = self.shown.get(id).map_or("", String::as_str);
                writeln!(out, "  {id}: {text}")?;
            }
        }
        Ok(())
    }
}

/// In one line; of the lists only their length and end.
fn operations(transaction: &Transaction) -> String {
    let told = transaction
        .operations
        .iter()
        .map(|operation| match operation {
            Operation::Read { list, items } => {
                let end = &items[items.len().saturating_sub(3)..];
                format!("read {list}: {} items to {end:?}", items.len())
            }
            Operation::Append { list, item } => format!("append {list}: {item}"),
            other => format!("{other:?}"),
        });
    told.collect::<Vec<_>>().join("; ")
}

impl Counts {
    fn of(history: &History) -> Self {
        let mut counts = Counts::default();
        for transaction in &history.transactions {
            match &transaction.outcome {
                Outcome::Committed => {
                    counts.commits += 1;
                    counts.writes += usize::from(!transaction.is_read_only());
                }
                Outcome::Unknown => counts.unknown += 1,
                Outcome::Aborted(Cause::Conflict) => counts.conflicts += 1,
                Outcome::Aborted(Cause::Retried) => {
                    counts.conflicts += 1;
                    counts.retries += 1;
                }
                Outcome::Aborted(Cause::NotSent) => counts.not_sent += 1,
                Outcome::Aborted(Cause::Failed(error)) => {
                    *counts.failed.entry(error.clone()).or_default() += 1;
                }
            }
        }
        counts
    }
}
