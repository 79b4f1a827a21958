//! Several nodes.

use std::time::{Duration, Instant};

use crate::http;
use crate::rqlited::{Rqlited, RqlitedBuilder};

/// Below it, a busy machine makes the nodes lose each other.
const RAFT_TIMEOUT: Duration = Duration::from_millis(250);

/// A cluster of voting nodes. Stopped when dropped.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Rqlited>,
}

impl Cluster {
    /// Starts a cluster and waits until each node answers for the leader. The first node leads.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    pub fn start(nodes: usize) -> Self {
        Self::of(std::iter::repeat_n(Rqlited::builder(), nodes))
    }

    /// The same, with a node for each of these [time zones](RqlitedBuilder::time_zone).
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    pub fn in_time_zones(zones: &[&str]) -> Self {
        Self::of(zones.iter().map(|zone| Rqlited::builder().time_zone(zone)))
    }

    fn of(builders: impl Iterator<Item = RqlitedBuilder>) -> Self {
        let mut nodes: Vec<Rqlited> = Vec::new();
        for (place, builder) in builders.enumerate() {
            let builder = RqlitedBuilder {
                raft_timeout: Some(RAFT_TIMEOUT),
                id: Some(place + 1),
                join: nodes.first().map(Rqlited::raft_address),
                ..builder
            };
            nodes.push(builder.start());
        }
        Cluster { nodes }
    }

    /// The node with this place, counted from 0.
    pub fn node(&self, place: usize) -> &Rqlited {
        &self.nodes[place]
    }

    /// The same, to stop and start it.
    pub fn node_mut(&mut self, place: usize) -> &mut Rqlited {
        &mut self.nodes[place]
    }

    /// A URL with the node at this place first and all others behind it.
    pub fn url(&self, place: usize) -> String {
        let others = self.nodes.iter().enumerate();
        let others = others.filter(|(other, _)| *other != place);
        let others: Vec<_> = others.map(|(_, node)| node.address()).collect();
        format!("{}?nodes={}", self.nodes[place].url(), others.join(","))
    }

    /// The place of the leader, as the other nodes see it. Waits for an election.
    ///
    /// # Panics
    ///
    /// When there is none for half a minute.
    pub fn leader(&self) -> usize {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let found = self.nodes.iter().enumerate().find_map(|(asked, node)| {
                let leader = http::redirects_to(&node.http_url())?;
                match leader {
                    None => Some(asked),
                    Some(url) => self.nodes.iter().position(|node| node.http_url() == url),
                }
            });
            match found {
                Some(leader) => return leader,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("the cluster has no leader");
    }
}
