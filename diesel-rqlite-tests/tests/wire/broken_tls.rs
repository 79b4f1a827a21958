//! TLS that breaks while a request is under way, on both connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use diesel::result::DatabaseErrorKind;
use diesel_rqlite::RqliteConfig;
use diesel_rqlite_tests::Rqlited;

use crate::any::KINDS;
use crate::support::database_error;

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
