//! The contents of a request: endpoint, flags and body.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::authorization::Authorization;
use super::head::{Head, Request};
use crate::word::words;

/// The consistency of a read. See rqlite's documentation of read consistency.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadConsistency {
    /// The data of the node that is asked, without asking the leader. It can be stale without limit.
    None,
    /// The data of the leader, unless it was just replaced without knowing it. This connection makes its first read
    /// from a leader a strong one, because a leader that has just started can lag behind.
    Weak,
    /// Everything that was acknowledged before the read began.
    ///
    /// Servers before 8.32 would silently read weakly, and those before 9.4 do not report what they did. With such
    /// servers, [`Strong`](Self::Strong) is used, which costs an entry in the Raft log.
    #[default]
    Linearizable,
    /// Like [`Linearizable`](Self::Linearizable), but through the Raft log.
    Strong,
    /// [`Weak`](Self::Weak) on a voting node, [`None`](Self::None) on a read-only one.
    Auto,
}

words!("a read consistency", ReadConsistency {
    None = "none",
    Weak = "weak",
    Linearizable = "linearizable",
    Strong = "strong",
    Auto = "auto",
});

/// The maximum of all times. Longer ones would be beyond the range of clocks, and of Go's durations.
pub(crate) const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// The time that a linearizable read may wait for the log to be applied. After that it is made a strong read. Servers
/// before 8.32 do not know the flag.
const LINEARIZABLE_TIMEOUT: &str = "&linearizable_timeout=500ms";
/// The time after which a node that forwards a write sends it once more. The statement is then applied twice (version
/// 10). No statement takes so long, and the caller has given up long before. It is never combined with `retries`.
const LONG_FORWARDING: &str = "&timeout=1h";

/// The way in which a request reaches the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A node that does not lead names the leader.
    Redirect,
    /// A node that does not lead forwards the request.
    Forward,
    /// Any node answers.
    Local,
}

/// The kind of a request, which determines its endpoint and rqlite's flags. No other code chooses them:
///
/// | what | endpoint and flags | why |
/// |---|---|---|
/// | read | `/db/query?level=…&noparse&blob_array` | the text stays as it is, BLOBs can be distinguished from text |
/// | a read in a transaction | the same with `transaction` | all of it from one snapshot |
/// | peek | `/db/request?transaction` | writes and reads in order; a failing statement at the end undoes it all |
/// | write, schema, PRAGMA | `/db/execute?noparse` | rqlite's rewriting prints statements anew and damages some (it drops STRICT, swaps `LIMIT a, b`); the client has already replaced `random()` and `now`, for which the rewriting exists |
/// | a commit, several writes | `/db/execute?noparse&transaction` | all or nothing; `/db/request?transaction` is not, if a statement fails to prepare |
/// | writes of this crate, then queries (locks, numbered commits) | `/db/request?transaction&noparse&blob_array` | they may be sent again |
/// | write with RETURNING | `/db/execute?norwtime&norwrandom` | `noparse` would lose the rows |
/// | queued writes | `/db/execute?queue&norwtime&norwrandom` | the queue does not know `noparse`, nor `transaction`, `redirect`, `db_timeout` |
/// | writes without foreign keys | `/db/execute?noparse` | a transaction as one text, between the statements that switch them off and on |
/// | a node leaves | `/remove` | |
/// | another node leads | `/leader?wait` | the answer is sent when the other node leads |
///
/// All requests have `redirect`, except reads at level `none` and queued writes, so that a follower does not forward
/// them. From version 10 on, a follower sends a forwarded write twice when the first reply is late, and the statement
/// is then applied twice. If the leader can be reached only through other nodes, see [`Way::Forward`], writes have a
/// `timeout` that never expires. All requests have `timings` if the program wants to know of slow queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Query {
        transaction: bool,
    },
    /// Statements of which the last one fails, so that everything is undone.
    Request {
        returning: bool,
    },
    Execute {
        transaction: bool,
        returning: bool,
    },
    /// Writes that the node queues and sends later. With `wait`, the node answers when it has done so, or when that
    /// time is over.
    Queue {
        wait: Option<Duration>,
    },
    /// Writes that may be sent again, followed by queries.
    WriteAndAsk,
    /// Writes between statements that switch foreign keys off and on again. All of these statements must be run.
    Unenforced,
    /// Removes a node from the cluster.
    Remove,
    /// Transfers leadership to another node. Servers before 8.40 do not know the endpoint.
    StepDown,
}

/// The consequence of a lost answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stake {
    /// The request changes nothing, or only what is of no use to anyone else. There is nothing to report but the error.
    Nothing,
    /// The request is a write of the program. The error must tell whether it was applied.
    Write,
}

impl Endpoint {
    fn stake(self) -> Stake {
        match self {
            Endpoint::Execute { .. }
            | Endpoint::Queue { .. }
            | Endpoint::Unenforced
            | Endpoint::Remove
            | Endpoint::StepDown => Stake::Write,
            Endpoint::Query { .. } | Endpoint::Request { .. } | Endpoint::WriteAndAsk => {
                Stake::Nothing
            }
        }
    }

    /// Returns whether the request may be sent again if its answer was lost.
    pub(crate) fn is_repeatable(self) -> bool {
        self.stake() == Stake::Nothing
    }

    /// Returns whether any node accepts the request. Its answer then tells nothing about the leader.
    pub(crate) fn is_queue(self) -> bool {
        matches!(self, Endpoint::Queue { .. })
    }

    /// Returns whether the request has a read consistency level.
    pub(crate) fn is_query(self) -> bool {
        matches!(self, Endpoint::Query { .. })
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::Query { .. } => "/db/query",
            Endpoint::Request { .. } | Endpoint::WriteAndAsk => "/db/request",
            Endpoint::Execute { .. } | Endpoint::Queue { .. } | Endpoint::Unenforced => {
                "/db/execute"
            }
            Endpoint::Remove => "/remove",
            Endpoint::StepDown => "/leader",
        }
    }

    pub(crate) fn method(self) -> Method {
        match self {
            Endpoint::Remove => Method::DELETE,
            _ => Method::POST,
        }
    }

    fn push_query(self, uri: &mut String, level: ReadConsistency, way: Way, settings: &Settings) {
        self.push_flags(uri, level, settings);
        // For queued writes, `timeout` is the time to wait for them.
        if self.is_queue() {
            return;
        }
        match way {
            Way::Redirect => uri.push_str("&redirect"),
            Way::Forward if !self.is_query() => uri.push_str(LONG_FORWARDING),
            Way::Forward | Way::Local => {}
        }
        // When the time is over, the server would not run the remaining statements.
        if let Some(timeout) = settings.db_timeout
            && self != Endpoint::Unenforced
        {
            uri.push_str(&format!("&db_timeout={}ns", timeout.as_nanos()));
        }
        if settings.timings {
            uri.push_str("&timings");
        }
    }

    fn push_flags(self, uri: &mut String, level: ReadConsistency, settings: &Settings) {
        match self {
            Endpoint::Query { transaction } => {
                uri.push_str("?noparse&blob_array");
                if transaction {
                    uri.push_str("&transaction");
                }
                uri.push_str("&level=");
                uri.push_str(level.name());
                if level == ReadConsistency::None {
                    settings.push_freshness(uri);
                } else if level == ReadConsistency::Linearizable {
                    uri.push_str(LINEARIZABLE_TIMEOUT);
                }
            }
            Endpoint::Request { returning } => {
                uri.push_str("?transaction&blob_array");
                uri.push_str(rewriting(returning));
            }
            Endpoint::WriteAndAsk => uri.push_str("?transaction&blob_array&noparse"),
            Endpoint::Queue { wait } => {
                uri.push_str("?queue");
                uri.push_str(rewriting(true));
                if let Some(wait) = wait {
                    uri.push_str(&format!("&wait&timeout={}ns", wait.as_nanos()));
                }
            }
            Endpoint::Unenforced => uri.push_str("?noparse"),
            // The flag that follows begins with an `&`.
            Endpoint::Remove => uri.push('?'),
            Endpoint::StepDown => uri.push_str("?wait"),
            Endpoint::Execute {
                transaction,
                returning,
            } => {
                uri.push('?');
                uri.push_str(&rewriting(returning)[1..]);
                if transaction {
                    uri.push_str("&transaction");
                }
            }
        }
    }
}

fn rewriting(returning: bool) -> &'static str {
    if returning {
        "&norwtime&norwrandom"
    } else {
        "&noparse"
    }
}

/// The settings that all requests of a connection share.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) level: ReadConsistency,
    pub(crate) freshness: Option<Duration>,
    pub(crate) freshness_strict: bool,
    /// The time that a request may wait for the cluster to have a leader.
    pub(crate) leader_timeout: Duration,
    pub(crate) authorization: Authorization,
    /// The time that the server may work on one statement.
    pub(crate) db_timeout: Option<Duration>,
    /// The timeout of requests, if it differs from that of the client.
    pub(crate) request_timeout: Option<Duration>,
    /// The node to read from where any node may answer, if it differs from that of the cluster.
    pub(crate) preferred: Option<String>,
    /// Set if answers include the time that the server worked on them.
    pub(crate) timings: bool,
}

impl Settings {
    pub(crate) fn new(
        level: ReadConsistency,
        freshness: Option<Duration>,
        freshness_strict: bool,
        leader_timeout: Duration,
        authorization: Authorization,
    ) -> Self {
        Settings {
            level,
            freshness,
            freshness_strict,
            leader_timeout,
            authorization,
            db_timeout: None,
            request_timeout: None,
            preferred: None,
            timings: false,
        }
    }

    /// Returns the time for which to ask for the outcome of a commit whose answer was lost.
    pub(crate) fn settle_timeout(&self) -> Duration {
        self.leader_timeout.saturating_mul(3)
    }

    fn push_freshness(&self, uri: &mut String) {
        if let Some(freshness) = self.freshness {
            // A duration in Go's format.
            uri.push_str(&format!("&freshness={}ns", freshness.as_nanos()));
            if self.freshness_strict {
                uri.push_str("&freshness_strict");
            }
        }
    }
}

/// Statements as JSON, and their number. An answer has one result for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statements {
    pub(crate) json: Bytes,
    pub(crate) number: usize,
}

/// One request, before its node is chosen.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) endpoint: Endpoint,
    pub(crate) body: Bytes,
    /// The number of statements in the body.
    pub(crate) statements: usize,
    /// The level of a read that needs another level than that of its connection.
    pub(crate) level: Option<ReadConsistency>,
    stake: Stake,
}

impl Exchange {
    pub(crate) fn new(endpoint: Endpoint, statements: Statements) -> Self {
        Exchange {
            endpoint,
            body: statements.json,
            statements: statements.number,
            level: None,
            stake: endpoint.stake(),
        }
    }

    /// Combines writes without rows, of one statement each, into one request. Each statement is run, whatever the
    /// outcome of the previous ones.
    pub(crate) fn together(writes: &[&Exchange]) -> Self {
        if let [alone] = writes {
            return (*alone).clone();
        }
        let statements = writes.iter().map(|write| write.inner_json());
        let mut json = Vec::with_capacity(writes.iter().map(|write| write.body.len()).sum());
        for statement in statements {
            json.push(if json.is_empty() { b'[' } else { b',' });
            json.extend_from_slice(statement);
        }
        json.push(b']');
        let endpoint = Endpoint::Execute {
            transaction: false,
            returning: false,
        };
        let statements = Statements {
            json: json.into(),
            number: writes.len(),
        };
        Exchange::new(endpoint, statements)
    }

    /// Returns the text between the brackets of the body.
    fn inner_json(&self) -> &[u8] {
        let inner = self.body.strip_prefix(b"[");
        let inner = inner.and_then(|inner| inner.strip_suffix(b"]"));
        inner.unwrap_or_default()
    }

    /// Marks the request as a write of this crate's own, whose outcome matters only to the crate.
    pub(crate) fn of_our_own(self) -> Self {
        Exchange {
            stake: Stake::Nothing,
            ..self
        }
    }

    pub(crate) fn stake(&self) -> Stake {
        self.stake
    }

    pub(crate) fn at(self, level: ReadConsistency) -> Self {
        Exchange {
            level: Some(level),
            ..self
        }
    }

    /// Returns the URI of the request to a node.
    pub(crate) fn uri(
        &self,
        base: &str,
        level: ReadConsistency,
        way: Way,
        settings: &Settings,
    ) -> String {
        let mut uri = String::with_capacity(base.len() + 64);
        uri.push_str(base);
        uri.push_str(self.endpoint.path());
        self.endpoint.push_query(&mut uri, level, way, settings);
        uri
    }

    /// Returns the request that has this head.
    pub(crate) fn headed(&self, head: Arc<Head>, settings: &Settings) -> Request {
        let authorization = settings.authorization.get();
        let mut request = Request::new(head, authorization, self.body.clone());
        request.timeout = settings.request_timeout;
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_together_are_statements_of_one_request() {
        let endpoint = Endpoint::Execute {
            transaction: false,
            returning: false,
        };
        let write = |json: &'static str| {
            let json = Bytes::from_static(json.as_bytes());
            Exchange::new(endpoint, Statements { json, number: 1 })
        };
        let (one, other) = (write(r#"[["a","]"]]"#), write(r#"[["b",1]]"#));
        let alone = Exchange::together(&[&one]);
        assert_eq!((alone.body, alone.statements), (one.body.clone(), 1));
        let both = Exchange::together(&[&one, &other]);
        assert_eq!(both.body, r#"[["a","]"],["b",1]]"#);
        assert_eq!((both.endpoint, both.statements), (endpoint, 2));
        assert_eq!(both.stake(), Stake::Write);
    }

    #[test]
    fn flags_of_each_kind_of_request() {
        let fresh = Some(Duration::from_millis(5));
        let timeout = Duration::from_secs(10);
        let settings = Settings::new(
            ReadConsistency::Weak,
            fresh,
            true,
            timeout,
            Authorization::default(),
        );
        let uri = |endpoint, level| {
            let way = match level {
                ReadConsistency::None => Way::Local,
                _ => Way::Redirect,
            };
            let exchange = Exchange::new(endpoint, Statements::default());
            exchange.uri("http://h:1/p", level, way, &settings)
        };
        let execute = |transaction, returning| Endpoint::Execute {
            transaction,
            returning,
        };
        let weak = ReadConsistency::Weak;
        for (uri, wanted) in [
            (
                uri(Endpoint::Query { transaction: false }, weak),
                "query?noparse&blob_array&level=weak&redirect",
            ),
            (
                uri(
                    Endpoint::Query { transaction: false },
                    ReadConsistency::None,
                ),
                "query?noparse&blob_array&level=none&freshness=5000000ns&freshness_strict",
            ),
            (uri(execute(false, false), weak), "execute?noparse&redirect"),
            (
                uri(execute(true, false), weak),
                "execute?noparse&transaction&redirect",
            ),
            (
                uri(execute(false, true), weak),
                "execute?norwtime&norwrandom&redirect",
            ),
            (
                uri(Endpoint::Queue { wait: None }, weak),
                "execute?queue&norwtime&norwrandom",
            ),
            (
                uri(
                    Endpoint::Queue {
                        wait: Some(timeout),
                    },
                    weak,
                ),
                "execute?queue&norwtime&norwrandom&wait&timeout=10000000000ns",
            ),
            (
                uri(execute(true, true), weak),
                "execute?norwtime&norwrandom&transaction&redirect",
            ),
        ] {
            assert_eq!(uri, format!("http://h:1/p/db/{wanted}"));
        }
    }
}
