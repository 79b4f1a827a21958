//! A client: one transaction after the other, on a connection of its own.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, PooledConnection};
use diesel_rqlite::RqliteConnection;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::attempt::{self, Numbers};
use crate::history::{Cause, Outcome, Transaction};
use crate::transaction::{Mode, Style};
use crate::workload::{Slots, Task};

/// What a worker is told, also across processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) worker: u32,
    pub(crate) url: String,
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) lists: i64,
    pub(crate) retries: u32,
    pub(crate) mode: Mode,
    pub(crate) exactly_once: bool,
}

type Manager = ConnectionManager<RqliteConnection>;

/// Connections that all workers take in turn.
pub(crate) type Shared = Pool<Manager>;

/// Makes them when they are taken.
pub(crate) fn pool(url: &str, size: u32) -> Shared {
    Pool::builder()
        .max_size(size)
        .build_unchecked(Manager::new(url))
}

/// Where a worker has its connection from.
enum Source<'a> {
    Own(Box<RqliteConnection>),
    Shared(&'a Shared),
}

enum Taken<'a> {
    Own(&'a mut RqliteConnection),
    Shared(Box<PooledConnection<Manager>>),
}

impl Source<'_> {
    /// `None` if there is none to be had now.
    fn take(&mut self) -> Option<Taken<'_>> {
        match self {
            Source::Own(connection) => Some(Taken::Own(connection)),
            Source::Shared(pool) => {
                let connection = pool.get().ok()?;
                Some(Taken::Shared(Box::new(connection)))
            }
        }
    }
}

impl Taken<'_> {
    fn connection(&mut self) -> &mut RqliteConnection {
        match self {
            Taken::Own(connection) => connection,
            Taken::Shared(connection) => connection,
        }
    }
}

/// Works until the time is over. Each attempt is handed to `record` when its outcome is known.
pub(crate) fn work(
    orders: &Orders,
    pool: Option<&Shared>,
    mut record: impl FnMut(Transaction) -> Result<(), Error>,
) -> Result<(), Error> {
    let deadline = Instant::now() + orders.duration;
    let mut random = fastrand::Rng::with_seed(orders.seed);
    let mut source = match pool {
        Some(pool) => Source::Shared(pool),
        None => Source::Own(Box::new(RqliteConnection::establish(&orders.url)?)),
    };
    let mut numbers = Numbers::of_worker(orders.worker);
    let mut slots = Slots::new(orders.lists);
    while Instant::now() < deadline {
        let mut style = Style {
            mode: orders.mode,
            retries: orders.retries,
            read_only: false,
            exactly_once: orders.exactly_once,
        };
        let task = Task::choose(&mut random, &slots, style.sees_own_writes());
        style.read_only = task.is_read_only();
        let Some(mut taken) = source.take() else {
            continue;
        };
        let attempts = attempt::run(
            taken.connection(),
            style,
            orders.worker,
            &mut numbers,
            |connection, log| task.perform(connection, style.sees_own_writes(), log),
        );
        // Without a leader, an error comes at once.
        if attempts.last().is_none_or(is_refused) {
            std::thread::sleep(Duration::from_millis(20));
        }
        for transaction in attempts {
            slots.learn(&transaction);
            record(transaction)?;
        }
    }
    Ok(())
}

fn is_refused(transaction: &Transaction) -> bool {
    let refused = [Cause::Retried, Cause::Conflict];
    matches!(&transaction.outcome, Outcome::Aborted(cause) if !refused.contains(cause))
}
