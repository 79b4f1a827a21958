//! A secret is planted wherever it can stand, and looked for in all that can be shown.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel_async::AsyncConnection as _;
use diesel_rqlite::{
    AsyncRqliteConnection, Credentials, Lock as _, RedisLock, RqliteConfig, RqliteConnection,
    RqliteLock,
};
use diesel_rqlite_tests::{ClientCertificate, RedisServer, Rqlited, User};

use crate::any::{Any, KINDS, Kind};
use crate::options::documented_options;

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
        format!("rqlite://h?lock=redis://user:{SECRET}@h?name=l"),
        format!("rqlite://h?lock=redis://user:{SECRET}%40h"),
        format!("rqlite://h?lock=redis://user:{SECRET}%40h?nmae=l"),
        format!("rqlite://h?lock=redis://user:{SECRET}%40h:port?name=l"),
        format!("rqlite://h?lock=redis://user:12/{SECRET}%40h?name=l"),
        format!("rqlite://h?lock=redis:user:{SECRET}%40h?name=l"),
        format!("rqlite://h?lock=reddis://user:{SECRET}%40h?name=l"),
        format!("rqlite://h?lokc=redis://user:{SECRET}%40h?name=l"),
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
    for option in documented_options("") {
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

/// What `tracing` is told.
struct Traces;

impl tracing::Subscriber for Traces {
    fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        logged().push(format!("span {span:?}"));
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        logged().push(format!("span {values:?}"));
    }

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        logged().push(format!("trace {event:?}"));
    }

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}

/// Everything that can be shown while a password is in use is kept from here on.
fn listen() {
    log::set_logger(&Keeper).expect("is the only one");
    tracing::subscriber::set_global_default(Traces).expect("is the only one");
    diesel::connection::set_default_instrumentation(|| Some(Box::new(Events))).expect("sets");
    log::set_max_level(log::LevelFilter::Trace);
    WATCHED.set(true);
}

fn show_by_url(url: &str, kind: Kind) {
    let mut connected = match kind {
        Kind::Blocking => RqliteConnection::establish(url).map(|conn| Any::Blocking(conn.into())),
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().expect("a runtime");
            let connected = runtime.block_on(AsyncRqliteConnection::establish(url));
            connected.map(|conn| Any::Async(conn.into(), runtime))
        }
    };
    match &connected {
        Ok(Any::Blocking(conn)) => check_all(url, &Ok::<_, String>(conn)),
        Ok(Any::Async(conn, _)) => check_all(url, &Ok::<_, String>(conn)),
        Err(error) => check_all(url, &Err::<(), _>(error)),
    }
    if let Ok(conn) = &mut connected {
        for sql in [
            "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)",
            // Of which `tracing` is told.
            "PRAGMA journal_mode = WAL",
            "nonsense",
        ] {
            check_all("execute", &conn.execute(sql));
            check_all("transaction", &conn.execute_in_transaction(sql));
            check_all("query", &conn.values(sql));
        }
    }
    if let Ok(Any::Blocking(conn)) = &mut connected {
        check_all("batch", &conn.batch_execute("SELECT 1; nonsense"));
        let http = conn.node_http();
        check("node_http", &format!("{http:?} {}", http.base()));
        check_all("get", &http.get("/nothing there").map(|_| ()));
        check_all("get", &http.get("/status").map(|_| ()));
        check_all("status", &conn.cluster().status());
        check_all("remove", &conn.cluster().remove_node("nobody"));
        check_all("load", &conn.cluster().load(&b"none"[..]));
        check("cluster", &format!("{:?}", conn.cluster()));
    }
}

fn show(config: &RqliteConfig, kind: Kind) {
    check("config", &format!("{config:?} {config:#?}"));
    let connected = kind.connect(config);
    check_all(
        "connect",
        &connected.map(|mut conn| {
            check_all("execute", &conn.execute("nonsense"));
            let sql = "INSERT INTO t DEFAULT VALUES";
            check_all("transaction", &conn.execute_in_transaction(sql));
        }),
    );
}

/// Locks whose server knows the password, knows another one, and is not there.
fn locks(redis: &RedisServer) -> Vec<RedisLock> {
    let urls = [
        redis.url_of(&format!("user:{SECRET}@")),
        redis.url_of(&format!("user:{SECRET}Wrong@")),
        redis.url_of(&format!(":{SECRET}@")),
        format!("redis://user:{SECRET}@127.0.0.1:1"),
    ];
    let locks = urls.iter().flat_map(|url| {
        let cluster = RedisLock::cluster([url.as_str()], "l");
        [RedisLock::new(url, "l"), cluster]
    });
    let locks = locks.map(|lock| lock.expect("a URL"));
    locks
        .map(|lock| lock.timeout(Duration::from_millis(200)))
        .collect()
}

#[test]
fn password_in_use_is_in_no_output() {
    let node = Rqlited::builder()
        .user(User::new("user", SECRET, &["all"]))
        .start();
    let client = ClientCertificate::create();
    let secure = Rqlited::builder()
        .client_certificate(&client)
        .user(User::new("user", SECRET, &["all"]))
        .start();
    let redis = RedisServer::builder().user("user", SECRET).start();
    // The kit's own requests are over.
    listen();
    let credentials = Credentials::new("user", SECRET);
    check("credentials", &format!("{credentials:?} {credentials:#?}"));
    let url = |node: &Rqlited, end: &str| format!("rqlite://user:{SECRET}{end}@{}", node.address());
    let config: RqliteConfig = url(&node, "").parse().expect("a URL");
    let secret_pem = format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----");
    let provided = || Ok(Credentials::new("user", SECRET));
    let (host, port) = ("localhost", secure.address());
    let port = port.rsplit(':').next().and_then(|port| port.parse().ok());
    let certified = RqliteConfig::new(host, port.expect("a port"))
        .credentials("user", SECRET)
        .tls()
        .ca_certificates(secure.ca_certificate_pem().expect("has TLS"))
        .client_certificate(&*client.certificate, &*client.key);
    let mut configs = vec![
        config.clone().credentials_from(provided),
        config
            .clone()
            .credentials_from_async(move || Box::pin(async move { provided() })),
        config
            .clone()
            .credentials_from(|| Ok(Credentials::new("user", "Wrong"))),
        config.clone().tls().ca_certificates(&*secret_pem),
        config
            .clone()
            .tls()
            .client_certificate(&*secret_pem, &*secret_pem),
        config.clone().lock(&RqliteLock::new("l")),
        certified.clone(),
        certified.client_certificate(&*client.certificate, &*secret_pem),
    ];
    let locks = locks(&redis);
    configs.extend(locks.iter().map(|lock| config.clone().lock(lock)));
    for lock in &locks {
        check("lock", &format!("{lock:?} {lock:#?}"));
        check_all("lock", &lock.acquire().map(|_| ()));
    }
    let of_lock = |end: &str| {
        let (url, address) = (url(&node, ""), redis.address());
        format!("{url}?lock=redis://user:{SECRET}{end}%40{address}?name=l%26timeout=200ms")
    };
    let by_lock = [
        of_lock(""),
        of_lock("Wrong"),
        of_lock("%2540"),
        of_lock("%252F"),
    ];
    for url in &by_lock {
        configs.push(url.parse().expect("a URL"));
    }
    for kind in KINDS {
        for url in [url(&node, ""), url(&node, "Wrong"), url(&secure, "")] {
            show_by_url(&url, kind);
            show_by_url(&url.replace("rqlite:", "rqlites:"), kind);
        }
        for url in &by_lock {
            show_by_url(url, kind);
        }
        for config in &configs {
            show(config, kind);
        }
    }
    log::set_max_level(log::LevelFilter::Off);
    let said = logged();
    for wanted in ["event StartEstablishConnection", "ureq", "trace "] {
        assert!(
            said.iter().any(|line| line.starts_with(wanted)),
            "{wanted}: {said:?}"
        );
    }
    let urls = said.iter().filter(|line| line.contains("user:***@"));
    assert!(urls.count() >= 12, "{said:?}");
    // A line of the key's, as it is in PEM.
    let key = client.key.lines().nth(1).expect("a line");
    for line in said.iter() {
        check("log", line);
        assert!(!line.contains(key), "{line}");
    }
    // A header that is logged byte by byte, some on each line.
    let bytes = said.iter().filter_map(|line| line.strip_prefix(BYTES));
    let bytes: String = bytes
        .map(|line| line.get(1..40).unwrap_or_default())
        .collect();
    check("bytes", &bytes);
    assert!(!bytes.is_empty());
}
