//! A client is killed at each step of a transaction under a lock: nothing of it is half applied, now or later, and the
//! next client gets the lock when the lease is over.

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::RqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::{RqliteLock, TransactionMode};

use super::database::{Database, connect};
use crate::proxy::{Fate, Proxy};

diesel::table! { accounts (id) { id -> Integer, balance -> Integer, } }
diesel::table! { log (id) { id -> Integer, amount -> Integer, } }

const SCHEMA: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    CREATE TABLE log (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL);
    INSERT INTO accounts VALUES (1, 0), (2, 0);";

/// As on a database that has never seen a lock.
const FORGET: &str = "
    DROP TABLE IF EXISTS __diesel_rqlite_locks;
    DROP TABLE IF EXISTS __diesel_rqlite_fences;
    DROP TABLE IF EXISTS __diesel_rqlite_commits;";

/// What takes the lock of the client that was killed waits no longer than this, which is many leases.
const SOON: Duration = Duration::from_secs(10);

/// More requests than any of these transactions has.
const STEPS: usize = 30;

fn lock() -> RqliteLock {
    let lock = RqliteLock::new("accounts").lease(Duration::from_millis(100));
    lock.timeout(SOON).retry_interval(Duration::from_millis(5))
}

fn transfer(conn: &mut RqliteConnection, mode: TransactionMode, amount: i32) -> QueryResult<()> {
    let read = |conn: &mut RqliteConnection, id: i32| -> QueryResult<i32> {
        let balance = accounts::table.find(id).select(accounts::balance);
        balance.first(conn)
    };
    let builder = conn.build_transaction().mode(mode).exactly_once();
    builder.lock(&lock()).run(|conn| {
        let (origin, target) = (read(conn, 1)?, read(conn, 2)?);
        for (id, balance) in [(1, origin - amount), (2, target + amount)] {
            diesel::update(accounts::table.find(id))
                .set(accounts::balance.eq(balance))
                .execute(conn)?;
        }
        diesel::insert_into(log::table)
            .values(log::amount.eq(amount))
            .execute(conn)?;
        Ok(())
    })
}

fn mode(name: &str) -> TransactionMode {
    match name {
        "interactive" => TransactionMode::Interactive,
        "eager" => TransactionMode::Eager,
        _ => TransactionMode::Deferred,
    }
}

/// No test: what is killed.
#[test]
fn client_in_another_process() {
    let (Ok(name), Ok(url)) = (env::var("TRANSFER_IN_MODE"), env::var("TRANSFER_AT")) else {
        return;
    };
    let mut conn = connect(&url);
    transfer(&mut conn, mode(&name), 1).expect("commits");
}

fn client(name: &str, proxy: &Proxy) -> Child {
    Command::new(env::current_exe().expect("is a file"))
        .args([
            "--exact",
            "blocking::killed_clients::client_in_another_process",
        ])
        .env("TRANSFER_IN_MODE", name)
        .env("TRANSFER_AT", proxy.url())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts")
}

/// Lets the client go so many requests far, and kills it there. Whether it came to its end before.
fn ends_before(client: &mut Child, proxy: &Proxy) -> bool {
    loop {
        if proxy.holds_within(Duration::from_millis(5)) {
            client.kill().expect("is ours");
            client.wait().expect("ends");
            return false;
        }
        if let Some(status) = client.try_wait().expect("is ours") {
            assert!(status.success(), "{status}");
            return true;
        }
    }
}

/// Transfers are applied as a whole: balances are what the log says. How often the killed client's was.
fn applied(db: &mut Database, case: &str) -> i64 {
    let moved = db.one("SELECT coalesce(sum(amount), 0) AS value FROM log");
    let balance = |db: &mut Database, id: i32| {
        db.one(&format!(
            "SELECT balance AS value FROM accounts WHERE id = {id}"
        ))
    };
    assert_eq!(balance(db, 1), -moved, "{case}");
    assert_eq!(balance(db, 2), moved, "{case}");
    db.one("SELECT count(*) AS value FROM log WHERE amount = 1")
}

/// Kills clients at each of their requests. Returns how many they had.
fn kill_at_each_step(name: &str, fate: Fate, forgets: bool) -> usize {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let mut next = || transfer(&mut other, mode(name), 1000);
    for step in 1..STEPS {
        let case = format!("{name}, {fate:?} from request {step} on");
        if forgets {
            db.batch_execute(FORGET).expect("forgets");
        }
        let before = applied(&mut db, &case);
        let pass = move |number, _: &str| if number < step { Fate::Pass } else { fate };
        let proxy = Proxy::start(db.node.address(), pass);
        let has_ended = ends_before(&mut client(name, &proxy), &proxy);
        let killed = applied(&mut db, &case) - before;
        assert!(
            killed == 1 || (killed == 0 && !has_ended),
            "{case}: {killed}"
        );
        assert_eq!(next(), Ok(()), "{case}");
        // What the client had sent comes in when others have gone on.
        proxy.deliver();
        let late = applied(&mut db, &case) - before;
        assert_eq!(late, killed, "{case}");
        assert_eq!(next(), Ok(()), "{case}");
        assert_eq!(applied(&mut db, &case), before + killed, "{case}");
        if has_ended {
            return step - 1;
        }
    }
    panic!("{name}: it never ends");
}

fn in_mode(name: &str, least: usize) {
    for fate in [Fate::Hold, Fate::HoldAnswer] {
        for forgets in [true, false] {
            let steps = kill_at_each_step(name, fate, forgets);
            assert!(steps >= least, "{steps}");
        }
    }
}

#[test]
fn an_interactive_client_can_be_killed_at_any_step() {
    // To connect, two reads and the commit.
    in_mode("interactive", 4);
}

#[test]
fn an_eager_client_can_be_killed_at_any_step() {
    // The same, and three writes.
    in_mode("eager", 7);
}

#[test]
fn a_deferred_client_can_be_killed_at_any_step() {
    // As an interactive one.
    in_mode("deferred", 4);
}
