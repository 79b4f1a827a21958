//! Where it is measured: a node, or three.

use diesel_rqlite_tests::{Cluster, Rqlited};

pub enum Server {
    Node(Box<Rqlited>),
    Cluster(Box<Cluster>),
}

impl Server {
    pub fn start(nodes: usize) -> Self {
        match nodes {
            1 => Server::Node(Box::new(Rqlited::start())),
            _ => Server::Cluster(Box::new(Cluster::start(nodes))),
        }
    }

    /// The node that leads: all clients are told of this one.
    fn leader(&self) -> &Rqlited {
        match self {
            Server::Node(node) => node,
            Server::Cluster(cluster) => cluster.node(cluster.leader()),
        }
    }

    pub fn address(&self) -> String {
        self.leader().address()
    }

    pub fn url(&self, options: &str) -> String {
        format!("{}?level=weak{options}", self.leader().url())
    }

    pub fn http_url(&self) -> String {
        self.leader().http_url()
    }
}
