//! The cluster, what stands before it, and how it comes to harm and is healed.

use std::time::Duration;

use diesel_rqlite_tests::{Cluster, Flow, Link};

use crate::fault::Fault;
use crate::options::{Options, Way};

/// Much for a network, and too little to be taken for dead.
const SLOW: Duration = Duration::from_millis(100);

pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    balancer: Option<Link>,
    /// The place of the leader that comes to harm.
    leader: usize,
}

impl Scene {
    pub(crate) fn set(way: Way, faults: &[Fault]) -> Self {
        let builder = Cluster::builder().links();
        // Three nodes that all run a slow write keep this machine busy. The leader is to stay well all the same.
        let builder = match faults {
            [Fault::SlowStatement] => builder.patient(),
            _ => builder.default_raft_timeouts(),
        };
        let cluster = match way {
            Way::All | Way::One => builder.start(3),
            Way::Balancer => builder.unreachable_advertised().start(3),
        };
        let addresses = cluster.addresses();
        let balancer =
            (way == Way::Balancer).then(|| Link::balancing(addresses.iter().map(String::as_str)));
        let leader = cluster.leader();
        Scene {
            cluster,
            balancer,
            leader,
        }
    }

    /// What the programs are given.
    pub(crate) fn url(&self, options: &Options) -> String {
        let mut url = match (&self.balancer, options.way) {
            (Some(balancer), _) => format!("rqlite://{}?", balancer.address()),
            (None, Way::One) => format!("rqlite://{}?", self.cluster.address(self.leader)),
            (None, _) => format!("{}&", self.cluster.url(self.leader)),
        };
        url.push_str(&options.url_options);
        url.trim_end_matches(['?', '&']).to_owned()
    }

    /// Whoever leads is harmed next. After an earlier fault this may be another node than it was.
    pub(crate) fn find_leader(&mut self) {
        self.leader = self.cluster.leader();
    }

    pub(crate) fn harm(&mut self, fault: Fault) {
        let (cluster, leader) = (&mut self.cluster, self.leader);
        match fault {
            Fault::None | Fault::SlowStatement => {}
            Fault::LeaderKilled => cluster.node_mut(leader).kill(),
            Fault::LeaderHung => cluster.node(leader).pause(),
            Fault::LeaderCutFromFollowers => cluster.cut_off_from_peers(leader),
            Fault::LeaderCutFromAll => cluster.cut_off(leader),
            Fault::ClientCutFromLeader => cluster.client_link(leader).cut(),
            Fault::LeaderSlow => {
                cluster.client_link(leader).slow(SLOW);
                cluster.set_peers(leader, Flow::Slow(SLOW), Flow::Slow(SLOW));
            }
            Fault::LeaderMute => cluster.client_link(leader).mute(),
            Fault::LeaderForgets => cluster.client_link(leader).half_open(),
            Fault::AllRestart => {
                (0..cluster.count()).for_each(|place| cluster.node_mut(place).kill());
                (0..cluster.count()).for_each(|place| cluster.node_mut(place).start_again());
            }
            Fault::QuietMembershipChange => {
                cluster.add_read_only();
            }
        }
    }

    pub(crate) fn heal(&mut self, fault: Fault) {
        match fault {
            Fault::LeaderKilled => self.cluster.node_mut(self.leader).start_again(),
            Fault::LeaderHung => self.cluster.node(self.leader).resume(),
            _ => self.cluster.heal(),
        }
    }
}
