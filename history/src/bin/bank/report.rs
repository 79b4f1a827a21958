//! What a run came to, as a table.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use crate::check::Checks;
use crate::faults::Injected;
use crate::options::Options;
use crate::record::{Cause, Outcome, Record, Seen};
use crate::schema::State;

/// How many examples of a failed check are shown.
const SHOWN: usize = 5;

pub(crate) struct Report {
    seed: u64,
    took: Duration,
    begun: usize,
    audits: usize,
    seen: Seen,
    /// How many transfers ended so.
    ends: BTreeMap<String, usize>,
    logged: usize,
    injected: Injected,
    checks: Checks,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        records: &[Record],
        state: &State,
        injected: Injected,
        took: Duration,
        checks: Checks,
    ) -> Self {
        let mut report = Report {
            seed: options.seed,
            took,
            begun: 0,
            audits: 0,
            seen: Seen::default(),
            ends: BTreeMap::new(),
            logged: state.log.len(),
            injected,
            checks,
        };
        let mut ended = 0;
        for record in records {
            match record {
                Record::Begun(_) => report.begun += 1,
                Record::Audited(_) => report.audits += 1,
                Record::Ended(end) => {
                    ended += 1;
                    report.seen += end.seen;
                    *report.ends.entry(name(&end.outcome)).or_default() += 1;
                }
            }
        }
        let killed = "killed in between".to_owned();
        report.ends.insert(killed, report.begun - ended);
        report
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.checks.all.iter().any(|(_, wrong)| !wrong.is_empty())
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Seen {
            runs,
            conflicts,
            lost,
            fenced,
        } = self.seen;
        let mut line =
            |name: &str, value: &dyn std::fmt::Display| writeln!(out, "{name:<32} {value}");
        line("seed", &self.seed)?;
        line("seconds", &format!("{:.1}", self.took.as_secs_f64()))?;
        line("workers killed", &self.injected.workers_killed)?;
        line("workers stopped", &self.injected.workers_stopped)?;
        for (fault, count) in self.injected.of_leaders.each() {
            line(&format!("faults of leaders, {}", fault.name()), &count)?;
        }
        line("locks forgotten by the server", &self.injected.locks_lost)?;
        line("transfers", &self.begun)?;
        line("attempts", &runs)?;
        line("conflicts", &conflicts)?;
        line("lost locks, known to the client", &lost)?;
        line("fenced off by the database", &fenced)?;
        for (end, count) in &self.ends {
            line(end, count)?;
        }
        line("rows in the log", &self.logged)?;
        line("audits", &self.audits)?;
        for (check, wrong) in &self.checks.all {
            let verdict = if wrong.is_empty() { "ok" } else { "WRONG" };
            line(check, &verdict)?;
            for example in wrong.iter().take(SHOWN) {
                line("", example)?;
            }
        }
        Ok(())
    }
}

fn name(outcome: &Outcome) -> String {
    let name = match outcome {
        Outcome::Committed => "committed",
        Outcome::Unknown => "unknown",
        Outcome::RolledBack(Cause::Refused) => "refused: not enough money",
        Outcome::RolledBack(Cause::Conflict) => "conflict after all retries",
        Outcome::RolledBack(Cause::NoLock) => "lock not to be had",
        Outcome::RolledBack(Cause::NotSent) => "not sent",
        Outcome::RolledBack(Cause::Failed(error)) => return format!("failed: {error}"),
    };
    name.to_owned()
}
