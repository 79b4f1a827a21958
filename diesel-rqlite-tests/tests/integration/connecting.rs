//! URLs, TLS, one TCP connection, other databases' URLs.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::RqliteConnection;
use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::result::{ConnectionError, Error};
use diesel_rqlite::{RqliteConfig, RqliteLock, ThreadLock};
use diesel_rqlite_tests::Rqlited;

use super::database::{Database, connect};

diesel::table! {
    t (id) {
        id -> Integer,
    }
}

/// Passes bytes on, and counts the connections made to it.
fn counting_proxy(to: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let port = listener.local_addr().expect("is bound").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let server = TcpStream::connect(&to).expect("the node is there");
            pipe(
                client.try_clone().expect("clones"),
                server.try_clone().expect("clones"),
            );
            pipe(server, client);
        }
    });
    (port, count)
}

fn pipe(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn requests_share_their_tcp_connection() {
    let node = Rqlited::start();
    let (port, connections) = counting_proxy(node.address());
    let mut conn = connect(&format!("rqlite://127.0.0.1:{port}?discovery=false"));
    conn.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        .expect("creates");
    for id in 0..20 {
        diesel::insert_into(t::table)
            .values(t::id.eq(id))
            .execute(&mut conn)
            .expect("inserts");
        let _ = diesel::sql_query("SELECT nope").execute(&mut conn);
        assert_eq!(
            t::table.count().get_result(&mut conn),
            Ok(i64::from(id) + 1)
        );
    }
    let opened = connections.load(Ordering::SeqCst);
    assert!(opened <= super::HTTP_CONNECTIONS, "{opened}");
    assert!(conn.http_requests() > 60);
}

#[test]
fn path_in_front_of_a_proxy() {
    let node = Rqlited::start();
    // rqlite has no prefix itself: the node's 404 shows that it was sent.
    let outcome = RqliteConnection::establish(&format!("{}/behind/a/proxy", node.url()));
    let Err(ConnectionError::BadConnection(message)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(message.contains("404"), "{message}");
}

#[test]
fn tls_with_the_certificate_it_was_given() {
    let node = Rqlited::builder().tls().start();
    let file = node.ca_certificate().expect("has TLS");
    let mut conn = connect(&format!("{}?ca_cert={}", node.url(), file.display()));
    conn.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
        .expect("creates");
    assert_eq!(t::table.select(t::id).load::<i32>(&mut conn), Ok(vec![1]));
    let port: u16 = node
        .address()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let config = RqliteConfig::new("localhost", port)
        .tls()
        .ca_certificates(node.ca_certificate_pem().expect("has TLS"));
    assert_eq!(
        t::table
            .select(t::id)
            .load::<i32>(&mut super::connect_by(&config).expect("connects")),
        Ok(vec![1])
    );

    // An unknown certificate, and no TLS on a TLS port.
    for url in [node.url(), format!("rqlite://{}", node.address())] {
        let outcome = RqliteConnection::establish(&url);
        assert!(
            matches!(outcome, Err(ConnectionError::BadConnection(_))),
            "{url}: {outcome:?}"
        );
    }
}

#[test]
fn urls_of_other_databases_are_refused() {
    for url in [
        "postgres://localhost/db",
        "mysql://localhost",
        "file.db",
        ":memory:",
        "sqlite://x",
    ] {
        let outcome = RqliteConnection::establish(url);
        assert!(
            matches!(outcome, Err(ConnectionError::InvalidConnectionUrl(_))),
            "{url}: {outcome:?}"
        );
    }
}

#[derive(diesel::MultiConnection)]
enum Any {
    Rqlite(RqliteConnection),
}

#[test]
fn multi_connection_derives() {
    let node = Rqlited::start();
    let mut any = Any::establish(&node.url()).expect("connects");
    any.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        .expect("creates");
    diesel::insert_into(t::table)
        .values(t::id.eq(7))
        .execute(&mut any)
        .expect("inserts");
    assert_eq!(t::table.select(t::id).load::<i32>(&mut any), Ok(vec![7]));
}

#[test]
fn instrumentation_sees_what_happens() {
    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<String>>>);
    impl Instrumentation for Log {
        fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
            let entry = match event {
                InstrumentationEvent::StartQuery { query, .. } => format!("start {query}"),
                InstrumentationEvent::FinishQuery { error, .. } => {
                    format!("finish {}", error.is_some())
                }
                InstrumentationEvent::BeginTransaction { depth, .. } => format!("begin {depth}"),
                InstrumentationEvent::CommitTransaction { depth, .. } => format!("commit {depth}"),
                InstrumentationEvent::RollbackTransaction { depth, .. } => {
                    format!("rollback {depth}")
                }
                _ => return,
            };
            self.0.lock().expect("not poisoned").push(entry);
        }
    }
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let log = Log::default();
    db.set_instrumentation(log.clone());
    db.transaction(|conn| {
        diesel::insert_into(t::table)
            .values(t::id.eq(1))
            .execute(conn)?;
        let _ = conn.transaction(|_| Err::<(), _>(Error::RollbackTransaction));
        Ok::<_, Error>(())
    })
    .expect("commits");
    let _ = diesel::sql_query("SELECT nope").execute(&mut *db);
    // Whatever fails is told, also the end of a transaction inside another one.
    let inner = db.transaction(|conn| {
        let inner = conn.transaction(|conn| conn.batch_execute("INSERT INTO t VALUES (1)"));
        assert!(inner.is_err());
        Err::<(), _>(Error::RollbackTransaction)
    });
    assert_eq!(inner, Err(Error::RollbackTransaction));
    // A lock that can't be had: in rqlite, and in the program.
    let in_rqlite = RqliteLock::new("told").timeout(Duration::ZERO);
    let in_program = ThreadLock::new("told").timeout(Duration::ZERO);
    let config = || db.node.url().parse::<RqliteConfig>().expect("a URL");
    for config in [config().lock(&in_rqlite), config().lock(&in_program)] {
        let open = || super::connect_by(&config).expect("connects");
        let (mut holder, mut other) = (open(), open());
        other.set_instrumentation(log.clone());
        let waited = holder.immediate_transaction(|_| {
            Ok::<_, Error>(other.immediate_transaction(|_| Ok::<_, Error>(())))
        });
        assert!(matches!(waited, Ok(Err(_))));
    }
    let insert = r#"start INSERT INTO "t" ("id") VALUES (?) -- binds: [1]"#;
    let seen = log.0.lock().expect("not poisoned").clone();
    assert_eq!(
        seen,
        [
            "begin 1",
            "start BEGIN",
            "finish false",
            insert,
            "finish false",
            "begin 2",
            "start SAVEPOINT diesel_savepoint_1",
            "finish false",
            "rollback 2",
            "start ROLLBACK TO SAVEPOINT diesel_savepoint_1",
            "finish false",
            "commit 1",
            "start COMMIT",
            "finish false",
            "start SELECT nope -- binds: []",
            "finish true",
            "begin 1",
            "start BEGIN",
            "finish false",
            "begin 2",
            "start SAVEPOINT diesel_savepoint_1",
            "finish false",
            "start INSERT INTO t VALUES (1)",
            "finish false",
            "commit 2",
            "start RELEASE SAVEPOINT diesel_savepoint_1",
            "finish true",
            "rollback 1",
            "start ROLLBACK",
            "finish false",
            "begin 1",
            "start BEGIN IMMEDIATE",
            "finish true",
            "begin 1",
            "start BEGIN IMMEDIATE",
            "finish true"
        ]
    );
}

/// As on SQLite: the transaction that Diesel would end is none any more.
#[test]
fn transaction_that_sql_has_ended_can_not_be_ended_by_diesel() {
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    for (sql, end, outcome) in [
        ("ROLLBACK", "rollback", Err(Error::NotFound)),
        ("COMMIT", "commit", Ok(())),
    ] {
        let ended = db.transaction(|conn| {
            diesel::sql_query(sql).execute(conn)?;
            outcome
        });
        let message = format!("cannot {end} - no transaction is active");
        assert!(
            matches!(&ended, Err(Error::DatabaseError(_, said)) if said.message() == message),
            "{ended:?}"
        );
    }
    assert_eq!(db.transaction(|_| Ok::<_, Error>(1)), Ok(1));
}
