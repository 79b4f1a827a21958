//! HTTP/1.1 connections that are kept alive, each driven by the task that waits for its answer.
//!
//! A connection with a task of its own would cost each request two wake-ups, on a runtime of several threads of another
//! thread each. Here nobody else is woken: whoever waits for an answer reads it from the socket.

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

/// Connections to one node that are kept while nobody uses them, and for how long.
const IDLE: usize = 32;
const IDLE_TIME: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Idle connections, and what makes new ones.
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

/// The idle connections to each node, by scheme and authority. The last one was used last.
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
    /// Somebody will close what is idle for too long.
    is_swept: bool,
}

/// A connection, and since when nobody uses it.
type Rested<S, B> = (Instant, Open<S, B>);

/// A connection. Nothing happens on it unless it is driven.
pub(super) struct Open<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    node: String,
    sender: SendRequest<B>,
    driven: Driven<S, B>,
    bell: Bell,
    /// What it is made on.
    socket: TcpStream,
    /// It has answered before.
    pub(super) is_reused: bool,
}

/// What moves the bytes of a connection, as far as it is polled.
struct Driven<S, B>
where
    S: Read + Write + Unpin,
    B: Body + 'static,
{
    connection: Pin<Box<Connection<S, B>>>,
    has_ended: bool,
}

/// What is made on a socket of TCP.
pub(super) trait OnTcp {
    /// Another handle of the socket.
    fn socket(&self) -> io::Result<TcpStream>;
}

/// Why a request has no answer.
pub(super) struct NoAnswer<B> {
    pub(super) error: hyper::Error,
    /// The request, if nothing of it was taken.
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

    /// Connections made in the same way, for requests with other bodies.
    pub(super) fn for_others<O>(&self) -> Pool<C, S, O>
    where
        O: Body + Send + 'static,
        O::Data: Send,
        O::Error: Into<BoxError>,
    {
        Pool::new(self.connector.clone())
    }

    /// A connection that was kept alive, if there is one.
    pub(super) fn idle(&self, uri: &http::Uri) -> Option<Open<S, B>> {
        let node = node_of(uri);
        loop {
            let mut open = self.idle.take(&node)?;
            // The node may have closed it meanwhile.
            open.settle();
            if open.is_ready() && open.is_silent() {
                return Some(open);
            }
        }
    }

    /// A new connection.
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

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn keep(&self, mut open: Open<S, B>) {
        open.settle();
        if open.is_ready() && self.idle.put(open) {
            tokio::spawn(sweep(Arc::downgrade(&self.idle)));
        }
    }
}

/// Scheme, host and port.
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

    /// Whether a sweeper is to be started.
    fn put(&self, mut open: Open<S, B>) -> bool {
        open.is_reused = true;
        let mut nodes = locked(&self.nodes);
        let now = Instant::now();
        // Most often the node is known, and its name need not be copied.
        let idle = match nodes.connections.get_mut(&open.node) {
            Some(idle) => idle,
            None => nodes.connections.entry(open.node.clone()).or_default(),
        };
        if idle.len() < IDLE {
            idle.push((now, open));
        }
        !std::mem::replace(&mut nodes.is_swept, true)
    }

    /// Closes what has been idle for too long. Whether anything is left.
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
    /// Moves what can be moved while nobody waits.
    fn settle(&mut self) {
        let Open { bell, driven, .. } = self;
        bell.poll_once(|context| driven.drive(context));
    }

    fn is_ready(&self) -> bool {
        !self.driven.has_ended && self.sender.is_ready()
    }

    /// Whether nothing has come since the last answer: an end, or what would be taken for the next one. The socket itself
    /// is asked, since a runtime knows only what it has looked for: one without threads of its own does not look between
    /// two calls.
    fn is_silent(&self) -> bool {
        let peeked = self.socket.peek(&mut [0]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits for something of this connection, which is driven meanwhile.
    pub(super) async fn driving<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| self.poll_driving(context, |context| future.as_mut().poll(context))).await
    }

    /// Polls something of this connection, which is driven for it.
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
            // What it was waiting for may be there now.
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
        // Its error is that of the request, too.
        if !self.has_ended && self.connection.as_mut().poll(context).is_ready() {
            self.has_ended = true;
        }
    }
}
