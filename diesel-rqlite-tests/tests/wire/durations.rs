//! Each duration of a configuration, at its limits, also where a lost commit is settled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel_rqlite::{RedisLock, RqliteConfig, RqliteLock, ThreadLock};
use diesel_rqlite_tests::RedisServer;

use crate::any::KINDS;
use crate::database::Database;
use crate::options::documented_options;
use crate::proxy::{Fate, Proxy};

type Set = fn(RqliteConfig, &str, Duration) -> RqliteConfig;

/// Each duration, by its name. The text is the URL of a Redis.
const SETTERS: &[(&str, Set)] = &[
    ("connect_timeout", |config, _, time| {
        config.connect_timeout(time)
    }),
    ("request_timeout", |config, _, time| {
        config.request_timeout(time)
    }),
    ("leader_timeout", |config, _, time| {
        config.leader_timeout(time)
    }),
    ("db_timeout", |config, _, time| config.db_timeout(time)),
    ("freshness", |config, _, time| {
        config
            .read_consistency(diesel_rqlite::ReadConsistency::None)
            .freshness(time)
    }),
    ("slow_query_threshold", |config, _, time| {
        config.slow_query_threshold(time)
    }),
    ("RqliteLock::lease", |config, _, time| {
        config.lock(&RqliteLock::new("l").lease(time))
    }),
    ("RqliteLock::timeout", |config, _, time| {
        config.lock(&RqliteLock::new("l").timeout(time))
    }),
    ("RqliteLock::retry_interval", |config, _, time| {
        config.lock(&RqliteLock::new("l").retry_interval(time))
    }),
    ("ThreadLock::timeout", |config, _, time| {
        config.lock(&ThreadLock::new("durations").timeout(time))
    }),
    ("RedisLock::lease", |config, url, time| {
        config.lock(&redis(url).lease(time))
    }),
    ("RedisLock::timeout", |config, url, time| {
        config.lock(&redis(url).timeout(time))
    }),
    ("RedisLock::retry_interval", |config, url, time| {
        config.lock(&redis(url).retry_interval(time))
    }),
];

fn redis(url: &str) -> RedisLock {
    RedisLock::new(url, "durations").expect("a URL")
}

const LIMITS: [Duration; 3] = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];

#[test]
fn no_duration_panics() {
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let server = RedisServer::start();
    for (name, set) in SETTERS {
        for limit in LIMITS {
            for kind in KINDS {
                let lost = AtomicBool::new(false);
                let proxy = Proxy::start(db.node.address(), move |_, request| {
                    let is_commit = request.contains("INSERT INTO t");
                    match is_commit && !lost.swap(true, Ordering::SeqCst) {
                        true => Fate::Lose,
                        false => Fate::Pass,
                    }
                });
                let (host, port) = proxy.address.split_once(':').expect("an address");
                let config = RqliteConfig::new(host, port.parse().expect("a port"));
                let config = config.discovery(false).exactly_once(true);
                let connected = kind.connect_as_it_is(&set(config, &server.url(), limit));
                let applied = connected
                    .map(|mut conn| conn.execute_in_transaction("INSERT INTO t VALUES (1)"));
                let rows = db.count("t");
                if limit == Duration::MAX {
                    assert!(matches!(applied, Ok(Ok(1))), "{name} {kind:?}: {applied:?}");
                }
                assert_eq!(
                    rows,
                    i64::from(matches!(applied, Ok(Ok(_)))),
                    "{name} {limit:?} {kind:?}: {applied:?}"
                );
                db.batch_execute("DELETE FROM t").expect("deletes");
            }
        }
    }
}

#[test]
fn no_duration_of_a_url_panics() {
    for option in documented_options("a duration") {
        for value in [
            "0s",
            "1ms",
            "18446744073709551615ms",
            "18446744073709551615s",
            "307445734561825860m",
        ] {
            let url = format!("rqlite://127.0.0.1:1?discovery=false&{option}={value}");
            if let Ok(config) = url.parse::<RqliteConfig>() {
                assert!(
                    config.leader_timeout(Duration::ZERO).connect().is_err(),
                    "{url}"
                );
            }
        }
    }
}
