//! The decision whether to go on waiting for an answer.
//!
//! A statement may take any time, so that no timeout can distinguish a slow leader from a lost one. The cluster can:
//! while an answer is outstanding, its nodes are asked who leads. A node that no longer leads is given up, and so is a
//! node that answers nothing while others do. This module is pure. The caller reads the clock, see [`Watch::check`].
//!
//! The transport makes checks while it waits: [`Watch::next_check`] says when the first one is due, and after that
//! every [`INTERVAL`]. It reports each sign of progress by [`Watch::passed_on`] and [`Watch::heard`], which begin the
//! wait anew. A check returns [`Verdict::Survey`] at most once in [`PATIENCE`]; the caller then asks the nodes in the
//! background, and the next checks see what they said.
//!
//! Invariants: only what was said after `since` counts, so that an election before the request deposes nobody. A single
//! silence is not enough, nor is silence of all nodes. Giving up says nothing about the request: whether it may have
//! been applied depends on whether it left the client, which `call` decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Leader};

/// The time that an answer may take before any node is asked, and the time between surveys.
const PATIENCE: Duration = Duration::from_secs(1);
/// The interval between checks while an answer is outstanding.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// The decision about an answer that has not arrived yet.
///
/// `GiveUp` has the reason, for the error. The answer is then not waited for any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wait,
    /// Ask the nodes, and wait.
    Survey,
    GiveUp(String),
}

/// A flag that tells whether a request may be sent again.
///
/// If it may, giving up too early costs little, so that less proof is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    No,
}

/// The kind of request that a node was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A request that only the leader can serve: the leader as it was known. Any other node would have answered at once
    /// that it does not lead.
    Leader(Option<Arc<Leader>>, Again),
    /// A request that the node forwards to the leader: the leader as it was known. A request that may be sent again
    /// needs less patience.
    Forwarder(Option<Arc<Leader>>, Again),
    /// A request that any node can serve.
    AnyNode,
}

/// One request that is under way.
///
/// It begins when the request is about to be sent, and ends with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    node: String,
    of: Of,
    /// The time at which the node was last heard from.
    since: Instant,
    /// No survey is asked for before this time.
    next_survey: Instant,
    /// The state of `Expect: 100-continue`.
    taking: Taking,
}

/// The state of the question whether the node accepts the request. Where it is asked, nothing is sent before the
/// answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    /// The node has accepted the request, or need not be asked.
    Said,
    /// The node was not asked yet.
    NotAsked,
    /// The node was asked at this time, and has not answered.
    Asked(Instant),
}

impl Watch {
    /// Creates the watch over a request that is sent `now`.
    pub(crate) fn new(node: String, of: Of, now: Instant) -> Self {
        Watch {
            node,
            of,
            since: now,
            next_survey: now + PATIENCE,
            taking: Taking::Said,
        }
    }

    /// Makes the node accept the request before it is sent.
    ///
    /// Without an answer to that within [`PATIENCE`], the request is given up, whoever leads. Its body has not left the
    /// client then.
    pub(crate) fn until_taken(mut self) -> Self {
        self.taking = Taking::NotAsked;
        self
    }

    /// Records that there is a connection to the node, and that it has taken some bytes.
    ///
    /// May be called for each part of the body. The wait begins anew each time.
    pub(crate) fn passed_on(&mut self, now: Instant) {
        self.since = now;
        self.next_survey = now + PATIENCE;
        if self.taking == Taking::NotAsked {
            self.taking = Taking::Asked(now);
        }
    }

    /// Records that the node has sent something.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.passed_on(now);
        self.taking = Taking::Said;
    }

    /// Returns the time of the next check.
    ///
    /// Once the first check was due, it is always `now`. The caller chooses the interval.
    pub(crate) fn next_check(&self, now: Instant) -> Instant {
        let first = self.since + PATIENCE;
        if now < first { first } else { now }
    }

    /// Returns whether to go on waiting, by what is known of the cluster now. It may be called at any time, and as
    /// often as one likes. After [`Verdict::Survey`], it returns that again only after [`PATIENCE`].
    pub(crate) fn check(&mut self, cluster: &Cluster, now: Instant) -> Verdict {
        if now < self.next_check(now) {
            return Verdict::Wait;
        }
        if let Taking::Asked(at) = self.taking
            && now >= at + PATIENCE
        {
            return Verdict::GiveUp("given up: it does not take the request".to_owned());
        }
        if let Some(reason) = self.lost(cluster) {
            return Verdict::GiveUp(reason);
        }
        if now < self.next_survey || cluster.is_surveying(now) {
            return Verdict::Wait;
        }
        self.next_survey = now + PATIENCE;
        Verdict::Survey
    }

    /// Returns the reason why the answer is not worth waiting for, if there is one.
    fn lost(&self, cluster: &Cluster) -> Option<String> {
        if cluster.is_mute(&self.node, self.since) {
            return Some("given up: it answers nothing, and others do".to_owned());
        }
        match &self.of {
            // Several nodes may share one address, and this connection may lead to the one that does not answer.
            Of::Forwarder(_, Again::Yes) | Of::Leader(_, Again::Yes)
                if cluster.misses_a_node(&self.node, self.since) =>
            {
                Some("given up: a node behind it does not answer".to_owned())
            }
            Of::AnyNode => None,
            Of::Leader(before, _) => {
                let instead = cluster.elected_instead_of(&self.node, self.since);
                let leader = instead.or_else(|| self.elected_after(cluster, before.as_deref()))?;
                Some(format!("given up: it no longer leads, {leader} does"))
            }
            Of::Forwarder(before, _) => {
                let leader = self.elected_after(cluster, before.as_deref())?;
                Some(format!("given up: {leader} leads by now"))
            }
        }
    }

    /// Returns the present leader, if it differs from the one that was known before the request.
    fn elected_after<'c>(&self, cluster: &'c Cluster, before: Option<&Leader>) -> Option<&'c str> {
        cluster.elected_after(before?, self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cluster::{Forwarding, Manner};
    use super::super::survey::{Seen, View};
    use super::*;

    const A: &str = "http://a:1";
    const B: &str = "http://b:1";
    const BALANCER: &str = "http://c:1";

    struct Scene {
        cluster: Cluster,
        watch: Watch,
        now: Instant,
    }

    impl Scene {
        fn new(of: Of) -> Self {
            let manner = Manner {
                discovery: true,
                forwarding: Forwarding::Auto,
                preferred: None,
            };
            let now = Instant::now();
            Scene {
                cluster: Cluster::new(&[A.to_owned(), B.to_owned()], manner),
                watch: Watch::new(A.to_owned(), of, now),
                now,
            }
        }

        /// Creates a scene with a request to an address that the cluster does not list.
        fn behind_balancer(of: Of) -> Self {
            let mut scene = Scene::new(Of::AnyNode);
            scene.watch = Watch::new(BALANCER.to_owned(), of, scene.now);
            scene
        }

        /// Runs a survey in which the node behind the balancer says that the second node leads. It need not be the node
        /// that was sent the request.
        fn survey_behind_balancer(&mut self, misses: bool) {
            self.cluster.begin_survey(self.now);
            let view = View {
                id: Some("1".to_owned()),
                leader: Some(leader(B)),
                nodes: [("1", A), ("2", B)].map(seen).to_vec(),
                is_telling: true,
                misses,
            };
            self.cluster.has_said(BALANCER, view, self.now, self.now);
        }

        /// Checks after this much more time.
        fn check(&mut self, time: Duration) -> Verdict {
            self.now += time;
            self.watch.check(&self.cluster, self.now)
        }

        /// Runs a survey in which each node names the leader, or does not answer.
        fn survey(&mut self, a: Option<Option<&str>>, b: Option<Option<&str>>) {
            self.cluster.begin_survey(self.now);
            for (node, id, said) in [(A, "1", a), (B, "2", b)] {
                match said {
                    None => self.cluster.is_silent(node, "silent", self.now),
                    Some(leader) => {
                        let view = View {
                            id: Some(id.to_owned()),
                            leader: leader.map(self::leader),
                            nodes: [("1", A), ("2", B)].map(seen).to_vec(),
                            is_telling: true,
                            misses: a.is_none() || b.is_none(),
                        };
                        self.cluster.has_said(node, view, self.now, self.now);
                    }
                }
            }
        }
    }

    fn seen((id, base): (&str, &str)) -> Seen {
        Seen {
            id: id.to_owned(),
            base: base.to_owned(),
            voter: true,
        }
    }

    fn leader(base: &str) -> Leader {
        Leader {
            id: Some(if base == A { "1" } else { "2" }.to_owned()),
            base: base.to_owned(),
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn given_up(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::GiveUp(_))
    }

    #[test]
    fn leader_that_is_well_is_waited_for() {
        let mut scene = Scene::new(Of::Leader(None, Again::No));
        assert_eq!(scene.check(SECOND / 2), Verdict::Wait);
        for _ in 0..25 {
            assert_eq!(scene.check(SECOND), Verdict::Survey);
            scene.survey(Some(Some(A)), Some(Some(A)));
            assert_eq!(scene.check(INTERVAL), Verdict::Wait);
        }
    }

    #[test]
    fn node_that_no_longer_leads_is_given_up() {
        // The node keeps the request and answers surveys, but it is cut off from the other nodes.
        let mut scene = Scene::new(Of::Leader(None, Again::No));
        assert_eq!(scene.check(SECOND), Verdict::Survey);
        scene.survey(Some(None), Some(None));
        assert_eq!(scene.check(SECOND), Verdict::Survey);
        scene.survey(Some(None), Some(Some(B)));
        assert!(given_up(&scene.check(INTERVAL)));
    }

    #[test]
    fn who_was_elected_before_the_request_began_deposes_nobody() {
        let mut scene = Scene::new(Of::Leader(None, Again::No));
        scene.survey(Some(Some(B)), Some(Some(B)));
        scene.now += SECOND;
        scene.watch = Watch::new(A.to_owned(), Of::Leader(None, Again::No), scene.now);
        assert_eq!(scene.check(SECOND), Verdict::Survey);
        scene.survey(Some(Some(A)), Some(Some(A)));
        assert_eq!(scene.check(INTERVAL), Verdict::Wait);
    }

    #[test]
    fn mute_node_is_given_up_after_two_looks_if_others_answer() {
        for of in [Of::Leader(None, Again::No), Of::AnyNode] {
            let mut scene = Scene::new(of);
            assert_eq!(scene.check(SECOND), Verdict::Survey);
            scene.survey(None, Some(None));
            // A single silence may be bad luck.
            assert_eq!(scene.check(INTERVAL), Verdict::Wait);
            assert_eq!(scene.check(SECOND), Verdict::Survey);
            scene.survey(None, Some(None));
            assert!(given_up(&scene.check(INTERVAL)));
        }
    }

    #[test]
    fn where_nobody_answers_nobody_is_given_up() {
        let mut scene = Scene::new(Of::Leader(None, Again::No));
        for _ in 0..5 {
            assert_eq!(scene.check(SECOND), Verdict::Survey);
            scene.survey(None, None);
        }
    }

    #[test]
    fn leader_behind_an_address_of_several_nodes_is_known_by_name_alone() {
        for (before, wanted) in [(A, true), (B, false)] {
            let of = Of::Leader(Some(Arc::new(leader(before))), Again::No);
            let mut scene = Scene::behind_balancer(of);
            assert_eq!(scene.check(SECOND), Verdict::Survey);
            scene.survey_behind_balancer(false);
            assert_eq!(given_up(&scene.check(INTERVAL)), wanted, "{before}");
        }
    }

    #[test]
    fn any_node_may_answer_whoever_leads() {
        let mut scene = Scene::new(Of::AnyNode);
        assert_eq!(scene.check(SECOND), Verdict::Survey);
        scene.survey(Some(Some(B)), Some(Some(B)));
        assert_eq!(scene.check(INTERVAL), Verdict::Wait);
    }

    #[test]
    fn what_was_handed_on_to_a_leader_of_the_past_is_given_up() {
        let mut scene = Scene::new(Of::Forwarder(Some(Arc::new(leader(B))), Again::No));
        assert_eq!(scene.check(SECOND), Verdict::Survey);
        scene.survey(Some(Some(B)), None);
        assert_eq!(scene.check(INTERVAL), Verdict::Wait);
        assert_eq!(scene.check(SECOND), Verdict::Survey);
        scene.survey(Some(Some(A)), None);
        assert!(given_up(&scene.check(INTERVAL)));
    }

    #[test]
    fn read_through_one_address_needs_less_patience_than_a_write() {
        let before = || Some(Arc::new(leader(B)));
        for (of, wanted) in [
            (Of::Forwarder(before(), Again::Yes), true),
            (Of::Forwarder(before(), Again::No), false),
            (Of::Leader(None, Again::Yes), true),
            (Of::Leader(None, Again::No), false),
        ] {
            let mut scene = Scene::behind_balancer(of);
            assert_eq!(scene.check(SECOND), Verdict::Survey);
            scene.survey_behind_balancer(true);
            assert_eq!(given_up(&scene.check(INTERVAL)), wanted);
        }
    }

    #[test]
    fn what_is_not_taken_is_given_up_whoever_leads() {
        let mut scene = Scene::new(Of::Forwarder(Some(Arc::new(leader(B))), Again::No));
        scene.watch = scene.watch.clone().until_taken();
        // Connecting has a timeout of its own.
        assert_eq!(scene.check(5 * SECOND), Verdict::Survey);
        scene.watch.passed_on(scene.now);
        assert_eq!(scene.check(SECOND / 2), Verdict::Wait);
        assert!(given_up(&scene.check(SECOND / 2)));
        scene.watch.heard(scene.now);
        for _ in 0..5 {
            assert_eq!(scene.check(SECOND), Verdict::Survey);
        }
    }

    #[test]
    fn sign_of_life_begins_the_wait_anew() {
        let mut scene = Scene::new(Of::Leader(None, Again::No));
        assert_eq!(scene.check(SECOND), Verdict::Survey);
        scene.watch.heard(scene.now);
        assert_eq!(scene.check(SECOND / 2), Verdict::Wait);
    }
}
