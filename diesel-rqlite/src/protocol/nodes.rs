//! Where one connection is in its cluster, and what it learnt about each node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use super::authorization::Authorization;
use super::cluster::Cluster;
use super::request::ReadConsistency;
use crate::mutex::locked;

/// What the connections of one configuration know together.
#[derive(Clone, Debug)]
pub(crate) struct Known(Arc<Mutex<Cluster>>);

impl Known {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Known(Arc::new(Mutex::new(cluster)))
    }

    pub(crate) fn downgrade(&self) -> WeakKnown {
        WeakKnown(Arc::downgrade(&self.0))
    }

    /// Held for a moment only, never while anything is waited for.
    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        locked(&self.0)
    }
}

/// The same, as long as a connection needs it.
#[derive(Debug)]
pub(crate) struct WeakKnown(Weak<Mutex<Cluster>>);

impl WeakKnown {
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    pub(crate) fn upgrade(&self) -> Option<Known> {
        self.0.upgrade().map(Known)
    }
}

/// The node a connection talks to, and what it knows of it and others.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    pub(crate) known: Known,
    /// `http://host:4001/prefix`, without credentials and without a slash at the end.
    current: String,
    /// Whether this connection has seen it answer with everything that was acknowledged before: right after
    /// a restart or an election weak reads miss acknowledged writes for up to some seconds.
    settled: bool,
    /// Whether a node answers `level=linearizable` as such, where it has answered.
    linearizable: HashMap<String, bool>,
    /// The last request was given to a node that hands it on, perhaps twice.
    handed_on: bool,
}

impl Nodes {
    pub(crate) fn new(known: Known, first: String) -> Self {
        Nodes {
            known,
            current: first,
            settled: false,
            linearizable: HashMap::new(),
            handed_on: false,
        }
    }

    /// Whether more than one copy of the last request may have come to the leader.
    pub(crate) fn was_handed_on(&self) -> bool {
        self.handed_on
    }

    pub(crate) fn hand_on(&mut self, handed_on: bool) {
        self.handed_on = handed_on;
    }

    /// Whether a node may be told who asks, and what: the configuration names it, or the cluster does.
    pub(crate) fn may_tell(&self, authorization: &Authorization, base: &str) -> bool {
        !authorization.is_used() || self.known.cluster().trusts(base)
    }

    pub(crate) fn current(&self) -> &str {
        &self.current
    }

    /// Turns to a node.
    pub(crate) fn move_to(&mut self, base: &str) {
        if base != self.current {
            base.clone_into(&mut self.current);
            self.settled = false;
        }
    }

    /// The level in which a read is sent to a node, so that it means what was asked for.
    pub(crate) fn level(&self, base: &str, wanted: ReadConsistency) -> ReadConsistency {
        match wanted {
            ReadConsistency::Linearizable if self.linearizable.get(base) == Some(&false) => {
                ReadConsistency::Strong
            }
            ReadConsistency::Weak if !self.is_settled(base) => ReadConsistency::Strong,
            level => level,
        }
    }

    /// Notes what a linearizable answer tells. Servers before 8.32 silently read weakly; no server before
    /// 9.4 names itself in its own answers, so the name is the proof.
    pub(crate) fn linearizable_answer(&mut self, base: &str, is_proven: bool) {
        self.linearizable.insert(base.to_owned(), is_proven);
    }

    pub(crate) fn is_settled(&self, base: &str) -> bool {
        self.settled && base == self.current
    }

    /// A write was acknowledged, or a strong read answered.
    pub(crate) fn settled(&mut self) {
        self.settled = true;
    }

    /// The node may have been restarted since.
    pub(crate) fn unsettled(&mut self) {
        self.settled = false;
    }
}
