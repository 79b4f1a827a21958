//! A pool of connections that are kept alive, for the asynchronous client.
//!
//! # Life of a connection
//!
//! 1. [`Pool::connect`] opens a connection, or [`Pool::idle`] takes one from the pool. The caller
//!    now owns it, and nobody else can use it.
//! 2. The caller sends a request on it, and reads the answer.
//! 3. When all of the body was read, [`Pool::keep`] puts the connection back. A connection that is
//!    dropped instead is closed.
//!
//! # Invariants
//!
//! * Idle connections are not polled, so that nothing is noticed of them while they are idle.
//!   Therefore a connection is checked when it is taken. The node may still close it between the
//!   check and the request.
//! * At most one sweeper runs for a pool. It does not keep the pool alive. It ends when no
//!   connection is idle, and `keep` starts another one.
//! * The lock is never held across a wait.
//!
//! The pool sets no time limits, apart from the one for idle connections. Its callers and its
//! connector do.

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use http::Uri;

use crate::mutex::locked;

use super::Node;
use super::channel::Channel;
use super::stream::Connector;

/// The number of idle connections to keep for one node. More of them are closed instead of kept.
const IDLE: usize = 32;
/// The time after which an idle connection is closed. It may take half of it longer, see [`sweep`].
const IDLE_TIME: Duration = Duration::from_secs(30);

/// A pool of idle connections, and a connector that makes new ones. Clones share the connections,
/// which are closed when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Pool {
    connector: Connector,
    idle: Arc<Idle>,
}

/// The idle connections.
#[derive(Default)]
struct Idle(Mutex<Rest>);

/// The content of [`Idle`].
#[derive(Default)]
struct Rest {
    /// The idle connections to all nodes. The most recently used one is last.
    channels: Vec<Rested>,
    /// Set if a task is running that closes connections after some time without use.
    is_swept: bool,
}

/// A connection, and the time since which it is unused.
type Rested = (Instant, Channel);

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Pool {
            connector,
            idle: Arc::default(),
        }
    }

    /// Returns a connection that was kept alive, if there is one. Prefers the one that was used
    /// last. Closes those that have ended, or have received something that nobody asked for.
    pub(super) fn idle(&self, uri: &Uri) -> Option<Channel> {
        let node = Node::of(uri);
        loop {
            let mut channel = self.idle.take(&node)?;
            // The node may have closed the connection meanwhile.
            if channel.is_usable() {
                return Some(channel);
            }
        }
    }

    /// Opens a new connection, which does not become part of the pool before it is kept. Fails with
    /// the error of the connector.
    pub(super) async fn connect(&self, uri: &Uri) -> io::Result<Channel> {
        let stream = self.connector.connect(uri).await?;
        Ok(Channel::new(Node::of(uri), stream))
    }

    /// Keeps a connection whose answer was read completely. Closes it if it can't take another
    /// request, or if enough connections are idle. Must be called inside of a runtime, since it may
    /// start the sweeper.
    pub(super) fn keep(&self, channel: Channel) {
        if channel.is_at_rest() && self.idle.put(channel) {
            tokio::spawn(sweep(Arc::downgrade(&self.idle)));
        }
    }
}

impl Idle {
    /// Returns the idle connection to a node that was used last. It may be closed by now.
    fn take(&self, node: &Node) -> Option<Channel> {
        let mut rest = locked(&self.0);
        let is_to = |(_, channel): &Rested| channel.node == *node;
        let place = rest.channels.iter().rposition(is_to)?;
        Some(rest.channels.remove(place).1)
    }

    /// Adds an idle connection, or closes it if there are [`IDLE`] of them to its node. Returns whether
    /// a sweeper must be started, and records that the caller does so.
    fn put(&self, mut channel: Channel) -> bool {
        channel.is_reused = true;
        let mut rest = locked(&self.0);
        let to_it = rest
            .channels
            .iter()
            .filter(|(_, other)| other.node == channel.node);
        if to_it.count() < IDLE {
            rest.channels.push((Instant::now(), channel));
        }
        !std::mem::replace(&mut rest.is_swept, true)
    }

    /// Closes connections that were idle for too long. Returns whether any are left. If not,
    /// records that no sweeper runs any more, so that the caller has to end.
    fn sweep(&self) -> bool {
        let mut rest = locked(&self.0);
        let now = Instant::now();
        let is_young = |since: Instant| now.saturating_duration_since(since) < IDLE_TIME;
        rest.channels.retain(|(since, _)| is_young(*since));
        rest.is_swept = !rest.channels.is_empty();
        rest.is_swept
    }
}

/// Closes connections after some time without use, until none is idle or the pool is gone. It looks
/// once in half of [`IDLE_TIME`].
async fn sweep(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(IDLE_TIME / 2).await;
        let Some(idle) = idle.upgrade() else { return };
        if !idle.sweep() {
            return;
        }
    }
}
