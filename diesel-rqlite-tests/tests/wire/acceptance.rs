//! A node that hangs behind a balancer which ends TLS: the handshake is none of the node's answers. On both
//! connections.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::result::DatabaseErrorKind;
use diesel_rqlite_tests::Cluster;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::any::{Any, KINDS};
use crate::proxy::forward;
use crate::support::database_error;
use crate::tls::secure;

const EXPECT: &str = "expect: 100-continue\r\n";

/// The time after which a balancer no longer waits for a client that gives up.
const ENDLESS: Duration = Duration::from_secs(10);

/// What the balancer does with requests that want to be accepted.
#[derive(Default)]
struct Balancer {
    /// Set if there was one.
    was_asked: AtomicBool,
    /// What comes of the next one, and where to say whether its client gives up.
    next: Mutex<Option<(&'static str, Sender<bool>)>>,
}

impl Balancer {
    /// Serves one request on a connection of its own.
    fn serve(&self, client: TcpStream, config: Arc<ServerConfig>, node: &str) -> io::Result<()> {
        let server = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(server, client);
        let mut request = read_until(&mut stream, Vec::new(), has_head)?;
        if text(&request).contains(EXPECT) {
            self.was_asked.store(true, Ordering::SeqCst);
            let hangs = self.next.lock().expect("no panic").take();
            if let Some((part, given_up)) = hangs {
                stream.write_all(part.as_bytes())?;
                stream.sock.set_read_timeout(Some(ENDLESS))?;
                let waits = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
                let is_there = stream.read(&mut [0; 1000]).is_err_and(waits);
                // Nobody listens if the test is over.
                let _ = given_up.send(!is_there);
                return Ok(());
            }
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request = read_until(&mut stream, request, is_whole)?;
        let request = text(&request).replace(EXPECT, "");
        let answer = forward(node, request.as_bytes()).unwrap_or_default();
        let answer = text(&answer).replacen("\r\n", "\r\nConnection: close\r\n", 1);
        stream.write_all(answer.as_bytes())?;
        stream.conn.send_close_notify();
        stream.flush()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn has_head(request: &str) -> bool {
    request.contains("\r\n\r\n")
}

fn is_whole(request: &str) -> bool {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or_default();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn read_until(
    stream: &mut impl Read,
    mut bytes: Vec<u8>,
    is_enough: fn(&str) -> bool,
) -> io::Result<Vec<u8>> {
    while !is_enough(&text(&bytes)) {
        let mut piece = [0; 8192];
        match stream.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
    Ok(bytes)
}

/// Writes until the client asks for acceptance, since a node does not answer the others.
fn until_asked(balancer: &Balancer, conn: &mut Any) {
    let ends = Instant::now() + Duration::from_secs(20);
    balancer.was_asked.store(false, Ordering::SeqCst);
    while !balancer.was_asked.load(Ordering::SeqCst) {
        assert!(Instant::now() < ends, "no node is in doubt");
        let created = conn.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)");
        created.expect("creates");
    }
}

#[test]
fn node_that_does_not_accept_a_request_is_given_up() {
    let mut cluster = Cluster::builder().unreachable_advertised().start(3);
    let leader = cluster.leader();
    cluster.node_mut((leader + 1) % 3).kill();
    let (balancer, node) = (Arc::<Balancer>::default(), cluster.address(leader));
    let serving = Arc::clone(&balancer);
    let config = secure(move |client, config| serving.serve(client, config, &node));
    let config = config.request_timeout(Duration::from_secs(3));
    let mut rows = 0;
    for kind in KINDS {
        let mut conn = kind.connect(&config).expect("connects");
        until_asked(&balancer, &mut conn);
        // Nothing, and a part of an informational answer.
        for part in ["", "HTTP/1.1 1"] {
            let (given_up, is_given_up) = channel();
            *balancer.next.lock().expect("no panic") = Some((part, given_up));
            let written = conn.execute("INSERT INTO t DEFAULT VALUES");
            let is_given_up = is_given_up.recv().expect("asks for acceptance");
            assert!(is_given_up, "{kind:?} {part:?}: {written:?}");
            match written {
                Ok(count) => rows += i64::try_from(count).expect("is one"),
                // A part of an answer is a sign of life, so that the whole time may be over.
                outcome => {
                    let (error, information) = database_error(outcome);
                    let message = information.message();
                    assert!(
                        matches!(error, DatabaseErrorKind::UnableToSendCommand),
                        "{kind:?} {part:?}: {error:?}: {message}"
                    );
                    assert_ne!(part, "", "{kind:?}: {message}");
                }
            }
            let counted = conn.values("SELECT count(*) AS value FROM t");
            assert_eq!(counted, Ok(vec![rows]), "{kind:?} {part:?}");
        }
    }
}
