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

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use http::Uri;

use crate::mutex::locked;

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
struct Idle(Mutex<Nodes>);

/// The content of [`Idle`].
#[derive(Default)]
struct Nodes {
    /// The idle connections to each node, by scheme and authority. The most recently used one is last.
    channels: HashMap<String, Vec<Rested>>,
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
        let node = node_of(uri);
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
        Ok(Channel::new(node_of(uri), stream))
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

/// Returns the scheme, host and port. Connections to equal ones are interchangeable.
fn node_of(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    [scheme, "://", authority].concat()
}

impl Idle {
    /// Returns the idle connection that was used last. It may be closed by now.
    fn take(&self, node: &str) -> Option<Channel> {
        let mut nodes = locked(&self.0);
        let idle = nodes.channels.get_mut(node)?;
        idle.pop().map(|(_, channel)| channel)
    }

    /// Adds an idle connection, or closes it if there are [`IDLE`] of them. Returns whether a
    /// sweeper must be started, and records that the caller does so.
    fn put(&self, mut channel: Channel) -> bool {
        channel.is_reused = true;
        let mut nodes = locked(&self.0);
        let now = Instant::now();
        // Usually the node is known, and its name need not be copied.
        let idle = match nodes.channels.get_mut(&channel.node) {
            Some(idle) => idle,
            None => nodes.channels.entry(channel.node.clone()).or_default(),
        };
        if idle.len() < IDLE {
            idle.push((now, channel));
        }
        !std::mem::replace(&mut nodes.is_swept, true)
    }

    /// Closes connections that were idle for too long. Returns whether any are left. If not,
    /// records that no sweeper runs any more, so that the caller has to end.
    fn sweep(&self) -> bool {
        let mut nodes = locked(&self.0);
        let now = Instant::now();
        for idle in nodes.channels.values_mut() {
            idle.retain(|(since, _)| now.saturating_duration_since(*since) < IDLE_TIME);
        }
        nodes.channels.retain(|_, idle| !idle.is_empty());
        nodes.is_swept = !nodes.channels.is_empty();
        nodes.is_swept
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
