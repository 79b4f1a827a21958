//! HTTP by hyper: connections that are kept alive, shared by the connections of one configuration.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use diesel::result::ConnectionError;
use http::StatusCode;
use http::header::{ACCEPT, EXPECT, HeaderValue, USER_AGENT};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::ext::on_informational;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client as Hyper, connect::capture_connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};
use tower_service::Service;

use crate::config::RqliteConfig;
use crate::mutex::locked;
use crate::protocol::call::SendError;
use crate::protocol::cluster::PROBE;
use crate::protocol::watch::INTERVAL;
use crate::runtime::Tokio;
use crate::session::{Client, Vigil};

use super::tcp::HEAD_START;

/// An HTTP client. It follows no redirects: `protocol::call` does.
#[derive(Clone)]
pub(crate) struct AsyncHttp {
    client: Pool,
    connect_timeout: Duration,
    request_timeout: Duration,
    requests: u64,
}

/// How long after the end of connecting its own error is waited for.
const GRACE: Duration = Duration::from_millis(100);
/// What a node says of its cluster is never longer.
const LONGEST_VIEW: usize = 1 << 20;
/// Connections to one node that are kept while nobody uses them, and for how long.
const IDLE: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The HTTP connections of a configuration and its clones.
type Pool = Hyper<InTime<HttpsConnector<Tcp>>, Watched>;

impl AsyncHttp {
    /// How many requests have been sent.
    pub(crate) fn requests(&self) -> u64 {
        self.requests
    }

    async fn post(
        &mut self,
        mut request: http::Request<Bytes>,
        mut vigil: Vigil,
    ) -> Result<http::Response<Bytes>, SendError> {
        self.requests += 1;
        let headers = request.headers_mut();
        let name = concat!("diesel-rqlite/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(name));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let sent = match request.headers().contains_key(EXPECT) {
            true => Departure::until_taken(&mut request),
            false => Arc::default(),
        };
        let request = request.map(|body| Watched {
            body,
            sent: Arc::clone(&sent),
        });
        let failed = |message: String, timed_out: bool| SendError {
            sent: sent.has_happened_or_never_will(),
            timed_out,
            message,
        };
        let response = self.response(request, &sent, &mut vigil).await;
        let response = response.map_err(|(message, timed_out)| failed(message, timed_out))?;
        vigil.heard();
        let (head, body) = response.into_parts();
        let ends = Instant::now() + self.request_timeout;
        let mut body = pin!(body.collect());
        loop {
            let wake = ends.min(vigil.next_tick());
            match timeout_at(wake.into(), &mut body).await {
                Ok(Ok(body)) => return Ok(http::Response::from_parts(head, body.to_bytes())),
                Ok(Err(error)) => return Err(failed(chain(&error), false)),
                Err(_) if Instant::now() >= ends => {
                    return Err(failed("timeout: receive body".to_owned(), true));
                }
                Err(_) => {}
            }
            if let Some(reason) = vigil.check() {
                return Err(failed(reason, false));
            }
        }
    }

    /// What comes back before the body. The time to send it begins with a connection, the time to wait for its answer when
    /// all of the request has left.
    async fn response(
        &mut self,
        mut request: http::Request<Watched>,
        sent: &Departure,
        vigil: &mut Vigil,
    ) -> Result<http::Response<Incoming>, (String, bool)> {
        let connection = capture_connection(&mut request);
        let began = Instant::now();
        let mut connected = None;
        let mut held = sent.is_held();
        let mut response = self.client.request(request);
        let mut wake = began + self.request_timeout.min(self.connect_timeout);
        loop {
            wake = wake.min(vigil.next_tick());
            if held {
                wake = wake.min(Instant::now() + INTERVAL);
            }
            if let Ok(outcome) = timeout_at(wake.into(), &mut response).await {
                return outcome.map_err(|error| (chain(&error), is_timeout(&error)));
            }
            let now = Instant::now();
            if connected.is_none() && connection.connection_metadata().is_some() {
                connected = Some(now);
                vigil.passed_on();
            }
            if held && !sent.is_held() {
                held = false;
                vigil.heard();
            }
            let (ends, what) = match (sent.time(), connected) {
                (Some(sent), _) => (sent + self.request_timeout, "receive response"),
                (None, Some(connected)) => (connected + self.request_timeout, "send request"),
                // The connector says itself that its time is over.
                (None, None) => (began + self.connect_timeout + GRACE, "connect"),
            };
            if now >= ends {
                return Err((format!("timeout: {what}"), true));
            }
            wake = ends;
            if let Some(reason) = vigil.check() {
                return Err((reason, false));
            }
        }
    }
}

impl fmt::Debug for AsyncHttp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("AsyncHttp");
        text.field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

impl Client for AsyncHttp {
    type Runtime = Tokio;

    fn open(config: &RqliteConfig) -> Result<Self, ConnectionError> {
        Ok(AsyncHttp {
            client: config.shared.get_or_try_init(|| pool(config))?,
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            requests: 0,
        })
    }

    async fn send(
        &mut self,
        request: http::Request<Bytes>,
        vigil: Vigil,
    ) -> Result<http::Response<Bytes>, SendError> {
        self.post(request, vigil).await
    }

    async fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
        let request = request.map(|body| Watched {
            body,
            sent: Arc::default(),
        });
        let failed = |message, timed_out| SendError {
            sent: true,
            timed_out,
            message,
        };
        let asked = async {
            let response = self.client.request(request).await;
            let (head, body) = response.map_err(|error| chain(&error))?.into_parts();
            let body = Limited::new(body, LONGEST_VIEW).collect().await;
            let body = body.map_err(|error| chain(&*error))?;
            Ok(http::Response::from_parts(head, body.to_bytes()))
        };
        match timeout(PROBE, asked).await {
            Ok(outcome) => outcome.map_err(|message| failed(message, false)),
            Err(_) => Err(failed("timeout: no answer".to_owned(), true)),
        }
    }
}

fn pool(config: &RqliteConfig) -> Result<Pool, ConnectionError> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls(config)?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(Tcp);
    let connector = InTime {
        connector,
        limit: config.connect_timeout,
    };
    Ok(Hyper::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(IDLE)
        .pool_idle_timeout(IDLE_TIME)
        .build(connector))
}

fn tls(config: &RqliteConfig) -> Result<ClientConfig, ConnectionError> {
    let bad = |reason: String| ConnectionError::BadConnection(format!("CA certificates: {reason}"));
    let mut roots = RootCertStore::empty();
    match &config.ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                let added = roots.add(certificate);
                added.map_err(|error| bad(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("no certificate in the PEM".to_owned()));
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?;
    Ok(tls.with_root_certificates(roots).with_no_client_auth())
}

/// Looks up a name and connects, to the first of its addresses that answers.
#[derive(Clone)]
struct Tcp;

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

/// Connects in time or not at all, looking up the address and the TLS handshake included.
#[derive(Clone)]
struct InTime<S> {
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

/// A body that knows when the last of it was taken. Before that no server can have understood the request, whatever
/// else happened to the connection.
struct Watched {
    body: Bytes,
    sent: Arc<Departure>,
}

/// When the last of a body was taken, if it was.
#[derive(Default)]
struct Departure(Mutex<Departed>);

#[derive(Default)]
enum Departed {
    #[default]
    NotYet,
    /// The node has not said yet that it takes the request. Who is to be told.
    Held(Option<Waker>),
    At(Instant),
    /// It was given up before: it must not be taken any more.
    Never,
}

impl Departure {
    fn state(&self) -> MutexGuard<'_, Departed> {
        locked(&self.0)
    }

    /// Of a request that the node has to take first.
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

    /// Waits for as long as it is held.
    fn poll_release(&self, context: &Context<'_>) -> Poll<()> {
        match &mut *self.state() {
            Departed::Held(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// The node takes it.
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

    /// Whether the last of it may be taken now.
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

    /// Whether it has left; if not, it never will: a task of hyper may still be about to write it.
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
        // In pieces, so that a connection that breaks in the middle is seen as such.
        const PIECE: usize = 64 * 1024;
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

/// What an error says, and what is behind it: hyper's own says little.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let reason = error.to_string();
        // Some repeat what is behind them.
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
        // The system itself gives up after minutes.
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
