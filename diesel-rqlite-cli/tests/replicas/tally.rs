//! How many statements were run, and what became of them: equal tables prove little if all was refused.

use std::collections::BTreeMap;
use std::fmt;

use crate::grammar::Spice;
use crate::ways::{Input, Outcome, WAYS, Way};

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) statements: usize,
    by: BTreeMap<(Way, Spice), Counts>,
    /// Of refusals.
    reasons: BTreeMap<String, usize>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: usize,
    by_client: usize,
    by_sqlite: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, inputs: &[Input], outcomes: &[Vec<(usize, Outcome)>]) {
        for (input, outcomes) in inputs.iter().zip(outcomes) {
            let counts = self.by.entry((input.way, input.spice)).or_default();
            for (statements, outcome) in outcomes {
                self.statements += statements;
                let (count, reason) = match outcome {
                    Outcome::Accepted => (&mut counts.accepted, None),
                    Outcome::RefusedByClient(reason) => (&mut counts.by_client, Some(reason)),
                    Outcome::RefusedBySqlite(reason) => (&mut counts.by_sqlite, Some(reason)),
                    Outcome::Wrong(reason) => unreachable!("{reason}"),
                };
                *count += statements;
                if let Some(reason) = reason {
                    *self.reasons.entry(reason.clone()).or_default() += statements;
                }
            }
        }
    }

    /// What the client can make the same for all nodes is accepted, on every way, unless SQLite refuses it.
    pub(crate) fn check(&self) {
        for way in WAYS {
            for spice in [Spice::Pure, Spice::Pinned] {
                let counts = self.by.get(&(way, spice));
                let counts = counts.unwrap_or_else(|| panic!("no {spice:?} statements by {way:?}"));
                let all = counts.accepted + counts.by_client + counts.by_sqlite;
                assert!(
                    counts.accepted * 10 >= all * 9,
                    "{spice:?} by {way:?}: {counts:?}\n{self}"
                );
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{} statements; accepted, refused by the client, by SQLite:",
            self.statements
        )?;
        for ((way, spice), counts) in &self.by {
            let Counts {
                accepted,
                by_client,
                by_sqlite,
            } = counts;
            writeln!(
                formatter,
                "  {way:?} {spice:?}: {accepted} {by_client} {by_sqlite}"
            )?;
        }
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in reasons.iter().take(12) {
            writeln!(formatter, "  {count} {}", reason.trim_end())?;
        }
        Ok(())
    }
}
