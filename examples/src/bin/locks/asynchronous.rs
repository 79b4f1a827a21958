//! By asynchronous connections, each in a task.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

// Not `diesel::prelude::*`: its `RunQueryDsl` is the one of blocking connections.
use diesel::result::Error;
use diesel::{ExpressionMethods, QueryDsl, QueryResult};
use diesel_async::RunQueryDsl;
use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig};
use tokio::task::JoinSet;

use super::{
    BOTH_BALANCES, Failure, RETRIES, TRANSFERS, WORKERS, Work, locks_accounts, locks_counters,
};

#[tokio::main]
pub(crate) async fn run(config: &RqliteConfig) -> Result<Work, Failure> {
    let attempts = Arc::new(AtomicU32::new(0));
    let mut conn = config.connect_async().await?;
    count(&mut conn, &attempts).await?;
    transfer(&mut conn, [1, 2], 2500, &attempts).await?;
    assert_eq!(balances(&mut conn).await?, [7500, 12_500]);
    refuse(&mut conn, &attempts).await?;
    work_at_once(config, &attempts).await?;
    check(&mut conn).await?;
    Ok(Work {
        attempts: AtomicU32::load(&attempts, Ordering::Relaxed),
        transactions: 3 + (2 * WORKERS * TRANSFERS).unsigned_abs(),
    })
}

/// As in `blocking`. Each attempt gets a clone of the closure, which has to be `Send`.
async fn count(conn: &mut AsyncRqliteConnection, attempts: &AtomicU32) -> QueryResult<()> {
    let transaction = conn.build_transaction().retries(RETRIES);
    let counting = transaction.run(async |conn| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let counter = locks_counters::table.find(1);
        let value: i32 = counter.select(locks_counters::value).first(conn).await?;
        diesel::update(counter)
            .set(locks_counters::value.eq(value + 1))
            .execute(conn)
            .await?;
        Ok(())
    });
    counting.await
}

/// Both accounts or none.
async fn transfer(
    conn: &mut AsyncRqliteConnection,
    [from, to]: [i32; 2],
    cents: i64,
    attempts: &AtomicU32,
) -> QueryResult<()> {
    let transaction = conn.build_transaction().retries(RETRIES);
    let transferring = transaction.run(async |conn| {
        attempts.fetch_add(1, Ordering::Relaxed);
        let source = balance(conn, from).await?;
        let target = balance(conn, to).await?;
        set(conn, from, source - cents).await?;
        set(conn, to, target + cents).await?;
        // Nothing of it was sent yet.
        match source < cents {
            true => Err(Error::RollbackTransaction),
            false => Ok(()),
        }
    });
    transferring.await
}

async fn balance(conn: &mut AsyncRqliteConnection, id: i32) -> QueryResult<i64> {
    let account = locks_accounts::table.find(id);
    account.select(locks_accounts::balance).first(conn).await
}

async fn set(conn: &mut AsyncRqliteConnection, id: i32, balance: i64) -> QueryResult<usize> {
    diesel::update(locks_accounts::table.find(id))
        .set(locks_accounts::balance.eq(balance))
        .execute(conn)
        .await
}

async fn refuse(conn: &mut AsyncRqliteConnection, attempts: &AtomicU32) -> QueryResult<()> {
    let before = balances(conn).await?;
    let outcome = transfer(conn, [1, 2], BOTH_BALANCES, attempts).await;
    assert_eq!(outcome, Err(Error::RollbackTransaction));
    assert_eq!(balances(conn).await?, before);
    Ok(())
}

/// Each worker is a task with a connection of its own; they share HTTP connections.
async fn work_at_once(config: &RqliteConfig, attempts: &Arc<AtomicU32>) -> Result<(), Failure> {
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        workers.spawn(work(config.clone(), worker, Arc::clone(attempts)));
    }
    while let Some(outcome) = workers.join_next().await {
        outcome??;
    }
    Ok(())
}

async fn work(config: RqliteConfig, worker: i32, attempts: Arc<AtomicU32>) -> Result<(), Failure> {
    let mut conn = config.connect_async().await?;
    for round in 0..TRANSFERS {
        let accounts = if (worker + round) % 2 == 0 {
            [1, 2]
        } else {
            [2, 1]
        };
        transfer(&mut conn, accounts, 100, &attempts).await?;
        count(&mut conn, &attempts).await?;
    }
    Ok(())
}

async fn balances(conn: &mut AsyncRqliteConnection) -> QueryResult<Vec<i64>> {
    let accounts = locks_accounts::table.order(locks_accounts::id);
    accounts.select(locks_accounts::balance).load(conn).await
}

/// No cent and no count was lost.
async fn check(conn: &mut AsyncRqliteConnection) -> QueryResult<()> {
    let sum: i64 = balances(conn).await?.iter().sum();
    let counted: i32 = locks_counters::table
        .select(locks_counters::value)
        .first(conn)
        .await?;
    assert_eq!((sum, counted), (BOTH_BALANCES, 1 + WORKERS * TRANSFERS));
    Ok(())
}
