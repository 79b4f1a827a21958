//! An answer is bounded in size and in time, whatever a server does.

use std::io::{Read as _, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::result::DatabaseErrorKind;
use diesel_rqlite::{ClusterError, RqliteConfig};

use crate::any::KINDS;
use crate::server::{FalseServer, GREETING, Reply, not_found, redirect};
use crate::support::database_error;

const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";

/// Greets, and then does this with each connection that asks for something else.
fn misbehaving(run: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> FalseServer {
    let run = Arc::new(run);
    let greeted = AtomicUsize::new(0);
    FalseServer::start(move |request| {
        if request.starts_with("GET ") {
            return Reply::Http(not_found());
        }
        match greeted.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Json(GREETING.to_owned()),
            _ => {
                let run = Arc::clone(&run);
                Reply::Stream(Box::new(move |client| run(client)))
            }
        }
    })
}

#[test]
fn answer_has_a_size() {
    const LIMIT: usize = 1 << 20;
    for kind in KINDS {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let server = misbehaving(move |client| {
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            let mut alive = client.write_all(format!("{HEAD}\r\n").as_bytes()).is_ok();
            while alive {
                counted.fetch_add(chunk.len(), Ordering::SeqCst);
                alive = client.write_all(chunk.as_bytes()).is_ok();
            }
        });
        let url = format!("{}&max_answer=1M", server.url());
        let mut conn = kind.connect_url(&url).expect("connects");
        let (error, information) = database_error(conn.values("SELECT 1 AS value"));
        assert!(
            matches!(error, DatabaseErrorKind::UnableToSendCommand),
            "{error:?}"
        );
        let message = information.message();
        assert!(message.contains("max_answer"), "{kind:?}: {message}");
        let (error, information) = database_error(conn.execute("DELETE FROM t"));
        assert!(
            matches!(error, DatabaseErrorKind::ClosedConnection),
            "{error:?}"
        );
        assert!(
            information
                .details()
                .is_some_and(|details| details.contains("unknown"))
        );
        // What the kernel keeps on the way is some megabytes at most.
        let sent = sent.load(Ordering::SeqCst);
        assert!((LIMIT..32 * LIMIT).contains(&sent), "{kind:?}: {sent}");
        assert_eq!(
            server
                .seen()
                .iter()
                .filter(|request| request.starts_with("POST"))
                .count(),
            3
        );
    }
    for (value, fits) in [
        ("64M", true),
        ("1G", true),
        ("100", true),
        ("x", false),
        ("-1", false),
        ("99999999999G", false),
    ] {
        let parsed = format!("rqlite://h?max_answer={value}").parse::<RqliteConfig>();
        assert_eq!(parsed.is_ok(), fits, "{value}");
    }
}

#[test]
fn answer_that_trickles_ends_with_the_request_timeout() {
    let trickles: [fn(&mut TcpStream); 4] = [
        // A body.
        |client| trickle(client, &format!("{HEAD}\r\n"), "1\r\n \r\n", 20),
        // Headers.
        |client| trickle(client, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n", 20),
        // Headers without end, as fast as it can.
        |client| trickle(client, "HTTP/1.1 200 OK\r\n", &"X-A: b\r\n".repeat(1000), 0),
        // Answers that only say that another one comes.
        |client| trickle(client, "", "HTTP/1.1 102 Processing\r\n\r\n", 20),
    ];
    for (number, run) in trickles.into_iter().enumerate() {
        for kind in KINDS {
            let server = misbehaving(run);
            let url = format!("{}&request_timeout=500ms", server.url());
            let mut conn = kind.connect_url(&url).expect("connects");
            let began = Instant::now();
            let (error, information) = database_error(conn.execute("DELETE FROM t"));
            let (took, message) = (began.elapsed(), information.message());
            assert!(
                matches!(error, DatabaseErrorKind::ClosedConnection),
                "{error:?}: {message}"
            );
            assert!(
                took < Duration::from_secs(5),
                "{number} {kind:?}: {took:?}: {message}"
            );
        }
    }
}

/// A success may take any time, but not the text of an error.
#[test]
fn error_of_a_backup_ends_with_the_request_timeout() {
    for kind in KINDS {
        let server = FalseServer::start(|request| match request.starts_with("GET /db/backup") {
            true => Reply::Stream(Box::new(|client| {
                let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 9\r\n\r\n";
                let _ = client.write_all(head.as_bytes());
                // Until the client has enough.
                let _ = client.set_read_timeout(Some(Duration::from_secs(20)));
                let _ = client.read(&mut [0]);
            })),
            false => Reply::Json(GREETING.to_owned()),
        });
        let url = format!("{}&discovery=false&request_timeout=500ms", server.url());
        let mut conn = kind.connect_url(&url).expect("connects");
        let error = conn.backup().expect_err("is an error without an end");
        assert!(matches!(error, ClusterError::NoAnswer(_)), "{error:?}");
        assert!(error.to_string().contains("timeout"), "{kind:?}: {error}");
    }
}

fn trickle(client: &mut TcpStream, first: &str, again: &str, milliseconds: u64) {
    let began = Instant::now();
    let mut alive = client.write_all(first.as_bytes()).is_ok();
    while alive && began.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(milliseconds));
        alive = client.write_all(again.as_bytes()).is_ok();
    }
}

/// Each is another node, by its address.
#[test]
fn redirects_over_many_nodes_end() {
    for kind in KINDS {
        for delay in [0, 100] {
            let asked = AtomicUsize::new(0);
            let address = Arc::new(std::sync::OnceLock::<String>::new());
            let own = Arc::clone(&address);
            let server = FalseServer::start(move |request| {
                if request.starts_with("GET ") {
                    return Reply::Http(not_found());
                }
                let path = request.split(['?', ' ']).nth(1).unwrap_or_default();
                let path = &path[path.find("/db/").unwrap_or(0)..];
                thread::sleep(Duration::from_millis(delay));
                let number = asked.fetch_add(1, Ordering::SeqCst);
                match number {
                    0 => Reply::Json(GREETING.to_owned()),
                    _ => {
                        let address = own.wait();
                        Reply::Http(redirect(&format!(
                            "http://{address}/{number}{path}?redirect"
                        )))
                    }
                }
            });
            address.set(server.address.clone()).expect("is set once");
            let url = format!("{}&forwarding=never", server.url());
            let mut conn = kind.connect_url(&url).expect("connects");
            let began = Instant::now();
            let (_, information) = database_error(conn.execute("DELETE FROM t"));
            let took = began.elapsed();
            let message = information.message();
            assert!(
                took < Duration::from_secs(5),
                "{kind:?} {delay}: {took:?}: {message}"
            );
            let requests = server.seen().len();
            assert!(requests < 400, "{kind:?} {delay}: {requests}");
        }
    }
}
