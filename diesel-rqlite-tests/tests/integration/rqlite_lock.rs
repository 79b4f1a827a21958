//! The lock that is a row in rqlite, the one between threads, and what a lost one means.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::RqliteConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel_rqlite::{Lock, RqliteLock, ThreadLock};

use super::database::Database;
use crate::support::assert_kind;

diesel::table! { t (id) { id -> Integer, n -> Integer, } }

const SCHEMA: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO t VALUES (1, 0)";

/// Not serializable by itself in the mode Deferred.
fn increment(conn: &mut RqliteConnection) -> QueryResult<usize> {
    let n: i32 = t::table.find(1).select(t::n).first(conn)?;
    diesel::update(t::table.find(1))
        .set(t::n.eq(n + 1))
        .execute(conn)
}

fn value(db: &mut Database) -> i64 {
    db.one("SELECT n AS value FROM t")
}

#[test]
fn an_uncontended_lock_costs_no_request() {
    let mut db = Database::with(SCHEMA);
    let lock = RqliteLock::new("t");
    let locked = |conn: &mut RqliteConnection| conn.build_transaction().lock(&lock).run(increment);
    assert_eq!(locked(&mut db), Ok(1));
    let (outcome, requests) = db.requests(locked);
    assert_eq!((outcome, requests), (Ok(1), 2), "the read and the commit");
    let (outcome, requests) = db.requests(|conn| {
        let builder = conn.build_transaction().deferred();
        builder.lock(&lock).run(increment)
    });
    assert_eq!((outcome, requests), (Ok(0), 2), "the same");
    let (outcome, requests) = db.requests(|conn| {
        conn.build_transaction().lock(&lock).run(|conn| {
            diesel::insert_into(t::table)
                .values(t::n.eq(5))
                .execute(conn)
        })
    });
    assert_eq!((outcome, requests), (Ok(1), 1), "the commit takes it");
    let (outcome, requests) = db.requests(|conn| {
        conn.build_transaction()
            .lock(&lock)
            .run(|_| Ok::<_, Error>(()))
    });
    assert_eq!((outcome, requests), (Ok(()), 0));
    assert_eq!(
        db.one("SELECT count(*) AS value FROM __diesel_rqlite_locks WHERE owner IS NULL"),
        1
    );
}

/// With each lock, through the URL: threads take turns, so nothing is lost though nothing is guarded.
#[test]
fn locks_make_deferred_transactions_take_turns() {
    for lock in ["rqlite:t", "thread:t"] {
        let mut db = Database::with(SCHEMA);
        thread::scope(|scope| {
            for _ in 0..4 {
                let mut conn = db.another_with(&format!("transaction=deferred&lock={lock}"));
                scope.spawn(move || {
                    for _ in 0..10 {
                        assert_eq!(conn.transaction(increment), Ok(0));
                    }
                });
            }
        });
        assert_eq!(value(&mut db), 40, "{lock}");
    }
}

/// What can't be written as JSON is read in another form, under the lock all the same.
#[test]
fn the_lock_is_taken_with_any_read() {
    diesel::table! { r (id) { id -> Integer, v -> Double, } }
    let mut db = Database::with(SCHEMA);
    diesel::sql_query("CREATE TABLE r AS SELECT 1 AS id, 9e999 AS v")
        .execute(&mut *db)
        .expect("creates");
    let mut other = db.another();
    let lock = RqliteLock::new("t").timeout(Duration::ZERO);
    let outcome = db.build_transaction().deferred().lock(&lock).run(|conn| {
        let infinite: f64 = r::table.find(1).select(r::v).first(conn)?;
        assert_eq!(infinite, f64::INFINITY);
        let refused = other.build_transaction().lock(&lock).run(increment);
        assert_kind!(refused, UnableToSendCommand);
        increment(conn)
    });
    assert_eq!(outcome, Ok(0));
    assert_eq!(value(&mut db), 1);
}

#[test]
fn the_lock_is_given_back_on_every_way_out() {
    let mut db = Database::with(SCHEMA);
    let lock = RqliteLock::new("t").timeout(Duration::ZERO);
    let free = |db: &mut Database| {
        db.one("SELECT count(*) AS value FROM __diesel_rqlite_locks WHERE owner IS NOT NULL") == 0
    };
    let run = |conn: &mut RqliteConnection,
               body: &dyn Fn(&mut RqliteConnection) -> QueryResult<usize>| {
        conn.build_transaction().lock(&lock).run(body)
    };
    assert_eq!(run(&mut db, &increment), Ok(1));
    assert!(free(&mut db), "committed");
    let outcome = run(&mut db, &|conn| {
        increment(conn)?;
        Err(Error::RollbackTransaction)
    });
    assert!(outcome.is_err() && free(&mut db), "rolled back");
    let outcome = run(&mut db, &|conn| {
        increment(conn)?;
        diesel::sql_query("INSERT INTO nowhere VALUES (1)").execute(conn)
    });
    assert!(outcome.is_err() && free(&mut db), "failed");
    let outcome = run(&mut db, &|conn| {
        t::table.count().get_result::<i64>(conn).map(|_| 0)
    });
    assert!(outcome.is_ok() && free(&mut db), "only read");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        run(&mut db, &|conn| {
            increment(conn)?;
            panic!("on purpose")
        })
    }));
    assert!(panicked.is_err());
    // The asynchronous connection does that in the background.
    let began = std::time::Instant::now();
    while !free(&mut db) {
        assert!(began.elapsed() < Duration::from_secs(5), "panicked");
    }
    assert_eq!(value(&mut db), 1);
}

#[test]
fn waiting_for_a_lock_ends() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let lock = RqliteLock::new("t").timeout(Duration::from_millis(100));
    for body in [increment, |conn: &mut RqliteConnection| {
        diesel::insert_into(t::table)
            .values(t::n.eq(5))
            .execute(conn)
    }] {
        let outcome = db.build_transaction().lock(&lock).run(|conn| {
            increment(conn)?;
            let information = assert_kind!(
                other.build_transaction().lock(&lock).run(body),
                UnableToSendCommand
            );
            assert!(
                information.message().contains("lock `t`"),
                "{}",
                information.message()
            );
            Ok::<_, Error>(())
        });
        assert_eq!(outcome, Ok(()));
    }
    assert_eq!(value(&mut db), 2);
}

/// The holder is not heard of for its whole lease. What it does afterwards is not applied.
#[test]
fn a_lock_that_was_taken_over_keeps_its_old_holder_out() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let lock = RqliteLock::new("t").lease(Duration::from_secs(600));
    let outcome = db.build_transaction().deferred().lock(&lock).run(|conn| {
        increment(conn)?;
        // As if the lease had ended, and another had taken the lock and given it back.
        diesel::sql_query("UPDATE __diesel_rqlite_locks SET fence = fence + 1, owner = 'other'")
            .execute(&mut other)?;
        diesel::sql_query("UPDATE __diesel_rqlite_locks SET owner = NULL").execute(&mut other)
    });
    let information = assert_kind!(outcome, SerializationFailure);
    assert!(
        information.message().contains("lock `t`"),
        "{}",
        information.message()
    );
    assert_eq!(value(&mut db), 0);
}

#[test]
fn the_lock_of_a_dead_holder_is_taken_over_and_that_of_a_living_one_is_not() {
    let mut db = Database::with(SCHEMA);
    // This one died while it held the lock.
    assert_eq!(
        db.build_transaction()
            .lock(&RqliteLock::new("t"))
            .run(increment),
        Ok(1)
    );
    diesel::sql_query("UPDATE __diesel_rqlite_locks SET owner = 'dead', lease_ms = 50")
        .execute(&mut *db)
        .expect("updates");
    let lock = RqliteLock::new("t").lease(Duration::from_millis(300));
    assert_eq!(db.build_transaction().lock(&lock).run(increment), Ok(1));
    // This one lives, and works for longer than its lease; another waits for three of them.
    let mut other = db.another();
    let waiting = Barrier::new(2);
    thread::scope(|scope| {
        let (lock, waiting) = (&lock, &waiting);
        let waiter = scope.spawn(move || {
            waiting.wait();
            let patient = lock.clone().timeout(Duration::from_secs(30));
            other
                .build_transaction()
                .deferred()
                .lock(&patient)
                .run(increment)
        });
        let outcome = db.build_transaction().deferred().lock(lock).run(|conn| {
            let n: i32 = t::table.find(1).select(t::n).first(conn)?;
            waiting.wait();
            thread::sleep(Duration::from_secs(1));
            diesel::update(t::table.find(1))
                .set(t::n.eq(n + 1))
                .execute(conn)
        });
        assert_eq!(outcome, Ok(0));
        assert_eq!(waiter.join().expect("no panic"), Ok(0));
    });
    assert_eq!(value(&mut db), 4);
}

#[test]
fn immediate_transactions_exclude_each_other() {
    let mut db = Database::with(SCHEMA);
    thread::scope(|scope| {
        for _ in 0..3 {
            let mut conn = db.another_with("transaction=deferred");
            scope.spawn(move || {
                for _ in 0..5 {
                    assert_eq!(conn.immediate_transaction(increment), Ok(0));
                }
            });
        }
    });
    assert_eq!(value(&mut db), 15);
}

#[test]
fn a_lock_that_can_not_be_had_sends_nothing() {
    let mut db = Database::with(SCHEMA);
    let lock = ThreadLock::new("busy").timeout(Duration::ZERO);
    let _held = lock.acquire().expect("free");
    let (outcome, requests) =
        db.requests(|conn| conn.build_transaction().lock(&lock).run(increment));
    assert_kind!(outcome, UnableToSendCommand);
    assert_eq!(requests, 0);
    assert_eq!(db.transaction(increment), Ok(1), "the connection goes on");
    // The server of the lock is down.
    let down = diesel_rqlite::ValkeyLock::new("valkey://127.0.0.1:1", "t").expect("a URL");
    db.set_transaction_lock(&down.timeout(Duration::from_millis(100)));
    let (outcome, requests) = db.requests(|conn| conn.transaction(increment));
    let information = assert_kind!(outcome, UnableToSendCommand);
    assert!(
        information.message().contains("127.0.0.1:1"),
        "{}",
        information.message()
    );
    assert_eq!(requests, 0);
    assert_eq!(value(&mut db), 1);
}

/// All of a text but letters and digits, as it stands in a URL.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Named by the URL of the connection alone, as in a pool that makes its connections by one.
#[test]
fn a_lock_elsewhere_is_taken_by_its_url() {
    const PASSWORD: &str = "p@ss/w&rd%#?";
    let valkey = diesel_rqlite_tests::ValkeyServer::builder()
        .user("app", PASSWORD)
        .start();
    let redis = diesel_rqlite_tests::RedisServer::start();
    let credentials = format!("app:{}@", encoded(PASSWORD));
    for (url, fence) in [
        (valkey.url_of(&credentials), None),
        (redis.url(), Some("diesel-rqlite:{acc o}:fence")),
    ] {
        let mut db = Database::with(SCHEMA);
        let lock = format!("{url}/0?name=acc%20o&retry_interval=5ms&lease=20s");
        let options = format!("transaction=deferred&lock={}", encoded(&lock));
        thread::scope(|scope| {
            for _ in 0..4 {
                let mut conn = db.another_with(&options);
                scope.spawn(move || {
                    for _ in 0..10 {
                        assert_eq!(conn.transaction(increment), Ok(0));
                    }
                });
            }
        });
        assert_eq!(value(&mut db), 40);
        if let Some(fence) = fence {
            assert!(!redis.command(&["GET", fence]).is_empty());
        }
        let wrong = url.replace("app:", "app:Wrong");
        if wrong != url {
            let lock = encoded(&format!("{wrong}?name=l&timeout=1s"));
            let outcome = db
                .another_with(&format!("lock={lock}"))
                .transaction(increment);
            let information = assert_kind!(outcome, UnableToSendCommand);
            assert!(
                !information.message().contains("p@ss"),
                "{}",
                information.message()
            );
        }
    }
}

/// A lock server at work: transactions take turns, and each commit is fenced.
#[test]
fn locks_elsewhere_make_deferred_transactions_take_turns() {
    let valkey = diesel_rqlite_tests::ValkeyServer::start();
    let mut db = Database::with(SCHEMA);
    let lock = diesel_rqlite::ValkeyLock::new(&valkey.url(), "t").expect("a URL");
    let lock = lock.retry_interval(Duration::from_millis(5));
    thread::scope(|scope| {
        for _ in 0..4 {
            let mut conn = db.another_with("transaction=deferred");
            // As another process would have it: a value of its own.
            let lock = diesel_rqlite::ValkeyLock::new(&valkey.url(), "t").expect("a URL");
            conn.set_transaction_lock(&lock.retry_interval(Duration::from_millis(5)));
            scope.spawn(move || {
                for _ in 0..10 {
                    assert_eq!(conn.transaction(increment), Ok(0));
                }
            });
        }
    });
    assert_eq!(value(&mut db), 40);
    let (outcome, requests) =
        db.requests(|conn| conn.build_transaction().lock(&lock).run(increment));
    assert_eq!(
        (outcome, requests),
        (Ok(1), 2),
        "the fence is part of the commit"
    );
}
