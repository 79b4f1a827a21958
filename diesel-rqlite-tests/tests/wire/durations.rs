//! Each duration of a configuration, at its limits, also where a lost commit is settled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::{RqliteConfig, RqliteLock, ThreadLock};

use crate::database::Database;
use crate::proxy::{Fate, Proxy};

type Set = fn(RqliteConfig, Duration) -> RqliteConfig;

const SETTERS: [(&str, Set); 9] = [
    ("connect_timeout", RqliteConfig::connect_timeout),
    ("request_timeout", RqliteConfig::request_timeout),
    ("leader_timeout", RqliteConfig::leader_timeout),
    ("db_timeout", RqliteConfig::db_timeout),
    ("freshness", |config, time| {
        config
            .read_consistency(diesel_rqlite::ReadConsistency::None)
            .freshness(time)
    }),
    ("RqliteLock::lease", |config, time| {
        config.lock(&RqliteLock::new("l").lease(time))
    }),
    ("RqliteLock::timeout", |config, time| {
        config.lock(&RqliteLock::new("l").timeout(time))
    }),
    ("RqliteLock::retry_interval", |config, time| {
        config.lock(&RqliteLock::new("l").retry_interval(time))
    }),
    ("ThreadLock::timeout", |config, time| {
        config.lock(&ThreadLock::new("durations").timeout(time))
    }),
];

const LIMITS: [Duration; 3] = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];

#[test]
fn no_duration_panics() {
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    for (name, set) in SETTERS {
        for limit in LIMITS {
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
            let config = set(config.discovery(false).exactly_once(true), limit);
            let connected = config.connect();
            let applied = connected.map(|mut conn| {
                conn.transaction(|conn| diesel::sql_query("INSERT INTO t VALUES (1)").execute(conn))
            });
            let rows = db.count("t");
            if limit == Duration::MAX {
                assert!(matches!(applied, Ok(Ok(1))), "{name}: {applied:?}");
            }
            assert_eq!(
                rows,
                i64::from(matches!(applied, Ok(Ok(_)))),
                "{name} {limit:?}: {applied:?}"
            );
            db.batch_execute("DELETE FROM t").expect("deletes");
        }
    }
}

#[test]
fn no_duration_of_a_url_panics() {
    for option in [
        "connect_timeout",
        "request_timeout",
        "leader_timeout",
        "db_timeout",
    ] {
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
