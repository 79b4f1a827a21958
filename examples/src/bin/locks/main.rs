//! Read, compute, write back: alone, between two accounts, and by many at once, under each lock and under none.
//!
//! `cargo run -p diesel-rqlite-examples --bin locks`; behind `--` any of the locks `none`, `thread`, `rqlite`,
//! `redis` and `valkey`, and `--sync` or `--async` for only one of both.
//!
//! Nothing in `blocking` and `asynchronous` knows of locks: the configuration of a connection says which one its
//! transactions take. `build_transaction().lock(&lock)` would say it for one transaction.
#![allow(clippy::print_stdout)]

mod asynchronous;
mod blocking;

use std::time::{Duration, Instant};

use diesel_rqlite::RqliteConfig;
use diesel_rqlite_examples::{Failure, LockKind, Server, Tables};

const TABLES: &[&str] = &["locks_accounts", "locks_counters"];

/// Money is counted in cents: 0.1 + 0.2 is not 0.3 in a REAL.
const CREATE: &str = "
    CREATE TABLE locks_accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    INSERT INTO locks_accounts VALUES (1, 10000), (2, 10000);
    CREATE TABLE locks_counters (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);
    INSERT INTO locks_counters VALUES (1, 0);";

const BOTH_BALANCES: i64 = 20_000;

diesel::table! {
    locks_accounts (id) {
        id -> Integer,
        balance -> BigInt,
    }
}

diesel::table! {
    locks_counters (id) {
        id -> Integer,
        value -> Integer,
    }
}

const WORKERS: i32 = 4;
const TRANSFERS: i32 = 5;

/// How often a transaction that met another one is run again.
const RETRIES: u32 = 50;

/// How long a lock outlives a holder that died.
const LEASE: Duration = Duration::from_secs(10);

/// How often closures of transactions ran, and how many transactions there were.
struct Work {
    attempts: u32,
    transactions: u32,
}

struct Options {
    locks: Vec<LockKind>,
    sync: bool,
    asynchronous: bool,
}

fn main() -> Result<(), Failure> {
    let options = options(std::env::args().skip(1))?;
    let server = Server::rqlite()?;
    println!("lock    way    transactions  attempts  milliseconds");
    for &lock in &options.locks {
        // As long as the connections.
        let lock_server = lock.server()?;
        let config: RqliteConfig = server.url().parse()?;
        let config = lock.configure(config, lock_server.as_ref(), LEASE)?;
        if options.sync {
            observe(lock, "sync", &config, blocking::run)?;
        }
        if options.asynchronous {
            observe(lock, "async", &config, asynchronous::run)?;
        }
    }
    Ok(())
}

fn observe(
    lock: LockKind,
    way: &str,
    config: &RqliteConfig,
    run: fn(&RqliteConfig) -> Result<Work, Failure>,
) -> Result<(), Failure> {
    let _tables = Tables::create(config, TABLES, CREATE)?;
    let began = Instant::now();
    let Work {
        attempts,
        transactions,
    } = run(config)?;
    println!(
        "{:<7} {way:<6} {transactions:>12} {attempts:>9} {:>13}",
        lock.name(),
        began.elapsed().as_millis()
    );
    // That is what a lock is for: transactions wait for each other, instead of running again.
    if lock != LockKind::None {
        assert_eq!(attempts, transactions, "the lock let two in at once");
    }
    Ok(())
}

fn options(arguments: impl Iterator<Item = String>) -> Result<Options, Failure> {
    let mut options = Options {
        locks: Vec::new(),
        sync: true,
        asynchronous: true,
    };
    for argument in arguments {
        match (argument.as_str(), LockKind::from_name(&argument)) {
            ("--sync", _) => options.asynchronous = false,
            ("--async", _) => options.sync = false,
            (_, Some(lock)) => options.locks.push(lock),
            _ => return Err(format!("{argument}: no lock and no option").into()),
        }
    }
    if options.locks.is_empty() {
        options.locks = LockKind::ALL.to_vec();
    }
    Ok(options)
}
