//! A client that follows a script: it expects requests in an order, and has an answer or a failure for each.
//!
//! A test writes what the session is to send and what comes of it, runs something, and calls [`done`]. A request that is
//! not the next one of the script fails the test, and says what was sent. So a test also proves what is *not* sent.
//!
//! Nothing waits: pauses are left out, and what runs in the background runs at once. Surveys of the cluster are not part
//! of the script. They find the nodes of the session, and the leader that the script has named last.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use diesel::ConnectionResult;
use http::StatusCode;
use http::header::LOCATION;

use super::super::scout::{Scout, Vigil};
use super::super::{Client, Received, Rest, Session};
use crate::config::RqliteConfig;
use crate::lock::{Acquire, Guard, Lock, LockError};
use crate::mutex::locked;
use crate::observe::Observer;
use crate::protocol::authorization::Authorization;
use crate::protocol::call::SendError;
use crate::protocol::cluster::{Cluster, Forwarding, Manner};
use crate::protocol::head::Request;
use crate::protocol::nodes::{Known, Nodes};
use crate::protocol::request::{ReadConsistency, Settings};
use crate::runtime::{Background, Blocking, Runtime, UntilDropped, block_on};
use crate::statement::Statements;

/// The paths of requests.
pub(super) const QUERY: &str = "/db/query";
pub(super) const EXECUTE: &str = "/db/execute";
pub(super) const REQUEST: &str = "/db/request";

/// The statement at the end of a peek that writes, and its result.
pub(super) const UNDO: &str = "SELECT abs(-9223372036854775808)";
pub(super) const UNDONE: &str = r#"{"error":"integer overflow"}"#;

/// A request that a script expects, and what comes of it.
#[derive(Debug)]
pub(super) struct Expected {
    /// The node, if the test is about that.
    node: Option<&'static str>,
    path: &'static str,
    /// A part of the flags.
    flags: &'static str,
    statements: Vec<String>,
    /// A number among the values of the first statement.
    number: Option<u32>,
    reply: Reply,
    /// The node that leads from then on.
    leader: Option<&'static str>,
}

#[derive(Debug)]
enum Reply {
    None,
    Body(StatusCode, String),
    /// An answer to these statements.
    To(fn(&[String]) -> String),
    /// The start of an answer, and what comes of each attempt to read more.
    Begun(String, VecDeque<Result<String, &'static str>>),
    Redirect(&'static str),
    Lost,
    NotSent,
}

/// Expects a request of these statements. A statement is its text and, behind a space, the JSON of its values if it has
/// any. A text that ends in `…` stands for any that begins like that.
pub(super) fn on<S: Into<String>>(
    path: &'static str,
    statements: impl IntoIterator<Item = S>,
) -> Expected {
    Expected {
        node: None,
        path,
        flags: "",
        statements: statements.into_iter().map(S::into).collect(),
        number: None,
        reply: Reply::None,
        leader: None,
    }
}

impl Expected {
    /// The request goes to this node.
    pub(super) fn at(self, node: &'static str) -> Self {
        let node = Some(node);
        Expected { node, ..self }
    }

    /// The request has these flags.
    pub(super) fn with(self, flags: &'static str) -> Self {
        Expected { flags, ..self }
    }

    /// The values of the first statement have this number.
    pub(super) fn number(self, number: u32) -> Self {
        let number = Some(number);
        Expected { number, ..self }
    }

    /// From then on, surveys find that this node leads.
    pub(super) fn then_leads(self, node: &'static str) -> Self {
        let leader = Some(node);
        Expected { leader, ..self }
    }

    /// The answer has these results.
    pub(super) fn answers<S: AsRef<str>>(self, results: impl IntoIterator<Item = S>) -> Self {
        self.replies(Reply::Body(StatusCode::OK, answer(results)))
    }

    /// The answer depends on what was sent.
    pub(super) fn answers_to(self, answer: fn(&[String]) -> String) -> Self {
        self.replies(Reply::To(answer))
    }

    /// The request failed as a whole.
    pub(super) fn fails(self, error: &str) -> Self {
        let body = format!(r#"{{"results":[],"error":"{error}"}}"#);
        self.replies(Reply::Body(StatusCode::OK, body))
    }

    /// The answer has another status than 200.
    pub(super) fn says(self, status: u16, text: &str) -> Self {
        let status = StatusCode::from_u16(status).expect("is a status");
        self.replies(Reply::Body(status, text.to_owned()))
    }

    /// The answer begins like this. Its rest comes in these parts, of which an error is the end. If the client wants
    /// all of it at once, it gets the parts as one.
    pub(super) fn begins(
        self,
        first: &str,
        rest: impl IntoIterator<Item = Result<String, &'static str>>,
    ) -> Self {
        self.replies(Reply::Begun(first.to_owned(), rest.into_iter().collect()))
    }

    pub(super) fn redirects(self, node: &'static str) -> Self {
        self.replies(Reply::Redirect(node))
    }

    /// The request has left the client, and there is no answer.
    pub(super) fn gets_lost(self) -> Self {
        self.replies(Reply::Lost)
    }

    /// The request has not left the client.
    pub(super) fn does_not_leave(self) -> Self {
        self.replies(Reply::NotSent)
    }

    fn replies(self, reply: Reply) -> Self {
        Expected { reply, ..self }
    }

    /// Fails the test unless this is the request.
    fn check(&self, request: &Request) {
        let uri = request.uri();
        let sent = statements(request.body());
        let is_meant = |(meant, sent): (&String, &String)| match meant.strip_suffix('…') {
            Some(start) => sent.starts_with(start),
            None => sent == meant,
        };
        let is_there = sent.len() == self.statements.len()
            && self.statements.iter().zip(&sent).all(is_meant)
            && uri.path() == self.path
            && self.node.is_none_or(|node| uri.host() == Some(node))
            && self
                .number
                .is_none_or(|number| has_number(&sent[0], number))
            && uri.query().unwrap_or_default().contains(self.flags);
        assert!(
            is_there,
            "the script expects {self:#?}\nand this was sent: {uri} {sent:#?}"
        );
    }
}

/// Returns whether the values of a statement have this number.
fn has_number(statement: &str, number: u32) -> bool {
    let values = statement.rfind(" [").map(|start| &statement[start..]);
    let mut values = values
        .into_iter()
        .flat_map(|values| values.split(&[' ', '[', ',', ']']));
    values.any(|value| value == number.to_string())
}

/// Returns the body of an answer with these results.
pub(super) fn answer<S: AsRef<str>>(results: impl IntoIterator<Item = S>) -> String {
    let results: Vec<_> = results
        .into_iter()
        .map(|result| result.as_ref().to_owned())
        .collect();
    format!(r#"{{"results":[{}]}}"#, results.join(","))
}

/// Returns the result of a query with columns of one type, without the brackets around all rows.
pub(super) fn rows(columns: &[&str], kind: &str, rows: &str) -> String {
    let named = serde_json::to_string(columns).expect("is JSON");
    let types = serde_json::to_string(&vec![kind; columns.len()]).expect("is JSON");
    format!(r#"{{"columns":{named},"types":{types},"values":[{rows}]}}"#)
}

/// Returns the result of a write of one row.
pub(super) fn wrote(rows: usize) -> String {
    format!(r#"{{"last_insert_id":1,"rows_affected":{rows}}}"#)
}

/// Returns the statements of a request, as [`on`] takes them.
fn statements(body: &[u8]) -> Vec<String> {
    let elements: Vec<Vec<serde_json::Value>> = serde_json::from_slice(body).unwrap_or_default();
    let texts = elements.into_iter().map(|element| {
        let (sql, values) = element.split_first().expect("is a statement");
        let sql = sql.as_str().expect("is a text").to_owned();
        match values {
            [] => sql,
            values => format!("{sql} {}", serde_json::to_string(values).expect("is JSON")),
        }
    });
    texts.collect()
}

/// The client. Its clones follow the same script.
#[derive(Clone, Debug)]
pub(super) struct Scripted(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    expected: VecDeque<Expected>,
    nodes: Vec<&'static str>,
    leader: &'static str,
}

/// Returns a session with the node `a`, which leads.
pub(super) fn session(expected: impl IntoIterator<Item = Expected>) -> Session<Scripted> {
    session_with(&["a"], expected)
}

/// Returns a session with these nodes, the first of which leads. It gives up at once where no node leads.
pub(super) fn session_with(
    nodes: &[&'static str],
    expected: impl IntoIterator<Item = Expected>,
) -> Session<Scripted> {
    let client = Scripted(Arc::new(Mutex::new(State {
        expected: expected.into_iter().collect(),
        nodes: nodes.to_vec(),
        leader: nodes[0],
    })));
    let seeds: Vec<_> = nodes.iter().map(|node| base(node)).collect();
    let manner = Manner {
        discovery: true,
        forwarding: Forwarding::Never,
        preferred: None,
    };
    let known = Known::new(Cluster::new(&seeds, manner));
    let nodes = Nodes::new(known.clone(), seeds[0].clone());
    let settings = Settings::new(
        ReadConsistency::Weak,
        None,
        false,
        Duration::ZERO,
        Authorization::default(),
    );
    let config = RqliteConfig::new("a", 1);
    let observer = Observer::new(&config.together, config.observing);
    let scout = Scout::new(
        client.clone(),
        known,
        settings.authorization.clone(),
        observer.clone(),
    );
    let statements = Arc::new(Statements::default());
    Session::new(client, nodes, settings, statements, (scout, observer))
}

/// Fails the test if something of the script was not sent.
pub(super) fn done(session: &Session<Scripted>) {
    let left = &session.client.state().expected;
    assert!(left.is_empty(), "was not sent: {left:#?}");
}

fn base(node: &str) -> String {
    format!("http://{node}:1")
}

impl Scripted {
    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0)
    }

    /// Returns what comes of a request, and the next part of the script.
    fn next(&self, request: &Request) -> Reply {
        let expected = self.state().expected.pop_front();
        let Some(expected) = expected else {
            let sent = statements(request.body());
            panic!("the script is over: {} {sent:#?}", request.uri());
        };
        expected.check(request);
        if let Some(leader) = expected.leader {
            self.state().leader = leader;
        }
        expected.reply
    }
}

impl Client for Scripted {
    type Runtime = AtOnce;
    type Rest = Parts;

    fn open(_: &RqliteConfig) -> ConnectionResult<Self> {
        unreachable!("`session_with` makes the client")
    }

    async fn send(
        &mut self,
        request: Request,
        _: Vigil,
        first: usize,
    ) -> Result<Received<Parts>, SendError> {
        let (status, body, rest) = match self.next(&request) {
            Reply::None => panic!("the script has no reply to {}", request.uri()),
            Reply::Lost => return Err(failure(true)),
            Reply::NotSent => return Err(failure(false)),
            Reply::Redirect(node) => {
                let to = request.uri().path_and_query().expect("has a path");
                let response = http::Response::builder()
                    .status(StatusCode::MOVED_PERMANENTLY)
                    .header(LOCATION, format!("{}{to}", base(node)))
                    .body(Bytes::new());
                return Ok((response.expect("is a response"), None));
            }
            Reply::Body(status, body) => (status, body, None),
            Reply::To(answer) => (StatusCode::OK, answer(&statements(request.body())), None),
            Reply::Begun(body, rest) if first < usize::MAX => {
                (StatusCode::OK, body, Some(Box::new(Parts(rest))))
            }
            Reply::Begun(mut body, rest) => {
                for part in rest {
                    body.push_str(&part.map_err(|_| failure(true))?);
                }
                (StatusCode::OK, body, None)
            }
        };
        let response = http::Response::builder().status(status).body(body.into());
        Ok((response.expect("is a response"), rest))
    }

    async fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
        assert_eq!(request.uri().path(), "/nodes");
        let state = self.state();
        let nodes = state.nodes.iter().map(|node| {
            let leads = *node == state.leader;
            format!(r#""{node}":{{"api_addr":"{}","addr":"{node}:2","reachable":true,"leader":{leads},"voter":true}}"#, base(node))
        });
        let nodes: Vec<_> = nodes.collect();
        Ok(http::Response::new(
            format!("{{{}}}", nodes.join(",")).into(),
        ))
    }
}

fn failure(sent: bool) -> SendError {
    SendError {
        sent,
        timed_out: false,
        message: "the connection broke".to_owned(),
    }
}

/// The rest of an answer, in parts.
pub(super) struct Parts(VecDeque<Result<String, &'static str>>);

impl Rest for Parts {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        match self.0.pop_front() {
            None => Ok(0),
            Some(Ok(part)) => {
                bytes.extend_from_slice(part.as_bytes());
                Ok(part.len())
            }
            Some(Err(message)) => Err(SendError {
                message: message.to_owned(),
                ..failure(true)
            }),
        }
    }
}

/// The runtime, in which no time passes.
#[derive(Debug)]
pub(super) struct AtOnce;

impl Runtime for AtOnce {
    type Ticker = UntilDropped;

    const DROPS_FUTURES: bool = false;

    async fn wait(_: Duration) {}

    fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        block_on(task);
    }

    fn spawn_concurrent(task: impl Future<Output = ()> + Send + 'static) {
        block_on(task);
    }

    fn run_to_completion<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        task
    }

    fn until<T>(
        poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Send,
    ) -> impl Future<Output = T> + Send {
        Blocking::until(poll)
    }

    fn spawn_until_dropped<F: Future<Output = ()> + Send + 'static>(
        task: impl FnOnce(UntilDropped) -> F + Send + 'static,
    ) -> io::Result<Background> {
        Blocking::spawn_until_dropped(task)
    }
}

impl Acquire for AtOnce {
    async fn acquire(lock: &dyn Lock) -> Result<Guard, LockError> {
        lock.acquire().map(Guard::Blocking)
    }
}
