//! What is sent: endpoint, flags and body.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

use super::authorization::Authorization;
use crate::word::words;

/// How fresh a read must be. See rqlite's documentation of read consistency.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadConsistency {
    /// Whatever the node at hand holds, without asking the leader; can be stale without limit.
    None,
    /// What the leader holds, unless it was just replaced without knowing it. This connection makes its
    /// first read from a leader a strong one, since a leader that has just started can lag behind.
    Weak,
    /// Everything that was acknowledged before the read began.
    ///
    /// Servers before 8.32 would silently read weakly, and those before 9.4 do not say what they did: there,
    /// [`Strong`](Self::Strong) is used, which costs an entry in the Raft log.
    #[default]
    Linearizable,
    /// As linearizable, through the Raft log.
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

/// Longer times would be beyond what clocks, and Go's durations, can count to.
pub(crate) const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// How long a linearizable read may wait for the log to be applied before it is made a strong one. Servers before 8.32
/// do not know it.
const LINEARIZABLE_TIMEOUT: &str = "&linearizable_timeout=500ms";
/// A node that hands on a write sends it once more when this time is over, and the statement is then applied twice
/// (version 10). No statement takes so long, and whoever waits has given up long before. Never with `retries`.
const LONG_FORWARDING: &str = "&timeout=1h";

/// How a request reaches the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A node that does not lead says who does.
    Redirect,
    /// A node that does not lead hands it on.
    Forward,
    /// Any node answers.
    Local,
}

/// Where a request goes and which of rqlite's flags it has. The one place that decides it:
///
/// | what | endpoint and flags | why |
/// |---|---|---|
/// | read | `/db/query?level=…&noparse&blob_array` | the text as it is, BLOBs told from text |
/// | read behind guards | the same with `transaction` | all of it from one snapshot |
/// | peek | `/db/request?transaction` | writes and reads in order; a failing statement at the end undoes it all |
/// | write, schema, PRAGMA | `/db/execute?noparse` | rqlite's rewriting prints statements anew and damages some (it drops STRICT, swaps `LIMIT a, b`); what it is for, `random()` and `now`, the client has replaced |
/// | write with RETURNING | `/db/execute?norwtime&norwrandom` | `noparse` would lose the rows |
/// | queued writes | `/db/execute?queue&norwtime&norwrandom` | the queue does not know `noparse`, nor `transaction`, `redirect`, `db_timeout` |
/// | writes without foreign keys | `/db/execute?noparse` | a transaction as one text, between what switches them off and on |
/// | a node leaves | `/remove` | |
/// | another node leads | `/leader?wait` | the answer comes when it does |
/// | a commit, several writes | the same with `transaction` | all or nothing; `/db/request?transaction` is not, where a statement fails to prepare |
///
/// All but reads at level `none` and queued writes have `redirect`: a follower should not forward. From version 10 on it sends a
/// forwarded write twice when the first reply is late, and the statement is then applied twice. Where the leader can't be
/// reached but through others, see [`Way::Forward`], writes have a `timeout` that is never over. All have `timings` where the
/// program wants to know of slow queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Query {
        transaction: bool,
    },
    /// With the last statement one that fails: everything is undone.
    Request {
        returning: bool,
    },
    Execute {
        transaction: bool,
        returning: bool,
    },
    /// Writes that the node is to send later. With a time: it answers when it has, or that is over.
    Queue {
        wait: Option<Duration>,
    },
    /// Writes that may be sent again, and queries behind them.
    WriteAndAsk,
    /// Writes between statements that switch foreign keys off and on again. All of these must be run.
    Unenforced,
    /// A node leaves the cluster.
    Remove,
    /// The leader hands over to another node. Servers before 8.40 do not know it.
    StepDown,
}

/// What is lost with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stake {
    /// It changes nothing, or only what is of no use to anyone else: the error is all there is to say.
    Nothing,
    /// A write of the program, of which it must be said whether it was applied.
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

    /// Whether it may be sent again when its answer was lost.
    pub(crate) fn is_repeatable(self) -> bool {
        self.stake() == Stake::Nothing
    }

    /// Whether any node takes it, which says nothing of who leads.
    pub(crate) fn is_queue(self) -> bool {
        matches!(self, Endpoint::Queue { .. })
    }

    /// Whether it has a read consistency level.
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

    fn method(self) -> Method {
        match self {
            Endpoint::Remove => Method::DELETE,
            _ => Method::POST,
        }
    }

    fn push_query(self, uri: &mut String, level: ReadConsistency, way: Way, settings: &Settings) {
        self.push_flags(uri, level, settings);
        // There, `timeout` is how long to wait for it.
        if self.is_queue() {
            return;
        }
        match way {
            Way::Redirect => uri.push_str("&redirect"),
            Way::Forward if !self.is_query() => uri.push_str(LONG_FORWARDING),
            Way::Forward | Way::Local => {}
        }
        // Out of time, the server would not run the rest.
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
            // What comes next begins with an `&`.
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

/// What is the same for all requests of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) level: ReadConsistency,
    pub(crate) freshness: Option<Duration>,
    pub(crate) freshness_strict: bool,
    /// How long a request may wait for the cluster to have a leader.
    pub(crate) leader_timeout: Duration,
    pub(crate) authorization: Authorization,
    /// How long the server may work at one statement.
    pub(crate) db_timeout: Option<Duration>,
    /// If it is not that of the client.
    pub(crate) request_timeout: Option<Duration>,
    /// The node to read from where any node will do, if it is not the cluster's.
    pub(crate) preferred: Option<String>,
    /// Answers are to say how long the server worked at them.
    pub(crate) timings: bool,
}

/// How long a request may take, if not as long as any: for its client, among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestTimeout(pub(crate) Duration);

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

    /// How long to ask what became of a commit whose answer was lost.
    pub(crate) fn settle_timeout(&self) -> Duration {
        self.leader_timeout.saturating_mul(3)
    }

    fn push_freshness(&self, uri: &mut String) {
        if let Some(freshness) = self.freshness {
            // A Go duration.
            uri.push_str(&format!("&freshness={}ns", freshness.as_nanos()));
            if self.freshness_strict {
                uri.push_str("&freshness_strict");
            }
        }
    }
}

/// Statements as JSON, and how many they are: an answer has a result for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statements {
    pub(crate) json: Bytes,
    pub(crate) number: usize,
}

/// One request, before it is known which node it goes to.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) endpoint: Endpoint,
    pub(crate) body: Bytes,
    /// How many statements there are in it.
    pub(crate) statements: usize,
    /// For a read that needs another level than its connection's.
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

    /// Writes without rows, of one statement each, as one request: each is run whatever becomes of those before it.
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

    /// What stands between the brackets of the body.
    fn inner_json(&self) -> &[u8] {
        let inner = self.body.strip_prefix(b"[");
        let inner = inner.and_then(|inner| inner.strip_suffix(b"]"));
        inner.unwrap_or_default()
    }

    /// A write of this crate's own, whose outcome matters to nobody but the crate.
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

    pub(crate) fn to_node(
        &self,
        base: &str,
        level: ReadConsistency,
        way: Way,
        settings: &Settings,
    ) -> Result<http::Request<Bytes>, http::Error> {
        let mut uri = String::with_capacity(base.len() + 64);
        uri.push_str(base);
        uri.push_str(self.endpoint.path());
        self.endpoint.push_query(&mut uri, level, way, settings);
        let mut request = http::Request::builder()
            .method(self.endpoint.method())
            .uri(uri)
            .header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = settings.authorization.get() {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(timeout) = settings.request_timeout {
            request = request.extension(RequestTimeout(timeout));
        }
        request.body(self.body.clone())
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
            let request = exchange.to_node("http://h:1/p", level, way, &settings);
            request.expect("valid").uri().to_string()
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
