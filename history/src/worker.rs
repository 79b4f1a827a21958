//! A client: one transaction after the other, on a connection of its own.

use std::time::{Duration, Instant};

use diesel::prelude::*;
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
}

/// Works until the time is over. Each attempt is handed to `record` when its outcome is known.
pub(crate) fn work(
    orders: &Orders,
    mut record: impl FnMut(Transaction) -> Result<(), Error>,
) -> Result<(), Error> {
    let deadline = Instant::now() + orders.duration;
    let mut random = fastrand::Rng::with_seed(orders.seed);
    let mut connection = RqliteConnection::establish(&orders.url)?;
    let mut numbers = Numbers::of_worker(orders.worker);
    let mut slots = Slots::new(orders.lists);
    while Instant::now() < deadline {
        let mut style = Style {
            mode: orders.mode,
            retries: orders.retries,
            read_only: false,
        };
        let task = Task::choose(&mut random, &slots, style.sees_own_writes());
        style.read_only = task.is_read_only();
        let attempts = attempt::run(
            &mut connection,
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
