//! A pool of HTTP/1.1 connections that are kept alive. Each is driven by the task that waits for
//! its answer.
//!
//! A connection with its own task would cost two wake-ups for each request, and each of them would
//! wake another thread in a multi-threaded runtime. Here no other task is woken: the task that
//! waits for an answer reads it from the socket.

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

/// The number of idle connections to keep for one node, and for how long.
const IDLE: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A pool of idle connections, and a connector that makes new ones.
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

/// A connection. It makes progress only while it is driven.
pub(super) struct Open<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    node: String,
    sender: SendRequest<B>,
    driven: Driven<S, B>,
    bell: Bell,
    /// The TCP socket of the connection.
    socket: TcpStream,
    /// Set if the connection has answered before.
    pub(super) is_reused: bool,
}

/// The part of a connection that moves bytes while it is polled.
struct Driven<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    connection: Pin<Box<Connection<S, B>>>,
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
    /// The request, if hyper has not started to send it.
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

    /// Returns a pool with the same connector, for requests with other bodies.
    pub(super) fn for_others<O>(&self) -> Pool<C, S, O>
    where
        O: Body + Send + 'static,
        O::Data: Send,
        O::Error: Into<BoxError>,
    {
        Pool::new(self.connector.clone())
    }

    /// Returns a connection that was kept alive, if there is one.
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

    /// Opens a new connection.
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

    /// Keeps a connection whose answer was read completely.
    pub(super) fn keep(&self, mut open: Open<S, B>) {
        open.settle();
        if open.is_ready() && self.idle.put(open) {
            tokio::spawn(sweep(Arc::downgrade(&self.idle)));
        }
    }
}

/// Returns the scheme, host and port.
fn node_of(uri: &http::Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}

impl<S, B> Idle<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    fn take(&self, node: &str) -> Option<Open<S, B>> {
        let mut nodes = locked(&self.nodes);
        let idle = nodes.connections.get_mut(node)?;
        idle.pop().map(|(_, open)| open)
    }

    /// Adds an idle connection. Returns whether a sweeper must be started.
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

    /// Closes connections that were idle for too long. Returns whether any are left.
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
    /// Makes the progress that is possible without waiting.
    fn settle(&mut self) {
        let Open { bell, driven, .. } = self;
        bell.poll_once(|context| driven.drive(context));
    }

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

    /// Waits for a future that depends on this connection, and drives the connection meanwhile.
    pub(super) async fn driving<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| self.poll_driving(context, |context| future.as_mut().poll(context))).await
    }

    /// Polls something that depends on this connection, and drives the connection for it.
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

    /// Sends a request, and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: http::Request<B>,
    ) -> Result<http::Response<Incoming>, NoAnswer<B>> {
        let response = self.sender.try_send_request(request);
        self.driving(response).await.map_err(|mut error| NoAnswer {
            request: error.take_message(),
            error: error.into_error(),
        })
    }
}

impl<S, B> Driven<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    fn drive(&mut self, context: &mut Context<'_>) {
        // The request reports the same error.
        if !self.has_ended && self.connection.as_mut().poll(context).is_ready() {
            self.has_ended = true;
        }
    }
}
