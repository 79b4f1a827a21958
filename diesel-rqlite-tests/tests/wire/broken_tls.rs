//! TLS that breaks, or stands still, while a request is under way, on both connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use diesel::result::DatabaseErrorKind;
use diesel_rqlite::RqliteConfig;
use diesel_rqlite_tests::Rqlited;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::any::{KINDS, message};
use crate::server::{GREETING, not_found, read};
use crate::support::database_error;
use crate::tls::secure;

/// What a client gets instead of a record: a proxy of another kind has lost its server.
const GARBAGE: &[u8] = b"HTTP/1.1 502 Bad Gateway\r\n\r\n";

/// A proxy in front of a node with TLS, which it can't look into.
struct Breaking {
    port: u16,
    /// The number of packets that the node still sends before one is replaced.
    passes: Arc<Mutex<Option<usize>>>,
}

impl Breaking {
    fn start(to: String) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = listener.local_addr().expect("is bound").port();
        let passes = Arc::<Mutex<Option<usize>>>::default();
        let set = Arc::clone(&passes);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&to) else {
                    return;
                };
                let passes = Arc::clone(&set);
                thread::spawn(move || relay(&client, &server, &passes));
            }
        });
        Breaking { port, passes }
    }

    /// Breaks the answer behind this many others, once.
    fn breaks_after(&self, others: usize) {
        *self.passes.lock().expect("no panic") = Some(others);
    }

    /// Whether an answer was broken.
    fn has_broken(&self) -> bool {
        self.passes.lock().expect("no panic").is_none()
    }
}

fn relay(client: &TcpStream, server: &TcpStream, passes: &Mutex<Option<usize>>) {
    for stream in [client, server] {
        let _ = stream.set_nodelay(true);
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut from, mut to) = (client, server);
            let _ = io::copy(&mut from, &mut to);
            let _ = server.shutdown(Shutdown::Both);
        });
        let _ = answers(client, server, passes);
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Passes on what comes from the server.
fn answers(
    mut client: &TcpStream,
    mut server: &TcpStream,
    passes: &Mutex<Option<usize>>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = server.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let mut passes = passes.lock().expect("no panic");
        let breaks = *passes == Some(0);
        *passes = passes.and_then(|others| others.checked_sub(1));
        drop(passes);
        if breaks {
            return client.write_all(GARBAGE);
        }
        client.write_all(&buffer[..count])?;
    }
}

fn through(proxy: &Breaking, node: &Rqlited) -> RqliteConfig {
    RqliteConfig::new("127.0.0.1", proxy.port)
        .tls()
        .ca_certificates(node.ca_certificate_pem().expect("has TLS"))
        .discovery(false)
}

/// The client answers what is no TLS with an alert. The alert is not a part of the write, which has been applied.
#[test]
fn write_is_sent_once_if_its_answer_is_no_tls() {
    let node = Rqlited::builder().tls().start();
    let proxy = Breaking::start(node.address());
    for (count, kind) in (0..).zip(KINDS) {
        let mut conn = kind.connect(&through(&proxy, &node)).expect("connects");
        let created = conn.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)");
        created.expect("creates");
        let query = "SELECT count(*) AS value FROM t";
        assert_eq!(conn.values(query), Ok(vec![count]), "{kind:?}");
        proxy.breaks_after(0);
        let (error, information) = database_error(conn.execute("INSERT INTO t DEFAULT VALUES"));
        assert!(proxy.has_broken(), "{kind:?}");
        let message = information.message();
        assert!(
            matches!(error, DatabaseErrorKind::ClosedConnection),
            "{kind:?}: {error:?}: {message}"
        );
        let details = information.details().unwrap_or_default();
        assert!(
            details.contains("unknown"),
            "{kind:?}: {message}: {details}"
        );
        assert_eq!(conn.values(query), Ok(vec![count + 1]), "{kind:?}");
    }
}

/// Whichever request of a transaction has lost its answer.
#[test]
fn commit_whose_answer_is_no_tls_is_settled() {
    let node = Rqlited::builder().tls().start();
    let proxy = Breaking::start(node.address());
    let mut rows = 0;
    for kind in KINDS {
        let config = through(&proxy, &node).exactly_once(true);
        let mut conn = kind.connect(&config).expect("connects");
        let created = conn.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)");
        created.expect("creates");
        let mut others = 0;
        loop {
            proxy.breaks_after(others);
            let written = conn.execute_in_transaction("INSERT INTO t DEFAULT VALUES");
            let has_broken = proxy.has_broken();
            assert_eq!(written, Ok(1), "{kind:?}, after {others}");
            *proxy.passes.lock().expect("no panic") = None;
            rows += 1;
            let counted = conn.values("SELECT count(*) AS value FROM t");
            assert_eq!(counted, Ok(vec![rows]), "{kind:?}, after {others}");
            if !has_broken {
                break;
            }
            others += 1;
        }
        assert!(others > 0, "{kind:?}");
    }
}

/// The time after which a server stops to trickle, if the client has not had enough before.
const ENDLESS: Duration = Duration::from_secs(10);

/// Sends the beginning of a record, and then a byte at a time. Returns whether the client has had enough.
fn trickle(client: &mut TcpStream, first: &[u8]) -> bool {
    let began = Instant::now();
    let mut is_there = client.write_all(first).is_ok();
    while is_there && began.elapsed() < ENDLESS {
        thread::sleep(Duration::from_millis(1));
        is_there = client.write_all(&[3]).is_ok();
    }
    !is_there
}

#[test]
fn handshake_that_trickles_ends_with_the_time_to_connect() {
    // The header of a long record, and that of a long message in it.
    const FIRST: &[u8] = &[0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc];
    for kind in KINDS {
        let (ended, end) = channel();
        let config = secure(move |mut client, _| {
            // Nobody listens if the test is over.
            let _ = ended.send(trickle(&mut client, FIRST));
            Ok(())
        });
        let config = config
            .discovery(false)
            .connect_timeout(Duration::from_millis(500))
            .leader_timeout(Duration::from_millis(100));
        let failed = message(kind.connect_as_it_is(&config));
        let has_enough = end.recv().expect("a connection");
        assert!(has_enough, "{kind:?}: {failed}");
        assert!(failed.contains("time"), "{kind:?}: {failed}");
    }
}

#[test]
fn record_that_trickles_ends_with_the_request_timeout() {
    for kind in KINDS {
        let (ended, end) = channel();
        let config = secure(move |client, config| one_write(client, config, &ended));
        let config = config.request_timeout(Duration::from_millis(500));
        let mut conn = kind.connect(&config).expect("connects");
        let (error, information) = database_error(conn.execute("DELETE FROM t"));
        let message = information.message();
        let has_enough = end.recv().expect("a write");
        assert!(has_enough, "{kind:?}: {message}");
        assert!(
            matches!(error, DatabaseErrorKind::ClosedConnection),
            "{kind:?}: {error:?}: {message}"
        );
        assert!(message.contains("timeout"), "{kind:?}: {message}");
    }
}

/// Answers until there is a write.
fn one_write(client: TcpStream, config: Arc<ServerConfig>, ended: &Sender<bool>) -> io::Result<()> {
    let server = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(server, client);
    while let Some(request) = read(&mut stream) {
        if request.starts_with("POST /db/execute") {
            let _ = ended.send(trickle(&mut stream.sock, &[0x17, 3, 3, 0x40, 0]));
            return Ok(());
        }
        let text = match request.starts_with("GET ") {
            true => not_found(),
            false => {
                let length = GREETING.len();
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{GREETING}")
            }
        };
        stream.write_all(text.as_bytes())?;
    }
    Ok(())
}
