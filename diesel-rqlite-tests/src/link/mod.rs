//! TCP connections that can be cut, slowed down and lost, without root: each of them goes through a proxy on
//! loopback.

mod door;
mod peers;
mod relay;
mod state;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::door::Door;
pub(crate) use self::peers::Peers;
use self::state::{Shared, State};

/// The maximum time until a listening server is noticed.
const POLL: Duration = Duration::from_millis(5);

/// The treatment of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// The bytes arrive.
    #[default]
    Open,
    /// Every packet is lost: nothing arrives, nothing is closed, and no new connection is made. TCP resends lost
    /// packets, so the bytes arrive late when the link is healed.
    Cut,
    /// The bytes arrive this much later.
    Slow(Duration),
    /// The bytes are accepted and thrown away. A connection that has lost bytes is closed when the link is healed.
    Swallowed,
}

/// A TCP proxy on loopback whose connections can fail in all ways that connections in a network do. Each direction
/// can fail separately. Stopped when dropped.
///
/// To clients the link is the server: while the server does not listen, the link refuses connections.
pub struct Link {
    shared: Arc<Shared>,
    door: Arc<Door>,
    accepting: Option<JoinHandle<()>>,
}

/// Determines the source of a connection by its two ends.
pub(crate) type Source = Box<dyn Fn(SocketAddr, SocketAddr) -> Option<usize> + Send + Sync>;

impl Link {
    /// Starts a link to a server on loopback, `host:port`.
    ///
    /// # Panics
    ///
    /// If this is not an address, or no port is free.
    pub fn start(server: &str) -> Self {
        Self::balancing([server])
    }

    /// Starts a link to several servers that works like a load balancer: it distributes connections to them in turn.
    /// It skips a server that refuses a connection. It does not check the health of a server that accepts one.
    ///
    /// # Panics
    ///
    /// If one of these is not an address, or no port is free.
    pub fn balancing<'a>(servers: impl IntoIterator<Item = &'a str>) -> Self {
        let servers = servers.into_iter();
        let servers = servers.map(|server| server.parse().expect("is an address"));
        let link = Self::to_come(1, Box::new(|_, _| Some(0))).expect("a port is free");
        link.change(|state| state.leads_to(servers.collect()));
        link
    }

    /// Creates a link that refuses connections until its target is set. `source` returns the wire of a connection.
    pub(crate) fn to_come(wires: usize, source: Source) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(wires));
        let door = Arc::new(Door::closed()?);
        let (state, entrance) = (Arc::clone(&shared), Arc::clone(&door));
        let accepting = thread::spawn(move || relay::accept(&state, &entrance, &*source));
        Ok(Link {
            shared,
            door,
            accepting: Some(accepting),
        })
    }

    /// Returns `host:port`, the address to connect to.
    pub fn address(&self) -> String {
        self.door.address.to_string()
    }

    /// Returns all connections, by wire.
    fn wires(&self) -> impl Iterator<Item = Wire<'_>> {
        (0..self.shared.wires()).map(|wire| self.wire(wire))
    }

    /// Returns the connections of one source.
    pub(crate) fn wire(&self, wire: usize) -> Wire<'_> {
        Wire { link: self, wire }
    }

    /// Sets both directions: from the clients to the server, and back.
    pub fn set(&self, forth: Flow, back: Flow) {
        self.wires().for_each(|wire| wire.set(forth, back));
    }

    /// Loses all packets in both directions.
    pub fn cut(&self) {
        self.set(Flow::Cut, Flow::Cut);
    }

    /// Lets all bytes reach the server, and none come back.
    pub fn mute(&self) {
        self.set(Flow::Open, Flow::Swallowed);
    }

    /// Delays all bytes by this much in each direction.
    pub fn slow(&self, delay: Duration) {
        self.set(Flow::Slow(delay), Flow::Slow(delay));
    }

    /// Closes connections and refuses new ones, as if nobody listened.
    pub fn refuse(&self) {
        self.wires().for_each(|wire| wire.refuse());
    }

    /// Makes the server forget the current connections without telling the other end: bytes sent on them arrive
    /// nowhere. New connections work.
    pub fn half_open(&self) {
        self.wires().for_each(|wire| wire.half_open());
    }

    /// Restores the link. Bytes that were held back arrive. A connection that lost bytes is closed.
    pub fn heal(&self) {
        self.wires().for_each(|wire| wire.heal());
    }

    /// Returns the number of connections.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections()
    }

    /// Sets that nobody listens.
    pub(crate) fn leads_nowhere(&self) {
        self.change(|state| state.leads_to(Vec::new()));
    }

    /// Sets the target of the link, to take effect as soon as the server listens. A background thread waits for that.
    pub(crate) fn leads_to(&self, server: SocketAddr) {
        self.leads_nowhere();
        let awaiting = self.shared.lock().targets_number();
        let (shared, door) = (Arc::clone(&self.shared), Arc::clone(&self.door));
        thread::spawn(move || {
            let is_awaited = |state: &State| state.targets_number() == awaiting;
            while is_awaited(&shared.lock()) && TcpStream::connect(server).is_err() {
                thread::sleep(POLL);
            }
            door.change(&shared, |state| {
                if is_awaited(state) {
                    state.leads_to(vec![server]);
                }
            });
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.door.change(&self.shared, change);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("address", &self.door.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.change(State::stop);
        if let Some(accepting) = self.accepting.take() {
            // Only a bug in this crate can make the thread panic, and the panic has already been printed.
            let _ = accepting.join();
        }
    }
}

/// The connections of a [`Link`] that come from one source.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a> {
    link: &'a Link,
    wire: usize,
}

impl Wire<'_> {
    /// Sets both directions: from the connecting side, and back.
    pub fn set(self, forth: Flow, back: Flow) {
        self.link.change(|state| state.set(self.wire, forth, back));
    }

    /// Loses all packets in both directions.
    ///
    /// If others may still connect to the same server, a new connection is accepted nevertheless, but carries no
    /// bytes.
    pub fn cut(self) {
        self.set(Flow::Cut, Flow::Cut);
    }

    /// Closes connections and refuses new ones, as if nobody listened.
    pub fn refuse(self) {
        self.link.change(|state| state.refuse(self.wire));
    }

    /// Does the same as [`Link::half_open`].
    pub fn half_open(self) {
        self.link.change(|state| state.forget(self.wire));
    }

    /// Restores the connections.
    pub fn heal(self) {
        self.link.change(|state| state.heal(self.wire));
    }
}
