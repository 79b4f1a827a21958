//! One request until it has an answer. [`Call`] decides which node is asked, when to wait, and when to give up.
//!
//! It is a state machine without I/O. The caller does each step and reports the outcome:
//!
//! ```text
//! loop { match call.step(now) {
//!     Step::Send(request, watch) => call.received(send(request, watch), now),
//!     Step::Survey => { ask all nodes who leads; call.surveyed(now) }
//!     Step::Wait(delay) => sleep(delay),
//!     Step::Done(outcome) => return outcome,
//! } }
//! ```
//!
//! A write is sent again only if an answer, or a failure to connect, proves that it was not applied.
//!
//! The usual path for a request that only the leader can serve:
//!
//! 1. [`Call::step`] asks the `Cluster` for the first node: the leader if it is known, otherwise the node that the
//!    connection used last. It returns [`Step::Send`].
//! 2. A node that does not lead answers with a redirect, which is followed at once.
//! 3. A node that is of no use goes into `Round::tried`, and all nodes are asked who leads ([`Step::Survey`]).
//!    [`Call::surveyed`] then asks the `Cluster` for the next node.
//! 4. If no node is left, there is a pause ([`Step::Wait`]), and everything begins again with an empty round, until
//!    `leader_timeout` is over.
//! 5. An answer of status 200 that is not an error of the request as a whole ends the call, and so does any failure
//!    that would be the same on another node, or after which a write may have been applied.
//!
//! A read that any node may answer goes to the preferred node or the current one, and then through the other nodes. A
//! write that is forwarded may be preceded by a test, which is a read that is forwarded the same way.
//!
//! Invariants:
//!
//! * A write leaves the client a second time only if the attempt before proves that it was not applied.
//! * Credentials and SQL go only to nodes that `Nodes::may_tell` permits, and no redirect leads from TLS to clear text.
//! * The outcome of each `Send` and `Survey` is reported once, before the next step. After [`Step::Done`] the call is
//!   over.
//! * The lock of the `Cluster` is never held when a method returns.
//! * Apart from a few bounded repetitions, each request of a round goes to a node that was not tried in it. So a call
//!   that finds no leader ends some time after `leader_timeout`. The time that a node works on the request is not
//!   limited here.
//!
//! What a lost or slow answer means for the node is left to `watch`, and the choice among nodes to `cluster`. Parsing
//! of the results, and what their errors mean for the program, is left to `response` and to the session.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;

use super::cluster::{Cluster, Next};
use super::failure::{Failure, Why};
use super::head::Request;
use super::message::{ErrorBody, RequestError, is_of_forwarding};
use super::nodes::Nodes;
use super::request::{Endpoint, Exchange, ReadConsistency, Settings, Statements, Way};
use super::survey::{is_redirect, redirect_target};
use super::watch::{Again, Of, Watch};
use crate::backoff;

/// The first pause before all nodes are asked again. Each further pause is twice as long as the previous one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// The number of redirects that are followed before all nodes are asked again. A follower names its leader, which takes
/// one redirect.
const MOST_REDIRECTS: usize = 8;
/// The time for which redirects are followed, whatever the timeout for a leader is.
const FIRST_REDIRECTS: Duration = Duration::from_secs(1);
/// The number of times that a read is sent again after its answer was lost.
const READ_RETRIES: u32 = 3;
/// The reason why a node was not asked.
const NOT_SENT: &str = "neither the configuration nor the cluster's list of nodes names it, so that user and password, and \
     the request, were not sent there; name it in `nodes`, or give the user the permission `status`";
/// The number of consecutive connections to the same address that may lead to a node that does not accept a request.
const MOST_NOT_TAKEN: usize = 4;
/// A header of the answers that rqlite itself gives. Forwarded answers have it, too.
pub(crate) const SERVED_BY: &str = "x-rqlite-served-by";
pub(crate) const VERSION: &str = "x-rqlite-version";

/// The failure of a request that was sent and has no answer.
///
/// If `sent` is not set, the request may be sent to any node.
#[derive(Debug)]
pub(crate) struct SendError {
    /// Set if all of the request may have left the client. Otherwise no server can have parsed it.
    pub(crate) sent: bool,
    /// Set if the time for the request is over.
    pub(crate) timed_out: bool,
    pub(crate) message: String,
}

/// The next thing to do.
///
/// `Send` and `Survey` are reported back by [`Call::received`] and [`Call::surveyed`]. `Wait` needs no report.
#[derive(Debug)]
// A request is made once per network round trip; a box for it would save nothing.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Step {
    /// A request to send. The watch decides how long its answer is worth waiting for.
    Send(Request, Watch),
    /// A survey: all nodes are asked who leads, until a leader is found or the survey is over.
    Survey,
    /// A pause of this length. The next step is a survey.
    ///
    /// The caller varies it by up to half, so that clients do not come back all at once.
    Wait(Duration),
    /// The body of the answer, or the reason why there is none.
    Done(Result<Bytes, Failure>),
}

/// The next thing that `step` does. `step` sets it to `Ready`, or to `Surveying` while a survey is due. The reports set it
/// to what follows. A report that sets nothing means that the request is sent again, to the same target.
#[derive(Debug)]
enum State {
    Begin,
    Ready,
    Surveying,
    Waiting(Duration),
    Done(Result<Bytes, Failure>),
}

/// A request until it has an answer. See the module.
///
/// It borrows the connection's [`Nodes`] and changes them: the current node, whether it is settled, and the shared
/// cluster. `level`, `is_careful` and `way` are about the request that was sent last.
#[derive(Debug)]
pub(crate) struct Call<'c> {
    nodes: &'c mut Nodes,
    settings: &'c Settings,
    exchange: &'c Exchange,
    state: State,
    began: Instant,
    /// The address of the node that is asked.
    target: String,
    way: Way,
    level: ReadConsistency,
    /// Set if a harmless read is sent before a write. Without it, the outcome of the write would be unknown if the node
    /// could not forward it.
    is_test: bool,
    /// Set if the read is a strong one, whatever its level.
    strong: bool,
    /// Set if the node must accept the request before the body is sent.
    is_careful: bool,
    /// Cleared if the node does not understand that.
    can_be_careful: bool,
    round: Round,
    /// The number of pauses so far, which decides about the length of the next one.
    pauses: u32,
    read_retries: u32,
    /// The last message of each node that is of no use.
    said: Vec<(String, String)>,
}

/// The attempts since the last pause.
///
/// A pause begins a new one, in which each node may be asked again.
#[derive(Debug, Default)]
struct Round {
    /// The nodes that were of no use.
    tried: Vec<String>,
    /// The number of redirects that were followed.
    redirects: usize,
    /// The target of the last redirect, if no other node has named it. The other nodes are being asked about it.
    strange: Option<String>,
    /// The number of times that a node did not accept a request.
    not_taken: usize,
}

impl<'c> Call<'c> {
    /// Creates a call. `leader_timeout` counts from `now`. Nothing is decided before the first step.
    pub(crate) fn new(
        nodes: &'c mut Nodes,
        settings: &'c Settings,
        exchange: &'c Exchange,
        now: Instant,
    ) -> Self {
        Call {
            target: nodes.current().to_owned(),
            nodes,
            settings,
            exchange,
            state: State::Begin,
            began: now,
            way: Way::Redirect,
            level: settings.level,
            is_test: false,
            strong: false,
            is_careful: false,
            can_be_careful: true,
            round: Round::default(),
            pauses: 0,
            read_retries: 0,
            said: Vec::new(),
        }
    }

    /// Returns the next thing to do. The first call chooses the node. The outcome of a step must be reported before the
    /// next call, except for [`Step::Wait`].
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        if matches!(self.state, State::Begin) {
            let next = self.first(now);
            self.turn_to(next, now);
        }
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Begin | State::Ready => self.send(now),
            State::Surveying => {
                self.state = State::Surveying;
                Step::Survey
            }
            State::Waiting(delay) => {
                self.state = State::Surveying;
                Step::Wait(delay)
            }
            State::Done(outcome) => Step::Done(outcome),
        }
    }

    /// Returns the level of the read that is sent.
    ///
    /// Returns `None` if the request is a write. Valid after a [`Step::Send`].
    pub(crate) fn level(&self) -> Option<ReadConsistency> {
        let is_read = self.exchange.endpoint.is_query() || self.is_test;
        is_read.then_some(self.level)
    }

    /// Returns the level that the program asked for. That of the exchange has priority.
    fn wanted_level(&self) -> ReadConsistency {
        self.exchange.level.unwrap_or(self.settings.level)
    }

    /// Returns whether any node may answer.
    fn is_local(&self, cluster: &Cluster) -> bool {
        let level = self.wanted_level();
        self.exchange.endpoint.is_query()
            && (level == ReadConsistency::None
                || (level == ReadConsistency::Auto && self.has_preferred(cluster)))
    }

    /// Returns whether there is a preferred node for reads that any node may answer.
    fn has_preferred(&self, cluster: &Cluster) -> bool {
        self.settings.preferred.is_some() || cluster.has_preferred()
    }

    /// Chooses the first node of the call.
    fn first(&self, now: Instant) -> Next {
        let cluster = self.nodes.known.cluster();
        match self.is_local(&cluster) {
            true => self.nearby(&cluster),
            false => cluster.first(self.nodes.current(), now),
        }
    }

    /// Chooses the next node for a read that any node may answer. Waits if all of them were tried.
    fn nearby(&self, cluster: &Cluster) -> Next {
        let preferred = self.settings.preferred.as_deref();
        let next = cluster.nearby(preferred, self.nodes.current(), &self.round.tried);
        next.map_or(Next::Wait, Next::Ask)
    }

    /// Makes this node the target, or looks for the leader.
    ///
    /// Sets the way of the request, and the node that the connection uses from now on. A read from a preferred node
    /// leaves the connection at its own node. Before a write is forwarded by a node that has not proved yet that it
    /// can, a test is due.
    fn turn_to(&mut self, next: Next, now: Instant) {
        match next {
            Next::Ask(base) | Next::Forward(base) if !self.is_trusted(&base) => {
                self.distrust(base, now);
            }
            Next::Ask(base) => {
                let is_local = self.is_local(&self.nodes.known.cluster());
                self.way = if is_local { Way::Local } else { Way::Redirect };
                self.target = base;
                if !is_local || !self.has_preferred(&self.nodes.known.cluster()) {
                    self.nodes.move_to(&self.target);
                }
                self.state = State::Ready;
            }
            Next::Forward(base) => {
                self.nodes.move_to(&base);
                self.target = base;
                self.way = Way::Forward;
                self.state = State::Ready;
            }
            Next::Wait if matches!(self.state, State::Begin) => self.state = State::Surveying,
            Next::Wait => self.pause(now),
        }
        let is_write = !self.exchange.endpoint.is_repeatable();
        self.is_test = is_write && self.way == Way::Forward && !self.nodes.is_settled(&self.target);
    }

    /// Returns whether a node may receive the credentials: the configuration names it, or the cluster does.
    fn is_trusted(&self, base: &str) -> bool {
        self.nodes.may_tell(&self.settings.authorization, base)
    }

    /// Handles a node that only a redirect has named. Nothing is sent there.
    ///
    /// The cluster may list the node in the survey that follows. If it was tried in vain before, there is a pause
    /// instead.
    fn distrust(&mut self, base: String, now: Instant) {
        self.target = base;
        self.say(NOT_SENT.to_owned());
        match self.round.tried.contains(&self.target) {
            true => self.pause(now),
            false => {
                self.round.tried.push(self.target.clone());
                self.state = State::Surveying;
            }
        }
    }

    /// Returns the request to the target: the exchange itself, or the test. An address at which a node may hang gets
    /// the request only after it has accepted it (`Expect: 100-continue`). A request that can't be written is a failure
    /// at once.
    fn send(&mut self, now: Instant) -> Step {
        let test;
        let exchange = match self.is_test {
            true => {
                test = Exchange::new(
                    Endpoint::Query { transaction: false },
                    Statements {
                        json: Bytes::from_static(b"[\"SELECT 1\"]"),
                        number: 1,
                    },
                )
                .at(ReadConsistency::Strong);
                &test
            }
            false => self.exchange,
        };
        self.nodes.hand_on(self.way == Way::Forward);
        self.level = match self.strong || self.is_test {
            true => ReadConsistency::Strong,
            false => self.nodes.level(&self.target, self.wanted_level()),
        };
        let uri = exchange.uri(&self.target, self.level, self.way, self.settings);
        let head = self.nodes.heads.of(&exchange.endpoint.method(), uri);
        let request = head.map(|head| exchange.headed(head, self.settings));
        // A node runs a request without a body when it has the head, so that there is nothing to accept.
        self.is_careful = self.can_be_careful
            && !exchange.body.is_empty()
            && self.nodes.known.cluster().is_in_doubt(&self.target);
        match request {
            Ok(mut request) if self.is_careful => {
                request.must_be_accepted = true;
                Step::Send(request, self.watch(now).until_taken())
            }
            Ok(request) => Step::Send(request, self.watch(now)),
            Err(error) => {
                let message = format!("{}: {error}", self.target);
                Step::Done(Err(self.exchange.failure(Why::NotApplied, message)))
            }
        }
    }

    /// Returns the watch over the request that is sent: what kind of node is asked, and whether giving up is harmless.
    fn watch(&self, now: Instant) -> Watch {
        let leader = self.nodes.known.cluster().named();
        let repeatable = self.exchange.endpoint.is_repeatable() || self.is_test;
        let again = match repeatable && self.read_retries < READ_RETRIES {
            true => Again::Yes,
            false => Again::No,
        };
        let of = match self.way {
            Way::Redirect => Of::Leader(leader, again),
            Way::Forward => Of::Forwarder(leader, again),
            Way::Local => Of::AnyNode,
        };
        Watch::new(self.target.clone(), of, now)
    }

    /// Takes the outcome of the request that was sent.
    ///
    /// `now` is the time of the outcome. Any failure makes the node unsettled, since it may have restarted. What
    /// follows depends on how far the request came:
    ///
    /// * It did not leave the client: another node is asked. If the target is in doubt, it is asked some more times
    ///   before.
    /// * It left: a read is sent again, a bounded number of times. A write ends the call with an unknown outcome.
    pub(crate) fn received(
        &mut self,
        outcome: Result<http::Response<Bytes>, SendError>,
        now: Instant,
    ) {
        match outcome {
            Ok(response) => {
                self.nodes.known.cluster().answered(&self.target);
                self.answered(&response, now);
            }
            Err(error) => {
                self.nodes.unsettled();
                self.nodes
                    .known
                    .cluster()
                    .failed(&self.target, &error.message, now);
                match error.sent {
                    false if self.is_careful && self.round.not_taken < MOST_NOT_TAKEN => {
                        // The next connection to the same address may lead to another node.
                        self.round.not_taken += 1;
                        self.say(error.message);
                    }
                    false => self.no_use(error.message, now),
                    true => self.lost(error),
                }
            }
        }
    }

    /// Ends the call without an answer.
    fn fail(&mut self, why: Why, message: String) {
        self.done(Err(self.exchange.failure(why, message)));
    }

    fn done(&mut self, outcome: Result<Bytes, Failure>) {
        self.state = State::Done(outcome);
    }

    /// Handles a request that left the client without an answer.
    ///
    /// A read whose time is over is not repeated. A test that is lost proves that the write itself was never sent, so
    /// the outcome of the write is known.
    fn lost(&mut self, error: SendError) {
        let again = (self.exchange.endpoint.is_repeatable() || self.is_test)
            && !error.timed_out
            && self.read_retries < READ_RETRIES;
        if again {
            self.read_retries += 1;
            self.say(error.message);
            self.state = State::Surveying;
        } else {
            let why = match self.is_test {
                true => Why::NotApplied,
                false => Why::Unknown,
            };
            self.fail(why, format!("{}: {}", self.target, error.message));
        }
    }

    /// Keeps the last message of the target for the error of the call.
    fn say(&mut self, message: String) {
        self.said.retain(|(node, _)| *node != self.target);
        self.said.push((self.target.clone(), message));
    }

    /// Handles a node that can't serve the request, and has not done so.
    fn no_use(&mut self, reason: String, now: Instant) {
        self.say(reason);
        self.round.tried.push(self.target.clone());
        self.turn(now);
    }

    /// Goes on to another node. If only the leader can serve the request, the nodes are asked first who leads.
    fn turn(&mut self, now: Instant) {
        let cluster = self.nodes.known.cluster();
        if self.is_local(&cluster) {
            let next = self.nearby(&cluster);
            drop(cluster);
            self.turn_to(next, now);
        } else {
            self.state = State::Surveying;
        }
    }

    /// Continues after all nodes were asked who leads.
    ///
    /// If a redirect has named an unknown node, the survey decides whether that node is trusted by now. Otherwise chooses
    /// the next node.
    pub(crate) fn surveyed(&mut self, now: Instant) {
        if let Some(to) = self.round.strange.take() {
            return match self.is_trusted(&to) {
                true => self.follow(&to, now),
                false => self.leads_nowhere(format!("redirected to {to}: {NOT_SENT}"), now),
            };
        }
        let cluster = self.nodes.known.cluster();
        let next = match self.is_local(&cluster) {
            true => self.nearby(&cluster),
            false => cluster.next(&self.round.tried, now),
        };
        drop(cluster);
        self.turn_to(next, now);
    }

    /// Ends the round. Fails if `leader_timeout` is over, or if the cluster has never answered: then waiting would only
    /// hide a wrong address. The failure is never an unknown outcome: a write that may have been applied does not come
    /// here.
    fn pause(&mut self, now: Instant) {
        self.round = Round::default();
        let elapsed = now.saturating_duration_since(self.began);
        // A cluster that has never answered does not exist, or is at another address.
        let never = !self.nodes.known.cluster().has_worked();
        if never || elapsed >= self.settings.leader_timeout {
            let reasons = self.reasons();
            self.fail(Why::NotApplied, reasons);
        } else {
            let pause = backoff::pause(FIRST_PAUSE, self.pauses, LONGEST_PAUSE);
            self.pauses += 1;
            self.state = State::Waiting(pause);
        }
    }

    /// Returns the message of each node.
    ///
    /// Nodes that this call did not ask are included if they are known not to answer.
    fn reasons(&self) -> String {
        let cluster = self.nodes.known.cluster();
        let silent = cluster.troubles().filter(|(node, _)| {
            let mut said = self.said.iter();
            !said.any(|(said, _)| said == node)
        });
        let said = self.said.iter().map(|(node, reason)| (&**node, &**reason));
        let all: Vec<_> = said.chain(silent).collect();
        match &all[..] {
            [] => "no node leads".to_owned(),
            all => {
                let all: Vec<_> = all
                    .iter()
                    .map(|(node, said)| format!("{node}: {said}"))
                    .collect();
                all.join("; ")
            }
        }
    }

    /// Handles an answer of any status. A status that is neither 200, a redirect, nor one of the known cases ends the
    /// call. It is then a failure whose meaning `refusal` decides.
    fn answered(&mut self, response: &http::Response<Bytes>, now: Instant) {
        let status = response.status();
        if status == StatusCode::OK {
            return self.accepted(response, now);
        }
        if is_redirect(status) {
            return self.redirected(response, now);
        }
        if status == StatusCode::EXPECTATION_FAILED && self.is_careful {
            self.can_be_careful = false;
            return;
        }
        let text = text_of(response.body());
        let said = ErrorBody::of(&text);
        if said == ErrorBody::NoLeader {
            self.nodes.known.cluster().leads_not(&self.target);
            return self.no_use(text, now);
        }
        // The statements have been run by then.
        if status == StatusCode::INTERNAL_SERVER_ERROR && said == ErrorBody::Unwritable {
            return self.fail(Why::Unwritable, text);
        }
        // The writes are in the queue, and the time to wait for them is over.
        if status == StatusCode::REQUEST_TIMEOUT && self.exchange.endpoint.is_queue() {
            return self.done(Ok(Bytes::new()));
        }
        let (why, message) = refusal(status, &text);
        let why = match self.is_test {
            true => Why::NotApplied,
            false => why,
        };
        let message = format!("{}: {message}", self.target);
        self.done(Err(Failure {
            status: Some(status),
            ..self.exchange.failure(why, message)
        }));
    }

    /// Handles a redirect. The node has not done anything. A redirect to the node itself, to an address without TLS
    /// from one with TLS, or without a usable address leads nowhere. A redirect to a node that is not trusted leads to
    /// a survey first.
    fn redirected(&mut self, response: &http::Response<Bytes>, now: Instant) {
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let path = self.exchange.endpoint.path();
        let to = location.and_then(|location| redirect_target(&self.target, location, path));
        let status = response.status();
        let reason = match to {
            None => format!("{status} without a usable Location"),
            Some(to) if to == self.target => format!("{status} to itself"),
            // The other node would receive the password in clear text.
            Some(to) if self.target.starts_with("https://") && !to.starts_with("https://") => {
                format!("redirected from https to {to}, which has no TLS")
            }
            // The cluster may list the node when it is asked.
            Some(to) if !self.is_trusted(&to) => {
                self.round.strange = Some(to);
                self.state = State::Surveying;
                return;
            }
            Some(to) => return self.follow(&to, now),
        };
        self.leads_nowhere(reason, now);
    }

    /// Handles a redirect that is of no use. The node may forward the request itself.
    ///
    /// Then the cluster remembers that for a while, so that the next calls are forwarded at once.
    fn leads_nowhere(&mut self, reason: String, now: Instant) {
        let mut cluster = self.nodes.known.cluster();
        if self.way == Way::Redirect && cluster.may_forward() {
            cluster.redirects_lead_nowhere(now);
            drop(cluster);
            let target = self.target.clone();
            self.turn_to(Next::Forward(target), now);
        } else {
            drop(cluster);
            self.no_use(reason, now);
        }
    }

    /// Follows a redirect to a trusted node. Pauses if there were too many, which happens while nodes name each other,
    /// or if time is over. Looks if the node is known not to answer.
    fn follow(&mut self, to: &str, now: Instant) {
        self.round.redirects += 1;
        let mut cluster = self.nodes.known.cluster();
        cluster.redirected(&self.target, to, now);
        let in_trouble = cluster.troubles().any(|(node, _)| node == to);
        let circles = self.round.redirects > MOST_REDIRECTS.min(2 * cluster.count());
        drop(cluster);
        let elapsed = now.saturating_duration_since(self.began);
        if circles || elapsed >= self.settings.leader_timeout.max(FIRST_REDIRECTS) {
            self.say("the leader can't be reached".to_owned());
            self.pause(now);
        } else if in_trouble || self.round.tried.iter().any(|tried| tried == to) {
            // A follower names its leader until it notices that the leader is gone.
            self.say(format!("redirects to {to}"));
            self.state = State::Surveying;
        } else {
            self.turn_to(Next::Ask(to.to_owned()), now);
        }
    }

    /// Handles status 200, which rqlite also gives to requests that failed as a whole.
    ///
    /// Also draws conclusions from the answer: the node leads if it has answered what only a leader can, and the
    /// connection is settled there after a write or a consistent read. The answer to a test is not the answer of the
    /// call: the write follows.
    fn accepted(&mut self, response: &http::Response<Bytes>, now: Instant) {
        if let Some(error) = top_level_error(response.body()) {
            return self.refused(response, error, now);
        }
        if self.is_test {
            self.nodes.settled();
            self.is_test = false;
            return;
        }
        // Any node accepts a queued write.
        if self.exchange.endpoint.is_queue() {
            return self.done(Ok(response.body().clone()));
        }
        let is_query = self.exchange.endpoint.is_query();
        if is_query && self.level == ReadConsistency::Linearizable {
            let is_proven = self.proves_linearizable(response);
            self.nodes.linearizable_answer(&self.target, is_proven);
            if !is_proven {
                // The read is sent again, as a strong one.
                return;
            }
        }
        let consistent = matches!(
            self.level,
            ReadConsistency::Linearizable | ReadConsistency::Strong
        );
        if self.way != Way::Local && (!is_query || consistent) {
            self.nodes.settled();
        }
        if self.exchange.endpoint == Endpoint::StepDown {
            self.nodes.known.cluster().leads_not(&self.target);
        } else if self.way == Way::Redirect && self.level != ReadConsistency::Auto {
            self.nodes.known.cluster().leads(&self.target, now);
        }
        self.done(Ok(response.body().clone()));
    }

    /// Returns whether an answer proves that the read was linearizable. The header names the node that answered. Before
    /// 9, a follower names itself, which proves nothing about its leader.
    fn proves_linearizable(&self, response: &http::Response<Bytes>) -> bool {
        let headers = response.headers();
        let version = headers
            .get(VERSION)
            .and_then(|version| version.to_str().ok());
        let major = version.and_then(|version| {
            let number = version.trim_start_matches('v').split('.').next()?;
            number.parse::<u32>().ok()
        });
        headers.contains_key(SERVED_BY)
            && (self.way != Way::Forward || major.is_some_and(|major| major >= 9))
    }

    /// Handles a request that failed as a whole.
    ///
    /// The call goes on only if the error proves that nothing was done, or if the request is a read. Any other error is
    /// the answer, which the session interprets. A forwarded write is never sent again after such an error.
    fn refused(&mut self, response: &http::Response<Bytes>, error: String, now: Instant) {
        let is_read = self.exchange.endpoint.is_repeatable() || self.is_test;
        let said = RequestError::of(&error);
        if self.level == ReadConsistency::Linearizable && said == RequestError::NothingToApply {
            // A strong read writes an entry to the log, which is then applied.
            self.strong = true;
            return;
        }
        let again = match self.way {
            // The error is that of another node, or of the connection to it. It may be for the second of two copies.
            Way::Forward => is_read && (said == RequestError::NotHere || is_of_forwarding(&error)),
            Way::Redirect | Way::Local => {
                said == RequestError::NotHere || (is_read && said == RequestError::LeadershipLost)
            }
        };
        if self.way != Way::Redirect || again {
            self.nodes.unsettled();
        }
        if again {
            return self.no_use(error, now);
        }
        if self.way == Way::Forward && !is_read && said.is_of_node() {
            // The first copy may have been applied.
            return self.fail(Why::Unknown, format!("{}: {error}", self.target));
        }
        self.done(Ok(response.body().clone()));
    }
}

/// Returns the start of a body as text. Such bodies are messages, not answers.
fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(1000)])
        .trim()
        .to_owned()
}

/// Returns the meaning of an error status.
///
/// A client error proves that the request was not applied, except that of a timeout. A server error proves it only if
/// its text does.
fn refusal(status: StatusCode, text: &str) -> (Why, String) {
    let message = match (status, text.is_empty()) {
        (StatusCode::UNAUTHORIZED, true) => {
            "401 Unauthorized: the user is unknown, the password is wrong, or a permission is missing"
                .to_owned()
        }
        (_, true) => status.to_string(),
        (_, false) => format!("{status}: {text}"),
    };
    let is_refused = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
    let why = match is_refused || ErrorBody::of(text) == ErrorBody::NotDone {
        true => Why::NotApplied,
        false => Why::Unknown,
    };
    (why, message)
}

/// Returns the error of a request that failed as a whole. Such an answer has no results.
///
/// The start of the body decides, so that answers with results are not parsed here.
fn top_level_error(body: &[u8]) -> Option<String> {
    if !body.starts_with(br#"{"results":[],"error":"#) {
        return None;
    }
    super::response::Answer::parse(body, &[]).ok()?.error
}

#[cfg(test)]
mod tests {
    use super::super::authorization::Authorization;
    use super::super::cluster::{Forwarding, Leader, Manner};
    use super::super::nodes::Known;
    use super::super::survey::{Seen, View};
    use super::*;

    const OK: &str = r#"{"results":[{}],"time":0.1}"#;

    struct Script {
        nodes: Nodes,
        settings: Settings,
        exchange: Exchange,
        began: Instant,
        clock: Duration,
        views: Vec<(String, Option<String>)>,
        waits: usize,
        /// Set if some node does not answer the others.
        misses: bool,
        /// The nodes of the cluster, as the nodes list them. If empty, the nodes that have a view are listed.
        listed: Vec<String>,
        /// The id of the node that answers surveys, if it does not follow from the address.
        id: Option<String>,
        /// The node, path and level of each request.
        sent: Vec<String>,
    }

    fn nodes_of(nodes: &[&str], forwarding: Forwarding) -> Nodes {
        let manner = Manner {
            discovery: true,
            forwarding,
            preferred: None,
        };
        let seeds: Vec<_> = nodes.iter().map(|node| base(node)).collect();
        let known = Known::new(Cluster::new(&seeds, manner));
        Nodes::new(known, seeds[0].clone())
    }

    fn base(node: &str) -> String {
        match node.contains("://") {
            true => node.to_owned(),
            false => format!("http://{node}:1"),
        }
    }

    type Reply = Result<http::Response<Bytes>, SendError>;

    impl Script {
        fn new(nodes: &[&str], endpoint: Endpoint, level: ReadConsistency) -> Self {
            Script {
                nodes: nodes_of(nodes, Forwarding::Never),
                settings: Settings::new(
                    level,
                    None,
                    false,
                    Duration::from_secs(10),
                    Authorization::default(),
                ),
                exchange: Exchange::new(
                    endpoint,
                    Statements {
                        json: Bytes::from_static(b"[\"x\"]"),
                        number: 1,
                    },
                ),
                began: Instant::now(),
                clock: Duration::ZERO,
                views: Vec::new(),
                waits: 0,
                misses: false,
                listed: Vec::new(),
                id: None,
                sent: Vec::new(),
            }
        }

        fn write(nodes: &[&str]) -> Self {
            let endpoint = Endpoint::Execute {
                transaction: false,
                returning: false,
            };
            Self::new(nodes, endpoint, ReadConsistency::Linearizable)
        }

        fn read(nodes: &[&str], level: ReadConsistency) -> Self {
            Self::new(nodes, Endpoint::Query { transaction: false }, level)
        }

        /// Sets the answer of a node to the question who leads. Nodes without one do not answer.
        fn view(mut self, node: &str, leader: Option<&str>) -> Self {
            self.views
                .push((format!("http://{node}:1"), leader.map(str::to_owned)));
            self
        }

        fn now(&self) -> Instant {
            self.began + self.clock
        }

        fn survey(&mut self) {
            let now = self.now();
            let mut cluster = self.nodes.known.cluster();
            for node in cluster.begin_survey(now) {
                let said = self.views.iter().find(|(viewer, _)| *viewer == node);
                match said {
                    None => cluster.is_silent(&node, "silent", now),
                    Some((_, leader)) => {
                        let leader = leader.as_ref().map(|leader| Leader {
                            id: Some(leader.clone()),
                            base: format!("http://{leader}:1"),
                        });
                        let listed = self.listed.iter().map(|node| base(node));
                        let nodes: Vec<_> = match self.listed.is_empty() {
                            true => self.views.iter().map(|(base, _)| base.clone()).collect(),
                            false => listed.collect(),
                        };
                        let nodes = nodes.into_iter().map(|base| Seen {
                            id: base["http://".len()..base.len() - 2].to_owned(),
                            base,
                            voter: true,
                        });
                        let view = View {
                            id: self
                                .id
                                .clone()
                                .or_else(|| Some(node["http://".len()..node.len() - 2].to_owned())),
                            leader,
                            nodes: nodes.collect(),
                            is_telling: true,
                            misses: self.misses,
                        };
                        cluster.has_said(&node, view, now, now);
                    }
                }
            }
        }

        fn run(
            &mut self,
            mut reply: impl FnMut(usize, &Request) -> Reply,
        ) -> Result<Bytes, (Why, String)> {
            let (settings, exchange) = (self.settings.clone(), self.exchange.clone());
            let mut nodes = self.nodes.clone();
            let mut call = Call::new(&mut nodes, &settings, &exchange, self.now());
            let outcome = loop {
                match call.step(self.now()) {
                    Step::Send(request, _) => {
                        let uri = request.uri();
                        let query = uri.query().unwrap_or_default();
                        let level = query
                            .split('&')
                            .find_map(|pair| pair.strip_prefix("level="));
                        let way = match query.contains("timeout=1h") {
                            true => " forwarded",
                            false => "",
                        };
                        let node = uri.host().expect("has a host");
                        let level = level.unwrap_or("write");
                        self.sent.push(format!("{node} {level}{way}"));
                        assert!(self.sent.len() < 1000, "the call never ends");
                        let reply = reply(self.sent.len() - 1, &request);
                        call.received(reply, self.now());
                    }
                    Step::Survey => {
                        self.survey();
                        call.surveyed(self.now());
                    }
                    Step::Wait(delay) => {
                        self.waits += 1;
                        self.clock += delay;
                    }
                    Step::Done(outcome) => break outcome,
                }
            };
            self.nodes = nodes;
            outcome.map_err(|failure| (failure.why, failure.message))
        }
    }

    fn response(status: u16, body: &'static str) -> Reply {
        let response = http::Response::builder().status(status);
        Ok(response
            .body(Bytes::from_static(body.as_bytes()))
            .expect("valid"))
    }

    fn redirect(to: &str) -> Reply {
        let response = http::Response::builder().status(301).header(LOCATION, to);
        Ok(response.body(Bytes::new()).expect("valid"))
    }

    fn refused() -> Reply {
        Err(SendError {
            sent: false,
            timed_out: false,
            message: "refused".to_owned(),
        })
    }

    fn lost() -> Reply {
        Err(SendError {
            sent: true,
            timed_out: false,
            message: "closed".to_owned(),
        })
    }

    fn not_applied(outcome: Result<Bytes, (Why, String)>) -> String {
        match outcome {
            Err((Why::NotApplied, reason)) => reason,
            outcome => panic!("{outcome:?}"),
        }
    }

    fn given_up(sent: bool) -> Reply {
        Err(SendError {
            sent,
            timed_out: false,
            message: "given up".to_owned(),
        })
    }

    #[test]
    fn lost_write_is_not_repeated() {
        let mut script = Script::write(&["a", "b"]);
        let outcome = script.run(|_, _| lost());
        let reason = "http://a:1: closed".to_owned();
        assert_eq!(outcome, Err((Why::Unknown, reason)));
        assert_eq!(script.sent, ["a write"]);
    }

    #[test]
    fn lost_read_is_repeated() {
        let mut script = Script::read(&["a"], ReadConsistency::Strong).view("a", Some("a"));
        let outcome = script.run(|sent, _| if sent == 0 { lost() } else { response(200, OK) });
        assert!(outcome.is_ok());
        assert_eq!(script.sent.len(), 2);
    }

    #[test]
    fn read_of_a_node_that_was_given_up_goes_to_the_new_leader() {
        let mut script = Script::read(&["a", "b"], ReadConsistency::Strong).view("b", Some("b"));
        let outcome = script.run(|sent, _| {
            if sent == 0 {
                given_up(true)
            } else {
                response(200, OK)
            }
        });
        assert!(outcome.is_ok());
        assert_eq!(script.sent, ["a strong", "b strong"]);
    }

    #[test]
    fn write_that_never_left_goes_to_the_new_leader() {
        let mut script = Script::write(&["a", "b"]).view("b", Some("b"));
        let outcome = script.run(|sent, _| {
            if sent == 0 {
                given_up(false)
            } else {
                response(200, OK)
            }
        });
        assert!(outcome.is_ok());
        assert_eq!(script.sent, ["a write", "b write"]);
        // The next write begins there.
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert_eq!(script.sent.last().map(|sent| &**sent), Some("b write"));
    }

    #[test]
    fn write_that_left_is_unknown_and_the_next_goes_elsewhere() {
        let mut script = Script::write(&["a", "b"]).view("b", Some("b"));
        let outcome = script.run(|_, _| given_up(true));
        assert!(matches!(outcome, Err((Why::Unknown, _))), "{outcome:?}");
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert_eq!(script.sent, ["a write", "b write"]);
    }

    #[test]
    fn address_that_never_answered_fails_at_once() {
        let mut script = Script::write(&["a", "b"]);
        let reason = not_applied(script.run(|_, _| refused()));
        assert_eq!(reason, "http://a:1: refused; http://b:1: refused");
        assert_eq!(script.waits, 0);
    }

    #[test]
    fn cluster_that_has_answered_is_waited_for() {
        let mut script = Script::write(&["a", "b"]);
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        let reason = not_applied(script.run(|_, _| refused()));
        assert_eq!(reason, "http://a:1: refused; http://b:1: refused");
        assert!(script.clock >= Duration::from_secs(10));
        // The pauses grow; this is not a tight loop.
        assert!((10..40).contains(&script.waits), "{}", script.waits);
    }

    #[test]
    fn redirect_is_followed_and_remembered() {
        let mut script = Script::write(&["a"]);
        let leader = "http://b:4001/db/execute?redirect&noparse";
        assert!(
            script
                .run(|sent, _| if sent == 0 {
                    redirect(leader)
                } else {
                    response(200, OK)
                })
                .is_ok()
        );
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert_eq!(script.sent, ["a write", "b write", "b write"]);
    }

    #[test]
    fn write_waits_for_a_new_leader() {
        let mut script = Script::write(&["a", "b", "c"]);
        let outcome = script.run(|sent, request| match request.uri().host() {
            Some("a") => refused(),
            _ if sent < 12 => response(503, "leader not found\n"),
            Some("b") => redirect("http://c:1/db/execute?redirect"),
            _ => response(200, OK),
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(script.waits > 0);
    }

    #[test]
    fn leader_is_found_by_who_says_so() {
        let mut script = Script::write(&["a", "b", "c"])
            .view("b", Some("c"))
            .view("c", Some("c"));
        let outcome = script.run(|_, request| match request.uri().host() {
            Some("a") => refused(),
            _ => response(200, OK),
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(script.sent, ["a write", "c write"]);
    }

    #[test]
    fn followers_are_not_asked_while_nobody_leads() {
        let mut script = Script::write(&["a", "b"]).view("b", None);
        not_applied(script.run(|_, _| refused()));
        assert_eq!(script.sent, ["a write"]);
        assert!(script.clock >= Duration::from_secs(10));
    }

    #[test]
    fn waiting_for_a_leader_ends() {
        let mut script = Script::write(&["a", "b"]);
        let reason = not_applied(script.run(|_, _| response(500, "leader not found\n")));
        assert_eq!(reason.matches("leader not found").count(), 2, "{reason}");
        assert!(script.clock >= Duration::from_secs(10));
    }

    /// If the user does not want nodes to be learnt, the leader is still reached through the answers of the others.
    #[test]
    fn leader_that_was_never_seen_is_found_where_nodes_are_not_learnt() {
        let manner = Manner {
            discovery: false,
            forwarding: Forwarding::Never,
            preferred: None,
        };
        let mut script = Script::write(&["a"]).view("a", Some("c"));
        let known = Known::new(Cluster::new(&["http://a:1".to_owned()], manner));
        script.nodes = Nodes::new(known, "http://a:1".to_owned());
        let mut leader = "b";
        for _ in 0..3 {
            let outcome = script.run(|_, request| match request.uri().host() {
                Some("a") if leader == "b" => redirect("http://b:1/db/execute"),
                Some("a") => redirect("http://c:1/db/execute"),
                host if host == Some(leader) => response(200, OK),
                _ => refused(),
            });
            assert!(outcome.is_ok(), "{outcome:?}");
            leader = "c";
        }
        assert_eq!(
            script.sent,
            [
                "a write", "b write", "b write", "a write", "c write", "c write"
            ]
        );
        assert_eq!(script.waits, 0);
    }

    #[test]
    fn redirects_to_a_dead_leader_end() {
        let mut script = Script::write(&["a"]).view("a", Some("dead"));
        let reason = not_applied(script.run(|_, request| match request.uri().host() {
            Some("a") => redirect("http://dead:1/db/execute?redirect"),
            _ => refused(),
        }));
        assert!(reason.contains("dead"), "{reason}");
        assert!(script.waits >= 10, "it waits for an election");
    }

    #[test]
    fn redirects_to_ever_new_addresses_end() {
        let mut script = Script::write(&["a"]);
        let settings = Settings::new(
            ReadConsistency::Strong,
            None,
            false,
            Duration::ZERO,
            Authorization::default(),
        );
        script.settings = settings;
        let outcome = script.run(|sent, _| redirect(&format!("http://h{sent}/db/execute")));
        not_applied(outcome);
    }

    #[test]
    fn unusable_redirect_is_an_error_of_one_request() {
        for location in [
            "http://[/db/execute",
            "/elsewhere",
            "http://b:99999/db/execute",
        ] {
            let mut script = Script::write(&["a"]);
            script.settings.leader_timeout = Duration::ZERO;
            let reason = not_applied(script.run(|_, _| redirect(location)));
            assert!(reason.contains("Location"), "{reason}");
            assert!(script.run(|_, _| response(200, OK)).is_ok(), "{location}");
        }
    }

    #[test]
    fn tls_is_not_given_up() {
        let mut script = Script::write(&["https://a:1"]);
        script.settings.leader_timeout = Duration::ZERO;
        not_applied(script.run(|_, _| redirect("http://b/db/execute")));
        assert!(
            script.sent.iter().all(|sent| sent == "a write"),
            "{:?}",
            script.sent
        );
    }

    #[test]
    fn what_can_not_be_reached_is_forwarded_to() {
        let mut script = Script::write(&["a"]).view("a", Some("inside"));
        script.nodes = nodes_of(&["a"], Forwarding::Auto);
        let reply = |_, request: &Request| match request.uri() {
            uri if uri.host() == Some("inside") => refused(),
            uri if uri.query().is_some_and(|query| query.contains("redirect")) => {
                redirect("http://inside:1/db/execute")
            }
            _ => response(200, OK),
        };
        assert!(script.run(reply).is_ok());
        assert!(script.run(reply).is_ok());
        // A harmless read goes first, once.
        assert_eq!(
            script.sent,
            [
                "a write",
                "inside write",
                "a strong",
                "a write forwarded",
                "a write forwarded"
            ]
        );
    }

    #[test]
    fn where_a_node_hangs_behind_an_address_it_first_has_to_take_the_request() {
        let careful = |request: &Request| request.must_be_accepted;
        let mut script = Script::write(&["a"]).view("a", Some("inside"));
        script.nodes = nodes_of(&["a"], Forwarding::Always);
        script.listed = vec!["inside".to_owned(), "other".to_owned()];
        script.misses = true;
        // The second survey finds that the addresses of the first lead nowhere.
        script.survey();
        script.survey();
        let outcome = script.run(|sent, request| {
            assert!(careful(request));
            match sent {
                // The next connection leads to another node. No node is asked before, and there is no pause.
                0 | 1 | 3 => given_up(false),
                _ => response(200, OK),
            }
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        let (strong, write) = ("a strong", "a write forwarded");
        assert_eq!(script.sent, [strong, strong, strong, write, write]);
        assert_eq!(script.waits, 0);
        // A request that the node has accepted is sent once.
        assert!(script.run(|_, _| given_up(true)).is_err());
        assert_eq!(script.sent.len(), 6);
        // A node that does not understand the question has not applied the request.
        let outcome = script.run(|sent, request| {
            assert_eq!(careful(request), sent == 6);
            match sent {
                6 => response(417, ""),
                _ => response(200, OK),
            }
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        // A node runs a request without a body at once.
        script.exchange = Exchange::new(Endpoint::StepDown, Statements::default());
        let outcome = script.run(|_, request| {
            assert!(!careful(request));
            response(200, "")
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        script.exchange = Script::write(&["a"]).exchange;
        script.misses = false;
        script.survey();
        let outcome = script.run(|_, request| {
            assert!(!careful(request));
            response(200, OK)
        });
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[test]
    fn address_that_leads_to_the_leader_only_sometimes_is_forwarded_to() {
        let mut script = Script::write(&["a"]).view("a", Some("hidden"));
        script.nodes = nodes_of(&["a"], Forwarding::Auto);
        // The leader always answers the surveys.
        script.id = Some("hidden".to_owned());
        script.listed = vec!["hidden".to_owned(), "other".to_owned()];
        script.survey();
        let outcome = script.run(|_, request| match request.uri() {
            uri if uri.host() != Some("a") => refused(),
            uri if uri.query().is_some_and(|query| query.contains("redirect")) => {
                redirect("http://hidden:1/db/execute")
            }
            _ => response(200, OK),
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(script.waits, 0);
    }

    #[test]
    fn forwarded_write_is_never_repeated() {
        for (error, is_answer) in [
            ("not leader", false),
            ("store not open", false),
            ("timed out enqueuing operation", false),
            ("dial tcp 1.2.3.4:1: connection refused", true),
            ("EOF", true),
        ] {
            let body: &'static str = format!(r#"{{"results":[],"error":"{error}"}}"#).leak();
            let mut script = Script::write(&["a"]);
            script.nodes = nodes_of(&["a"], Forwarding::Always);
            let outcome = script.run(|sent, _| response(200, if sent == 0 { OK } else { body }));
            match outcome {
                Ok(answer) => assert_eq!((&answer[..], is_answer), (body.as_bytes(), true)),
                // The leader may have got two copies, and this is the answer to the second.
                Err((why, _)) => assert_eq!((why, is_answer), (Why::Unknown, false)),
            }
            assert_eq!(script.sent, ["a strong", "a write forwarded"]);
            // The next write tests with a read whether it would be forwarded.
            assert!(script.run(|_, _| response(200, OK)).is_ok());
            assert_eq!(script.sent[2..], ["a strong", "a write forwarded"]);
        }
    }

    #[test]
    fn quiet_change_of_members_is_answered_by_a_strong_read() {
        let mut script = Script::read(&["a"], ReadConsistency::Linearizable);
        let body = r#"{"results":[],"error":"index 7: timeout waiting for fsm"}"#;
        assert!(
            script
                .run(|sent, _| response(200, if sent == 0 { body } else { OK }))
                .is_ok()
        );
        assert_eq!(script.sent, ["a linearizable", "a strong"]);
    }

    #[test]
    fn preferred_node_is_read_from_and_returned_to() {
        let mut script = Script::read(&["a"], ReadConsistency::None).view("near", Some("a"));
        let manner = Manner {
            discovery: true,
            forwarding: Forwarding::Never,
            preferred: Some("http://near:1".to_owned()),
        };
        let known = Known::new(Cluster::new(&["http://a:1".to_owned()], manner));
        script.nodes = Nodes::new(known, "http://a:1".to_owned());
        let near_is_down = |_, request: &Request| match request.uri().host() {
            Some("near") => refused(),
            _ => response(200, OK),
        };
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert!(script.run(near_is_down).is_ok());
        assert!(script.run(near_is_down).is_ok());
        script.survey();
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert_eq!(
            script.sent,
            ["near none", "near none", "a none", "a none", "near none"]
        );
    }

    #[test]
    fn linearizable_is_strong_where_the_server_does_not_prove_it() {
        let mut script = Script::read(&["a"], ReadConsistency::Linearizable);
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert_eq!(script.sent, ["a linearizable", "a strong", "a strong"]);

        let served = |_: usize, _: &Request| {
            let response = http::Response::builder().header(SERVED_BY, "a");
            Ok(response
                .body(Bytes::from_static(OK.as_bytes()))
                .expect("valid"))
        };
        let mut script = Script::read(&["a"], ReadConsistency::Linearizable);
        assert!(script.run(served).is_ok());
        assert!(script.run(served).is_ok());
        assert_eq!(script.sent, ["a linearizable", "a linearizable"]);
    }

    #[test]
    fn first_weak_read_from_a_leader_is_strong() {
        let mut script = Script::read(&["a"], ReadConsistency::Weak);
        for _ in 0..2 {
            assert!(script.run(|_, _| response(200, OK)).is_ok());
        }
        let leader = "http://b:1/db/query?level=weak";
        assert!(
            script
                .run(|sent, _| if sent == 2 {
                    redirect(leader)
                } else {
                    response(200, OK)
                })
                .is_ok()
        );
        assert_eq!(script.sent, ["a strong", "a weak", "a weak", "b strong"]);
    }

    #[test]
    fn only_known_errors_prove_that_nothing_was_applied() {
        let mut script = Script::write(&["a"]);
        let body = r#"{"results":[],"error":"leadership lost while committing log"}"#;
        assert_eq!(
            script.run(|_, _| response(200, body)),
            Ok(Bytes::from_static(body.as_bytes()))
        );
        assert_eq!(script.sent.len(), 1);
        let mut script = Script::write(&["a"]).view("a", Some("a"));
        let body = r#"{"results":[],"error":"store not open"}"#;
        assert!(
            script
                .run(|sent, _| response(200, if sent < 3 { body } else { OK }))
                .is_ok()
        );
        assert_eq!(script.sent.len(), 4);
    }

    #[test]
    fn statuses() {
        for (status, body, wanted) in [
            (
                400,
                "invalid JSON body\n",
                (
                    Why::NotApplied,
                    "http://a:1: 400 Bad Request: invalid JSON body".to_owned(),
                ),
            ),
            (
                404,
                "",
                (Why::NotApplied, "http://a:1: 404 Not Found".to_owned()),
            ),
            (
                502,
                "bad gateway",
                (
                    Why::Unknown,
                    "http://a:1: 502 Bad Gateway: bad gateway".to_owned(),
                ),
            ),
            (
                500,
                "json: unsupported value: +Inf",
                (Why::Unwritable, "json: unsupported value: +Inf".to_owned()),
            ),
        ] {
            let mut script = Script::write(&["a"]);
            assert_eq!(script.run(|_, _| response(status, body)), Err(wanted));
        }
    }
}
