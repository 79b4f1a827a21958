//! Whether to go on waiting for an answer.
//!
//! A statement may take its time, so that no timeout tells a slow leader from a lost one. The cluster does: while an
//! answer is outstanding, its nodes are asked who leads. A node that no longer does, or that answers nothing while
//! others do, is given up. Pure; whoever drives it looks at the clock, see [`Watch::check`].

use std::time::{Duration, Instant};

use super::cluster::{Cluster, Leader};

/// How long an answer may take before anybody is asked; again between looks.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to check while an answer is outstanding.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// What to do about an answer that has not come yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wait,
    /// Ask the nodes, and wait.
    Look,
    GiveUp(String),
}

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    No,
}

/// What is asked of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// What only the leader can do.
    Leader,
    /// What it hands on to the leader, which was this one. What may be asked again needs less patience.
    Forwarder(Option<Leader>, Again),
    /// What any node can do.
    AnyNode,
}

/// One request that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    node: String,
    of: Of,
    /// When something was heard of the node last.
    since: Instant,
    next_look: Instant,
}

impl Watch {
    pub(crate) fn new(node: String, of: Of, now: Instant) -> Self {
        Watch {
            node,
            of,
            since: now,
            next_look: now + PATIENCE,
        }
    }

    /// The node has sent something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.since = now;
        self.next_look = now + PATIENCE;
    }

    /// When there is something to check.
    pub(crate) fn next_check(&self, now: Instant) -> Instant {
        let first = self.since + PATIENCE;
        if now < first { first } else { now }
    }

    pub(crate) fn check(&mut self, cluster: &Cluster, now: Instant) -> Verdict {
        if now < self.next_check(now) {
            return Verdict::Wait;
        }
        if let Some(reason) = self.lost(cluster) {
            return Verdict::GiveUp(reason);
        }
        if now < self.next_look || cluster.is_looking(now) {
            return Verdict::Wait;
        }
        self.next_look = now + PATIENCE;
        Verdict::Look
    }

    fn lost(&self, cluster: &Cluster) -> Option<String> {
        if cluster.is_mute(&self.node, self.since) {
            return Some("given up: it answers nothing, and others do".to_owned());
        }
        match &self.of {
            Of::AnyNode => None,
            Of::Leader => {
                let leader = cluster.elected_instead_of(&self.node, self.since)?;
                Some(format!("given up: it no longer leads, {leader} does"))
            }
            // Behind one address are several nodes, and this connection may lead to the one that does not answer.
            Of::Forwarder(_, Again::Yes) if cluster.misses_a_node(&self.node, self.since) => {
                Some("given up: a node behind it does not answer".to_owned())
            }
            Of::Forwarder(before, _) => {
                let (before, leader) = (before.as_ref()?, cluster.named(self.since)?);
                let same = match (&before.id, &leader.id) {
                    (Some(before), Some(leader)) => before == leader,
                    _ => before.base == leader.base,
                };
                let elected = || format!("given up: {} leads by now", leader.base);
                (!same).then(elected)
            }
        }
    }
}
