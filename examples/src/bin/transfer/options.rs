//! What to run.

use std::str::FromStr;
use std::time::Duration;

use diesel_rqlite_examples::{Failure, LockKind};

use crate::bank::AMOUNT;

pub(crate) const USAGE: &str = "\
Processes move 50.00 at a time from one account to the other. At the end all money must be there.

  --workers N       processes                                                    [4]
  --transfers N     of each worker                                               [10]
  --lock LOCK       that transactions take: none, rqlite, redis or valkey        [none]
  --lease N         of the lock, in milliseconds                                 [2000]
  --no-lock         no transactions either: read, compute, write, as if alone. Shows what is lost
  --kill-worker     one dies in the middle of a transfer; another takes its place
  --expire-lease    one is stopped in the middle of a transfer for longer than its lease
  --stop-leader     of three nodes, started for it, the leader is stopped, and goes on when another leads

RQLITE_URL, REDIS_URL and VALKEY_URL name servers to use; else they are started.";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) workers: u32,
    pub(crate) transfers: u32,
    pub(crate) lock: LockKind,
    pub(crate) lease: Duration,
    pub(crate) unguarded: bool,
    pub(crate) kill_worker: bool,
    pub(crate) expire_lease: bool,
    pub(crate) stop_leader: bool,
    /// This process is that worker.
    pub(crate) worker: Option<u32>,
}

/// What happens to a worker in the middle of its first transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// SIGKILL
    Dies,
    /// SIGSTOP
    Stops,
}

impl Options {
    /// Those of a command line, without the program's name.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Failure> {
        let mut options = Options {
            workers: 4,
            transfers: 10,
            lock: LockKind::None,
            lease: Duration::from_secs(2),
            unguarded: false,
            kill_worker: false,
            expire_lease: false,
            stop_leader: false,
            worker: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--no-lock" => options.unguarded = true,
                "--kill-worker" => options.kill_worker = true,
                "--expire-lease" => options.expire_lease = true,
                "--stop-leader" => options.stop_leader = true,
                "--workers" => options.workers = number(&name, arguments.next())?,
                "--transfers" => options.transfers = number(&name, arguments.next())?,
                "--worker" => options.worker = Some(number(&name, arguments.next())?),
                "--lease" => {
                    options.lease = Duration::from_millis(number(&name, arguments.next())?);
                }
                "--lock" => options.lock = lock(arguments.next())?,
                _ => return Err(format!("{name} is no option: see --help").into()),
            }
        }
        options.check().map(|()| options)
    }

    fn check(&self) -> Result<(), Failure> {
        let has_faults = self.kill_worker || self.expire_lease || self.stop_leader;
        if self.unguarded && (has_faults || self.lock != LockKind::None) {
            return Err("--no-lock loses money by itself, and goes with no other option".into());
        }
        let needed = 1 + u32::from(self.kill_worker) + u32::from(self.expire_lease);
        if self.workers < needed || self.transfers == 0 {
            return Err("too few workers or transfers".into());
        }
        Ok(())
    }

    /// What is moved altogether, in cents.
    pub(crate) fn total(&self) -> i64 {
        i64::from(self.workers) * i64::from(self.transfers) * AMOUNT
    }

    /// What happens to this worker. Who takes its place has none.
    pub(crate) fn trouble(&self, worker: u32) -> Option<Trouble> {
        match worker {
            0 if self.kill_worker => Some(Trouble::Dies),
            _ if self.expire_lease && worker == u32::from(self.kill_worker) => Some(Trouble::Stops),
            _ => None,
        }
    }
}

fn number<T: FromStr>(name: &str, value: Option<String>) -> Result<T, Failure> {
    let number = value.and_then(|value| value.parse().ok());
    number.ok_or_else(|| format!("{name} needs a number").into())
}

fn lock(name: Option<String>) -> Result<LockKind, Failure> {
    let kind = LockKind::from_name(&name.unwrap_or_default());
    // Which is for threads of one process.
    let kind = kind.filter(|kind| *kind != LockKind::Thread);
    kind.ok_or_else(|| "--lock is none, rqlite, redis or valkey".into())
}
