//! Where an answer begins and ends: what is behind it is never taken for the answer to the next request.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite_tests::{Rqlited, User};

use crate::any::{Any, KINDS_AND_RUNTIMES, Kind};
use crate::proxy::forward;
use crate::server::{FalseServer, Reply};
use crate::support::{assert_none, database_error};

const QUERY: &str = "SELECT 7 AS value";
const WRITE: &str = "DELETE FROM t";
const BODY: &str = r#"{"results":[{"rows_affected":1}]}"#;

/// A real node, but for its answer to [`WRITE`].
struct Between {
    server: FalseServer,
    answer: Arc<Mutex<&'static str>>,
    written: Receiver<()>,
    _node: Rqlited,
}

impl Between {
    fn start() -> Self {
        let node = Rqlited::start();
        let to = node.address();
        let answer = Arc::new(Mutex::new(""));
        let set = Arc::clone(&answer);
        let last = Mutex::new(String::new());
        let (write, written) = channel();
        let server = FalseServer::start(move |request| {
            if request.contains(WRITE) {
                let body = last.lock().expect("no panic").replace("7]", "666]");
                assert!(body.contains("666"), "{body}");
                let length = body.len();
                let planted = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                let parts = expanded(*set.lock().expect("no panic"), &planted);
                return Reply::Parts(parts, write.clone());
            }
            let answer = forward(&to, request.as_bytes()).unwrap_or_default();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            if request.contains(QUERY) {
                let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
                body.clone_into(&mut last.lock().expect("no panic"));
            }
            Reply::Http(answer)
        });
        Between {
            server,
            answer,
            written,
            _node: node,
        }
    }

    /// A connection that has sent the query so often that its answer has the same form each time.
    fn connect(&self, kind: Kind) -> Any {
        let url = format!("{}&discovery=false", self.server.url());
        let mut conn = kind.connect_url(&url).expect("connects");
        for _ in 0..3 {
            assert_eq!(conn.values(QUERY), Ok(vec![7]));
        }
        conn
    }

    fn answers(&self, text: &'static str) {
        *self.answer.lock().expect("no panic") = text;
    }
}

/// What is to come of the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Applied,
    Unknown,
    /// The one or the other, as the HTTP client sees it.
    Either,
}

fn outcome(kind: Kind, name: &str, between: &Between, conn: &mut Any) -> Result<Outcome, String> {
    let began = Instant::now();
    let outcome = match conn.execute(WRITE) {
        Ok(1) => Outcome::Applied,
        Err(Error::DatabaseError(DatabaseErrorKind::ClosedConnection, information))
            if information
                .details()
                .is_some_and(|details| details.contains("unknown")) =>
        {
            Outcome::Unknown
        }
        other => return Err(format!("{name}, {kind:?}: {other:?}")),
    };
    if began.elapsed() > Duration::from_secs(5) {
        return Err(format!("{name}, {kind:?}: {:?}", began.elapsed()));
    }
    let written = between.written.recv_timeout(Duration::from_secs(5));
    written.map_err(|_| format!("{name}, {kind:?}: not written"))?;
    Ok(outcome)
}

/// Names of answers to the write, what comes of each, and their bytes: see [`expanded`].
#[rustfmt::skip]
const ANSWERS: &[(&str, Outcome, &str)] = {
    use Outcome::{Applied, Either, Unknown};
    &[
        ("alone", Applied, "{ok}"),
        ("in pieces", Applied, "HT|TP/1.1 200 OK\nContent-Le|ngth: {len}\n|\n|{body}"),
        // More than one.
        ("two in a packet", Applied, "{ok}{false}"),
        ("the second later", Applied, "{ok}|{false}"),
        ("half of it later", Applied, "{ok}HTTP/1.1 200 OK\n|Content-Length: 0\n\n"),
        ("an end of line later", Applied, "{ok}|\n"),
        ("that it is taken later", Applied, "{ok}|HTTP/1.1 100 Continue\n\n"),
        ("three", Applied, "{ok}|{false}|{false}"),
        ("closed and more", Applied, "HTTP/1.1 200 OK\nConnection: close\nContent-Length: {len}\n\n{body}{false}"),
        // Lengths.
        ("a length too short", Unknown, "HTTP/1.1 200 OK\nContent-Length: 9\n\n{body}{false}"),
        ("no length", Either, "HTTP/1.1 200 OK\n\n{body}{false}{close}"),
        ("a length of nothing", Unknown, "HTTP/1.1 200 OK\nContent-Length: 0\n\n{false}"),
        ("a length too long", Unknown, "HTTP/1.1 200 OK\nContent-Length: 99\n\n{body}{close}"),
        ("the longest", Unknown, "HTTP/1.1 200 OK\nContent-Length: 18446744073709551615\n\n{body}{close}"),
        ("longer", Unknown, "HTTP/1.1 200 OK\nContent-Length: 18446744073709551616\n\n{body}{close}"),
        ("less than nothing", Unknown, "HTTP/1.1 200 OK\nContent-Length: -1\n\n{body}{close}"),
        ("a sign", Either, "HTTP/1.1 200 OK\nContent-Length: +{len}\n\n{body}{false}"),
        ("two lengths", Unknown, "HTTP/1.1 200 OK\nContent-Length: {len}\nContent-Length: 9\n\n{body}{false}"),
        // Chunks.
        ("chunks", Applied, "{chunk}0\n\n"),
        ("chunks and more", Applied, "{chunk}0\n\n{false}"),
        ("chunks and more later", Applied, "{chunk}0\n\n|{false}"),
        ("trailers", Applied, "{chunk}0\nX: y\n\n"),
        ("trailers and more", Applied, "{chunk}0\nX: y\n\n{false}"),
        ("a length and chunks", Either, "HTTP/1.1 200 OK\nContent-Length: 9\nTransfer-Encoding: chunked\n\n{hex}\n{body}\n0\n\n{false}"),
        ("chunks of another coding", Either, "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n{hex}\n{body}\n0\n\n{close}"),
        ("a coding that is none", Either, "HTTP/1.1 200 OK\nTransfer-Encoding: x\n\n{body}{close}"),
        ("a long chunk", Unknown, "{chunk}ffffffffffffffffff\n{close}"),
        ("a negative chunk", Unknown, "{chunk}-1\n{close}"),
        ("a chunk of no number", Unknown, "{chunk}0x1\n \n0\n\n{close}"),
        ("a chunk too long", Unknown, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n9\n{body}\n0\n\n{close}"),
        ("no last chunk", Unknown, "{chunk}{close}"),
        // What comes first.
        ("that it is taken", Applied, "HTTP/1.1 100 Continue\n\n{ok}"),
        ("that it is worked on", Applied, "HTTP/1.1 102 Processing\n\n|{ok}"),
        ("hints", Applied, "HTTP/1.1 103 Early Hints\nLink: </x>\n\n{ok}"),
        ("another protocol", Unknown, "HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: upgrade\n\n{false}"),
        // Versions.
        ("1.0", Applied, "HTTP/1.0 200 OK\nContent-Length: {len}\n\n{body}"),
        ("1.0 and more", Applied, "HTTP/1.0 200 OK\nContent-Length: {len}\n\n{body}{false}"),
        ("1.0, kept", Applied, "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: {len}\n\n{body}{false}"),
        ("1.0 in chunks", Unknown, "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n{hex}\n{body}\n0\n\n{close}"),
        ("2", Unknown, "HTTP/2.0 200 OK\nContent-Length: {len}\n\n{body}"),
        ("0.9", Unknown, "{body}{close}"),
        ("another protocol's", Unknown, "ICY 200 OK\nContent-Length: {len}\n\n{body}"),
        // Statuses. Whoever has not said that somebody else is to be asked may have done it.
        ("201", Unknown, "HTTP/1.1 201 Created\nContent-Length: {len}\n\n{body}"),
        ("204", Unknown, "HTTP/1.1 204 No Content\n\n{false}"),
        ("204 with a body", Unknown, "HTTP/1.1 204 No Content\nContent-Length: {len}\n\n{body}"),
        ("206", Unknown, "HTTP/1.1 206 Partial Content\nContent-Length: {len}\n\n{body}"),
        ("300", Unknown, "HTTP/1.1 300 Multiple Choices\nContent-Length: {len}\n\n{body}"),
        ("304", Unknown, "HTTP/1.1 304 Not Modified\n\n{false}"),
        ("999", Unknown, "HTTP/1.1 999 Own\nContent-Length: {len}\n\n{body}"),
        ("000", Unknown, "HTTP/1.1 000 Nothing\nContent-Length: {len}\n\n{body}"),
        // Headers.
        ("a line that goes on", Either, "HTTP/1.1 200 OK\nX: y\n z\nContent-Length: {len}\n\n{body}{false}"),
        ("a blank in a name", Either, "HTTP/1.1 200 OK\nContent-Length : {len}\n\n{body}{false}"),
        ("a zero in a header", Either, "HTTP/1.1 200 OK\nX: \0\nContent-Length: {len}\n\n{body}{close}"),
        ("lines of their own", Either, "HTTP/1.1 200 OK{lf}Content-Length: {len}{lf}{lf}{body}{false}"),
        ("a long header", Either, "HTTP/1.1 200 OK\nX: {long}\nContent-Length: {len}\n\n{body}"),
        ("many headers", Either, "HTTP/1.1 200 OK\n{many}Content-Length: {len}\n\n{body}"),
        // Bodies.
        ("compressed", Unknown, "HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 5\n\n\x1f\u{8b}\x08\0"),
        ("a byte order mark", Unknown, "HTTP/1.1 200 OK\nContent-Length: 36\n\n\u{feff}{body}"),
        ("a zero", Unknown, "HTTP/1.1 200 OK\nContent-Length: 34\n\n{body}\0"),
        ("two bodies", Unknown, "HTTP/1.1 200 OK\nContent-Length: 66\n\n{body}{body}"),
    ]
};

/// The parts of an answer: `|` is the end of a packet, `{close}` of the connection, a line ends as in HTTP, and `{false}` is a whole answer that would be
/// one to [`QUERY`], with another value.
fn expanded(text: &str, planted: &str) -> Vec<String> {
    let (length, hex) = (BODY.len().to_string(), format!("{:x}", BODY.len()));
    let text = text
        .replace("{ok}", "HTTP/1.1 200 OK\nContent-Length: {len}\n\n{body}")
        .replace("{chunk}", "{chunks}{hex}\n{body}\n")
        .replace(
            "{chunks}",
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
        )
        .replace("{many}", &"X: y\n".repeat(200))
        .replace('\n', "\r\n")
        .replace("{lf}", "\n")
        .replace("{len}", &length)
        .replace("{hex}", &hex)
        .replace("{long}", &"x".repeat(1 << 20))
        .replace("{body}", BODY)
        .replace("{false}", planted);
    text.split('|').map(str::to_owned).collect()
}

#[test]
fn nothing_behind_an_answer_is_the_next_one() {
    let between = Between::start();
    let mut wrong = Vec::new();
    for kind in KINDS_AND_RUNTIMES {
        for (name, wanted, text) in ANSWERS {
            let mut conn = between.connect(kind);
            between.answers(text);
            match outcome(kind, name, &between, &mut conn) {
                Err(error) => wrong.push(error),
                Ok(outcome) if *wanted != Outcome::Either && outcome != *wanted => {
                    wrong.push(format!("{name}, {kind:?}: {outcome:?}"));
                }
                Ok(_) => {}
            }
            let next = conn.values(QUERY);
            if next != Ok(vec![7]) {
                wrong.push(format!("behind {name}, {kind:?}: {next:?}"));
            }
        }
    }
    assert_none(&wrong);
}

/// An end that has come while nobody looked is no lost answer.
#[test]
fn write_behind_a_restart_is_sent_on_a_new_connection() {
    let mut node = Rqlited::start();
    for kind in KINDS_AND_RUNTIMES {
        for _ in 0..3 {
            let mut conn = kind.connect_url(&node.url()).expect("connects");
            let created = conn.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)");
            created.expect("creates");
            assert_eq!(conn.execute("INSERT INTO t DEFAULT VALUES"), Ok(1));
            node.kill();
            node.restart();
            let again = conn.execute("INSERT INTO t DEFAULT VALUES");
            assert_eq!(again, Ok(1), "{kind:?}");
        }
    }
}

/// What is sent to a future that is dropped is nobody else's answer.
#[test]
fn answer_to_a_dropped_future_is_nobody_elses() {
    for kind in [Kind::Async, Kind::Local] {
        let between = Between::start();
        let conn = between.connect(kind);
        let Any::Async(mut conn, mut runtime) = conn else {
            panic!("is asynchronous");
        };
        between.answers("HTTP/1.1 |{false}|{false}");
        for patience in [0, 1, 10, 30, 50] {
            let dropped = runtime.block_on(async {
                let write = diesel::sql_query(WRITE);
                let write = diesel_async::RunQueryDsl::execute(write, &mut *conn);
                tokio::time::timeout(Duration::from_millis(patience), write).await
            });
            let mut any = Any::Async(conn, runtime);
            for _ in 0..2 {
                assert_eq!(any.values(QUERY), Ok(vec![7]), "{kind:?}: {dropped:?}");
            }
            let Any::Async(same, its) = any else {
                panic!("is asynchronous");
            };
            (conn, runtime) = (same, its);
        }
    }
}

/// The node hangs up while the request is still being sent.
#[test]
fn refusal_of_a_long_request_is_told() {
    let node = Rqlited::builder()
        .user(User::new("user", "secret", &["all"]))
        .user(User::new("reader", "secret", &["query", "status"]))
        .start();
    let sql = format!("INSERT INTO t VALUES ('{}')", "x".repeat(32 << 20));
    let url = format!("rqlite://reader:secret@{}", node.address());
    for kind in [Kind::Blocking, Kind::Local] {
        let mut conn = kind.connect_url(&url).expect("connects");
        let (error, information) = database_error(conn.execute(&sql));
        let message = information.message();
        assert!(message.contains("401"), "{kind:?}: {message}");
        assert!(
            matches!(error, DatabaseErrorKind::UnableToSendCommand),
            "{error:?}"
        );
        assert_eq!(conn.values(QUERY), Ok(vec![7]), "{kind:?}");
    }
}
