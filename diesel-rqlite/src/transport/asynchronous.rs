//! HTTP over hyper. The connections of one configuration share their HTTP connections.

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
use http::header::{ACCEPT, EXPECT, HOST, HeaderValue, USER_AGENT};
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
use crate::protocol::request::RequestTimeout;
use crate::protocol::watch::INTERVAL;
use crate::runtime::Tokio;
use crate::session::{Client, Received, Rest, Vigil};

use super::pool::{self, NoAnswer, OnTcp};
use super::tcp::HEAD_START;
use super::tls::{Asked, client_tls};
use super::{PIECE, too_long};

/// An HTTP client. It does not follow redirects; `protocol::call` does.
#[derive(Clone)]
pub(crate) struct AsyncHttp {
    pub(super) pool: Pool,
    pub(super) asked: Asked,
    max_answer: u64,
    connect_timeout: Duration,
    request_timeout: Duration,
    /// The number of requests of all clones, including concurrent queries.
    requests: Arc<AtomicU64>,
}

/// The additional wait for the connector's own error after the time to connect is over.
const GRACE: Duration = Duration::from_millis(100);
/// The longest description of the cluster by a node.
const LONGEST_VIEW: usize = 1 << 20;

/// The HTTP connections of a configuration and its clones.
type Pool = Connections<Watched>;
/// Connections that send bodies of this type.
pub(super) type Connections<B> = pool::Pool<InTime<HttpsConnector<Tcp>>, Stream, B>;
type Connection = pool::Open<Stream, Watched>;
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

impl AsyncHttp {
    /// Returns the number of requests that have been sent.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn post(
        &mut self,
        mut request: http::Request<Bytes>,
        vigil: Vigil,
        first: usize,
    ) -> Result<Received<Remainder>, SendError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(super::USER_AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // hyper's connections leave this header to the caller.
        if let Some(host) = host_of(request.uri()) {
            request.headers_mut().insert(HOST, host);
        }
        let sent = match request.headers().contains_key(EXPECT) {
            true => Departure::until_taken(&mut request),
            false => Arc::default(),
        };
        let request = request.map(|body| Watched {
            body,
            sent: Arc::clone(&sent),
        });
        let answered = self.exchange(request, &sent, vigil, first).await;
        answered.map_err(|(message, timed_out)| SendError {
            sent: sent.has_happened_or_never_will(),
            timed_out,
            message: self.asked.explain(message),
        })
    }

    /// Sends a request on a kept or a new connection. Reads the first bytes of its answer, or the
    /// whole answer if it is not rows.
    async fn exchange(
        &self,
        mut request: http::Request<Watched>,
        sent: &Departure,
        mut vigil: Vigil,
        first: usize,
    ) -> Result<Received<Remainder>, Lost> {
        let uri = request.uri().clone();
        let timeout = request.extensions().get();
        let timeout = timeout.map_or(self.request_timeout, |RequestTimeout(timeout)| *timeout);
        let mut open = match self.pool.idle(&uri) {
            Some(open) => open,
            None => self.connect(&uri, sent, &mut vigil).await?,
        };
        to_path(&mut request);
        let response = loop {
            vigil.passed_on();
            let began = Instant::now();
            let ends = || match sent.time() {
                Some(sent) => (sent + timeout, "receive response"),
                None => (began + timeout, "send request"),
            };
            match within(open.send(request), sent, &mut vigil, ends).await? {
                Ok(response) => break response,
                // The node closed the connection while it was idle.
                Err(NoAnswer {
                    request: Some(again),
                    ..
                }) if open.is_reused && sent.time().is_none() => {
                    request = again;
                    open = self.connect(&uri, sent, &mut vigil).await?;
                }
                Err(NoAnswer { error, .. }) => return Err((chain(&error), false)),
            }
        };
        vigil.heard();
        let (head, body) = response.into_parts();
        let limit = usize::try_from(self.max_answer).unwrap_or(usize::MAX);
        let mut rest = Remainder {
            open: Some(open),
            body: Limited::new(body, limit),
            vigil,
            http: AsyncHttp {
                request_timeout: timeout,
                ..self.clone()
            },
        };
        let first = match head.status {
            StatusCode::OK => first,
            _ => usize::MAX,
        };
        let bytes = rest.first(first).await?;
        let rest = rest.open.is_some().then_some(rest);
        Ok((http::Response::from_parts(head, bytes), rest))
    }

    async fn connect(
        &self,
        uri: &http::Uri,
        sent: &Departure,
        vigil: &mut Vigil,
    ) -> Result<Connection, Lost> {
        // The connector reports a timeout by itself.
        let ends = Instant::now() + self.connect_timeout + GRACE;
        let connected = within(self.pool.connect(uri), sent, vigil, || (ends, "connect")).await?;
        connected.map_err(|error| (chain(&*error), is_timeout(&*error)))
    }

    /// Sends a small request. If a kept connection fails, it is sent once more on a new one.
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
            let body = open.driving(body).await;
            let body = body.map_err(|error| chain(&*error))?.to_bytes();
            self.pool.keep(open);
            return Ok(http::Response::from_parts(head, body));
        }
    }
}

/// The rest of an answer. If this is dropped before the end, its connection is closed.
pub(crate) struct Remainder {
    /// The connection, or `None` if the answer was read completely.
    open: Option<Connection>,
    body: Limited<Incoming>,
    vigil: Vigil,
    http: AsyncHttp,
}

impl Remainder {
    /// Returns at least `wanted` bytes, or all of them.
    async fn first(&mut self, wanted: usize) -> Result<Bytes, Lost> {
        let ends = Instant::now() + self.http.request_timeout;
        let Some(piece) = self.piece(ends).await? else {
            return Ok(Bytes::new());
        };
        // Most answers are a single piece, which need not be copied.
        if self.open.is_none() || piece.len() >= wanted {
            return Ok(piece);
        }
        let mut bytes = Vec::from(piece);
        while bytes.len() < wanted
            && let Some(piece) = self.piece(ends).await?
        {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }

    /// Returns the next bytes, or `None` at the end.
    async fn piece(&mut self, ends: Instant) -> Result<Option<Bytes>, Lost> {
        loop {
            let Some(open) = &mut self.open else {
                return Ok(None);
            };
            let frame = open.driving(self.body.frame());
            let sent = Departure::default();
            let frame = within(frame, &sent, &mut self.vigil, || (ends, "receive body")).await?;
            let piece = match frame {
                None => None,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => Some(bytes),
                    // The frame contains trailers.
                    Err(_) => continue,
                },
                // A new answer would be as long.
                Some(Err(error)) if error.is::<LengthLimitError>() => {
                    return Err((too_long(self.http.max_answer), true));
                }
                Some(Err(error)) => return Err((chain(&*error), false)),
            };
            if (piece.is_none() || self.body.is_end_stream())
                && let Some(open) = self.open.take()
            {
                self.http.pool.keep(open);
            }
            return Ok(piece);
        }
    }
}

impl Rest for Remainder {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        let now = Instant::now();
        // The time in which nobody waited for it does not count.
        self.vigil.heard();
        let piece = self.piece(now + self.http.request_timeout).await;
        let piece = piece.map_err(|(message, timed_out)| SendError {
            sent: true,
            timed_out,
            message: self.http.asked.explain(message),
        })?;
        let piece = piece.unwrap_or_default();
        bytes.extend_from_slice(&piece);
        Ok(piece.len())
    }
}

/// The reason why there is no answer, and whether the whole time is over.
type Lost = (String, bool);

/// Waits for a future until its time is over, or until waiting is pointless. The deadline may move
/// to a later time meanwhile.
///
/// A request that the node must accept first is checked more often. When the node accepts it, that
/// counts as a sign of life.
async fn within<F: Future>(
    future: F,
    sent: &Departure,
    vigil: &mut Vigil,
    ends: impl Fn() -> (Instant, &'static str),
) -> Result<F::Output, Lost> {
    let mut future = pin!(future);
    let mut held = sent.is_held();
    loop {
        let mut wake = ends().0.min(vigil.next_tick());
        if held {
            wake = wake.min(Instant::now() + INTERVAL);
        }
        if let Ok(output) = timeout_at(wake.into(), &mut future).await {
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

pub(super) fn host_of(uri: &http::Uri) -> Option<HeaderValue> {
    HeaderValue::try_from(uri.authority()?.as_str()).ok()
}

/// Reduces the URI of a request to its path, as for a server that is not a proxy.
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

    async fn send(
        &mut self,
        request: http::Request<Bytes>,
        vigil: Vigil,
        first: usize,
    ) -> Result<Received<Remainder>, SendError> {
        self.post(request, vigil, first).await
    }

    async fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
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

#[cfg(unix)]
fn duplicate(stream: &TcpStream) -> std::io::Result<std::net::TcpStream> {
    use std::os::fd::AsFd;
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn duplicate(stream: &TcpStream) -> std::io::Result<std::net::TcpStream> {
    use std::os::windows::io::AsSocket;
    Ok(stream.as_socket().try_clone_to_owned()?.into())
}

async fn race(addresses: Vec<SocketAddr>) -> std::io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            running.spawn(TcpStream::connect(address));
        }
        let joined = match next {
            Some(_) => timeout(HEAD_START, running.join_next()).await,
            None => Ok(running.join_next().await),
        };
        match joined {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = std::io::Error::other(error),
            Ok(None) if next.is_none() => return Err(last),
            Ok(None) | Err(_) => {}
        }
    }
}

/// A connector that fails if connecting takes too long, including address lookup and the TLS
/// handshake.
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
pub(super) struct Watched {
    body: Bytes,
    sent: Arc<Departure>,
}

/// The time at which the last piece of a body was taken, if it was.
#[derive(Default)]
struct Departure(Mutex<Departed>);

#[derive(Default)]
enum Departed {
    #[default]
    NotYet,
    /// The node has not accepted the request yet. Contains the waker to notify.
    Held(Option<Waker>),
    At(Instant),
    /// The request was given up before, and must not be sent any more.
    Never,
}

impl Departure {
    fn state(&self) -> MutexGuard<'_, Departed> {
        locked(&self.0)
    }

    /// Makes the state of a request that the node must accept first.
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

    /// Waits as long as the request is held.
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

    /// Returns whether the last piece may be taken now.
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

    fn time(&self) -> Option<Instant> {
        match *self.state() {
            Departed::At(time) => Some(time),
            Departed::NotYet | Departed::Held(_) | Departed::Never => None,
        }
    }

    /// Returns whether the request has been sent. If not, it never will be: a task of hyper may
    /// still be about to write it.
    fn has_happened_or_never_will(&self) -> bool {
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
