//! The state of a cluster: its nodes, its leader, and the nodes that were found dead.
//!
//! [`Cluster`] is a value without I/O or clock. The connections of one configuration share it, so that each profits
//! from what another has found out. It is filled by *surveys*: all nodes are asked at the same time who leads. See
//! [`Cluster::begin_survey`] and [`survey`](super::survey).
//!
//! What is known has three sources:
//!
//! * What happened to requests: [`Cluster::answered`], [`Cluster::failed`], [`Cluster::leads`],
//!   [`Cluster::redirected`]. A node that has done what only a leader does, leads.
//! * What nodes say of themselves in a survey: [`Cluster::has_said`].
//! * What nodes say of others there.
//!
//! The flow of a survey: [`Cluster::begin_survey`] names the nodes to ask. The caller (`session::scout`) asks all of them,
//! and reports each by [`Cluster::has_said`] or [`Cluster::is_silent`]. The survey is over when all have been reported,
//! or after [`SURVEY`]. Nobody has to wait for all: [`Cluster::has_found`] tells when a leader is known.
//!
//! `Call` asks [`Cluster::first`] and then [`Cluster::next`] for a node; `Watch` asks [`Cluster::elected_instead_of`],
//! [`Cluster::elected_after`], [`Cluster::is_mute`] and [`Cluster::misses_a_node`] whether an answer is still worth
//! waiting for.
//!
//! Invariants:
//!
//! * There are at most [`MAX_NODES`] members. Those of the user are removed last.
//! * An address is not a node. Behind a load balancer there are several nodes at one address (`Member::many`, and not
//!   `Member::listed`), and a node may have several addresses. Nodes are compared by their ids where these are known.
//! * A node is trusted only if the user named it or a trusted node lists it. A redirect, or a node that is not trusted,
//!   can add members, but no trust.
//! * All times are given by callers. No method reads a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::survey::{Seen, View};
use crate::backoff;
use crate::word::words;

/// The maximum number of nodes. No cluster has more, but a server that invents nodes may.
const MAX_NODES: usize = 64;
/// The time after which a survey is over, even if some nodes have not answered.
const SURVEY: Duration = Duration::from_millis(1200);
/// The time that one node may take to answer a survey.
pub(crate) const PROBE: Duration = Duration::from_secs(1);
/// The interval at which the list of nodes is refreshed while all is well.
const FRESH: Duration = Duration::from_secs(60);
/// The interval between surveys while the leader or a preferred node does not answer.
const UNWELL: Duration = Duration::from_secs(2);
/// The time for which a leader must have been silent before it is asked through other nodes, which still name it as the
/// leader. An election that is due takes no longer, and it began a survey or two earlier.
const ELECTION: Duration = Duration::from_millis(2500);
/// The maximum time for which an address that never answered is left alone.
const NEVER_REACHED: Duration = Duration::from_secs(30);
/// The time for which redirects are assumed to lead nowhere.
const NOWHERE: Duration = Duration::from_secs(60);

/// The policy for forwarding: it tells whether nodes that do not lead forward requests to the leader.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forwarding {
    /// Forwards if the leader can't be reached at the address that its cluster names, for example behind a load
    /// balancer.
    #[default]
    Auto,
    /// Always forwards.
    Always,
    /// Never forwards. A request that can't be sent to the leader itself fails.
    Never,
}

words!("forwarding", Forwarding {
    Auto = "auto",
    Always = "always",
    Never = "never",
});

/// The rules for the use of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Set if nodes are learnt from the cluster.
    pub(crate) discovery: bool,
    pub(crate) forwarding: Forwarding,
    /// The node to read from where any node may answer.
    pub(crate) preferred: Option<String>,
}

/// One node at one address. A node with two addresses has two of these, with the same id.
///
/// `said` is its answer to the last survey that it answered. A member in `trouble` may still have an older answer.
#[derive(Debug)]
struct Member {
    /// The address, as `http://host:4001/prefix`.
    base: String,
    /// Set if the user has named the node.
    seed: bool,
    /// Set if some queries prefer this node.
    wanted: bool,
    /// `false` for a node that gets no requests for the leader: a read-only one, or one that seems to belong to
    /// another cluster.
    voter: bool,
    /// The id of the node that answers at the address, once it is known.
    id: Option<String>,
    /// Set if several nodes answer at the address, as at that of a load balancer.
    many: bool,
    /// Set if the cluster itself gives this address for one node. At any other address there may be several nodes.
    listed: bool,
    /// Set once it has answered anything.
    reached: bool,
    /// Set while it does not answer. Any answer clears it.
    trouble: Option<Trouble>,
    said: Option<Said>,
}

/// The state of a node that did not answer when it was last asked.
///
/// It counts failed requests and unanswered surveys alike, except for `silent`.
#[derive(Clone, Debug)]
struct Trouble {
    since: Instant,
    last: Instant,
    times: u32,
    /// The number of consecutive surveys that the node has not answered.
    silent: u32,
    message: String,
}

/// The answer of a node to the question who leads.
#[derive(Clone, Debug)]
struct Said {
    at: Instant,
    leader: Option<Leader>,
    /// Set if some node of the cluster does not answer this one.
    misses: bool,
}

/// The leader, by its id if that is known, and by the address that its cluster gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) id: Option<String>,
    pub(crate) base: String,
}

impl Leader {
    /// Returns whether both are the same node. Without both ids, the addresses decide.
    fn is(&self, other: &Leader) -> bool {
        match (&self.id, &other.id) {
            (Some(one), Some(other)) => one == other,
            _ => self.base == other.base,
        }
    }
}

/// The survey that began last. It may be over.
#[derive(Debug)]
struct UnderWay {
    began: Instant,
    waiting: Vec<String>,
}

/// The destination of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This node. If it does not lead, it names the node that does.
    Ask(String),
    /// This node, which forwards the request to the leader.
    Forward(String),
    /// No node, for now.
    Wait,
}

/// The state of a cluster. See the module.
#[derive(Debug)]
pub(crate) struct Cluster {
    manner: Manner,
    members: Vec<Member>,
    /// The leader as far as is known, and when that was learnt. From answers to requests and to surveys.
    leader: Option<(Leader, Instant)>,
    /// Nodes that a trusted node has listed as members of its cluster, even if nodes are not learnt for use.
    listed: Vec<String>,
    /// The leader, as the nodes that were asked have named it.
    named: Option<(Arc<Leader>, Instant)>,
    /// Set if any node has ever answered.
    ///
    /// Until then the configuration may be wrong, and nothing is waited for.
    worked: bool,
    /// The time at which redirects were found to lead nowhere.
    nowhere: Option<Instant>,
    /// The time at which the last survey began.
    surveyed: Option<Instant>,
    survey: Option<UnderWay>,
}

impl Cluster {
    /// Creates the state before any request. `seeds` are the nodes that the configuration names.
    pub(crate) fn new(seeds: &[String], manner: Manner) -> Self {
        let mut cluster = Cluster {
            manner,
            members: Vec::new(),
            leader: None,
            listed: Vec::new(),
            named: None,
            worked: false,
            nowhere: None,
            surveyed: None,
            survey: None,
        };
        for seed in seeds {
            cluster.member(seed).seed = true;
        }
        if let Some(preferred) = cluster.manner.preferred.clone() {
            cluster.prefer(&preferred);
        }
        cluster
    }

    /// Adds a node that the user has named to read from.
    ///
    /// Naming it makes it a seed, which is trusted.
    pub(crate) fn prefer(&mut self, base: &str) {
        let member = self.member(base);
        member.seed = true;
        member.wanted = true;
    }

    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn has_worked(&self) -> bool {
        self.worked
    }

    /// Returns whether a node may receive credentials: the user has named it, or a node that may receive them has
    /// listed it.
    ///
    /// The whole address counts, including scheme and port.
    pub(crate) fn trusts(&self, base: &str) -> bool {
        self.find(base).is_some_and(|member| member.seed)
            || self.listed.iter().any(|listed| listed == base)
    }

    /// Records the nodes that a node lists. If that node was reached by TLS, a listed node without TLS is not trusted.
    ///
    /// Does nothing if that node is not trusted itself. The list is bounded: the oldest entries are dropped.
    pub(crate) fn trust_listed_by(&mut self, from: &str, nodes: &[Seen]) {
        if !self.trusts(from) {
            return;
        }
        let tls = from.starts_with("https://");
        for node in nodes {
            let is_safe = !tls || node.base.starts_with("https://");
            if is_safe && !self.trusts(&node.base) {
                if self.listed.len() >= MAX_NODES {
                    self.listed.remove(0);
                }
                self.listed.push(node.base.clone());
            }
        }
    }

    fn find(&self, base: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.base == base)
    }

    /// Returns the member at an address, and adds it if it is new. A new one is taken for a voter at an address of its
    /// own, until something else is known. If there are too many, the oldest one that the user has not named is
    /// dropped.
    fn member(&mut self, base: &str) -> &mut Member {
        let found = self.members.iter().position(|member| member.base == base);
        let place = found.unwrap_or_else(|| {
            if self.members.len() >= MAX_NODES {
                let oldest = self.members.iter().position(|member| !member.seed);
                self.members.remove(oldest.unwrap_or(MAX_NODES - 1));
            }
            self.members.push(Member {
                base: base.to_owned(),
                seed: false,
                wanted: false,
                voter: true,
                id: None,
                many: false,
                listed: true,
                reached: false,
                trouble: None,
                said: None,
            });
            self.members.len() - 1
        });
        &mut self.members[place]
    }

    /// Records that the node answered, whatever the answer was.
    pub(crate) fn answered(&mut self, base: &str) {
        self.worked = true;
        let member = self.member(base);
        member.reached = true;
        member.trouble = None;
    }

    /// Records that the node could not be reached, or was given up.
    pub(crate) fn failed(&mut self, base: &str, message: &str, now: Instant) {
        self.note_trouble(base, message, now);
    }

    /// Notes that a node did not answer. If that is so for a while, `since` stays the time at which it began.
    fn note_trouble(&mut self, base: &str, message: &str, now: Instant) -> &mut Trouble {
        let member = self.member(base);
        let trouble = member.trouble.get_or_insert_with(|| Trouble {
            since: now,
            last: now,
            times: 0,
            silent: 0,
            message: String::new(),
        });
        trouble.last = now;
        trouble.times += 1;
        message.clone_into(&mut trouble.message);
        trouble
    }

    /// Records that the node leads, because it has just done what only a leader does.
    ///
    /// Replaces the leader that was known.
    pub(crate) fn leads(&mut self, base: &str, now: Instant) {
        let id = self.identity(base).map(str::to_owned);
        let base = base.to_owned();
        self.leader = Some((Leader { id, base }, now));
    }

    /// Records that a node has named another one as the leader.
    ///
    /// Does not make the other node trusted.
    pub(crate) fn redirected(&mut self, from: &str, to: &str, now: Instant) {
        let leader = self.leader.as_ref();
        let was_leader = leader.is_some_and(|(leader, _)| self.is_at(leader, from) == Some(true));
        let member = self.member(from);
        // The node that answered is not the one that was asked for its id.
        member.many |= was_leader && !member.listed;
        let reached = self.member(to).reached;
        // If the new leader was found unreachable, a survey may have found another address at which it can be reached.
        if reached || self.leader.is_none() {
            self.leads(to, now);
        }
    }

    /// Records that the node does not lead, according to its own answer.
    ///
    /// If another node is known as the leader, nothing changes.
    pub(crate) fn leads_not(&mut self, base: &str) {
        if let Some((leader, _)) = &self.leader
            && self.is_at(leader, base) == Some(true)
        {
            self.leader = None;
        }
    }

    /// Records that redirects can't be followed from here.
    ///
    /// It holds for [`NOWHERE`], or until the leader answers a survey at its own address.
    pub(crate) fn redirects_lead_nowhere(&mut self, now: Instant) {
        self.nowhere = Some(now);
    }

    /// Returns the id of the only node that answers at an address.
    fn identity(&self, base: &str) -> Option<&str> {
        let member = self.find(base)?;
        member.id.as_deref().filter(|_| !member.many)
    }

    /// Returns whether the leader is the node that answers at an address, or `None` if that is unknown.
    fn is_at(&self, leader: &Leader, base: &str) -> Option<bool> {
        if leader.base == base {
            return Some(true);
        }
        match (&leader.id, self.identity(base)) {
            (Some(leader), Some(asked)) => Some(leader == asked),
            _ => None,
        }
    }

    /// Returns whether a member answers, as far as is known. An address that is no member is not well.
    fn is_well(&self, base: &str) -> bool {
        self.find(base)
            .is_some_and(|member| member.trouble.is_none())
    }

    /// Returns the best address of the leader.
    ///
    /// Of several addresses, one that answers comes first, then one that ever answered, then one that the user named.
    /// Returns `None` if the leader is at no address of a member.
    fn address_of(&self, leader: &Leader) -> Option<&Member> {
        let same = |member: &&Member| self.is_at(leader, &member.base) == Some(true);
        let rank = |member: &&Member| (member.trouble.is_some(), !member.reached, !member.seed);
        self.members.iter().filter(same).min_by_key(rank)
    }

    /// Returns whether the known leader can only be asked through other nodes.
    ///
    /// That is so if redirects were found to lead nowhere, if its address has never answered, or if it has been silent
    /// for longer than an election takes and is still named.
    fn is_out_of_reach(&self, now: Instant) -> bool {
        let nowhere = self
            .nowhere
            .is_some_and(|since| now.saturating_duration_since(since) < NOWHERE);
        let leader = self.leader.as_ref();
        let leader = leader.and_then(|(leader, _)| self.address_of(leader));
        nowhere
            || leader.is_some_and(|member| match &member.trouble {
                Some(_) if !member.reached => true,
                Some(trouble) => now.saturating_duration_since(trouble.since) >= ELECTION,
                None => false,
            })
    }

    /// Returns whether requests for the leader are to be forwarded now.
    fn forwards(&self, now: Instant) -> bool {
        match self.manner.forwarding {
            Forwarding::Auto => self.is_out_of_reach(now),
            Forwarding::Always => true,
            Forwarding::Never => false,
        }
    }

    /// Returns whether the user permits that requests are forwarded.
    pub(crate) fn may_forward(&self) -> bool {
        self.manner.forwarding != Forwarding::Never
    }

    /// Returns the first destination of a request that only the leader can serve. `current` is the node that the
    /// connection last talked to.
    ///
    /// Prefers the leader, then `current`, and leaves out whatever does not answer. Returns [`Next::Wait`] if a survey is
    /// needed first.
    pub(crate) fn first(&self, current: &str, now: Instant) -> Next {
        if self.forwards(now) {
            return match self.is_well(current) {
                true => Next::Forward(current.to_owned()),
                false => self.next(&[], now),
            };
        }
        if let Some((leader, _)) = &self.leader
            && let Some(member) = self.address_of(leader)
            && member.trouble.is_none()
        {
            return Next::Ask(member.base.clone());
        }
        match self.is_well(current) {
            true => Next::Ask(current.to_owned()),
            false => self.next(&[], now),
        }
    }

    /// Returns whether this is an address of the leader at which it does not answer.
    fn is_lost_leader(&self, base: &str) -> bool {
        let leader = self.leader.as_ref();
        leader.is_some_and(|(leader, _)| self.is_at(leader, base) == Some(true))
            && !self.is_well(base)
    }

    /// Returns the next destination of a request that only the leader can serve, after the nodes in `tried` were tried
    /// in vain.
    ///
    /// Followers are asked only while no node is informed, or if the leader's address is unknown. Otherwise they could
    /// only say what the survey has told, or would hold the request back. `Next::Wait` means that there is no node to ask
    /// in this round.
    pub(crate) fn next(&self, tried: &[String], now: Instant) -> Next {
        let untried = |base: &String| !tried.contains(base);
        // A follower that has lost its leader holds back the requests that it gets. A survey tells sooner who leads.
        let is_informed = self.is_informed();
        if let Some((leader, _)) = &self.leader
            && let Some(member) = self.address_of(leader)
            && (member.trouble.is_none() || !is_informed)
            && untried(&member.base)
            && !self.forwards(now)
        {
            return Next::Ask(member.base.clone());
        }
        let mut candidates = self.candidates();
        if self.forwards(now) {
            // At one address there may be other nodes that answer, whatever happened there last.
            let well = candidates.find(|member| {
                (member.trouble.is_none() || member.many || member.seed)
                    && untried(&member.base)
                    && !self.is_lost_leader(&member.base)
            });
            return well.map_or(Next::Wait, |member| Next::Forward(member.base.clone()));
        }
        // A node that names a leader whose address is unknown redirects the request to it.
        let leads_elsewhere = self
            .leader
            .as_ref()
            .is_some_and(|(leader, _)| self.address_of(leader).is_none());
        if is_informed && !leads_elsewhere {
            return Next::Wait;
        }
        let may_know = |member: &Member| !is_informed || member.trouble.is_none();
        let next = candidates.find(|member| untried(&member.base) && may_know(member));
        next.map_or(Next::Wait, |member| Next::Ask(member.base.clone()))
    }

    /// Returns whether some node answers and says who leads, or that no node does.
    fn is_informed(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.trouble.is_none() && member.said.is_some())
    }

    /// Returns the voting nodes. Those that answer come first, and the user's nodes precede others.
    fn candidates(&self) -> impl Iterator<Item = &Member> {
        let mut members: Vec<_> = self.members.iter().filter(|member| member.voter).collect();
        members.sort_by_key(|member| (member.trouble.is_some(), !member.seed));
        members.into_iter()
    }

    /// Returns the node for a read that any node may answer: the preferred node, or the current one of the connection.
    ///
    /// Any member may be next, also one that does not answer. Returns `None` if all of them were tried.
    pub(crate) fn nearby(
        &self,
        preferred: Option<&str>,
        current: &str,
        tried: &[String],
    ) -> Option<String> {
        let fit = |base: &str| !tried.iter().any(|tried| tried == base);
        let preferred = preferred.or(self.manner.preferred.as_deref());
        let mut first = preferred.into_iter().chain([current]);
        if let Some(well) = first.find(|base| fit(base) && self.is_well(base)) {
            return Some(well.to_owned());
        }
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|member| (member.trouble.is_some(), !member.seed));
        let next = members.iter().find(|member| fit(&member.base));
        next.map(|member| member.base.clone())
    }

    pub(crate) fn has_preferred(&self) -> bool {
        self.manner.preferred.is_some()
    }

    /// Returns each node that does not answer, with its error message.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = (&str, &str)> {
        let in_trouble = self.members.iter().filter_map(|member| {
            let trouble = member.trouble.as_ref()?;
            Some((&*member.base, &*trouble.message))
        });
        in_trouble.filter(|(_, message)| !message.is_empty())
    }

    /// Returns whether a survey is due even though nothing has just failed.
    ///
    /// The first survey is due as soon as any node has answered, if nodes are learnt at all.
    pub(crate) fn wants_survey(&self, now: Instant) -> bool {
        let since = |at: Instant| now.saturating_duration_since(at);
        let Some(surveyed) = self.surveyed else {
            return self.worked && self.manner.discovery;
        };
        let leader = self
            .leader
            .as_ref()
            .and_then(|(leader, _)| self.address_of(leader));
        let wanted = self.members.iter().filter(|member| member.wanted);
        let mut wanted = leader.into_iter().chain(wanted);
        let unwell = wanted.any(|member| member.reached && member.trouble.is_some())
            || self.members.iter().any(|it| self.is_in_doubt(&it.base));
        since(surveyed) >= if unwell { UNWELL } else { FRESH }
    }

    /// Begins a survey and returns the nodes to ask. The list is empty if a survey is already under way.
    ///
    /// The caller must ask each of these nodes, and report all of them.
    pub(crate) fn begin_survey(&mut self, now: Instant) -> Vec<String> {
        if self.is_surveying(now) {
            return Vec::new();
        }
        let due = self.members.iter().filter(|member| is_due(member, now));
        let waiting: Vec<_> = due.map(|member| member.base.clone()).collect();
        self.surveyed = Some(now);
        self.survey = Some(UnderWay {
            began: now,
            waiting: waiting.clone(),
        });
        waiting
    }

    /// Returns whether a survey is under way and may still bring news.
    ///
    /// A node that was not reported counts as outstanding only until [`SURVEY`] is over.
    pub(crate) fn is_surveying(&self, now: Instant) -> bool {
        self.survey.as_ref().is_some_and(|survey| {
            !survey.waiting.is_empty() && now.saturating_duration_since(survey.began) < SURVEY
        })
    }

    /// Returns whether a survey that began at `since` or later has found a leader that answers.
    pub(crate) fn has_found(&self, since: Instant) -> bool {
        self.leader.as_ref().is_some_and(|(leader, at)| {
            let member = self.address_of(leader);
            *at >= since && member.is_some_and(|member| member.trouble.is_none())
        })
    }

    /// Removes a node from those that the survey waits for.
    fn heard(&mut self, base: &str) {
        if let Some(survey) = &mut self.survey {
            survey.waiting.retain(|waiting| waiting != base);
        }
    }

    /// Records that a node did not answer a survey.
    ///
    /// `message` is the reason, for errors.
    pub(crate) fn is_silent(&mut self, base: &str, message: &str, now: Instant) {
        self.heard(base);
        self.note_trouble(base, message, now).silent += 1;
    }

    /// Records the answer of a node to a survey that began at `began`.
    ///
    /// In this order: ignores a node that seems to belong to another cluster; notes who answers at the address; learns
    /// members and trust from its list; and takes over the leader that it names. A node that refuses the questions
    /// counts as one that answers, and tells nothing. If it knows no leader, only its own leadership is over.
    pub(crate) fn has_said(&mut self, base: &str, view: View, began: Instant, now: Instant) {
        self.heard(base);
        if self.is_stranger(base, &view) {
            self.member(base).voter = false;
            return;
        }
        self.answered(base);
        let member = self.member(base);
        if view.id.is_some() && member.id.is_some() && member.id != view.id {
            member.many = true;
        }
        if view.id.is_some() {
            member.id.clone_from(&view.id);
        }
        let mut nodes = view.nodes.iter();
        member.listed = view.nodes.len() < 2 || nodes.any(|node| node.base == base);
        member.said = Some(Said {
            at: now,
            leader: view.leader.clone(),
            misses: view.misses,
        });
        if !view.is_telling {
            member.said = None;
            return;
        }
        self.trust_listed_by(base, &view.nodes);
        self.learn(base, view.nodes, view.leader.as_ref());
        let Some(leader) = view.leader else {
            self.leads_not(base);
            return;
        };
        // The leader's own answer is not overruled by that of a node that has not heard of the leader yet.
        let by_itself = self.is_at(&leader, base) == Some(true);
        let contradicted = self.leader.as_ref().is_some_and(|(known, at)| {
            *at >= began && !known.is(&leader) && self.says_of_itself(known)
        });
        if by_itself || !contradicted {
            self.named = Some((Arc::new(leader.clone()), now));
            self.leader = Some((leader, now));
        }
        let reached = self.leader.as_ref();
        let reached = reached.and_then(|(leader, _)| self.address_of(leader));
        if reached.is_some_and(|member| member.reached && !member.many && member.trouble.is_none())
            && by_itself
        {
            self.nowhere = None;
        }
    }

    /// Returns whether a node has named itself as the leader when it was last asked.
    fn says_of_itself(&self, leader: &Leader) -> bool {
        self.address_of(leader)
            .and_then(|member| member.said.as_ref()?.leader.as_ref())
            .is_some_and(|said| said.is(leader))
    }

    /// Returns whether the node at an address may belong to another cluster. That can happen at an address that only
    /// other nodes have named, such as `localhost`.
    fn is_stranger(&self, base: &str, view: &View) -> bool {
        let named = self
            .find(base)
            .is_none_or(|member| member.seed || member.reached);
        let ids: Vec<_> = self.members.iter().filter(|member| !member.seed).collect();
        let known = ids.iter().filter(|member| {
            let mut nodes = view.nodes.iter();
            nodes.any(|node| Some(&node.id) == member.id.as_ref())
        });
        !named && view.is_telling && known.count() * 2 < ids.len()
    }

    /// Updates the members by the list of a node. Members that are not listed are dropped if they do not answer and
    /// never did. Does nothing if nodes are not to be learnt.
    fn learn(&mut self, from: &str, nodes: Vec<Seen>, leader: Option<&Leader>) {
        if !self.manner.discovery {
            return;
        }
        let tls = from.starts_with("https://");
        let listed: VecDeque<_> = nodes
            .into_iter()
            .filter(|node| !tls || node.base.starts_with("https://"))
            .collect();
        self.members.retain(|member| {
            let mut nodes = listed.iter();
            // A node that left the cluster is not asked again. Nodes that do not answer are listed without an address.
            member.seed
                || member.trouble.is_none()
                || nodes.any(|node| node.base == member.base)
                || member.reached
                || leader.is_some_and(|leader| leader.base == member.base)
        });
        for node in listed {
            let member = self.member(&node.base);
            member.voter = node.voter;
            if member.id.is_none() {
                member.id = Some(node.id);
            }
        }
    }

    /// Returns the node that was elected since then in place of the asked one. Either that node says so itself, or the
    /// asked node no longer claims to lead.
    ///
    /// `since` is the time at which the asked node was last heard from. Returns `None` if several nodes may be at the
    /// address, since then nothing is known about the one that was asked.
    pub(crate) fn elected_instead_of(&self, asked: &str, since: Instant) -> Option<&str> {
        let (leader, at) = self.leader.as_ref()?;
        if !self.find(asked)?.listed || *at < since || self.is_at(leader, asked) != Some(false) {
            return None;
        }
        let heard = |said: &Said| said.at >= since;
        let says = |member: &Member| {
            let said = member.said.as_ref().filter(|said| heard(said));
            said.is_some_and(|said| said.leader.as_ref().is_some_and(|said| said.is(leader)))
        };
        let itself = self.address_of(leader).is_some_and(says);
        let asked = self.find(asked).and_then(|member| member.said.as_ref());
        let resigned = asked.is_some_and(|said| {
            heard(said) && said.leader.as_ref().is_none_or(|said| said.is(leader))
        });
        (itself || resigned).then_some(&*leader.base)
    }

    /// Returns the current leader if any node has named it since, and if it differs from the leader before.
    ///
    /// Works by names alone, so that it serves where an address does not tell which node is asked.
    pub(crate) fn elected_after(&self, before: &Leader, since: Instant) -> Option<&str> {
        let (leader, at) = self.named.as_ref()?;
        (*at >= since && !leader.is(before)).then_some(&*leader.base)
    }

    /// Returns whether one of the nodes that may share this address does not answer the others, according to an answer
    /// since then.
    pub(crate) fn misses_a_node(&self, base: &str, since: Instant) -> bool {
        let member = self.find(base).filter(|member| !member.listed);
        let said = member.and_then(|member| member.said.as_ref());
        said.is_some_and(|said| said.at >= since && said.misses)
    }

    /// Returns whether a request to this address may reach a node that hangs. Several nodes may share the address, and
    /// one of them does not answer the others.
    pub(crate) fn is_in_doubt(&self, base: &str) -> bool {
        let member = self.find(base).filter(|member| !member.listed);
        let said = member.and_then(|member| member.said.as_ref());
        said.is_some_and(|said| said.misses)
    }

    /// Returns the leader, as the nodes have named it.
    pub(crate) fn named(&self) -> Option<Arc<Leader>> {
        self.named.as_ref().map(|(leader, _)| Arc::clone(leader))
    }

    /// Returns whether the node has not answered two surveys in a row while others did.
    pub(crate) fn is_mute(&self, base: &str, since: Instant) -> bool {
        const SURVEYS: u32 = 2;
        let trouble = self.find(base).and_then(|member| member.trouble.as_ref());
        let mute =
            trouble.is_some_and(|trouble| trouble.silent >= SURVEYS && trouble.last >= since);
        let others = self.members.iter().filter(|member| member.base != base);
        let mut speaking = others.filter(|member| member.trouble.is_none());
        mute && speaking.any(|member| member.said.as_ref().is_some_and(|said| said.at >= since))
    }
}

/// Returns whether a node is to be asked in a survey. An address that never answered is asked less and less often.
fn is_due(member: &Member, now: Instant) -> bool {
    match &member.trouble {
        Some(trouble) if !member.reached && !member.seed => {
            let pause = backoff::pause(PROBE, trouble.times, NEVER_REACHED);
            now.saturating_duration_since(trouble.last) >= pause
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(bases: &[&str]) -> View {
        let seen = bases.iter().map(|base| Seen {
            id: (*base).to_owned(),
            base: (*base).to_owned(),
            voter: true,
        });
        View {
            nodes: seen.collect(),
            is_telling: true,
            ..View::default()
        }
    }

    #[test]
    fn only_who_is_trusted_can_make_others_so() {
        for discovery in [true, false] {
            let manner = Manner {
                discovery,
                forwarding: Forwarding::Auto,
                preferred: None,
            };
            let seeds = ["https://a:1".to_owned(), "http://b:1".to_owned()];
            let mut cluster = Cluster::new(&seeds, manner);
            let now = Instant::now();
            assert!(cluster.trusts("https://a:1") && cluster.trusts("http://b:1"));
            // A redirect names it.
            cluster.redirected("http://b:1", "http://x:1", now);
            cluster.has_said("http://x:1", listing(&["http://y:1"]), now, now);
            assert!(!cluster.trusts("http://x:1") && !cluster.trusts("http://y:1"));
            let nodes = ["https://c:1", "http://c:1"];
            cluster.has_said("https://a:1", listing(&nodes), now, now);
            assert!(cluster.trusts("https://c:1"));
            assert!(!cluster.trusts("http://c:1"), "it has no TLS");
            cluster.has_said("http://b:1", listing(&["http://d:1"]), now, now);
            cluster.answered("http://d:1");
            cluster.has_said("http://d:1", listing(&["http://e:1"]), now, now);
            assert!(cluster.trusts("http://d:1") && cluster.trusts("http://e:1"));
            assert!(!cluster.trusts("http://d:2"), "another port");
        }
    }
}
