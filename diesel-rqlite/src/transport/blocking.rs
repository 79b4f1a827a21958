//! HTTP over ureq's connectors, with connections that are kept alive.
//!
//! # Flow of a request
//!
//! 1. `Http::post` begins the vigil of the request in `waiting`, which all sockets of the session
//!    share.
//! 2. `Http::try_to_post` sends the request. If it was not sent, and the address came from the
//!    cache, it sends it once more.
//! 3. `Http::attempt` hands the request to [`Lines`], which takes a kept connection or opens one:
//!    `Tcp` connects, and `TlsConnector` adds TLS.
//! 4. `Http::receive` reads the whole answer, or, if the status is 200, at least the `first` bytes.
//!    The rest is a `Remainder`, which the session reads while it decodes rows.
//! 5. The vigil ends with the answer: in `post`, or in the `Remainder`.
//!
//! All functions block the thread. The `async` functions of the traits never wait, so that
//! `runtime::block_on` can run them.
//!
//! # One request at a time
//!
//! The session's sockets tell `waiting` what they have sent and received, and ask it whether to go on
//! waiting. It holds the state of one request. A session sends its requests one after the other,
//! and does not read a `Remainder` any further when it has sent the next request. Clones share
//! `waiting`, and must not send at the same time. Requests that run concurrently (surveys of the
//! cluster) or have no vigil (`NodeHttp`) use an agent of ureq, `probes`. Uploads and downloads have
//! an agent each, see [`Http::alone`].
//!
//! # When a request counts as sent
//!
//! A request counts as sent if its head has begun to be sent, all of the body was taken, and the
//! socket holds nothing of it back: every byte that it was given was accepted by the operating
//! system. See `Revealing` in `concealed`, and `Socket` in `tcp`. An empty body counts as taken from
//! the beginning. A success that comes before that is no answer to the request.
//!
//! # Time limits
//!
//! [`Lines`] measures the time for lookup and connecting (`connect_timeout` each), and for sending
//! the head, waiting until the node accepts the request (if it has to), sending the body, and
//! receiving the head of the answer (`request_timeout` each). The socket measures the time for the
//! body of the answer: `request_timeout` for the first bytes, and again for each later read. A
//! request may have a timeout of its own, which then replaces `request_timeout`. A survey has [`PROBE`] for everything.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use diesel::result::ConnectionError;
use http::StatusCode;
use ureq::SendBody;
use ureq::config::{Config, ConfigBuilder};
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
#[cfg(feature = "rustls")]
use ureq::unversioned::transport::Either;
use ureq::unversioned::transport::{Connector, NextTimeout};

use crate::config::RqliteConfig;
use crate::mutex::locked;
use crate::protocol::call::SendError;
use crate::protocol::cluster::PROBE;
use crate::protocol::head::{AGENT, JSON, Request};
use crate::runtime::Blocking;
use crate::session::{Client, Received, Rest, Vigil};

use super::concealed::{Concealed, Heads, Revealing};
use super::http1::too_early;
use super::line::{Body, IDLE, Lines};
use super::tcp::{Socket, Tcp, Watched as Waiting};
#[cfg(feature = "rustls")]
use super::tls::{ClientTls, client_tls};
#[cfg(feature = "rustls")]
use super::tls_socket::{TlsConnector, TlsSocket};
use super::{PIECE, too_long};

/// The longest description of the cluster by a node.
const LONGEST_VIEW: u64 = 1 << 20;

/// An HTTP client. It does not follow redirects; `protocol::call` does.
///
/// Clones share their connections, the addresses and the state of the request that is under way.
/// Each counts its own requests, from the number at the time of cloning.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// The connections for the requests of the session.
    lines: Lines,
    /// An agent for requests outside of the session. They have a short timeout, unless the
    /// request sets another one.
    probes: ureq::Agent,
    /// The substitutes of secret headers, for `probes`.
    concealed: Concealed,
    request_timeout: Duration,
    /// The means to convert errors.
    lost: Lost,
    /// The state of the request that `lines` send.
    waiting: Waiting,
    /// The addresses of the nodes, for `lines` and `probes`.
    addresses: Addresses,
    /// The number of requests, including those that were sent again to another address.
    requests: u64,
}

impl Http {
    /// Fails if the certificates or the key are not usable, or if TLS is needed and not supported.
    fn new(config: &RqliteConfig) -> Result<Self, ConnectionError> {
        let addresses = Addresses::default();
        let waiting = Waiting::default();
        let tls = tls(config)?;
        let concealed = Concealed::default();
        let probes = builder(config).timeout_global(Some(PROBE)).build();
        // Both share the addresses, so that a second request goes where the first one went. `lines` do
        // not log what they send, so that nothing is concealed from them.
        let lines = Lines::new(
            connector(&tls, &Concealed::default(), &waiting),
            addresses.clone(),
            probes.clone(),
            config.connect_timeout,
        );
        let probes = ureq::Agent::with_parts(
            probes,
            connector(&tls, &concealed, &Waiting::default()),
            addresses.clone(),
        );
        Ok(Http {
            lines,
            probes,
            concealed,
            request_timeout: config.request_timeout,
            lost: Lost {
                tls,
                max_answer: config.max_answer,
            },
            waiting,
            addresses,
            requests: 0,
        })
    }

    /// Returns the agent for requests that are not part of a session. The session's own connections
    /// can't be used, since they track the held-back bytes of one request at a time.
    pub(crate) fn agent(&self) -> ureq::Agent {
        self.probes.clone()
    }

    /// Returns an agent for one request like those of [`agent`](Self::agent), and the state of its
    /// sockets, by which the body of the answer gets a time limit.
    pub(super) fn alone(&self) -> (ureq::Agent, Waiting) {
        let waiting = Waiting::default();
        let agent = ureq::Agent::with_parts(
            self.probes.config().clone(),
            connector(&self.lost.tls, &self.concealed, &waiting),
            self.addresses.clone(),
        );
        (agent, waiting)
    }

    /// Returns the means to hide secret headers from [`Self::agent`] and [`Self::alone`].
    pub(super) fn concealed(&self) -> &Concealed {
        &self.concealed
    }

    /// Converts the error of a lost answer. The caller knows whether the request was sent.
    pub(super) fn lost(&self, error: ureq::Error, sent: bool) -> SendError {
        self.lost.error(error, sent)
    }

    /// Returns the number of requests that have been sent.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    /// Sends a request and waits for its answer, as `Client::send` describes. If the vigil gave up,
    /// the error has the vigil's reason.
    fn post(
        &mut self,
        request: Request,
        vigil: Vigil,
        first: usize,
    ) -> Result<Received<Remainder>, SendError> {
        self.waiting.begin(vigil);
        match self.try_to_post(request, first) {
            // The wait continues with the rest of the answer.
            Ok((response, Some(rest))) => Ok((response, Some(rest))),
            outcome => with_reason(outcome, self.waiting.end()),
        }
    }

    /// Sends a request, and sends it once more if it was not sent to a cached address. The first
    /// attempt has emptied the cache, so that the second one looks the names up. There is no second
    /// attempt after a timeout, or if the vigil gave up.
    fn try_to_post(
        &mut self,
        request: Request,
        first: usize,
    ) -> Result<Received<Remainder>, SendError> {
        let known = self.addresses.any();
        match self.attempt(&request, first) {
            // The name may resolve to another address by now.
            Err(error)
                if known && !error.sent && !error.timed_out && !self.waiting.is_given_up() =>
            {
                self.waiting.starts_over();
                self.attempt(&request, first)
            }
            outcome => outcome,
        }
    }

    /// Sends a request once. After any error, forgets all addresses, and decides whether the
    /// request was sent.
    fn attempt(
        &mut self,
        request: &Request,
        first: usize,
    ) -> Result<Received<Remainder>, SendError> {
        self.requests += 1;
        let timeout = request.timeout.unwrap_or(self.request_timeout);
        // Until its last byte, a `]`, is sent, no server can have understood the request, regardless
        // of what happened to the connection.
        let mut left = &**request.body();
        let head = self.lines.exchange(request, &mut left, timeout);
        let sent = left.is_empty() && self.waiting.has_begun() && !self.waiting.holds_back();
        let answer = head.and_then(|(head, body)| match head.status().is_success() && !sent {
            true => Err(too_early().into()),
            false => self.receive(head, body, timeout, first),
        });
        answer.map_err(|error| {
            self.addresses.forget();
            self.lost.error(error, sent)
        })
    }

    /// Reads the first bytes of an answer, or the whole answer if it is not rows. All of them must
    /// arrive within `timeout`. Fails if the answer is longer than `max_answer`.
    fn receive(
        &self,
        head: http::Response<()>,
        body: Body,
        timeout: Duration,
        first: usize,
    ) -> Result<Received<Remainder>, ureq::Error> {
        self.waiting.await_body(timeout);
        let length = body.length();
        let mut reader = Limited {
            body,
            left: self.lost.max_answer,
            limit: self.lost.max_answer,
        };
        // Only an answer with rows is worth reading in parts. The others are short.
        let first = match head.status() {
            StatusCode::OK => first,
            _ => usize::MAX,
        };
        let expected = length.and_then(|length| usize::try_from(length).ok());
        let mut bytes = Vec::with_capacity(expected.map_or(PIECE, |length| length.min(PIECE)));
        let mut has_ended = false;
        while bytes.len() < first && !has_ended {
            has_ended = reader.read_some(&mut bytes)? == 0;
        }
        let rest = (!has_ended).then(|| {
            Box::new(Remainder {
                reader,
                waiting: self.waiting.clone(),
                request_timeout: timeout,
                lost: self.lost.clone(),
            })
        });
        Ok((head.map(|()| bytes.into()), rest))
    }
}

/// A body that must not be longer than `max_answer`.
struct Limited {
    body: Body,
    left: u64,
    limit: u64,
}

impl Limited {
    /// Appends the available bytes of a body. Returns 0 at the end. Waits if none are available.
    fn read_some(&mut self, bytes: &mut Vec<u8>) -> Result<usize, ureq::Error> {
        let count = self.body.read(bytes)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or(ureq::Error::BodyExceedsLimit(self.limit))?;
        Ok(count)
    }
}

/// Replaces the error of a request that was given up by the reason. It is no timeout then, so that
/// the request may be sent again if its kind allows that.
fn with_reason<T>(outcome: Result<T, SendError>, reason: Option<String>) -> Result<T, SendError> {
    outcome.map_err(|error| match reason {
        Some(message) => SendError {
            timed_out: false,
            message,
            ..error
        },
        None => error,
    })
}

/// Converts the errors of lost answers.
#[derive(Clone, Debug)]
struct Lost {
    tls: ClientTls,
    max_answer: u64,
}

impl Lost {
    fn error(&self, error: ureq::Error, sent: bool) -> SendError {
        SendError {
            sent,
            // A new answer would also be too long.
            timed_out: matches!(
                error,
                ureq::Error::Timeout(_) | ureq::Error::BodyExceedsLimit(_)
            ),
            message: match error {
                ureq::Error::BodyExceedsLimit(_) => too_long(self.max_answer),
                error => self.tls.explain(error.to_string()),
            },
        }
    }
}

/// The rest of an answer. If this is dropped before the end, its connection is closed.
///
/// It must not be read any further when the client has sent another request: it uses the client's
/// `waiting`. `max_answer` applies to the answer as a whole, including the bytes that were read
/// before.
pub(crate) struct Remainder {
    reader: Limited,
    waiting: Waiting,
    request_timeout: Duration,
    lost: Lost,
}

impl Rest for Remainder {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        self.waiting.await_body(self.request_timeout);
        let outcome = self.reader.read_some(bytes);
        let outcome = outcome.map_err(|error| self.lost.error(error, true));
        match outcome {
            Err(_) => with_reason(outcome, self.waiting.end()),
            Ok(0) => {
                self.waiting.end();
                Ok(0)
            }
            Ok(count) => Ok(count),
        }
    }
}

impl Client for Http {
    type Runtime = Blocking;
    type Rest = Remainder;

    fn open(config: &RqliteConfig) -> Result<Self, ConnectionError> {
        Http::new(config)
    }

    async fn send(
        &mut self,
        request: Request,
        vigil: Vigil,
        first: usize,
    ) -> Result<Received<Remainder>, SendError> {
        self.post(request, vigil, first)
    }

    async fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
        let (mut head, _) = request.into_parts();
        let _concealed = self.concealed.conceal(&mut head.headers);
        let answer = self
            .probes
            .run(http::Request::from_parts(head, SendBody::none()));
        let answer = answer.and_then(|response| {
            let (head, mut body) = response.into_parts();
            let body = body.with_config().limit(LONGEST_VIEW).read_to_vec()?;
            Ok(http::Response::from_parts(head, body.into()))
        });
        answer.map_err(|error| SendError {
            sent: true,
            timed_out: matches!(error, ureq::Error::Timeout(_)),
            message: error.to_string(),
        })
    }
}

/// A cache of the addresses of host names. ureq resolves names before each request, even if it has
/// a connection. With a timeout it starts a thread for each lookup.
///
/// Entries do not expire. All of them are forgotten when a request of the session fails. Clones
/// share the cache.
#[derive(Clone, Debug, Default)]
struct Addresses(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Addresses {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Vec<SocketAddr>>> {
        locked(&self.0)
    }

    /// Returns whether an address is cached, so that a failure may be due to an old address.
    fn any(&self) -> bool {
        !self.known().is_empty()
    }

    fn forget(&self) {
        self.known().clear();
    }
}

impl Resolver for Addresses {
    /// Returns the addresses of a node, from the cache or by a lookup. A lookup that fails is not
    /// cached.
    fn resolve(
        &self,
        uri: &http::Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let node = uri.authority().map_or("", |authority| authority.as_str());
        if let Some(known) = self.known().get(node) {
            let mut addresses = self.empty();
            for address in known {
                addresses.push(*address);
            }
            return Ok(addresses);
        }
        let addresses = DefaultResolver::default().resolve(uri, config, timeout)?;
        self.known().insert(node.to_owned(), addresses.to_vec());
        Ok(addresses)
    }
}

/// Returns the settings that both agents share. An answer is returned whatever its status is, and
/// redirects are not followed.
fn builder(config: &RqliteConfig) -> Builder {
    let builder = ureq::Agent::config_builder()
        .user_agent(AGENT)
        .accept(JSON)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The proxy of the environment is not used to reach a database.
        .proxy(None)
        .max_idle_connections_per_host(1)
        .max_idle_connections(IDLE)
        .timeout_resolve(Some(config.connect_timeout))
        .timeout_connect(Some(config.connect_timeout))
        // The socket handles this timeout: it applies to a whole body, or to the next piece of one.
        .timeout_recv_body(None);
    let limit = Some(config.request_timeout);
    builder
        .timeout_send_request(limit)
        .timeout_send_body(limit)
        .timeout_recv_response(limit)
}

/// A connection: a socket, TLS if the URL requires it, and the layer that puts the credentials
/// back.
#[cfg(feature = "rustls")]
pub(super) type Wire = Revealing<Either<Socket, TlsSocket>>;

/// A connection without TLS.
#[cfg(not(feature = "rustls"))]
pub(super) type Wire = Revealing<Socket>;

#[cfg(feature = "rustls")]
fn connector(
    tls: &ClientTls,
    concealed: &Concealed,
    waiting: &Waiting,
) -> impl Connector<(), Out = Wire> {
    let tls = TlsConnector(Arc::clone(&tls.config));
    let heads = Heads::new(concealed, waiting);
    Tcp(waiting.clone()).chain(tls).chain(heads)
}

#[cfg(not(feature = "rustls"))]
fn connector(
    _tls: &ClientTls,
    concealed: &Concealed,
    waiting: &Waiting,
) -> impl Connector<(), Out = Wire> {
    let heads = Heads::new(concealed, waiting);
    Tcp(waiting.clone()).chain(heads)
}

type Builder = ConfigBuilder<AgentScope>;

#[cfg(feature = "rustls")]
fn tls(config: &RqliteConfig) -> Result<ClientTls, ConnectionError> {
    client_tls(&config.tls)
}

/// A placeholder: there is no TLS.
#[cfg(not(feature = "rustls"))]
#[derive(Clone, Debug)]
struct ClientTls;

#[cfg(not(feature = "rustls"))]
impl ClientTls {
    fn explain(&self, message: String) -> String {
        message
    }
}

#[cfg(not(feature = "rustls"))]
fn tls(config: &RqliteConfig) -> Result<ClientTls, ConnectionError> {
    match config.uses_tls() {
        true => Err(ConnectionError::BadConnection(
            "TLS needs the feature `rustls` of diesel-rqlite".to_owned(),
        )),
        false => Ok(ClientTls),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

    const LENGTH: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]";
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\nX: y\r\n\r\n";
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\
         Content-Length: 5\r\n\r\n[1,2]";
    const CLOSED: &str = "HTTP/1.0 200 OK\r\n\r\n[1,2]";

    /// A server for as many connections as there are answers. It sends each in two pieces.
    fn server(answers: Vec<(String, String)>) -> (String, thread::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let serve = move || {
            for (first, rest) in answers {
                let (mut stream, _) = listener.accept().expect("accepts");
                read_request(&mut stream);
                stream.set_nodelay(true).expect("is open");
                stream.write_all(first.as_bytes()).expect("is open");
                thread::sleep(Duration::from_millis(1));
                // The client may have given up by now.
                let _ = stream.write_all(rest.as_bytes());
            }
        };
        (address, thread::spawn(serve))
    }

    fn read_request(stream: &mut TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"]]") {
            let mut piece = [0; 1024];
            let count = stream.read(&mut piece).expect("is open");
            assert!(count > 0, "{request:?}");
            request.extend_from_slice(&piece[..count]);
        }
    }

    fn ask(http: &mut Http, address: &str) -> Result<Bytes, SendError> {
        let request = request_to(&format!("http://{address}"), "[[\"SELECT 1\"]]".into());
        let (response, rest) = http.attempt(&request, usize::MAX)?;
        assert!(rest.is_none());
        Ok(response.into_body())
    }

    fn request_to(node: &str, body: Bytes) -> Request {
        Request::post(&format!("{node}/db/query"), body)
    }

    fn client() -> Http {
        client_with("request_timeout=20s")
    }

    fn client_with(options: &str) -> Http {
        let config = format!("rqlite://127.0.0.1:1?{options}");
        let config = config.parse().expect("is a URL");
        Http::new(&config).expect("opens")
    }

    #[test]
    fn answer_is_the_same_wherever_it_is_split() {
        for answer in [LENGTH, CHUNKS, HINTS, CLOSED] {
            let halves = |at: usize| (answer[..at].to_owned(), answer[at..].to_owned());
            let all = (1..=answer.len()).map(halves).collect();
            let (address, served) = server(all);
            for at in 1..=answer.len() {
                let body = ask(&mut client(), &address).expect("answers");
                assert_eq!(body, "[1,2]", "{answer}, {at}");
            }
            served.join().expect("serves");
        }
    }

    #[test]
    fn answer_that_is_cut_off_is_lost() {
        for answer in [LENGTH, CHUNKS, HINTS] {
            // The last line of a body in chunks, behind `0`, may be missing.
            let end = answer.find("0\r\nX").map_or(answer.len(), |at| at + 1);
            let cut = |at: usize| (answer[..at].to_owned(), String::new());
            let (address, served) = server((0..end).map(cut).collect());
            for at in 0..end {
                let error = ask(&mut client(), &address).expect_err("is cut off");
                assert!(error.sent && !error.timed_out, "{at}: {error:?}");
            }
            served.join().expect("serves");
        }
    }

    #[test]
    fn connection_is_kept_unless_more_has_arrived() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let serve = move || {
            let mut open = Vec::new();
            for answers in [&["", "", "smuggled"][..], &[""]] {
                let (mut stream, _) = listener.accept().expect("accepts");
                open.push(stream.try_clone().expect("is open"));
                for more in answers {
                    read_request(&mut stream);
                    let answer = format!("{LENGTH}{more}");
                    stream.write_all(answer.as_bytes()).expect("is open");
                }
            }
        };
        let served = thread::spawn(serve);
        let mut http = client();
        for _ in 0..4 {
            assert_eq!(ask(&mut http, &address).expect("answers"), "[1,2]");
        }
        served.join().expect("serves");
    }

    /// Reads until the client hangs up, or for a time in which it should have.
    fn await_end(mut stream: &TcpStream) -> Vec<u8> {
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("is no zero");
        let mut bytes = Vec::new();
        // A client that hangs up before it has read everything resets the connection.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    #[test]
    fn early_answer_that_ends_with_its_connection_is_read() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let serve = move || {
            let (mut stream, _) = listener.accept().expect("accepts");
            let answer = b"HTTP/1.0 413 Too Large\r\n\r\ntoo long";
            stream.write_all(answer).expect("is open");
            // The request is not read, so that the client's writes fail.
            drop(stream);
        };
        let served = thread::spawn(serve);
        let body = format!("[[\"{}\"]]", "x".repeat(32 << 20));
        let request = request_to(&format!("http://{address}"), body.into());
        let answer = client().attempt(&request, usize::MAX);
        let (response, _) = answer.expect("answers");
        assert_eq!(response.status(), 413);
        assert_eq!(response.body(), "too long");
        served.join().expect("serves");
    }

    #[test]
    fn half_an_acceptance_is_waited_for_until_the_limit() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let serve = move || {
            let (mut stream, _) = listener.accept().expect("accepts");
            stream.write_all(b"HTTP/1.1 1").expect("is open");
            await_end(&stream)
        };
        let served = thread::spawn(serve);
        let body = Bytes::from_static(b"[[\"SELECT 1\"]]");
        let mut request = request_to(&format!("http://{address}"), body);
        request.must_be_accepted = true;
        let mut http = client_with("request_timeout=300ms");
        let answer = http.attempt(&request, usize::MAX).map(|_| ());
        let error = answer.expect_err("is not accepted");
        assert!(error.timed_out && !error.sent, "{error:?}");
        let got = served.join().expect("serves");
        assert!(got.ends_with(b"\r\n\r\n"), "the head alone");
    }

    #[cfg(not(feature = "rustls"))]
    #[test]
    fn nothing_is_sent_without_tls_to_a_node_that_requires_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let serve = move || {
            let (stream, _) = listener.accept().expect("accepts");
            await_end(&stream)
        };
        let served = thread::spawn(serve);
        let body = Bytes::from_static(b"[[\"SELECT 1\"]]");
        let request = request_to(&format!("https://{address}"), body);
        let answer = client_with("request_timeout=300ms").attempt(&request, usize::MAX);
        let error = answer.map(|_| ()).expect_err("there is no TLS");
        assert!(error.message.contains("TLS") && !error.sent, "{error:?}");
        assert_eq!(served.join().expect("serves"), b"");
    }
}
