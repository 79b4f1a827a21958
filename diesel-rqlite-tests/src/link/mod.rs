//! TCP connections that can be cut, slowed down and lost, without root: each goes through a proxy on loopback.

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

/// How long it takes at most to see that a server listens.
const POLL: Duration = Duration::from_millis(5);

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They arrive.
    #[default]
    Open,
    /// Every packet is lost: nothing arrives, nothing is closed, and no new connection is made. TCP sends again what was
    /// lost, so it arrives late when the link is healed.
    Cut,
    /// They arrive this much later.
    Slow(Duration),
    /// They are taken and thrown away. A connection that has lost some is closed when the link is healed.
    Swallowed,
}

/// A TCP proxy on loopback whose connections can be broken in all ways that networks know, each direction for itself.
/// Stopped when dropped.
///
/// To those who connect it is the server: while that does not listen, the link refuses.
pub struct Link {
    shared: Arc<Shared>,
    door: Arc<Door>,
    accepting: Option<JoinHandle<()>>,
}

/// Says whose connection it is, by both its ends.
pub(crate) type Source = Box<dyn Fn(SocketAddr, SocketAddr) -> Option<usize> + Send + Sync>;

impl Link {
    /// A link to a server on loopback, `host:port`.
    ///
    /// # Panics
    ///
    /// When this is no address, or no port is free.
    pub fn start(server: &str) -> Self {
        Self::balancing([server])
    }

    /// A link to several servers, as a load balancer is: connections go to one after the other. One that refuses is passed
    /// over; nobody asks whether one that accepts is well.
    ///
    /// # Panics
    ///
    /// When one is no address, or no port is free.
    pub fn balancing<'a>(servers: impl IntoIterator<Item = &'a str>) -> Self {
        let servers = servers.into_iter();
        let servers = servers.map(|server| server.parse().expect("is an address"));
        let link = Self::to_come(1, Box::new(|_, _| Some(0))).expect("a port is free");
        link.change(|state| state.leads_to(servers.collect()));
        link
    }

    /// A link that refuses until it is told where it leads. `source` says on which of its wires a connection comes.
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

    /// `host:port`, where to connect.
    pub fn address(&self) -> String {
        self.door.address.to_string()
    }

    /// All its connections.
    fn wires(&self) -> impl Iterator<Item = Wire<'_>> {
        (0..self.shared.wires()).map(|wire| self.wire(wire))
    }

    /// Those of one source.
    pub(crate) fn wire(&self, wire: usize) -> Wire<'_> {
        Wire { link: self, wire }
    }

    /// Sets both directions: from those who connect to the server, and back.
    pub fn set(&self, forth: Flow, back: Flow) {
        self.wires().for_each(|wire| wire.set(forth, back));
    }

    /// All packets are lost, in both directions.
    pub fn cut(&self) {
        self.set(Flow::Cut, Flow::Cut);
    }

    /// The server hears all, and nothing comes back.
    pub fn mute(&self) {
        self.set(Flow::Open, Flow::Swallowed);
    }

    /// All bytes take this much longer, in each direction.
    pub fn slow(&self, delay: Duration) {
        self.set(Flow::Slow(delay), Flow::Slow(delay));
    }

    /// Connections are closed, and new ones refused, as if nobody listened.
    pub fn refuse(&self) {
        self.wires().for_each(|wire| wire.refuse());
    }

    /// The server forgets the connections that there are, and nobody tells the other end: what is sent on them
    /// arrives nowhere. New connections work.
    pub fn half_open(&self) {
        self.wires().for_each(|wire| wire.half_open());
    }

    /// All is well again. What was held back arrives; what was lost is told by closing.
    pub fn heal(&self) {
        self.wires().for_each(|wire| wire.heal());
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections()
    }

    /// There is nobody who listens.
    pub(crate) fn leads_nowhere(&self) {
        self.change(|state| state.leads_to(Vec::new()));
    }

    /// Where it leads, as soon as somebody listens there: that is waited for in the background.
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
            // Nothing in it can panic but a bug of the kit, which has been printed then.
            let _ = accepting.join();
        }
    }
}

/// The connections of a [`Link`] that come from one place.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'a> {
    link: &'a Link,
    wire: usize,
}

impl Wire<'_> {
    /// Sets both directions: from who connects, and back.
    pub fn set(self, forth: Flow, back: Flow) {
        self.link.change(|state| state.set(self.wire, forth, back));
    }

    /// All packets are lost, in both directions.
    ///
    /// If others may still connect to the same server, a new connection is accepted all the same, and nothing comes of it.
    pub fn cut(self) {
        self.set(Flow::Cut, Flow::Cut);
    }

    /// Connections are closed, and new ones refused, as if nobody listened.
    pub fn refuse(self) {
        self.link.change(|state| state.refuse(self.wire));
    }

    /// As [`Link::half_open`].
    pub fn half_open(self) {
        self.link.change(|state| state.forget(self.wire));
    }

    /// All is well again.
    pub fn heal(self) {
        self.link.change(|state| state.heal(self.wire));
    }
}
