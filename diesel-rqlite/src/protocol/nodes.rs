//! The nodes we know, and what we learnt about each.

use super::request::ReadConsistency;

/// Nodes that are kept in mind.
const MAX_NODES: usize = 64;

/// One node's HTTP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// `http://host:4001/prefix`, without credentials and without a slash at the end.
    pub(crate) base: String,
    /// Whether it answers `level=linearizable` as such; `None` before the first answer.
    linearizable: Option<bool>,
    /// Whether this connection has seen it answer with everything that was acknowledged before: right after
    /// a restart or an election weak reads miss acknowledged writes for up to some seconds.
    settled: bool,
}

impl Node {
    pub(crate) fn new(base: String) -> Self {
        Node {
            base,
            linearizable: None,
            settled: false,
        }
    }

    fn is_tls(&self) -> bool {
        self.base.starts_with("https://")
    }
}

/// The nodes of a cluster, and which of them is asked next.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    known: Vec<Node>,
    current: usize,
}

impl Nodes {
    /// The list must not be empty; an empty one is a bug of this crate, and is asked at no address.
    pub(crate) fn new(known: Vec<Node>) -> Self {
        Nodes { known, current: 0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn current(&self) -> &Node {
        &self.known[self.current]
    }

    pub(crate) fn current_index(&self) -> usize {
        self.current
    }

    /// Turns to the next node.
    pub(crate) fn advance(&mut self) {
        self.move_to((self.current + 1) % self.known.len());
    }

    fn move_to(&mut self, index: usize) {
        if index != self.current {
            self.current = index;
            self.known[index].settled = false;
        }
    }

    /// Turns to the node that a redirect named. An address without TLS is not followed from one with it:
    /// it would be sent the password in the clear.
    pub(crate) fn redirected(&mut self, base: String) -> Result<(), String> {
        let node = Node::new(base);
        if self.current().is_tls() && !node.is_tls() {
            return Err(format!(
                "redirected from https to {}, which has no TLS",
                node.base
            ));
        }
        let found = self.known.iter().position(|known| known.base == node.base);
        let index = found.unwrap_or_else(|| {
            // No cluster has so many leaders; a proxy that makes up addresses may.
            self.known.truncate(MAX_NODES - 1);
            self.known.push(node);
            self.known.len() - 1
        });
        self.move_to(index);
        Ok(())
    }

    /// The level in which a read is sent to the current node, so that it means what was asked for.
    pub(crate) fn level(&self, wanted: ReadConsistency) -> ReadConsistency {
        let node = self.current();
        match wanted {
            ReadConsistency::Linearizable if node.linearizable == Some(false) => {
                ReadConsistency::Strong
            }
            ReadConsistency::Weak if !node.settled => ReadConsistency::Strong,
            level => level,
        }
    }

    /// Notes what a linearizable answer tells. Servers before 8.32 silently read weakly; no server before
    /// 9.4 names itself in its own answers, so the name is the proof.
    pub(crate) fn linearizable_answer(&mut self, names_itself: bool) {
        self.known[self.current].linearizable = Some(names_itself);
    }

    /// A write was acknowledged, or a strong read answered.
    pub(crate) fn settled(&mut self) {
        self.known[self.current].settled = true;
    }

    /// The node may have been restarted since.
    pub(crate) fn unsettled(&mut self) {
        self.known[self.current].settled = false;
    }
}
