//! By blocking connections, each in a thread.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use diesel::prelude::*;
use diesel::result::Error;
use diesel_rqlite::{RqliteConfig, RqliteConnection};

use super::{
    BOTH_BALANCES, Failure, RETRIES, TRANSFERS, WORKERS, Work, locks_accounts, locks_counters,
};

pub(crate) fn run(config: &RqliteConfig) -> Result<Work, Failure> {
    let attempts = AtomicU32::new(0);
    let mut conn = config.connect()?;
    count(&mut conn, &attempts)?;
    transfer(&mut conn, [1, 2], 2500, &attempts)?;
    assert_eq!(balances(&mut conn)?, [7500, 12_500]);
    refuse(&mut conn, &attempts)?;
    work_at_once(config, &attempts)?;
    check(&mut conn)?;
    Ok(Work {
        attempts: attempts.into_inner(),
        transactions: 3 + (2 * WORKERS * TRANSFERS).unsigned_abs(),
    })
}

/// What is written back is only right as long as nobody else has written since the read. The transaction is applied
/// only then.
fn count(conn: &mut RqliteConnection, attempts: &AtomicU32) -> QueryResult<()> {
    conn.build_transaction().retries(RETRIES).run(|conn| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let counter = locks_counters::table.find(1);
        let value: i32 = counter.select(locks_counters::value).first(conn)?;
        diesel::update(counter)
            .set(locks_counters::value.eq(value + 1))
            .execute(conn)?;
        Ok(())
    })
}

/// Both accounts or none.
fn transfer(
    conn: &mut RqliteConnection,
    [from, to]: [i32; 2],
    cents: i64,
    attempts: &AtomicU32,
) -> QueryResult<()> {
    conn.build_transaction().retries(RETRIES).run(|conn| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let [source, target] = [balance(conn, from)?, balance(conn, to)?];
        set(conn, from, source - cents)?;
        set(conn, to, target + cents)?;
        // Nothing of it was sent yet.
        match source < cents {
            true => Err(Error::RollbackTransaction),
            false => Ok(()),
        }
    })
}

fn balance(conn: &mut RqliteConnection, id: i32) -> QueryResult<i64> {
    let account = locks_accounts::table.find(id);
    account.select(locks_accounts::balance).first(conn)
}

fn set(conn: &mut RqliteConnection, id: i32, balance: i64) -> QueryResult<usize> {
    diesel::update(locks_accounts::table.find(id))
        .set(locks_accounts::balance.eq(balance))
        .execute(conn)
}

fn refuse(conn: &mut RqliteConnection, attempts: &AtomicU32) -> QueryResult<()> {
    let before = balances(conn)?;
    let outcome = transfer(conn, [1, 2], BOTH_BALANCES, attempts);
    assert_eq!(outcome, Err(Error::RollbackTransaction));
    assert_eq!(balances(conn)?, before);
    Ok(())
}

/// Each worker has a connection of its own.
fn work_at_once(config: &RqliteConfig, attempts: &AtomicU32) -> Result<(), Failure> {
    thread::scope(|scope| {
        let work = |worker| move || work(config, worker, attempts);
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| scope.spawn(work(worker)))
            .collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok(())
    })
}

fn work(config: &RqliteConfig, worker: i32, attempts: &AtomicU32) -> Result<(), Failure> {
    let mut conn = config.connect()?;
    for round in 0..TRANSFERS {
        let accounts = if (worker + round) % 2 == 0 {
            [1, 2]
        } else {
            [2, 1]
        };
        transfer(&mut conn, accounts, 100, attempts)?;
        count(&mut conn, attempts)?;
    }
    Ok(())
}

fn balances(conn: &mut RqliteConnection) -> QueryResult<Vec<i64>> {
    let accounts = locks_accounts::table.order(locks_accounts::id);
    accounts.select(locks_accounts::balance).load(conn)
}

/// No cent and no count was lost.
fn check(conn: &mut RqliteConnection) -> QueryResult<()> {
    let sum: i64 = balances(conn)?.iter().sum();
    let counted: i32 = locks_counters::table
        .select(locks_counters::value)
        .first(conn)?;
    assert_eq!((sum, counted), (BOTH_BALANCES, 1 + WORKERS * TRANSFERS));
    Ok(())
}
