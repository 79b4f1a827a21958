//! A secret is planted wherever it can stand, and looked for in all that can be shown.

use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel_rqlite::{Credentials, RqliteConfig, RqliteConnection};
use diesel_rqlite_tests::{Rqlited, User};

use crate::any::KINDS;

const SECRET: &str = "hunter2Secret";
/// As it stands in the header: of `user:hunter2Secret`, without its last letters.
const HEADER: &str = "dXNlcjpodW50ZXIyU2VjcmV";

fn holds_secret(text: &str) -> bool {
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let lower = text.to_lowercase();
    let bare: String = lower.chars().filter(|c| c.is_ascii_hexdigit()).collect();
    text.contains(SECRET)
        || text.contains(HEADER)
        || lower.contains(&SECRET.to_lowercase())
        || bare.contains(&hex(&HEADER[..12]))
}

fn check(what: &str, text: &str) {
    assert!(!holds_secret(text), "{what}: {text}");
}

/// What a value shows, however it is asked.
fn check_all<T: std::fmt::Debug, E: std::fmt::Debug + std::fmt::Display>(
    what: &str,
    outcome: &Result<T, E>,
) {
    match outcome {
        Ok(value) => check(what, &format!("{value:?} {value:#?}")),
        Err(error) => check(what, &format!("{error:?} {error:#?} {error}")),
    }
}

#[test]
fn what_is_no_url_is_not_shown() {
    for url in [
        format!("rqlite://user:{SECRET}@h:port"),
        format!("rqlite://user:{SECRET}@h?x=1"),
        format!("rqlite://user:12/{SECRET}@h"),
        format!("rqlite://user:12?{SECRET}@h"),
        format!("rqlite://user:12#{SECRET}@h"),
        format!("rqlite://user:a/{SECRET}@h"),
        format!("rqlite://user:{SECRET}%FF@h"),
        format!("rqlite://us%3Aer:{SECRET}@h"),
        format!("rqlite://h%40{SECRET}"),
        format!("rqlite://user@{SECRET}@h:1:2"),
        format!("user:{SECRET}@h"),
        SECRET.to_owned(),
        format!("postgres://user:{SECRET}@h"),
    ] {
        let parsed = url.parse::<RqliteConfig>();
        // A host is no secret; what is none is not kept.
        if !url.contains("@h:1:2") && url.contains("rqlite") {
            assert!(parsed.is_err(), "{url}");
        }
        check_all(&url, &parsed);
        if let Ok(config) = parsed {
            let config = config.leader_timeout(std::time::Duration::ZERO);
            check_all(&url, &config.connect().map(|_| ()));
        }
        check_all(&url, &RqliteConnection::establish(&url).map(|_| ()));
    }
}

#[test]
fn value_of_an_option_is_not_shown() {
    for option in [
        "level",
        "freshness",
        "freshness_strict",
        "nodes",
        "discovery",
        "forwarding",
        "prefer",
        "connect_timeout",
        "request_timeout",
        "leader_timeout",
        "db_timeout",
        "transaction",
        "lock",
        "exactly_once",
        "max_answer",
        "ca_cert",
        "client_cert",
        "client_key",
        "roots",
    ] {
        for value in [
            format!("-----BEGIN PRIVATE KEY-----%0A{SECRET}%0A-----END PRIVATE KEY-----"),
            format!("user:{SECRET}"),
            format!("user:{SECRET}%40h"),
            format!("user:{SECRET}%40h:4001"),
            format!("h:1,user:{SECRET}%40h:4001"),
            format!("redis://user:{SECRET}%40h"),
        ] {
            let url = format!("rqlite://h?{option}={value}");
            let parsed = url.parse::<RqliteConfig>();
            // The name of a file that is not there is shown, as long as it looks like one.
            let is_file = matches!(option, "ca_cert" | "client_cert" | "client_key");
            if is_file && !value.contains("BEGIN") {
                continue;
            }
            assert!(parsed.is_err(), "{url}");
            check_all(&url, &parsed);
        }
    }
}

#[test]
fn what_is_no_host_is_not_kept() {
    for host in [
        format!("user:{SECRET}@h"),
        format!("h/{SECRET}"),
        format!("h?{SECRET}"),
        format!("h#{SECRET}"),
        format!("h {SECRET}"),
        format!("h\n{SECRET}"),
        format!("[::1]{SECRET}"),
        format!("{SECRET}@"),
    ] {
        for config in [
            RqliteConfig::new(&*host, 1),
            RqliteConfig::new("h", 1).node(&*host, 1),
            RqliteConfig::new("h", 1).prefer(&*host, 1),
        ] {
            check("Debug", &format!("{config:?} {config:#?}"));
            for kind in KINDS {
                let connected = kind.connect(&config).map(|_| ());
                let message = crate::any::message(connected);
                assert!(message.contains("a host is"), "{host}: {message}");
                check(&host, &message);
            }
        }
    }
}

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn logged() -> MutexGuard<'static, Vec<String>> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the HTTP client logs what it sends.
const BYTES: &str = "ureq_proto::util";

thread_local! {
    static WATCHED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Keeps what the libraries below say, all of it.
struct Keeper;

impl log::Log for Keeper {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // Bytes that other tests send meanwhile would stand between those of this one.
        if record.target() == BYTES && !WATCHED.get() {
            return;
        }
        logged().push(format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

struct Events;

impl Instrumentation for Events {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        logged().push(format!("event {event:?}"));
    }
}

#[test]
fn password_in_use_is_in_no_output() {
    log::set_logger(&Keeper).expect("is the only one");
    diesel::connection::set_default_instrumentation(|| Some(Box::new(Events))).expect("sets");
    let node = Rqlited::builder()
        .user(User::new("user", SECRET, &["all"]))
        .user(User::new("reader", "reader", &["query"]))
        .start();
    // The kit's own requests are over.
    log::set_max_level(log::LevelFilter::Trace);
    WATCHED.set(true);
    let url = format!("rqlite://user:{SECRET}@{}", node.address());
    for url in [
        url.clone(),
        format!("{url}Wrong").replace(
            &format!("@{}Wrong", node.address()),
            &format!("Wrong@{}", node.address()),
        ),
    ] {
        let mut connected = RqliteConnection::establish(&url);
        check_all(&url, &connected);
        if let Ok(conn) = &mut connected {
            let outcome = conn
                .batch_execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY); nonsense");
            check_all("batch", &outcome);
            let outcome = conn.transaction(|conn| {
                diesel::sql_query("INSERT INTO nowhere VALUES (1)").execute(conn)
            });
            check_all("transaction", &outcome);
            let http = conn.node_http();
            check("node_http", &format!("{http:?} {}", http.base()));
            check_all("get", &http.get("/nothing there").map(|_| ()));
        }
    }
    let config: RqliteConfig = url.parse().expect("a URL");
    check("config", &format!("{config:?} {config:#?}"));
    let credentials = Credentials::new("user", SECRET);
    check("credentials", &format!("{credentials:?} {credentials:#?}"));
    let secret_pem = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----");
    for config in [
        config
            .clone()
            .credentials_from(|| Ok(Credentials::new("user", SECRET))),
        config.clone().tls().ca_certificates(&*secret_pem),
        config
            .clone()
            .tls()
            .client_certificate(&*secret_pem, &*secret_pem),
        config.clone().lock(&diesel_rqlite::RqliteLock::new("l")),
    ] {
        check("config", &format!("{config:?} {config:#?}"));
        for kind in KINDS {
            let connected = kind.connect(&config);
            check_all(
                "connect",
                &connected.map(|mut conn| {
                    let outcome = conn.execute("nonsense");
                    check_all("execute", &outcome);
                }),
            );
        }
    }
    log::set_max_level(log::LevelFilter::Off);
    let said = logged();
    assert!(
        said.iter()
            .any(|line| line.starts_with("event ") && line.contains("user:***@")),
        "{said:?}"
    );
    assert!(said.iter().any(|line| line.starts_with("ureq")), "{said:?}");
    for line in said.iter() {
        check("log", line);
    }
    // A header that is logged byte by byte, some on each line.
    let bytes = said.iter().filter_map(|line| line.strip_prefix(BYTES));
    let bytes: String = bytes
        .map(|line| line.get(1..40).unwrap_or_default())
        .collect();
    check("bytes", &bytes);
    assert!(!bytes.is_empty());
}
