//! The state of a link: its settings, and its current connections.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Flow;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the connecting side to the server.
    Forth,
    Back,
}

/// The treatment of new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    Open,
    /// Packets get no answer.
    Silent,
    Refused,
}

/// The treatment of some bytes, or of the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Deliver,
    Swallow,
    /// The receiver no longer exists.
    End,
}

pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    /// The addresses of the servers. If there are none, nobody listens.
    targets: Vec<SocketAddr>,
    targets_number: u64,
    turn: usize,
    wires: Vec<Rules>,
    connections: BTreeMap<u64, Connection>,
    last: u64,
    stopped: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    forth: Flow,
    back: Flow,
    refused: bool,
}

impl Rules {
    fn flow(self, way: Way) -> Flow {
        match way {
            Way::Forth => self.forth,
            Way::Back => self.back,
        }
    }

    /// Returns whether no handshake is possible. A handshake needs both directions.
    fn is_cut(self) -> bool {
        self.forth == Flow::Cut || self.back == Flow::Cut
    }
}

#[derive(Debug)]
struct Connection {
    wire: usize,
    client: TcpStream,
    server: Option<TcpStream>,
    /// Set if the server no longer knows the connection.
    forgotten: bool,
    /// Set if some of the bytes have been thrown away.
    holed: bool,
}

impl Connection {
    fn close(&self) {
        // Either end may have closed it already.
        let _ = self.client.shutdown(Shutdown::Both);
        self.close_server();
    }

    fn close_server(&self) {
        if let Some(server) = &self.server {
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    pub(super) fn entrance(&self) -> Entrance {
        if self.stopped || self.targets.is_empty() || self.wires.iter().all(|rules| rules.refused) {
            return Entrance::Refused;
        }
        match self.wires.iter().all(|rules| rules.is_cut()) {
            true => Entrance::Silent,
            false => Entrance::Open,
        }
    }

    pub(super) fn connections(&self) -> usize {
        let connections = self.connections.values();
        connections.filter(|it| it.server.is_some()).count()
    }

    /// Returns how often the targets have changed.
    pub(super) fn targets_number(&self) -> u64 {
        self.targets_number
    }

    pub(super) fn leads_to(&mut self, targets: Vec<SocketAddr>) {
        self.targets = targets;
        self.targets_number += 1;
    }

    /// Returns all targets, with a different one first each time.
    fn next_targets(&mut self) -> Vec<SocketAddr> {
        let mut targets = self.targets.clone();
        if !targets.is_empty() {
            targets.rotate_left(self.turn % self.targets.len());
            self.turn += 1;
        }
        targets
    }

    pub(super) fn set(&mut self, wire: usize, forth: Flow, back: Flow) {
        self.wires[wire] = Rules {
            forth,
            back,
            refused: false,
        };
    }

    pub(super) fn refuse(&mut self, wire: usize) {
        self.wires[wire].refused = true;
        self.close(|connection| connection.wire == wire);
    }

    pub(super) fn forget(&mut self, wire: usize) {
        let connections = self.connections.values_mut();
        for connection in connections.filter(|connection| connection.wire == wire) {
            connection.forgotten = true;
            connection.close_server();
        }
    }

    pub(super) fn heal(&mut self, wire: usize) {
        self.wires[wire] = Rules::default();
        self.close(|connection| {
            connection.wire == wire && (connection.forgotten || connection.holed)
        });
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.targets_number += 1;
        self.close(|_| true);
    }

    fn close(&mut self, which: impl Fn(&Connection) -> bool) {
        self.connections.retain(|_, connection| {
            let is_closed = which(connection);
            if is_closed {
                connection.close();
            }
            !is_closed
        });
    }

    /// Returns what to do with bytes that were sent at a certain time. Returns `Err` if they have to wait, with the
    /// time to check again, if there is one.
    fn passage(
        &mut self,
        number: u64,
        way: Way,
        sent: Instant,
    ) -> Result<Passage, Option<Instant>> {
        let Some(connection) = self.connections.get_mut(&number) else {
            return Ok(Passage::End);
        };
        if connection.forgotten {
            return match way {
                Way::Forth => Ok(Passage::Swallow),
                Way::Back => Err(None),
            };
        }
        match self.wires[connection.wire].flow(way) {
            Flow::Open => Ok(Passage::Deliver),
            Flow::Cut => Err(None),
            Flow::Slow(delay) => match sent + delay {
                due if due <= Instant::now() => Ok(Passage::Deliver),
                due => Err(Some(due)),
            },
            Flow::Swallowed => {
                connection.holed = true;
                Ok(Passage::Swallow)
            }
        }
    }
}

impl Shared {
    pub(super) fn new(wires: usize) -> Self {
        Shared {
            state: Mutex::new(State {
                targets: Vec::new(),
                targets_number: 0,
                turn: 0,
                wires: vec![Rules::default(); wires],
                connections: BTreeMap::new(),
                last: 0,
                stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wires(&self) -> usize {
        self.lock().wires.len()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until connections are to be accepted. Returns `false` when the link is stopped.
    pub(super) fn wait_to_accept(&self) -> bool {
        let state = self.lock();
        let waits = |state: &mut State| !state.stopped && state.entrance() != Entrance::Open;
        let state = self.changed.wait_while(state, waits);
        !state.unwrap_or_else(PoisonError::into_inner).stopped
    }

    /// Accepts only while the link is open. Otherwise the door relies on its queue to stay full.
    pub(super) fn accept_if_open<T>(&self, accept: impl FnOnce() -> Option<T>) -> Option<T> {
        let state = self.lock();
        (state.entrance() == Entrance::Open).then(accept).flatten()
    }

    /// Adds a new connection. Returns `None` if it is refused.
    pub(super) fn arrived(&self, wire: usize, client: TcpStream) -> Option<u64> {
        let mut state = self.lock();
        if state.stopped || state.wires[wire].refused {
            return None;
        }
        state.last += 1;
        let number = state.last;
        let connection = Connection {
            wire,
            client,
            server: None,
            forgotten: false,
            holed: false,
        };
        state.connections.insert(number, connection);
        Some(number)
    }

    /// Waits until the handshake of the connection can be complete. Returns the possible targets, and whether the
    /// handshake had to wait until the link was healed. Returns `None` if the connection has ended.
    pub(super) fn handshake(&self, number: u64) -> Option<(Vec<SocketAddr>, bool)> {
        let mut was_cut = false;
        let mut state = self.lock();
        loop {
            let connection = state.connections.get(&number)?;
            if !state.wires[connection.wire].is_cut() {
                return Some((state.next_targets(), was_cut));
            }
            was_cut = true;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records that both ends are connected. Returns `false` if the connection has ended meanwhile.
    pub(super) fn connected(&self, number: u64, server: TcpStream) -> bool {
        let mut state = self.lock();
        match state.connections.get_mut(&number) {
            Some(connection) => connection.server = Some(server),
            None => return false,
        }
        true
    }

    pub(super) fn ended(&self, number: u64) {
        self.lock().connections.remove(&number);
    }

    /// Waits until bytes, or the end of the stream, may pass.
    pub(super) fn pass(&self, number: u64, way: Way) -> Passage {
        let sent = Instant::now();
        let mut state = self.lock();
        loop {
            state = match state.passage(number, way, sent) {
                Ok(passage) => return passage,
                Err(None) => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Err(Some(due)) => {
                    let left = due.saturating_duration_since(Instant::now());
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
