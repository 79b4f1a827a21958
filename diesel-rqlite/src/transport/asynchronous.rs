//! HTTP over hyper. The connections of one configuration share their HTTP connections.
//!
//! # Flow of a request
//!
//! 1. `AsyncHttp::send` wraps the body in `Watched`, which records when its last piece is taken.
//! 2. `AsyncHttp::exchange` takes an idle connection from the pool, or opens one, and sends the
//!    request on it.
//! 3. `AsyncHttp::receive` reads the whole answer, or, if the status is 200, at least the `first`
//!    bytes. The rest is a `Remainder`, which the session reads while it decodes rows.
//! 4. When the end of the answer has been read, the connection returns to the pool.
//!
//! Every wait in this flow is a call of `within`. It ends with the awaited event, at a deadline, or
//! when the vigil gives up. `AsyncHttp::probe` is separate: it has no vigil and one time limit for
//! everything.
//!
//! # When a request counts as sent
//!
//! A request counts as sent from the moment at which hyper takes the last piece of its body
//! (`Departure`). Bytes in hyper's or the system's buffers count as sent, since nobody can tell
//! whether a node got them. Before that moment the body is incomplete, so that no node can have
//! parsed it. When a request has failed and its body was not taken by then, its `Departure` becomes
//! `Departed::Never`, and the body refuses to yield its last piece.
//!
//! A request with the header `Expect: 100-continue` is held back (`Departed::Held`): hyper sends
//! its head, but gets nothing of the body until the node has answered `100 Continue`.
//!
//! hyper takes nothing of a body without bytes. Such a request counts as sent from the moment at
//! which hyper gets it, for it may then write the head, with which a node can parse it. If hyper
//! returns it, none of it was written.
//!
//! # Time limits
//!
//! Connecting has `connect_timeout`, which the connector `InTime` measures. Sending has
//! `request_timeout`, from the moment at which there is a connection. When the last piece of the
//! body is taken, the limit starts again, for the head of the answer. It starts again with the
//! head, for the first bytes of the body, and with each later read. A request may have its own
//! `RequestTimeout` in its extensions, which then replaces `request_timeout` in all of these
//! places.
//!
//! # Dropped futures
//!
//! There is no task in the background. The future that waits for an answer also drives the
//! connection. If it is dropped, or if a `Remainder` is dropped before the end, the connection is
//! dropped with it, which closes it. The answer is lost, and if the body was taken, the node may
//! still carry out the request. A connection is never put back into the pool in the middle of an
//! answer.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use diesel::result::ConnectionError;
use http::StatusCode;
use http::header::{EXPECT, HOST};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::ext::on_informational;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tower_service::Service;

use crate::config::RqliteConfig;
use crate::mutex::locked;
use crate::protocol::call::SendError;
use crate::protocol::cluster::PROBE;
use crate::protocol::head::host_of;
use crate::protocol::request::RequestTimeout;
use crate::protocol::watch::INTERVAL;
use crate::runtime::Tokio;
use crate::session::{Client, Received, Rest, Vigil};

use super::pool::{self, NoAnswer, OnTcp};
use super::tcp::HEAD_START;
use super::tls::{Asked, client_tls};
use super::{PIECE, too_long};

/// An HTTP client. It does not follow redirects; `protocol::call` does.
///
/// A clone uses the same pool and the same counter. The limits are those of the configuration that
/// opened it.
#[derive(Clone)]
pub(crate) struct AsyncHttp {
    /// The connections, shared by all clients of the configuration.
    pub(super) pool: Pool,
    /// The record of whether a node asked for a client certificate, for error messages.
    pub(super) asked: Asked,
    /// The longest answer to accept, in bytes.
    max_answer: u64,
    /// The time to look up a name, connect and complete the TLS handshake.
    connect_timeout: Duration,
    /// The time to send a request, again to get the head of its answer, and again for each read of
    /// its body.
    request_timeout: Duration,
    /// The number of requests of all clones, including concurrent queries. Probes do not count, and
    /// a request that is sent again on a new connection counts once.
    requests: Arc<AtomicU64>,
}

/// The additional wait for the connector's own error after the time to connect is over. That error
/// is preferred to the one of `within`.
const GRACE: Duration = Duration::from_millis(100);
/// The longest answer to a probe: the description of the cluster by a node.
const LONGEST_VIEW: usize = 1 << 20;

/// The HTTP connections of a configuration and its clones.
type Pool = Connections<Watched>;
/// Connections that send bodies of this type.
pub(super) type Connections<B> = pool::Pool<InTime<HttpsConnector<Tcp>>, Stream, B>;
/// A connection for requests of the session.
type Connection = pool::Open<Stream, Watched>;
/// The stream of a connection: a TCP socket, with or without TLS.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl AsyncHttp {
    /// Returns the number of requests that have been sent.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends a request on a kept or a new connection, and waits for the head of its answer.
    ///
    /// A kept connection may have been closed by the node in the meantime. If hyper returns the
    /// request because it has not begun to write it, and the body was not taken, the request is
    /// sent again on a new connection. That happens once at most, since a new connection is not
    /// `is_reused`. Any other failure is returned.
    async fn exchange(
        &self,
        mut request: http::Request<Watched>,
        sent: &Departure,
        vigil: &mut Vigil,
        timeout: Duration,
    ) -> Result<(http::Response<Incoming>, Connection), Lost> {
        let uri = request.uri().clone();
        let mut open = match self.pool.idle(&uri) {
            Some(open) => open,
            None => Box::pin(self.connect(&uri, sent, vigil)).await?,
        };
        to_path(&mut request);
        let is_empty = request.body().is_end_stream();
        loop {
            if is_empty {
                sent.depart();
            }
            // The vigil counts its time from here: there is a connection.
            vigil.passed_on();
            let began = Instant::now();
            // The deadline moves when the body has been taken.
            let ends = || match sent.time() {
                Some(sent) => (sent + timeout, "receive response"),
                None => (began + timeout, "send request"),
            };
            let answered = within(pin!(open.send(request)), sent, vigil, ends).await?;
            if let Err(NoAnswer {
                request: Some(_), ..
            }) = &answered
                && is_empty
            {
                sent.returned();
            }
            match answered {
                Ok(response) => return Ok((response, open)),
                // The node closed the connection while it was idle.
                Err(NoAnswer {
                    request: Some(again),
                    ..
                }) if open.is_reused && sent.time().is_none() => {
                    request = again;
                    open = Box::pin(self.connect(&uri, sent, vigil)).await?;
                }
                Err(NoAnswer { error, .. }) => return Err((chain(&error), false)),
            }
        }
    }

    /// Reads the first bytes of an answer, or the whole answer if it is not rows.
    async fn receive(
        &self,
        (response, open): (http::Response<Incoming>, Connection),
        mut vigil: Vigil,
        timeout: Duration,
        first: usize,
    ) -> Result<Received<Remainder>, Lost> {
        // The node has sent the head of an answer, so that it is alive.
        vigil.heard();
        let (head, body) = response.into_parts();
        let limit = usize::try_from(self.max_answer).unwrap_or(usize::MAX);
        let mut answer = Answer {
            open: Some(open),
            body: Limited::new(body, limit),
        };
        // Only an answer with rows is worth reading in parts. The others are short.
        let first = match head.status {
            StatusCode::OK => first,
            _ => usize::MAX,
        };
        let ends = Instant::now() + timeout;
        let bytes = answer.first(first, self, &mut vigil, ends).await?;
        let response = http::Response::from_parts(head, bytes);
        // Without a connection, the answer has been read to its last byte.
        let rest = answer.open.is_some().then(|| {
            Box::new(Remainder {
                answer,
                vigil,
                http: AsyncHttp {
                    request_timeout: timeout,
                    ..self.clone()
                },
            })
        });
        Ok((response, rest))
    }

    /// Opens a connection for a request, while the vigil watches. The second value of the error is
    /// set if connecting took too long.
    async fn connect(
        &self,
        uri: &http::Uri,
        sent: &Departure,
        vigil: &mut Vigil,
    ) -> Result<Connection, Lost> {
        // The connector reports a timeout by itself.
        let ends = Instant::now() + self.connect_timeout + GRACE;
        let connecting = pin!(self.pool.connect(uri));
        let connected = within(connecting, sent, vigil, || (ends, "connect")).await?;
        connected.map_err(|error| (chain(&*error), is_timeout(&*error)))
    }

    /// Sends a small request. If a kept connection fails, it is sent once more on a new one.
    ///
    /// The request must be harmless to repeat: no check is made whether the first copy was sent.
    /// There is no vigil and no time limit here, so that the caller limits the time. Dropping the
    /// future closes the connection.
    async fn ask(&self, request: &http::Request<Bytes>) -> Result<http::Response<Bytes>, String> {
        let uri = request.uri();
        let mut kept = self.pool.idle(uri);
        loop {
            let mut open = match kept.take() {
                Some(open) => open,
                None => {
                    let open = self.pool.connect(uri).await;
                    open.map_err(|error| chain(&*error))?
                }
            };
            let mut request = request.clone().map(|body| Watched {
                body,
                sent: Arc::default(),
            });
            // hyper's connections leave this header to the caller.
            if let Some(host) = host_of(uri) {
                request.headers_mut().insert(HOST, host);
            }
            to_path(&mut request);
            let response = match open.send(request).await {
                Ok(response) => response,
                Err(_) if open.is_reused => continue,
                Err(NoAnswer { error, .. }) => return Err(chain(&error)),
            };
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LONGEST_VIEW).collect();
            let body = open.driving(pin!(body)).await;
            let body = body.map_err(|error| chain(&*error))?.to_bytes();
            self.pool.keep(open);
            return Ok(http::Response::from_parts(head, body));
        }
    }
}

/// The body of an answer that is being read. If this is dropped before the end, its connection is
/// closed.
///
/// It owns the connection, since the connection makes progress only while somebody polls it.
/// `max_answer` applies to the answer as a whole. After an error it must not be read any further.
struct Answer {
    /// The connection, or `None` if the answer was read completely.
    open: Option<Connection>,
    body: Limited<Incoming>,
}

impl Answer {
    /// Returns at least `wanted` bytes, or all of them. They must arrive before `ends`.
    async fn first(
        &mut self,
        wanted: usize,
        http: &AsyncHttp,
        vigil: &mut Vigil,
        ends: Instant,
    ) -> Result<Bytes, Lost> {
        let Some(piece) = self.piece(http, vigil, ends).await? else {
            return Ok(Bytes::new());
        };
        // Most answers are a single piece, which need not be copied.
        if self.open.is_none() || piece.len() >= wanted {
            return Ok(piece);
        }
        let mut bytes = Vec::from(piece);
        while bytes.len() < wanted
            && let Some(piece) = self.piece(http, vigil, ends).await?
        {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    /// Returns the next bytes, or `None` at the end. Waits until `ends` at most.
    ///
    /// Gives the connection back to the pool as soon as the end is known, which may be together
    /// with the last bytes. After that, it returns `None` each time.
    async fn piece(
        &mut self,
        http: &AsyncHttp,
        vigil: &mut Vigil,
        ends: Instant,
    ) -> Result<Option<Bytes>, Lost> {
        loop {
            let Some(open) = &mut self.open else {
                return Ok(None);
            };
            // The request has an answer already, so that nothing is held back.
            let sent = Departure::default();
            let frame = within(
                pin!(open.driving(pin!(self.body.frame()))),
                &sent,
                vigil,
                || (ends, "receive body"),
            )
            .await?;
            let piece = match frame {
                None => None,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => Some(bytes),
                    // The frame contains trailers.
                    Err(_) => continue,
                },
                // A new answer would be as long.
                Some(Err(error)) if error.is::<LengthLimitError>() => {
                    return Err((too_long(http.max_answer), true));
                }
                Some(Err(error)) => return Err((chain(&*error), false)),
            };
            if (piece.is_none() || self.body.is_end_stream())
                && let Some(open) = self.open.take()
            {
                http.pool.keep(open);
            }
            return Ok(piece);
        }
    }
}

/// The rest of a long answer.
pub(crate) struct Remainder {
    answer: Answer,
    /// The vigil of the request, which goes on until the answer ends.
    vigil: Vigil,
    /// The client, for its pool and its limits. Its `request_timeout` is the one of this request.
    http: AsyncHttp,
}

impl Rest for Remainder {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        let Remainder {
            answer,
            vigil,
            http,
        } = self;
        // The time in which nobody waited for it does not count.
        vigil.heard();
        let ends = Instant::now() + http.request_timeout;
        let piece = answer.piece(http, vigil, ends).await;
        let piece = piece.map_err(|(message, timed_out)| SendError {
            sent: true,
            timed_out,
            message: http.asked.explain(message),
        })?;
        let piece = piece.unwrap_or_default();
        bytes.extend_from_slice(&piece);
        Ok(piece.len())
    }
}

/// The reason why there is no answer, and whether the whole time is over or a new answer would fail
/// the same way.
type Lost = (String, bool);

/// Waits for a future until its time is over, or until waiting is pointless.
///
/// `ends` returns the deadline and the name of the phase for the error message. It is called again
/// after each interval, so that the deadline may move to a later time meanwhile. The future is
/// polled once more before each check: if its event and the deadline coincide, the event wins.
///
/// A request that the node must accept first (`sent` is held) is checked every [`INTERVAL`], so
/// that the acceptance is noticed soon. When the node accepts it, that counts as a sign of life,
/// and the vigil counts its time anew.
///
/// The error says `true` if the deadline passed, and `false` if the vigil gave up. In both cases
/// the caller has to drop the future. It stays with the caller, since a future that is passed on by
/// value takes its place twice.
async fn within<F: Future>(
    mut future: Pin<&mut F>,
    sent: &Departure,
    vigil: &mut Vigil,
    ends: impl Fn() -> (Instant, &'static str),
) -> Result<F::Output, Lost> {
    let mut held = sent.is_held();
    loop {
        let mut wake = ends().0.min(vigil.next_tick());
        if held {
            wake = wake.min(Instant::now() + INTERVAL);
        }
        if let Ok(output) = timeout_at(wake.into(), future.as_mut()).await {
            return Ok(output);
        }
        if held && !sent.is_held() {
            held = false;
            vigil.heard();
        }
        let (end, what) = ends();
        if Instant::now() >= end {
            return Err((format!("timeout: {what}"), true));
        }
        if let Some(reason) = vigil.check() {
            return Err((reason, false));
        }
    }
}

/// Reduces the URI of a request to its path, as for a server that is not a proxy. [`host_of`] needs
/// the complete URI, and must be called before.
pub(super) fn to_path<B>(request: &mut http::Request<B>) {
    let path = request.uri().path_and_query().cloned();
    if let Some(path) = path {
        *request.uri_mut() = http::Uri::from(path);
    }
}

impl fmt::Debug for AsyncHttp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("AsyncHttp");
        text.field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

impl Client for AsyncHttp {
    type Runtime = Tokio;
    type Rest = Remainder;

    fn open(config: &RqliteConfig) -> Result<Self, ConnectionError> {
        // The first client makes the pool. Later ones of the same configuration share it.
        let (pool, asked) = config.shared.get_or_try_init(|| pool(config))?;
        Ok(AsyncHttp {
            pool,
            asked,
            max_answer: config.max_answer,
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            requests: Arc::default(),
        })
    }

    /// Counts the request. Converts a failure into a [`SendError`], which from then on is final: a
    /// request that was not sent by now is prevented from being sent.
    fn send(
        &mut self,
        mut request: http::Request<Bytes>,
        mut vigil: Vigil,
        first: usize,
    ) -> impl Future<Output = Result<Received<Remainder>, SendError>> + Send {
        self.requests.fetch_add(1, Ordering::Relaxed);
        // `protocol::call` sets this header if an address may lead to a node that hangs.
        let sent = match request.headers().contains_key(EXPECT) {
            true => Departure::until_taken(&mut request),
            false => Arc::default(),
        };
        let timeout = request.extensions().get();
        let timeout = timeout.map_or(self.request_timeout, |RequestTimeout(timeout)| *timeout);
        let request = request.map(|body| Watched {
            body,
            sent: Arc::clone(&sent),
        });
        async move {
            let head = self.exchange(request, &sent, &mut vigil, timeout).await;
            let answered = match head {
                Ok(answer) => self.receive(answer, vigil, timeout, first).await,
                Err(lost) => Err(lost),
            };
            answered.map_err(|(message, timed_out)| SendError {
                sent: sent.seal(),
                timed_out,
                message: self.asked.explain(message),
            })
        }
    }

    async fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
        // Nobody asks whether a probe was sent: it changes nothing.
        let failed = |message, timed_out| SendError {
            sent: true,
            timed_out,
            message,
        };
        match timeout(PROBE, self.ask(&request)).await {
            Ok(outcome) => outcome.map_err(|message| failed(message, false)),
            Err(_) => Err(failed("timeout: no answer".to_owned(), true)),
        }
    }
}

/// Makes the pool of a configuration, without any connection. Fails if the certificates or the key
/// of the configuration are not usable.
fn pool(config: &RqliteConfig) -> Result<(Pool, Asked), ConnectionError> {
    let tls = client_tls(&config.tls)?;
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config((*tls.config).clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(Tcp);
    let connector = InTime {
        connector,
        limit: config.connect_timeout,
    };
    Ok((pool::Pool::new(connector), tls.asked))
}

/// A connector that looks up a name and connects to the first of its addresses that answers.
///
/// It sets `TCP_NODELAY`, and no time limit: [`InTime`] sets one around it and TLS.
#[derive(Clone)]
pub(super) struct Tcp;

impl Service<http::Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            // The URI has IPv6 addresses in brackets, and the lookup does not.
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let default = if uri.scheme_str() == Some("https") {
                443
            } else {
                80
            };
            let port = uri.port_u16().unwrap_or(default);
            let addresses = lookup_host((host, port)).await?;
            let stream = race(addresses.collect()).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

impl OnTcp for Stream {
    fn socket(&self) -> std::io::Result<std::net::TcpStream> {
        let stream = match self {
            MaybeHttpsStream::Http(stream) => stream.inner(),
            MaybeHttpsStream::Https(stream) => stream.inner().get_ref().0.inner().inner(),
        };
        duplicate(stream)
    }
}

/// Returns a second handle of a socket. The pool peeks at it, without the runtime. The socket is
/// closed when both handles are.
#[cfg(unix)]
fn duplicate(stream: &TcpStream) -> std::io::Result<std::net::TcpStream> {
    use std::os::fd::AsFd;
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

/// The same for Windows.
#[cfg(windows)]
fn duplicate(stream: &TcpStream) -> std::io::Result<std::net::TcpStream> {
    use std::os::windows::io::AsSocket;
    Ok(stream.as_socket().try_clone_to_owned()?.into())
}

/// Connects to the first of several addresses that answers.
///
/// Starts with the first address. The next one is tried when an attempt fails, or when none has
/// succeeded within [`HEAD_START`]; earlier attempts go on. Returns the last error when all have
/// failed. There is no time limit. When one has succeeded, or the future is dropped, the others are
/// aborted.
async fn race(addresses: Vec<SocketAddr>) -> std::io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            running.spawn(TcpStream::connect(address));
        }
        // When no address is left, only the running attempts can succeed.
        let joined = match next {
            Some(_) => timeout(HEAD_START, running.join_next()).await,
            None => Ok(running.join_next().await),
        };
        match joined {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = std::io::Error::other(error),
            Ok(None) if next.is_none() => return Err(last),
            // The head start is over: the next address is tried.
            Ok(None) | Err(_) => {}
        }
    }
}

/// A connector that fails if connecting takes too long, including address lookup and the TLS
/// handshake.
///
/// The error is an [`std::io::Error`] of the kind `TimedOut`, which [`is_timeout`] finds again.
#[derive(Clone)]
pub(super) struct InTime<S> {
    connector: S,
    limit: Duration,
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<S> Service<http::Uri> for InTime<S>
where
    S: Service<http::Uri>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let connecting = timeout(self.limit, self.connector.call(uri));
        Box::pin(async move {
            match connecting.await {
                Ok(outcome) => outcome.map_err(Into::into),
                Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

/// A body that knows when its last piece was taken. Before that, no server can have understood the
/// request, regardless of what happened to the connection.
///
/// It yields pieces of up to [`PIECE`] bytes. Until the node accepts a request that is held, it is
/// pending. If the request has been given up, it fails instead of yielding its last piece, which
/// breaks the connection.
pub(super) struct Watched {
    body: Bytes,
    sent: Arc<Departure>,
}

/// The time at which the last piece of a body was taken, if it was. Of a request without a body, the
/// time at which hyper got the request.
///
/// The body and the request's future share it. The transitions are `NotYet` → `At`, `Held` →
/// `NotYet` when the node accepts the request, `At` → `NotYet` when hyper returns the request, and `NotYet` or `Held` → `Never` when the request is
/// given up. `Never` is final: a request that was declared as not sent can't be sent afterwards.
#[derive(Default)]
struct Departure(Mutex<Departed>);

/// The state of a [`Departure`].
#[derive(Default)]
enum Departed {
    /// The last piece was not taken yet, and may be at any time.
    #[default]
    NotYet,
    /// The node has not accepted the request yet. Contains the waker to notify.
    Held(Option<Waker>),
    /// The last piece was taken at this time.
    At(Instant),
    /// The request was given up before, and must not be sent any more.
    Never,
}

impl Departure {
    fn state(&self) -> MutexGuard<'_, Departed> {
        locked(&self.0)
    }

    /// Makes the state of a request that the node must accept first. Registers a callback in the
    /// request, which hyper calls for each informational answer. Only `100 Continue` releases the
    /// body.
    fn until_taken(request: &mut http::Request<Bytes>) -> Arc<Self> {
        let departure = Arc::new(Departure(Mutex::new(Departed::Held(None))));
        let taken = Arc::clone(&departure);
        on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                taken.release();
            }
        });
        departure
    }

    fn is_held(&self) -> bool {
        matches!(*self.state(), Departed::Held(_))
    }

    /// Waits as long as the request is held. Only the waker of the last call is kept, since only
    /// one connection polls the body.
    fn poll_release(&self, context: &Context<'_>) -> Poll<()> {
        match &mut *self.state() {
            Departed::Held(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Records that the node accepts the request.
    fn release(&self) {
        self.release_as(Departed::NotYet);
    }

    /// Moves a held request to another state, and wakes the connection that waits to send its body.
    /// Does nothing if the request is not held. The lock is released before the waker is called.
    fn release_as(&self, next: Departed) {
        let mut state = self.state();
        if let Departed::Held(waker) = &mut *state {
            let waker = waker.take();
            *state = next;
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Returns whether the last piece may be taken now. If so, records the time, and from then on
    /// the request counts as sent. The check and the record are one step, so that giving up can't
    /// come between them.
    fn depart(&self) -> bool {
        let mut state = self.state();
        match *state {
            Departed::Never | Departed::Held(_) => false,
            Departed::NotYet | Departed::At(_) => {
                *state = Departed::At(Instant::now());
                true
            }
        }
    }

    /// Records that hyper has returned the request, and has written nothing of it.
    fn returned(&self) {
        let mut state = self.state();
        if let Departed::At(_) = *state {
            *state = Departed::NotYet;
        }
    }

    /// Returns the time at which the last piece was taken.
    fn time(&self) -> Option<Instant> {
        match *self.state() {
            Departed::At(time) => Some(time),
            Departed::NotYet | Departed::Held(_) | Departed::Never => None,
        }
    }

    /// Returns whether the request has been sent. If not, it never will be, even if a connection
    /// still polls its body: the body then fails.
    fn seal(&self) -> bool {
        self.release_as(Departed::Never);
        let mut state = self.state();
        match *state {
            Departed::At(_) => true,
            Departed::NotYet | Departed::Held(_) | Departed::Never => {
                *state = Departed::Never;
                false
            }
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        // The body is sent in pieces, so that a connection that breaks in the middle is recognized
        // as such.
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        if self.sent.poll_release(context).is_pending() {
            return Poll::Pending;
        }
        // This is the last piece, unless the request was given up.
        if self.body.len() <= PIECE && !self.sent.depart() {
            return Poll::Ready(Some(Err(std::io::ErrorKind::TimedOut.into())));
        }
        let piece = PIECE.min(self.body.len());
        let piece = self.body.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len() as u64)
    }
}

/// Returns the text of an error and of its sources: hyper's own texts say little.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let reason = error.to_string();
        // Some texts already contain their sources.
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        next = error.source();
    }
    text
}

/// Returns whether an error, or one of its sources, is a timeout. The connector for TLS wraps the
/// errors of the one for TCP.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use diesel_rqlite_tests::Link;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn address_that_answers_no_packet_is_passed_over() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
        let alive = listener.local_addr().expect("is bound");
        let hole = Link::start(&alive.to_string());
        hole.cut();
        let dead = hole.address().parse().expect("is an address");
        // The operating system gives up only after minutes.
        let stream = timeout(Duration::from_secs(30), race(vec![dead, dead, alive])).await;
        let stream = stream.expect("in time").expect("connects");
        assert_eq!(stream.peer_addr().ok(), Some(alive));
        let nobody = timeout(HEAD_START * 2, race(vec![dead, dead])).await;
        assert!(nobody.is_err(), "{nobody:?}");
    }

    #[tokio::test]
    async fn address_that_refuses_is_passed_over() {
        let bind = || TcpListener::bind(("127.0.0.1", 0));
        let listener = bind().await.expect("binds");
        let alive = listener.local_addr().expect("is bound");
        let closed = bind().await.expect("binds");
        let dead = closed.local_addr().expect("is bound");
        drop(closed);
        let stream = timeout(Duration::from_secs(10), race(vec![dead, alive])).await;
        let stream = stream.expect("in time").expect("connects");
        assert_eq!(stream.peer_addr().ok(), Some(alive));
        assert!(race(Vec::new()).await.is_err());
    }
}
