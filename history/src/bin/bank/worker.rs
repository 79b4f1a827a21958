//! One worker: a transfer after the other, each a transaction under the lock.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use diesel::connection::InstrumentationEvent;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_rqlite::{RqliteConnection, RunAgain, TransactionBuilder};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::lock::{Access, Chosen};
use crate::options::Mode;
use crate::record::{Cause, Ended, Outcome, Record, Seen};
use crate::schema::{ACCOUNTS, BALANCE, accounts, log};

/// With this argument, and orders behind it, the program is one of the workers.
pub(crate) const WORKER_ARGUMENT: &str = "--worker";

/// What a worker is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) url: String,
    pub(crate) lock: Access,
    pub(crate) mode: Mode,
    pub(crate) work: Duration,
    pub(crate) retries: u32,
    pub(crate) exactly_once: bool,
    pub(crate) seed: u64,
    /// The numbers of its transfers.
    pub(crate) transfers: std::ops::Range<i64>,
}

/// Is a worker, and writes its records to the standard output, each at once: it may be killed at any moment.
pub(crate) fn work_as_process(orders: &str) -> Result<(), Error> {
    let orders: Orders = serde_json::from_str(orders)?;
    let mut lines = io::stdout().lock();
    work(&orders, |record| {
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        lines.write_all(&line)?;
        lines.flush()?;
        Ok(())
    })
}

/// How often a worker looks at all accounts.
const TRANSFERS_PER_AUDIT: i64 = 4;

/// Makes all its transfers.
pub(crate) fn work(
    orders: &Orders,
    mut record: impl FnMut(Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let lock = orders.lock.lock()?;
    let seen = Arc::default();
    let mut connection = connect(&orders.url, &seen)?;
    for id in orders.transfers.clone() {
        let transfer = Transfer::choose(orders.seed, id);
        *locked(&seen) = Seen::default();
        record(Record::Begun(id))?;
        let outcome = transfer.run(&mut connection, orders, &lock, &seen);
        if matches!(&outcome, Outcome::RolledBack(Cause::NotSent)) {
            // Without a leader, an error comes at once.
            thread::sleep(Duration::from_millis(100));
        }
        let seen = *locked(&seen);
        record(Record::Ended(Ended { id, outcome, seen }))?;
        if id % TRANSFERS_PER_AUDIT == 0
            && let Ok(total) = audit(&mut connection, orders, &lock)
        {
            record(Record::Audited(total))?;
        }
    }
    Ok(())
}

/// A node that was just killed is back in a moment.
fn connect(url: &str, seen: &Arc<Mutex<Seen>>) -> Result<RqliteConnection, Error> {
    let mut tries = 0;
    let mut connection = loop {
        match RqliteConnection::establish(url) {
            Ok(connection) => break connection,
            Err(error) if tries == 100 => return Err(error.into()),
            Err(_) => tries += 1,
        }
        thread::sleep(Duration::from_millis(100));
    };
    let seen = Arc::clone(seen);
    // RunAgain hide their causes.
    connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::FinishQuery {
            error: Some(error), ..
        } = event
        {
            note(error, &mut locked(&seen));
        }
    });
    Ok(connection)
}

fn note(error: &DieselError, seen: &mut Seen) {
    let DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, information) = error
    else {
        return;
    };
    let message = information.message();
    match message.starts_with("lock `") {
        false => seen.conflicts += 1,
        true if message.contains(": lost: ") => seen.lost += 1,
        true => seen.fenced += 1,
    }
}

fn locked(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Some money from one account to another one.
struct Transfer {
    id: i64,
    origin: i64,
    target: i64,
    amount: i64,
}

impl Transfer {
    fn choose(seed: u64, id: i64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ id.unsigned_abs());
        let origin = random.i64(0..ACCOUNTS);
        Transfer {
            id,
            origin,
            target: (origin + random.i64(1..ACCOUNTS)) % ACCOUNTS,
            amount: random.i64(1..=BALANCE / 4),
        }
    }

    fn run(
        &self,
        connection: &mut RqliteConnection,
        orders: &Orders,
        lock: &Chosen,
        seen: &Mutex<Seen>,
    ) -> Outcome {
        let mut has_finished = false;
        let outcome = transaction(connection, orders, lock).run(|connection| {
            locked(seen).runs += 1;
            has_finished = false;
            self.perform(connection, orders.work)?;
            has_finished = true;
            Ok(())
        });
        match outcome {
            Ok(()) => Outcome::Committed,
            Err(error) => failed(&error, has_finished),
        }
    }

    fn perform(&self, connection: &mut RqliteConnection, work: Duration) -> QueryResult<()> {
        let origin = balance(connection, self.origin)?;
        let target = balance(connection, self.target)?;
        thread::sleep(work);
        if origin < self.amount {
            return Err(DieselError::RollbackTransaction);
        }
        set(connection, self.origin, origin - self.amount)?;
        set(connection, self.target, target + self.amount)?;
        diesel::insert_into(log::table)
            .values((
                log::transfer.eq(self.id),
                log::origin.eq(self.origin),
                log::target.eq(self.target),
                log::amount.eq(self.amount),
            ))
            .execute(connection)?;
        Ok(())
    }
}

fn transaction<'a>(
    connection: &'a mut RqliteConnection,
    orders: &Orders,
    lock: &Chosen,
) -> TransactionBuilder<'a, RqliteConnection, RunAgain> {
    let builder = connection.build_transaction().mode(orders.mode.into());
    let builder = match orders.exactly_once {
        true => builder.exactly_once(),
        false => builder,
    };
    let builder = match lock {
        Chosen::None => builder,
        Chosen::Rqlite(lock) => builder.lock(lock),
        Chosen::Outside(lock) => builder.lock(lock),
    };
    builder.retries(orders.retries)
}

/// Reads all accounts, one by one, and takes its time in between.
fn audit(connection: &mut RqliteConnection, orders: &Orders, lock: &Chosen) -> QueryResult<i64> {
    let transaction = transaction(connection, orders, lock).read_only();
    transaction.run(|connection| {
        let mut total = 0;
        for account in 0..ACCOUNTS {
            total += balance(connection, account)?;
            if account == ACCOUNTS / 2 {
                thread::sleep(orders.work);
            }
        }
        Ok(total)
    })
}

fn balance(connection: &mut RqliteConnection, account: i64) -> QueryResult<i64> {
    accounts::table
        .find(account)
        .select(accounts::balance)
        .first(connection)
}

fn set(connection: &mut RqliteConnection, account: i64, balance: i64) -> QueryResult<()> {
    diesel::update(accounts::table.find(account))
        .set(accounts::balance.eq(balance))
        .execute(connection)?;
    Ok(())
}

/// What an error says about the transfer: only at the commit there is a doubt.
fn failed(error: &DieselError, at_commit: bool) -> Outcome {
    use DatabaseErrorKind as Kind;
    let cause = match error {
        DieselError::RollbackTransaction => Cause::Refused,
        DieselError::DatabaseError(Kind::SerializationFailure, _) => Cause::Conflict,
        DieselError::DatabaseError(Kind::UnableToSendCommand, information)
            if information.message().starts_with("lock `") =>
        {
            Cause::NoLock
        }
        DieselError::DatabaseError(Kind::UnableToSendCommand, _) => Cause::NotSent,
        DieselError::DatabaseError(Kind::ClosedConnection, _) if at_commit => {
            return Outcome::Unknown;
        }
        DieselError::DatabaseError(kind, _) => Cause::Failed(format!("{kind:?}: {error}")),
        _ => Cause::Failed(error.to_string()),
    };
    Outcome::RolledBack(cause)
}
