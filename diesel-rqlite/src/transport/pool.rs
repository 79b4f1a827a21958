//! A pool of HTTP/1.1 connections that are kept alive. Each is driven by the task that waits for
//! its answer.
//!
//! A connection with its own task would cost two wake-ups for each request, and each of them would
//! wake another thread in a multi-threaded runtime. Here no other task is woken: the task that
//! waits for an answer reads it from the socket.
//!
//! # Life of a connection
//!
//! 1. [`Pool::connect`] opens a connection, or [`Pool::idle`] takes one from the pool. The caller
//!    now owns it, and nobody else can use it.
//! 2. [`Open::send`] sends a request and waits for the head of the answer.
//! 3. The caller reads the body, with each wait inside of [`Open::driving`] or
//!    [`Open::poll_driving`].
//! 4. When all of the body was read, [`Pool::keep`] puts the connection back. A connection that is
//!    dropped instead is closed.
//!
//! # Invariants
//!
//! * A connection makes progress only while it is driven. A future that depends on it, and is
//!   awaited without driving it, never completes.
//! * A connection carries one request at a time. It is kept only if hyper is ready for the next
//!   request, which it is not before the end of the last answer.
//! * Idle connections are not polled, so that nothing is noticed of them while they are idle.
//!   Therefore a connection is checked when it is taken. The node may still close it between the
//!   check and the request: see [`NoAnswer`].
//! * At most one sweeper runs for a pool. It does not keep the pool alive. It ends when no
//!   connection is idle, and `keep` starts another one.
//! * The lock is never held across a wait.
//!
//! The pool sets no time limits, apart from the one for idle connections. Its callers and its
//! connector do.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpStream;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper::rt::{Read, Write};
use tower_service::Service;

use crate::mutex::locked;

use super::bell::Bell;

/// The number of idle connections to keep for one node. More of them are closed instead of kept.
const IDLE: usize = 32;
/// The time after which an idle connection is closed. It may take half of it longer, see [`sweep`].
const IDLE_TIME: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A pool of idle connections, and a connector that makes new ones. Clones share the connections.
///
/// `S` is the stream of a connection, and `B` the body of its requests: one connection can only
/// send bodies of one type. The connections are closed when the last clone is dropped.
pub(super) struct Pool<C, S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    connector: C,
    idle: Arc<Idle<S, B>>,
}

impl<C: Clone, S, B> Clone for Pool<C, S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    fn clone(&self) -> Self {
        Pool {
            connector: self.connector.clone(),
            idle: Arc::clone(&self.idle),
        }
    }
}

/// The idle connections to each node, by scheme and authority. The most recently used one is last.
struct Idle<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    nodes: Mutex<Nodes<S, B>>,
}

/// The content of [`Idle`].
struct Nodes<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    connections: HashMap<String, Vec<Rested<S, B>>>,
    /// Set if a task is running that closes connections after some time without use.
    is_swept: bool,
}

/// A connection, and the time since which it is unused.
type Rested<S, B> = (Instant, Open<S, B>);

/// A connection. It makes progress only while it is driven. Dropping it closes it, together with
/// the request that it carries.
pub(super) struct Open<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    /// The node, as [`node_of`] writes it.
    node: String,
    /// The half of hyper's connection that takes requests.
    sender: SendRequest<B>,
    driven: Driven<S, B>,
    /// The waker with which `driven` and the answers are polled.
    bell: Bell,
    /// The TCP socket of the connection, as a handle of its own. It is used to look for input
    /// without the runtime, and never to read or write.
    socket: TcpStream,
    /// Set if the connection has answered before. A request on it may fail only because the node
    /// has closed the connection.
    pub(super) is_reused: bool,
}

/// The part of a connection that moves bytes while it is polled.
struct Driven<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    connection: Pin<Box<Connection<S, B>>>,
    /// Set if the connection was closed or has failed. It must not be polled any more.
    has_ended: bool,
}

/// A stream on top of a TCP socket.
pub(super) trait OnTcp {
    /// Returns another handle of the socket.
    fn socket(&self) -> io::Result<TcpStream>;
}

/// The error of a request that has no answer.
pub(super) struct NoAnswer<B> {
    pub(super) error: hyper::Error,
    /// The request, if hyper has not started to send it. It can then be sent on another connection.
    /// `None` means that some part of it may have been sent.
    pub(super) request: Option<http::Request<B>>,
}

impl<C, S, B> Pool<C, S, B>
where
    C: Service<http::Uri, Response = S> + Clone,
    C::Error: Into<BoxError>,
    S: OnTcp + Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(connector: C) -> Self {
        Pool {
            connector,
            idle: Arc::new(Idle {
                nodes: Mutex::new(Nodes {
                    connections: HashMap::new(),
                    is_swept: false,
                }),
            }),
        }
    }

    /// Returns a pool with the same connector, for requests with other bodies. It is empty, and
    /// shares no connections with this one.
    pub(super) fn for_others<O>(&self) -> Pool<C, S, O>
    where
        O: Body + Send + 'static,
        O::Data: Send,
        O::Error: Into<BoxError>,
    {
        Pool::new(self.connector.clone())
    }

    /// Returns a connection that was kept alive, if there is one. Prefers the one that was used
    /// last. Closes those that have ended, or have received something that nobody asked for.
    pub(super) fn idle(&self, uri: &http::Uri) -> Option<Open<S, B>> {
        let node = node_of(uri);
        loop {
            let mut open = self.idle.take(&node)?;
            // The node may have closed the connection meanwhile.
            open.settle();
            if open.is_ready() && open.is_silent() {
                return Some(open);
            }
        }
    }

    /// Opens a new connection, which does not become part of the pool before it is kept. Fails with
    /// the error of the connector.
    pub(super) async fn connect(&self, uri: &http::Uri) -> Result<Open<S, B>, BoxError> {
        let mut connector = self.connector.clone();
        poll_fn(|context| connector.poll_ready(context))
            .await
            .map_err(Into::into)?;
        let stream = connector.call(uri.clone()).await.map_err(Into::into)?;
        let socket = stream.socket()?;
        let (sender, connection) = handshake(stream).await?;
        Ok(Open {
            node: node_of(uri),
            sender,
            driven: Driven {
                connection: Box::pin(connection),
                has_ended: false,
            },
            bell: Bell::new(),
            socket,
            is_reused: false,
        })
    }

    /// Keeps a connection whose answer was read completely. Closes it if it can't take another
    /// request, or if enough connections are idle. Must be called inside of a runtime, since it may
    /// start the sweeper.
    pub(super) fn keep(&self, mut open: Open<S, B>) {
        open.settle();
        if open.is_ready() && self.idle.put(open) {
            tokio::spawn(sweep(Arc::downgrade(&self.idle)));
        }
    }
}

/// Returns the scheme, host and port. Connections to equal ones are interchangeable.
fn node_of(uri: &http::Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    [scheme, "://", authority].concat()
}

impl<S, B> Idle<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    /// Returns the idle connection that was used last. It may be closed by now.
    fn take(&self, node: &str) -> Option<Open<S, B>> {
        let mut nodes = locked(&self.nodes);
        let idle = nodes.connections.get_mut(node)?;
        idle.pop().map(|(_, open)| open)
    }

    /// Adds an idle connection, or closes it if there are [`IDLE`] of them. Returns whether a
    /// sweeper must be started, and records that the caller does so.
    fn put(&self, mut open: Open<S, B>) -> bool {
        open.is_reused = true;
        let mut nodes = locked(&self.nodes);
        let now = Instant::now();
        // Usually the node is known, and its name need not be copied.
        let idle = match nodes.connections.get_mut(&open.node) {
            Some(idle) => idle,
            None => nodes.connections.entry(open.node.clone()).or_default(),
        };
        if idle.len() < IDLE {
            idle.push((now, open));
        }
        !std::mem::replace(&mut nodes.is_swept, true)
    }

    /// Closes connections that were idle for too long. Returns whether any are left. If not,
    /// records that no sweeper runs any more, so that the caller has to end.
    fn sweep(&self) -> bool {
        let mut nodes = locked(&self.nodes);
        let now = Instant::now();
        for idle in nodes.connections.values_mut() {
            idle.retain(|(since, _)| now.saturating_duration_since(*since) < IDLE_TIME);
        }
        nodes.connections.retain(|_, idle| !idle.is_empty());
        nodes.is_swept = !nodes.connections.is_empty();
        nodes.is_swept
    }
}

/// Closes connections after some time without use, until none is idle or the pool is gone. It looks
/// once in half of [`IDLE_TIME`].
async fn sweep<S, B>(idle: Weak<Idle<S, B>>)
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    loop {
        tokio::time::sleep(IDLE_TIME / 2).await;
        let Some(idle) = idle.upgrade() else { return };
        if !idle.sweep() {
            return;
        }
    }
}

impl<S, B> Open<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Makes the progress that is possible without waiting: notices that the connection has ended,
    /// or completes an answer so that the next request can be taken. Wakes nobody later.
    fn settle(&mut self) {
        let Open { bell, driven, .. } = self;
        bell.poll_once(|context| driven.drive(context));
    }

    /// Returns whether hyper would take a request now. The answer is that of the last poll.
    fn is_ready(&self) -> bool {
        !self.driven.has_ended && self.sender.is_ready()
    }

    /// Returns whether nothing was received since the last answer: neither the end of the
    /// connection, nor bytes that would be taken for the next answer. The socket itself is asked,
    /// since a runtime learns of events only when it polls for them. A runtime without its own
    /// threads does not poll between two calls.
    fn is_silent(&self) -> bool {
        let peeked = self.socket.peek(&mut [0]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits for a future that depends on this connection, and drives the connection meanwhile. If
    /// the returned future is dropped, the connection stays as it is, and can be driven again.
    pub(super) async fn driving<F: Future>(&mut self, mut future: Pin<&mut F>) -> F::Output {
        poll_fn(|context| self.poll_driving(context, |context| future.as_mut().poll(context))).await
    }

    /// Polls something that depends on this connection, and drives the connection for it. If this
    /// is pending, the task is woken when either of them can make progress.
    ///
    /// `poll` may be called several times. It is not called any more after it was ready.
    pub(super) fn poll_driving<T>(
        &mut self,
        context: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Open { bell, driven, .. } = self;
        bell.poll(context, |context| {
            let polled = poll(context);
            if polled.is_ready() {
                return polled;
            }
            driven.drive(context);
            // The awaited event may have happened by now.
            poll(context)
        })
    }

    /// Sends a request, and waits for the head of its answer. The URI must be a path only, and the
    /// header `Host` must be set.
    ///
    /// The connection must be new, or come from [`Pool::idle`]. It can't be used again after an
    /// error, or if the future is dropped.
    pub(super) fn send(
        &mut self,
        request: http::Request<B>,
    ) -> impl Future<Output = Result<http::Response<Incoming>, NoAnswer<B>>> {
        // hyper has the request from here on. Nothing of it is written before the first poll.
        let response = self.sender.try_send_request(request);
        async move {
            let answered = self.driving(pin!(response)).await;
            answered.map_err(|mut error| NoAnswer {
                request: error.take_message(),
                error: error.into_error(),
            })
        }
    }
}

impl<S, B> Driven<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Polls the connection, which reads and writes as far as possible. Does nothing after the end.
    /// The error of a connection that fails is not returned here, since the request gets it.
    fn drive(&mut self, context: &mut Context<'_>) {
        // The request reports the same error.
        if !self.has_ended && self.connection.as_mut().poll(context).is_ready() {
            self.has_ended = true;
        }
    }
}
