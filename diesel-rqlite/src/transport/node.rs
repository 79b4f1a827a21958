//! Requests to one node that are not SQL, with streamed bodies, over ureq.
//!
//! [`NodeHttp`] is the public client. `Fetch` and `Carry` are for `administration`, which knows
//! nodes, redirects and errors. They use agents that are separate from that of the session, so that
//! a download may be read while the connection runs queries: [`NodeHttp`] uses [`Http::agent`], and
//! each of the others has one of its own, see [`Http::alone`].
//!
//! # Rules
//!
//! * A request is sent once. Redirects are not followed, and any status is an answer.
//! * There is no vigil. A node that accepts the request and never answers is waited for until the
//!   time limit, and without a limit for ever.
//! * Looking up the name and connecting have `connect_timeout` each, and sending the head of the
//!   request has `request_timeout`. The head of the answer to a request without an upload must
//!   arrive in time, counted since the request was sent. So must the body of an answer that
//!   `administration` reads as a whole, counted since the head. Uploads, the heads of their answers,
//!   backups and the bodies of [`NodeAnswer`]s have no time limit.
//! * `max_answer` does not apply.
//! * The body of an answer owns its connection. If it is dropped before the end, the connection is
//!   closed.
//!
//! # Uploads
//!
//! `Carry` sends a file in chunks, so that its end is a part of the message: a node that does not
//! get the last chunk knows that the file is not complete. [`Upload`] checks the file while it is
//! read. If it is damaged, the body fails, the connection is closed, and the last chunk is never
//! sent. An upload counts as sent if its end was read and the file was complete.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, Response};
use ureq::SendBody;

use super::PIECE;
use super::blocking::Http;
use super::concealed::Concealed;
use crate::administration::{Carry, Fetch, Patience, Text};
use crate::protocol::authorization::Authorization;
use crate::protocol::backup::Whole;
use crate::protocol::call::SendError;
use crate::session::Rest;

/// A client for the node that a connection talks to. It is for the parts of rqlite's HTTP API that
/// are not SQL: backups, loading a database, the state of the cluster. Made by
/// [`RqliteConnection::node_http`](crate::RqliteConnection::node_http).
///
/// Addresses, credentials and TLS are those of the connection, also if it gets other credentials
/// later. Requests are never sent a second
/// time, and redirects are not followed: the node's answer is returned unchanged.
///
/// ```no_run
/// use std::io;
/// use diesel::prelude::*;
/// use diesel_rqlite::RqliteConnection;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let conn = RqliteConnection::establish("rqlite://localhost:4001")?;
/// let mut answer = conn.node_http().get("/db/backup")?;
/// assert_eq!(answer.status(), 200);
/// io::copy(answer.body_mut(), &mut std::fs::File::create("backup.db")?)?;
/// # Ok(())
/// # }
/// ```
pub struct NodeHttp {
    agent: ureq::Agent,
    base: String,
    /// The credentials of the connection, if the node may get them.
    authorization: Option<Authorization>,
    concealed: Concealed,
    /// The time in which the answer to a GET request must begin.
    timeout: Duration,
}

/// An answer whose body is read as it arrives.
pub type NodeAnswer = Response<Box<dyn Read + Send>>;

impl fmt::Debug for NodeHttp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("NodeHttp");
        debug.field("base", &self.base).finish_non_exhaustive()
    }
}

impl NodeHttp {
    pub(crate) fn new(
        http: &Http,
        base: String,
        authorization: Option<Authorization>,
        timeout: Duration,
    ) -> Self {
        NodeHttp {
            agent: http.agent(),
            base,
            authorization,
            concealed: http.concealed().clone(),
            timeout,
        }
    }

    /// Returns the address of the node, without credentials: `http://host:4001`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a GET request. The path begins with `/` and may have a query. The answer must begin
    /// within the request timeout of the connection; its body may take any time.
    ///
    /// # Errors
    ///
    /// An error with the node and the reason, if there is no answer.
    pub fn get(&self, path: &str) -> io::Result<NodeAnswer> {
        let request = self.request("GET", path).body(SendBody::none());
        self.run(request, Some(self.timeout))
    }

    /// Sends a POST request. Without a length, the body is sent in chunks. Sending and answering
    /// may take any time.
    ///
    /// # Errors
    ///
    /// An error if there is no answer. The node may nevertheless have carried out the request.
    pub fn post(
        &self,
        path: &str,
        content_type: &str,
        body: &mut dyn Read,
        length: Option<u64>,
    ) -> io::Result<NodeAnswer> {
        let mut request = self.request("POST", path);
        request = request.header(CONTENT_TYPE, content_type);
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        let mut body = body;
        self.run(request.body(SendBody::from_reader(&mut body)), None)
    }

    /// Begins a request to the node.
    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method);
        request.uri(format!("{}{path}", self.base))
    }

    /// Sends a request with the credentials that the connection has now.
    fn run(
        &self,
        request: http::Result<Request<SendBody<'_>>>,
        answer: Option<Duration>,
    ) -> io::Result<NodeAnswer> {
        let mut request = request.map_err(|error| self.error(&error))?;
        if let Some(value) = self.authorization.as_ref().and_then(Authorization::get) {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let _concealed = self.concealed.conceal(request.headers_mut());
        run(&self.agent, request, answer).map_err(|error| self.error(&error))
    }

    /// Returns an error that names the node.
    fn error(&self, error: &dyn fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {error}", self.base))
    }
}

/// Sends a request, and waits for the beginning of its answer, for at most `head` if it is set. Both
/// bodies may take any time.
///
/// The agent's own limit for a whole request is that of a probe, and is switched off here.
fn run(
    agent: &ureq::Agent,
    request: Request<SendBody<'_>>,
    head: Option<Duration>,
) -> Result<NodeAnswer, ureq::Error> {
    let request = agent.configure_request(request);
    let request = request
        .timeout_global(None)
        .timeout_send_body(None)
        .timeout_recv_response(head)
        .build();
    let (head, body) = agent.run(request)?.into_parts();
    Ok(Response::from_parts(head, Box::new(body.into_reader())))
}

/// A SQLite file that is inspected while it is read. Reading fails as soon as the bytes show that
/// this is no SQLite file, and at the end if the file is shorter than its header says.
pub(crate) struct Upload<'u> {
    reader: &'u mut dyn Read,
    /// The check, which the caller shares, to learn how the upload ended.
    whole: Whole,
}

impl<'u> Upload<'u> {
    pub(crate) fn new(reader: &'u mut dyn Read, whole: Whole) -> Self {
        Upload { reader, whole }
    }
}

impl Read for Upload<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Reading nothing is not the end of the file.
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.reader.read(buffer);
        let count = read.map_err(|error| self.whole.failed(error))?;
        self.whole.saw(&buffer[..count])?;
        Ok(count)
    }
}

/// A text that is read while it is sent.
pub(crate) struct TextOf<R>(pub(crate) R);

impl<R: Read> Text for TextOf<R> {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let limit = u64::try_from(PIECE).unwrap_or(u64::MAX);
        self.0.by_ref().take(limit).read_to_end(bytes)
    }
}

impl Fetch for Http {
    type Download = Box<dyn Read + Send>;

    async fn fetch(
        &self,
        request: Request<()>,
        patience: Patience,
    ) -> Result<NodeAnswer, SendError> {
        let mut request = request.map(|()| SendBody::none());
        let _concealed = self.concealed().conceal(request.headers_mut());
        let (agent, waiting) = self.alone();
        // Nobody asks whether it was sent: it changes nothing.
        let answer = run(&agent, request, Some(patience.head));
        let answer = answer.map_err(|error| self.lost(error, true))?;
        if let Some(limit) = patience.of_body(answer.status()) {
            waiting.await_body(limit);
        }
        Ok(answer)
    }
}

impl<'u> Carry<Upload<'u>> for Http {
    async fn carry(
        &self,
        request: Request<Upload<'u>>,
        body: Duration,
    ) -> Result<NodeAnswer, SendError> {
        let (mut head, mut upload) = request.into_parts();
        let _concealed = self.concealed().conceal(&mut head.headers);
        let request = Request::from_parts(head, SendBody::from_reader(&mut upload));
        let (agent, waiting) = self.alone();
        let answer = run(&agent, request, None);
        // Without the end of the file, the node has got no last chunk, and has loaded nothing.
        let answer = answer.map_err(|error| self.lost(error, upload.whole.has_ended()))?;
        waiting.await_body(body);
        Ok(answer)
    }
}

impl Rest for Box<dyn Read + Send> {
    /// Appends up to [`PIECE`] bytes. Returns fewer only at the end, so that it waits for all of
    /// them.
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        let limit = u64::try_from(PIECE).unwrap_or(u64::MAX);
        let read = self.as_mut().take(limit).read_to_end(bytes);
        read.map_err(|error| SendError {
            sent: true,
            timed_out: false,
            message: error.to_string(),
        })
    }
}
