//! The node that a connection uses, and the state of each node as the connection knows it.
//!
//! [`Known`] is shared by all connections of a configuration; [`Nodes`] belongs to one connection. The difference
//! matters: which node leads is the same for all, but whether a node has answered *this* connection with all that was
//! acknowledged is not.
//!
//! Invariants: `settled` is about `current` only, so that moving to another node clears it. `may_tell` locks the
//! cluster, so its caller must not hold that lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::authorization::Authorization;
use super::cluster::Cluster;
use super::head::Heads;
use super::request::ReadConsistency;
use crate::mutex::locked;

/// The state of the cluster, shared by the connections of one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Known(Arc<Mutex<Cluster>>);

impl Known {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Known(Arc::new(Mutex::new(cluster)))
    }

    pub(crate) fn downgrade(&self) -> WeakKnown {
        WeakKnown(Arc::downgrade(&self.0))
    }

    /// Locks the state. The lock is held for a moment only, and never while waiting for anything.
    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        locked(&self.0)
    }
}

/// A [`Known`] that exists only as long as a connection uses it.
///
/// With it, a list of all configurations does not keep them alive.
#[derive(Debug)]
pub(crate) struct WeakKnown(Weak<Mutex<Cluster>>);

impl WeakKnown {
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Returns the state, or `None` if no connection uses it any more.
    pub(crate) fn upgrade(&self) -> Option<Known> {
        self.0.upgrade().map(Known)
    }
}

/// The node that a connection talks to, and the connection's knowledge of it and of other nodes.
///
/// `Call` changes it while it sends a request. A copy shares the cluster, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    pub(crate) known: Known,
    /// The address of the node, as `http://host:4001/prefix`, without credentials and without a trailing slash.
    current: String,
    /// Set once the node has answered this connection with everything that was acknowledged before. Right after a
    /// restart or an election, weak reads miss acknowledged writes for up to some seconds.
    settled: bool,
    /// For each node that has answered a read at `level=linearizable`: `true` if it supports that level.
    linearizable: HashMap<String, bool>,
    /// Set if the last request was sent to a node that forwards it, perhaps twice.
    handed_on: bool,
    /// The heads of the last requests.
    pub(super) heads: Heads,
}

impl Nodes {
    /// Creates the knowledge of a new connection, which begins with the node `first`. It is not settled.
    pub(crate) fn new(known: Known, first: String) -> Self {
        Nodes {
            known,
            current: first,
            settled: false,
            linearizable: HashMap::new(),
            handed_on: false,
            heads: Heads::default(),
        }
    }

    /// Returns whether the leader may have received more than one copy of the last request.
    pub(crate) fn was_handed_on(&self) -> bool {
        self.handed_on
    }

    /// Notes whether the request that is about to be sent is forwarded.
    pub(crate) fn hand_on(&mut self, handed_on: bool) {
        self.handed_on = handed_on;
    }

    /// Returns whether a node may receive the credentials and the request. It may if the configuration names it, or if
    /// the cluster does.
    ///
    /// Without credentials, any node may.
    pub(crate) fn may_tell(&self, authorization: &Authorization, base: &str) -> bool {
        !authorization.is_used() || self.known.cluster().trusts(base)
    }

    pub(crate) fn current(&self) -> &str {
        &self.current
    }

    /// Makes a node the current one.
    ///
    /// Moving to the current node changes nothing.
    pub(crate) fn move_to(&mut self, base: &str) {
        if base != self.current {
            base.clone_into(&mut self.current);
            self.settled = false;
        }
    }

    /// Returns the level at which a read is sent to a node so that it gets the consistency that was requested.
    ///
    /// Never returns a weaker level than the one that was requested.
    pub(crate) fn level(&self, base: &str, wanted: ReadConsistency) -> ReadConsistency {
        match wanted {
            ReadConsistency::Linearizable if self.linearizable.get(base) == Some(&false) => {
                ReadConsistency::Strong
            }
            ReadConsistency::Weak if !self.is_settled(base) => ReadConsistency::Strong,
            level => level,
        }
    }

    /// Records whether a linearizable read was answered as one. Servers before 8.32 silently read weakly. No server
    /// before 9.4 names itself in its own answers, so the name is the proof.
    ///
    /// It is remembered for the node until the connection ends, and replaced by each further answer.
    pub(crate) fn linearizable_answer(&mut self, base: &str, is_proven: bool) {
        self.linearizable.insert(base.to_owned(), is_proven);
    }

    /// Returns whether this is the current node, and it is settled.
    pub(crate) fn is_settled(&self, base: &str) -> bool {
        self.settled && base == self.current
    }

    /// Records that a write was acknowledged, or that a strong read was answered.
    pub(crate) fn settled(&mut self) {
        self.settled = true;
    }

    /// Records that the node may have been restarted.
    pub(crate) fn unsettled(&mut self) {
        self.settled = false;
    }
}
