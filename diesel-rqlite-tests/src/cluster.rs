//! Clusters of several nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::link::{Flow, Link, Peers, Wire};
use crate::rqlited::{NodeLinks, RaftTimeouts, Rqlited, RqlitedBuilder, User};
use crate::tls::ClientCertificate;

/// The Raft timeout. With a shorter one, nodes on a busy machine lose each other.
const RAFT_TIMEOUT: Duration = Duration::from_millis(250);

/// The Raft timeout of a patient cluster. It is more than long enough for nodes that have all processors to
/// themselves.
const PATIENT: Duration = Duration::from_secs(4);

/// The maximum time that an election may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The options of a cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterBuilder {
    links: bool,
    raft_timeouts: Option<RaftTimeouts>,
    unreachable: bool,
    foreign_keys: bool,
    tls: bool,
    users: Vec<User>,
    clients: Option<ClientCertificate>,
}

impl ClusterBuilder {
    /// Gives each node a [`Link`] for clients and one for the other nodes. All connections to the node go through
    /// these. Needs Linux: `/proc` tells which node a connection comes from.
    #[must_use]
    pub fn links(mut self) -> Self {
        self.links = true;
        self
    }

    /// Uses rqlite's default timeouts for giving up a leader: an election takes 1 to 4 seconds.
    #[must_use]
    pub fn default_raft_timeouts(mut self) -> Self {
        self.raft_timeouts = Some(RaftTimeouts::Own);
        self
    }

    /// Uses timeouts so long that nodes on a busy machine do not lose their leader. The cluster then takes some
    /// seconds to start.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.raft_timeouts = Some(RaftTimeouts::Of(PATIENT));
        self
    }

    /// Makes clients reach the nodes by TLS. Each node has its own certificate: see [`Cluster::ca_certificates`].
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Uses TLS, and admits only clients that show this certificate.
    #[must_use]
    pub fn client_certificate(mut self, client: &ClientCertificate) -> Self {
        self.clients = Some(client.clone());
        self.tls()
    }

    /// Admits only the users that are added. The first one should have the permission `all`, because nodes join as
    /// that user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Makes the nodes enforce foreign keys.
    #[must_use]
    pub fn foreign_keys(mut self) -> Self {
        self.foreign_keys = true;
        self
    }

    /// Makes the nodes advertise addresses that no client can resolve, as in a private network. Clients can then
    /// connect through a [`Link::balancing`] over [`Cluster::addresses`].
    #[must_use]
    pub fn unreachable_advertised(mut self) -> Self {
        self.unreachable = true;
        self
    }

    /// Starts this number of voting nodes, and waits until each of them answers for the leader. The first node leads.
    ///
    /// # Panics
    ///
    /// If the cluster does not become ready.
    pub fn start(self, nodes: usize) -> Cluster {
        let has_links = self.links;
        let mut cluster = Cluster {
            builder: self,
            peers: Peers::default(),
            nodes: Vec::new(),
            links: Vec::new(),
        };
        for _ in 0..nodes {
            let links = has_links.then(|| NodeLinks::start(nodes, &cluster.peers));
            cluster.links.extend(links.clone());
            let node = cluster.next(links).start();
            cluster.nodes.push(node);
        }
        cluster
    }
}

impl NodeLinks {
    /// The last wire is for nodes that are added later.
    fn start(nodes: usize, peers: &Peers) -> Self {
        let peers = peers.clone();
        let source = move |from, to| peers.who(from, to).map(|place| place.min(nodes));
        let raft = Link::to_come(nodes + 1, Box::new(source));
        let http = Link::to_come(1, Box::new(|_, _| Some(0)));
        NodeLinks {
            http: Arc::new(http.expect("a port is free")),
            raft: Arc::new(raft.expect("a port is free")),
        }
    }
}

/// A cluster of voting nodes. Stopped when dropped.
#[derive(Debug)]
pub struct Cluster {
    builder: ClusterBuilder,
    peers: Peers,
    nodes: Vec<Rqlited>,
    links: Vec<NodeLinks>,
}

impl Cluster {
    /// Starts a cluster, and waits until each node answers for the leader. The first node leads.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn start(nodes: usize) -> Self {
        Self::builder().start(nodes)
    }

    /// Starts a cluster with a node for each of these [time zones](RqlitedBuilder::time_zone).
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn in_time_zones(zones: &[&str]) -> Self {
        let mut cluster = Cluster {
            builder: Self::builder(),
            peers: Peers::default(),
            nodes: Vec::new(),
            links: Vec::new(),
        };
        for zone in zones {
            let node = cluster.next(None).time_zone(zone).start();
            cluster.nodes.push(node);
        }
        cluster
    }

    /// Returns a builder for a cluster with options.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// Returns the builder for the node that follows the existing ones.
    fn next(&self, links: Option<NodeLinks>) -> RqlitedBuilder {
        let id = self.nodes.len() + 1;
        let advertised = self.builder.unreachable;
        RqlitedBuilder {
            raft_timeouts: self
                .builder
                .raft_timeouts
                .unwrap_or(RaftTimeouts::Of(RAFT_TIMEOUT)),
            id: Some(id),
            join: self.nodes.first().map(Rqlited::advertised_raft_address),
            // Names in this domain are guaranteed never to exist.
            advertised: advertised.then(|| format!("rqlite-{id}.invalid:4001")),
            links,
            foreign_keys: self.builder.foreign_keys,
            tls: self.builder.tls,
            users: self.builder.users.clone(),
            clients: self.builder.clients.clone(),
            peers: Some((self.peers.clone(), self.nodes.len())),
            ..Rqlited::builder()
        }
    }

    /// Adds a node without a vote, which only reads, and waits until the node says that it is ready. It has no links.
    /// Only its membership is written to the Raft log.
    ///
    /// # Panics
    ///
    /// If it does not become ready.
    pub fn add_read_only(&mut self) -> &Rqlited {
        let node = RqlitedBuilder {
            non_voter: true,
            quiet: true,
            ..self.next(None)
        };
        self.nodes.push(node.start());
        &self.nodes[self.nodes.len() - 1]
    }

    /// Returns the node at this index, counted from 0.
    pub fn node(&self, place: usize) -> &Rqlited {
        &self.nodes[place]
    }

    /// Returns the node at this index for stopping and starting it.
    pub fn node_mut(&mut self, place: usize) -> &mut Rqlited {
        &mut self.nodes[place]
    }

    /// Returns the number of nodes.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Returns `host:port` of a node for clients. If the node has a link, this is the address of the link.
    pub fn address(&self, place: usize) -> String {
        match self.links.get(place) {
            Some(links) => links.http.address(),
            None => self.nodes[place].address(),
        }
    }

    /// Returns the addresses of all nodes.
    pub fn addresses(&self) -> Vec<String> {
        (0..self.count()).map(|place| self.address(place)).collect()
    }

    /// Returns a URL with the node at this index first and all others after it.
    pub fn url(&self, place: usize) -> String {
        let mut others = self.addresses();
        let this = others.remove(place);
        let secure = if self.builder.tls { "s" } else { "" };
        format!("rqlite{secure}://{this}?nodes={}", others.join(","))
    }

    /// Returns the certificates to trust for reaching the nodes by TLS, as PEM. Empty without TLS.
    pub fn ca_certificates(&self) -> String {
        let nodes = self.nodes.iter();
        nodes.filter_map(Rqlited::ca_certificate_pem).collect()
    }

    /// Returns the index of the node that considers itself the leader. Waits for an election.
    ///
    /// # Panics
    ///
    /// If there is no leader for half a minute.
    pub fn leader(&self) -> usize {
        self.leader_but(None)
    }

    /// Returns the index of the leader once it is another node than `old`. Waits for an election.
    ///
    /// # Panics
    ///
    /// If there is no such leader for half a minute.
    pub fn next_leader(&self, old: usize) -> usize {
        self.leader_but(Some(old))
    }

    fn leader_but(&self, old: Option<usize>) -> usize {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let mut places = (0..self.count()).filter(|place| Some(*place) != old);
            match places.find(|place| self.nodes[*place].leads()) {
                Some(leader) => return leader,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        panic!("the cluster has no leader");
    }

    /// Returns the link by which clients reach a node.
    ///
    /// # Panics
    ///
    /// If the cluster was made without links.
    pub fn client_link(&self, place: usize) -> &Link {
        &self.links(place).http
    }

    /// Returns the connections that one node makes to another.
    ///
    /// # Panics
    ///
    /// If the cluster was made without links.
    pub fn between(&self, from: usize, to: usize) -> Wire<'_> {
        self.links(to).raft.wire(from)
    }

    fn links(&self, place: usize) -> &NodeLinks {
        self.links.get(place).expect("the cluster has links")
    }

    /// Sets the flow of everything that a node sends to other nodes, and of everything that they send to it.
    ///
    /// # Panics
    ///
    /// If the cluster was made without links.
    pub fn set_peers(&self, place: usize, sent: Flow, received: Flow) {
        self.links(place).raft.set(received, sent);
        for other in (0..self.links.len()).filter(|other| *other != place) {
            self.between(place, other).set(sent, received);
        }
    }

    /// Cuts a node off from all other nodes. Clients still reach it.
    ///
    /// # Panics
    ///
    /// If the cluster was made without links.
    pub fn cut_off_from_peers(&self, place: usize) {
        self.set_peers(place, Flow::Cut, Flow::Cut);
    }

    /// Cuts a node off from clients and from all other nodes.
    ///
    /// # Panics
    ///
    /// If the cluster was made without links.
    pub fn cut_off(&self, place: usize) {
        self.cut_off_from_peers(place);
        self.client_link(place).cut();
    }

    /// Heals all links.
    pub fn heal(&self) {
        for links in &self.links {
            links.http.heal();
            links.raft.heal();
        }
    }
}
