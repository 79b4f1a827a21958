//! What a run came to, as a table or as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::attempt::Said;
use crate::check::{Stored, Wrongs};
use crate::diary::Diary;
use crate::newcomers::Arrival;
use crate::slow_statement::Slow;

/// How many kinds of errors are shown for a program.
const SHOWN: usize = 4;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) server: String,
    pub(crate) faults: Vec<&'static str>,
    pub(crate) url: &'static str,
    pub(crate) fault_seconds: f64,
    pub(crate) programs: Vec<Program>,
    pub(crate) newcomers: Vec<Arrivals>,
    pub(crate) slow_statements: Vec<Slow>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Program {
    name: &'static str,
    /// The longest time in which a worker had no success.
    longest_seconds: f64,
    /// When it began, after the fault.
    longest_began: f64,
    acknowledged: usize,
    unknown: usize,
    /// Said not to have been applied.
    denied: usize,
    #[serde(flatten)]
    wrongs: Wrongs,
    stale_reads: usize,
    errors: BTreeMap<String, usize>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Arrivals {
    name: &'static str,
    count: usize,
    /// From the first try to the first answer; those count that never had one.
    longest_seconds: f64,
    longest_came: f64,
    failures: usize,
    without_answer: usize,
}

/// Seconds from one time to another, either of which may be earlier.
fn seconds(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(time) => time.as_secs_f64(),
        None => -from.duration_since(to).as_secs_f64(),
    }
}

impl Program {
    pub(crate) fn new(
        name: &'static str,
        diaries: &[Diary],
        fault: Instant,
        stored: &Stored,
    ) -> Self {
        let gaps = diaries.iter().map(Diary::longest_gap);
        let (began, longest) = gaps
            .max_by_key(|gap| gap.1)
            .unwrap_or((fault, Duration::ZERO));
        let said = |wanted| {
            let said = diaries.iter().flat_map(|diary| diary.said.values());
            said.filter(|said| **said == wanted).count()
        };
        let mut errors = BTreeMap::new();
        for (error, count) in diaries.iter().flat_map(|diary| &diary.errors) {
            *errors.entry(error.clone()).or_default() += count;
        }
        Program {
            name,
            longest_seconds: longest.as_secs_f64(),
            longest_began: seconds(fault, began),
            acknowledged: said(Said::Applied),
            unknown: said(Said::Unknown),
            denied: said(Said::NotApplied),
            wrongs: Wrongs::of(diaries, stored),
            stale_reads: diaries.iter().map(|diary| diary.stale).sum(),
            errors,
        }
    }
}

impl Arrivals {
    pub(crate) fn new(name: &'static str, arrivals: &[Arrival], fault: Instant) -> Self {
        let longest = arrivals.iter().max_by_key(|arrival| arrival.took);
        Arrivals {
            name,
            count: arrivals.len(),
            longest_seconds: longest.map_or(0.0, |it| it.took.as_secs_f64()),
            longest_came: longest.map_or(0.0, |it| seconds(fault, it.came)),
            failures: arrivals.iter().map(|arrival| arrival.failures).sum(),
            without_answer: arrivals.iter().filter(|arrival| !arrival.arrived).count(),
        }
    }
}

impl Report {
    /// Whether nothing is wrong, and nobody stood still for too long.
    pub(crate) fn is_right(&self, at_most: Option<Duration>) -> bool {
        let limit = at_most.map_or(f64::INFINITY, |limit| limit.as_secs_f64());
        let mut programs = self.programs.iter();
        let mut slow = self.slow_statements.iter();
        programs.all(|it| !it.wrongs.any() && it.stale_reads == 0 && it.longest_seconds <= limit)
            && slow.all(|it| it.error.is_none())
    }

    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Report { server, url, .. } = self;
        let faults = self.faults.join(", ");
        let took = self.fault_seconds;
        writeln!(out, "{server}\n{faults}, {took:.1} s in all, URL: {url}\n")?;
        if !self.programs.is_empty() {
            self.write_programs(out)?;
            self.write_newcomers(out)?;
            self.write_errors(out)?;
        }
        for Slow {
            what,
            seconds,
            error,
        } in &self.slow_statements
        {
            let error = error.as_deref().unwrap_or("ok");
            writeln!(out, "{what:<24} {seconds:>7.2} s  {error}")?;
        }
        Ok(())
    }

    fn write_programs(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<18} {:>10} {:>8} {:>12} {:>8} {:>7} {:>5} {:>8} {:>12} {:>6}",
            "program",
            "longest s",
            "from s",
            "acknowledged",
            "unknown",
            "denied",
            "lost",
            "doubled",
            "denied wrong",
            "stale"
        )?;
        for it in &self.programs {
            writeln!(
                out,
                "{:<18} {:>10.2} {:>8.2} {:>12} {:>8} {:>7} {:>5} {:>8} {:>12} {:>6}",
                it.name,
                it.longest_seconds,
                it.longest_began,
                it.acknowledged,
                it.unknown,
                it.denied,
                it.wrongs.lost,
                it.wrongs.doubled,
                it.wrongs.denied_but_there,
                it.stale_reads
            )?;
        }
        Ok(())
    }

    fn write_newcomers(&self, out: &mut dyn Write) -> io::Result<()> {
        for it in &self.newcomers {
            writeln!(
                out,
                "new {:<14} {:>10.2} {:>8.2} {:>12} connections, {} failed tries, {} without an answer",
                it.name,
                it.longest_seconds,
                it.longest_came,
                it.count,
                it.failures,
                it.without_answer
            )?;
        }
        Ok(())
    }

    fn write_errors(&self, out: &mut dyn Write) -> io::Result<()> {
        for it in &self.programs {
            let mut errors: Vec<_> = it.errors.iter().collect();
            errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (error, count) in errors.into_iter().take(SHOWN) {
                writeln!(out, "  {}: {count} × {error}", it.name)?;
            }
        }
        Ok(())
    }
}
