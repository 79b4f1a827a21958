//! One request until it has an answer: which node is asked, when to wait, when to give up.
//!
//! A machine without I/O. Whoever drives it sends what it says and tells it what came back:
//!
//! ```text
//! loop { match call.step() {
//!     Step::Send(request) => call.received(send(request), elapsed),
//!     Step::Wait(delay) => sleep(delay),
//!     Step::Done(outcome) => return outcome,
//! } }
//! ```
//!
//! A write is sent again only after an answer, or the lack of a connection, that proves it was not applied.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;

use super::failure::{Failure, Why};
use super::message::{ErrorBody, RequestError};
use super::nodes::Nodes;
use super::request::{Exchange, ReadConsistency, Settings};

/// Elections take 1 to 4 s with rqlite's default settings.
const POLL: Duration = Duration::from_millis(100);
/// How often a read whose answer was lost is sent again.
const READ_RETRIES: u32 = 2;
/// On answers that rqlite gave itself; also those it forwards have it.
const SERVED_BY: &str = "x-rqlite-served-by";

/// What came of a request that was sent, where it was no answer.
#[derive(Debug)]
pub(crate) struct SendError {
    /// Whether all of the request left the client. If not, no server can have parsed it.
    pub(crate) sent: bool,
    pub(crate) timed_out: bool,
    pub(crate) message: String,
}

impl SendError {
    /// Says which node it was.
    fn at(mut self, node: &str) -> Self {
        self.message = format!("{node}: {}", self.message);
        self
    }
}

/// What to do next.
#[derive(Debug)]
// A request is made once per network round trip; a box for it would save nothing.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Step {
    Send(http::Request<Bytes>),
    Wait(Duration),
    Done(Result<Bytes, Failure>),
}

#[derive(Debug)]
enum State {
    Ready,
    Waiting(Duration),
    Done(Result<Bytes, Failure>),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Call<'c> {
    nodes: &'c mut Nodes,
    settings: &'c Settings,
    exchange: &'c Exchange,
    state: State,
    level: ReadConsistency,
    round: Round,
    read_retries: u32,
}

/// The nodes asked since the last pause.
#[derive(Debug, Default)]
struct Round {
    asked: usize,
    answered: bool,
    unreachable: Vec<usize>,
}

impl<'c> Call<'c> {
    pub(crate) fn new(
        nodes: &'c mut Nodes,
        settings: &'c Settings,
        exchange: &'c Exchange,
    ) -> Self {
        Call {
            nodes,
            settings,
            exchange,
            state: State::Ready,
            level: settings.level,
            round: Round::default(),
            read_retries: 0,
        }
    }

    pub(crate) fn step(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Ready => self.send(),
            State::Waiting(delay) => Step::Wait(delay),
            State::Done(outcome) => Step::Done(outcome),
        }
    }

    fn send(&mut self) -> Step {
        let wanted = self.exchange.level.unwrap_or(self.settings.level);
        self.level = self.nodes.level(wanted);
        let base = &self.nodes.current().base;
        match self.exchange.to_node(base, self.level, self.settings) {
            Ok(request) => Step::Send(request),
            Err(error) => Step::Done(Err(self
                .exchange
                .failure(Why::NotApplied, format!("{base}: {error}")))),
        }
    }

    /// Takes what came back; `elapsed` is the time since the call began.
    pub(crate) fn received(
        &mut self,
        outcome: Result<http::Response<Bytes>, SendError>,
        elapsed: Duration,
    ) {
        let node = self.nodes.current().base.clone();
        match outcome.map_err(|error| error.at(&node)) {
            Ok(response) => self.answered(&response, elapsed),
            Err(error) if !error.sent => {
                self.nodes.unsettled();
                self.round.unreachable.push(self.nodes.current_index());
                self.next_node(error.message, elapsed);
            }
            Err(error) => {
                self.nodes.unsettled();
                self.lost(error);
            }
        }
    }

    fn done(&mut self, outcome: Result<Bytes, Failure>) {
        self.state = State::Done(outcome);
    }

    fn fail(&mut self, why: Why, message: String) {
        self.done(Err(self.exchange.failure(why, message)));
    }

    /// The request left, the answer did not come.
    fn lost(&mut self, error: SendError) {
        let again = self.exchange.endpoint.is_repeatable()
            && !error.timed_out
            && self.read_retries < READ_RETRIES;
        if again {
            self.read_retries += 1;
            self.nodes.advance();
        } else {
            self.fail(Why::Unknown, error.message);
        }
    }

    /// The current node can't serve the request, and has not.
    fn next_node(&mut self, reason: String, elapsed: Duration) {
        self.round.asked += 1;
        self.nodes.advance();
        if self.round.asked >= self.nodes.count() {
            self.pause(reason, elapsed);
        }
    }

    fn pause(&mut self, reason: String, elapsed: Duration) {
        let round = std::mem::take(&mut self.round);
        if !round.answered || elapsed >= self.settings.leader_timeout {
            self.fail(Why::NotApplied, reason);
        } else {
            self.state = State::Waiting(POLL);
        }
    }

    fn answered(&mut self, response: &http::Response<Bytes>, elapsed: Duration) {
        self.round.answered = true;
        let status = response.status();
        if status == StatusCode::OK {
            return self.accepted(response, elapsed);
        }
        if status.is_redirection() {
            return self.redirected(response, elapsed);
        }
        let text = text_of(response.body());
        let node = &self.nodes.current().base;
        let said = ErrorBody::of(&text);
        if said == ErrorBody::NoLeader {
            let reason = format!("{node}: {text}");
            return self.next_node(reason, elapsed);
        }
        // The statements have been run by then.
        if status == StatusCode::INTERNAL_SERVER_ERROR && said == ErrorBody::Unwritable {
            return self.fail(Why::Unwritable, text);
        }
        let (why, message) = refusal(status, &text);
        let message = format!("{node}: {message}");
        self.fail(why, message);
    }

    fn redirected(&mut self, response: &http::Response<Bytes>, elapsed: Duration) {
        let location = response.headers().get(LOCATION);
        let base = location
            .and_then(|value| value.to_str().ok())
            .and_then(|location| base_of(location, self.exchange.endpoint.path()));
        let Some(base) = base else {
            let text = format!("{} without a usable Location", response.status());
            return self.fail(Why::NotApplied, text);
        };
        self.round.asked += 1;
        if let Err(reason) = self.nodes.redirected(base) {
            return self.fail(Why::NotApplied, reason);
        }
        let dead = self.round.unreachable.contains(&self.nodes.current_index())
            || elapsed >= self.settings.leader_timeout;
        // A follower names its leader until it notices that the leader is gone.
        if dead || self.round.asked > 2 * self.nodes.count() {
            self.nodes.advance();
            self.pause("the leader can't be reached".to_owned(), elapsed);
        }
    }

    /// Status 200, which rqlite also gives to requests that failed as a whole.
    fn accepted(&mut self, response: &http::Response<Bytes>, elapsed: Duration) {
        if let Some(error) = top_level_error(response.body()) {
            let again = match RequestError::of(&error) {
                RequestError::NotHere => true,
                RequestError::LeadershipLost => self.exchange.endpoint.is_repeatable(),
                _ => false,
            };
            if again {
                return self.next_node(error, elapsed);
            }
            return self.done(Ok(response.body().clone()));
        }
        if self.exchange.endpoint.is_query() && self.level == ReadConsistency::Linearizable {
            let names_itself = response.headers().contains_key(SERVED_BY);
            self.nodes.linearizable_answer(names_itself);
            if !names_itself {
                // Asked again, as a strong read.
                return;
            }
        }
        let consistent = matches!(
            self.level,
            ReadConsistency::Linearizable | ReadConsistency::Strong
        );
        if !self.exchange.endpoint.is_query() || consistent {
            self.nodes.settled();
        }
        self.done(Ok(response.body().clone()));
    }
}

fn text_of(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(1000)])
        .trim()
        .to_owned()
}

/// What a status means that is an error.
fn refusal(status: StatusCode, text: &str) -> (Why, String) {
    let message = match (status, text.is_empty()) {
        (StatusCode::UNAUTHORIZED, true) => {
            "401 Unauthorized: the user is unknown, the password is wrong, or a permission is missing"
                .to_owned()
        }
        (_, true) => status.to_string(),
        (_, false) => format!("{status}: {text}"),
    };
    let why = match status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT {
        true => Why::NotApplied,
        false => Why::Unknown,
    };
    (why, message)
}

/// The error of a request that failed as a whole: then there are no results.
fn top_level_error(body: &[u8]) -> Option<String> {
    if !body.starts_with(br#"{"results":[],"error":"#) {
        return None;
    }
    super::response::Answer::parse(body, &[]).ok()?.error
}

/// A redirect's target without the endpoint: `http://host:4001`.
fn base_of(location: &str, path: &str) -> Option<String> {
    let without_query = location.split('?').next()?;
    let base = without_query.strip_suffix(path)?;
    (base.starts_with("http://") || base.starts_with("https://")).then(|| base.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::nodes::Node;
    use super::super::request::Endpoint;
    use super::*;

    const OK: &str = r#"{"results":[{}],"time":0.1}"#;

    struct Script {
        nodes: Nodes,
        settings: Settings,
        exchange: Exchange,
        clock: Duration,
        waits: usize,
        /// `node path level` of each request
        sent: Vec<String>,
    }

    type Reply = Result<http::Response<Bytes>, SendError>;

    impl Script {
        fn new(nodes: &[&str], endpoint: Endpoint, level: ReadConsistency) -> Self {
            let nodes = nodes.iter().map(|node| Node::new(format!("http://{node}")));
            Script {
                nodes: Nodes::new(nodes.collect()),
                settings: Settings::new(level, None, false, Duration::from_secs(10), None),
                exchange: Exchange::new(endpoint, Bytes::from_static(b"[\"x\"]")),
                clock: Duration::ZERO,
                waits: 0,
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

        fn run(
            &mut self,
            mut reply: impl FnMut(usize, &http::Request<Bytes>) -> Reply,
        ) -> Result<Bytes, (Why, String)> {
            let mut call = Call::new(&mut self.nodes, &self.settings, &self.exchange);
            loop {
                match call.step() {
                    Step::Send(request) => {
                        let uri = request.uri();
                        let query = uri.query().unwrap_or_default();
                        let level = query
                            .split('&')
                            .find_map(|pair| pair.strip_prefix("level="));
                        self.sent.push(format!(
                            "{} {}",
                            uri.authority().expect("has a host"),
                            level.unwrap_or("write")
                        ));
                        assert!(self.sent.len() < 1000, "the call never ends");
                        let reply = reply(self.sent.len() - 1, &request);
                        call.received(reply, self.clock);
                    }
                    Step::Wait(delay) => {
                        self.waits += 1;
                        self.clock += delay;
                    }
                    Step::Done(outcome) => {
                        return outcome.map_err(|failure| (failure.why, failure.message));
                    }
                }
            }
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

    #[test]
    fn lost_write_is_not_repeated() {
        let mut script = Script::write(&["a", "b"]);
        let outcome = script.run(|_, _| lost());
        assert_eq!(outcome, Err((Why::Unknown, "http://a: closed".to_owned())));
        assert_eq!(script.sent, ["a write"]);
    }

    #[test]
    fn lost_read_is_repeated() {
        let mut script = Script::read(&["a"], ReadConsistency::Strong);
        let outcome = script.run(|sent, _| if sent == 0 { lost() } else { response(200, OK) });
        assert!(outcome.is_ok());
        assert_eq!(script.sent.len(), 2);
    }

    #[test]
    fn refused_connection_fails_at_once() {
        let mut script = Script::write(&["a"]);
        let outcome = script.run(|_, _| refused());
        assert_eq!(
            outcome,
            Err((Why::NotApplied, "http://a: refused".to_owned()))
        );
        assert_eq!((script.sent.len(), script.waits), (1, 0));
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
        assert_eq!(script.sent, ["a write", "b:4001 write", "b:4001 write"]);
    }

    #[test]
    fn write_waits_for_a_new_leader() {
        let mut script = Script::write(&["a", "b", "c"]);
        let outcome = script.run(|sent, request| match request.uri().host() {
            Some("a") => refused(),
            _ if sent < 12 => response(503, "leader not found\n"),
            Some("b") => redirect("http://c/db/execute?redirect"),
            _ => response(200, OK),
        });
        assert!(outcome.is_ok());
        assert!(script.waits > 0);
    }

    #[test]
    fn waiting_for_a_leader_ends() {
        let mut script = Script::write(&["a", "b"]);
        let outcome = script.run(|_, _| response(500, "leader not found\n"));
        assert_eq!(
            outcome,
            Err((Why::NotApplied, "http://b: leader not found".to_owned()))
        );
        assert!(script.clock >= Duration::from_secs(10));
    }

    #[test]
    fn redirects_to_a_dead_leader_end() {
        let mut script = Script::write(&["a"]);
        let outcome = script.run(|_, request| match request.uri().host() {
            Some("a") => redirect("http://dead/db/execute?redirect"),
            _ => refused(),
        });
        assert!(matches!(outcome, Err((Why::NotApplied, _))));
        assert!(script.waits >= 99, "it waits for an election");
    }

    #[test]
    fn redirects_to_ever_new_addresses_end() {
        let mut script = Script::write(&["a"]);
        let settings = Settings::new(ReadConsistency::Strong, None, false, Duration::ZERO, None);
        script.settings = settings;
        let outcome = script.run(|sent, _| redirect(&format!("http://h{sent}/db/execute")));
        assert!(matches!(outcome, Err((Why::NotApplied, _))), "{outcome:?}");
    }

    #[test]
    fn tls_is_not_given_up() {
        let mut script = Script::write(&[]);
        script.nodes = Nodes::new(vec![Node::new("https://a".to_owned())]);
        let outcome = script.run(|_, _| redirect("http://b/db/execute"));
        assert!(matches!(outcome, Err((Why::NotApplied, _))));
        assert_eq!(script.sent.len(), 1);
    }

    #[test]
    fn linearizable_is_strong_where_the_server_does_not_prove_it() {
        let mut script = Script::read(&["a"], ReadConsistency::Linearizable);
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert!(script.run(|_, _| response(200, OK)).is_ok());
        assert_eq!(script.sent, ["a linearizable", "a strong", "a strong"]);

        let served = |_: usize, _: &http::Request<Bytes>| {
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
        let leader = "http://b/db/query?level=weak";
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
        let mut script = Script::write(&["a"]);
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
                    "http://a: 400 Bad Request: invalid JSON body".to_owned(),
                ),
            ),
            (
                404,
                "",
                (Why::NotApplied, "http://a: 404 Not Found".to_owned()),
            ),
            (
                502,
                "bad gateway",
                (
                    Why::Unknown,
                    "http://a: 502 Bad Gateway: bad gateway".to_owned(),
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
