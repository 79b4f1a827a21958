//! What to run.

use std::time::Duration;

use diesel_rqlite::TransactionMode;
use diesel_rqlite_history::arguments::{self, Argument, Settings};

use crate::faults::Fault;
use crate::lock::Kind;

/// How the program is called.
pub(crate) const USAGE: &str = "\
Transfers money between accounts while workers and servers are killed, and checks that none is lost.

  --lock LOCK      none, thread, rqlite, redis, valkey or valkey-cluster   [none]
  --mode MODE      interactive, eager or deferred                          [interactive]
  --workers N      processes; threads, with the lock between threads       [4]
  --transfers N    of each worker                                          [25]
  --nodes N        how many servers                                        [1]
  --lease TIME     of the lock                                             [10s]
  --work TIME      between what a transfer reads and what it writes        [50ms]
  --retries N      how often a transfer is run again after a conflict      [30]
  --faults LIST    kill-worker, stop-worker; kill, stop, cut, mute and slow,
                   of the leader; lose-lock (the lock's server forgets
                   all); by commas                                         [none]
  --unsettled      commits whose answer was lost stay unknown: no exactly_once
  --unguarded      deferred, without lock or number: losses are shown, not an error
  --seed N         of all random choices                                   [random]
";

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) lock: Kind,
    pub(crate) mode: Mode,
    pub(crate) workers: u32,
    pub(crate) transfers: u32,
    pub(crate) nodes: usize,
    pub(crate) lease: Duration,
    pub(crate) work: Duration,
    pub(crate) retries: u32,
    pub(crate) faults: Vec<Fault>,
    pub(crate) unguarded: bool,
    pub(crate) unsettled: bool,
    pub(crate) seed: u64,
}

/// The crate's own mode, in a form that goes between processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Mode {
    Interactive,
    Eager,
    Deferred,
}

impl Mode {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "interactive" => Mode::Interactive,
            "eager" => Mode::Eager,
            "deferred" => Mode::Deferred,
            _ => return None,
        })
    }
}

impl From<Mode> for TransactionMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Interactive => TransactionMode::Interactive,
            Mode::Eager => TransactionMode::Eager,
            Mode::Deferred => TransactionMode::Deferred,
        }
    }
}

impl Options {
    /// Those of a command line, without the program's name.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            lock: Kind::None,
            mode: Mode::Interactive,
            workers: 4,
            transfers: 25,
            nodes: 1,
            lease: Duration::from_secs(10),
            work: Duration::from_millis(50),
            retries: 30,
            faults: Vec::new(),
            unguarded: false,
            unsettled: false,
            seed: fastrand::u64(..),
        };
        arguments::read(&mut options, given)?;
        if options.unguarded {
            (options.lock, options.mode) = (Kind::None, Mode::Deferred);
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), String> {
        if self.mode == Mode::Deferred && self.lock == Kind::None && !self.unguarded {
            return Err("--mode deferred without a lock is only right by luck: --unguarded".into());
        }
        let of_processes = |fault: &Fault| matches!(fault, Fault::KillWorker | Fault::StopWorker);
        if self.lock == Kind::Thread && self.faults.iter().any(of_processes) {
            return Err("--faults: with --lock thread all workers are one process".into());
        }
        if self.faults.contains(&Fault::LoseLock) && !self.lock.is_elsewhere() {
            return Err("--faults: lose-lock needs a lock in Redis or Valkey".into());
        }
        Ok(())
    }
}

impl Settings for Options {
    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match name {
            "--unguarded" => self.unguarded = true,
            "--unsettled" => self.unsettled = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set(&mut self, argument: &Argument<'_>) -> Result<(), String> {
        match argument.name {
            "--lock" => self.lock = argument.one(Kind::from_name)?,
            "--mode" => self.mode = argument.one(Mode::from_name)?,
            "--workers" => self.workers = argument.number(1)?,
            "--transfers" => self.transfers = argument.number(1)?,
            "--nodes" => self.nodes = argument.number(1)?,
            "--lease" => self.lease = argument.duration()?,
            "--work" => self.work = argument.duration()?,
            "--retries" => self.retries = argument.number(0)?,
            "--seed" => self.seed = argument.number(0)?,
            "--faults" => self.faults = argument.list(Fault::from_name)?,
            _ => return Err(argument.unknown()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diesel_rqlite_history::Fault as LeaderFault;

    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let line =
            "--lock redis --mode deferred --lease 200ms --work 2s --faults kill-worker,stop-leader";
        let options = parse(line).expect("parses");
        assert_eq!(options.lease, Duration::from_millis(200));
        assert_eq!(options.work, Duration::from_secs(2));
        assert_eq!(
            options.faults,
            [Fault::KillWorker, Fault::Leader(LeaderFault::Stop)]
        );
        for line in [
            "--lock paper",
            "--mode lazy",
            "--mode deferred",
            "--lease 5",
            "--workers 0",
            "--faults kill-bank",
            "--faults lose-lock",
            "--what 1",
            "--seed",
        ] {
            let error = parse(line).expect_err(line);
            let word = line.split(' ').next().expect("a word");
            assert!(error.contains(word), "{error}");
        }
    }
}
