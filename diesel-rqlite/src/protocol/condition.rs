//! The status and the readiness of a node.

use std::time::Duration;

use serde_json::Value;

/// The state of a node in the Raft protocol.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
#[non_exhaustive]
pub enum RaftState {
    /// The node leads.
    Leader,
    /// The node follows a leader, or looks for one.
    Follower,
    /// The node is a candidate in an election.
    Candidate,
    /// The node no longer takes part.
    Shutdown,
}

/// The status of a node, as the node reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The id of the node, `-node-id` of rqlited.
    pub node_id: String,
    /// The version of rqlite, as it was built: `v10.2.7`, or only `10`.
    pub version: String,
    /// The version of SQLite.
    pub sqlite_version: String,
    /// The address at which the node listens for clients, `host:port`.
    pub http_address: String,
    /// The address at which other nodes reach the node, `host:port`.
    pub raft_address: String,
    /// The state of the node in the Raft protocol.
    pub state: RaftState,
    /// The id of the leader, if the node knows one.
    pub leader_id: Option<String>,
    /// `true` if the node is ready to serve requests.
    pub is_ready: bool,
    /// `true` if the node enforces foreign keys: `-fk` of rqlited.
    pub foreign_keys: bool,
    /// The size of the database, in bytes.
    pub database_size: u64,
    /// The Raft term.
    pub raft_term: u64,
    /// The index of the last committed entry of the Raft log, as far as the node knows.
    pub commit_index: u64,
    /// The index of the last entry that the node has applied to its database.
    pub applied_index: u64,
    /// The time since the node was started.
    pub uptime: Duration,
    json: String,
}

pub(crate) const STATUS: &str = "/status";

impl NodeStatus {
    /// Returns the complete report of the node as JSON, unchanged.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Parses an answer to [`STATUS`]. The error names the place where the answer lacks an expected value.
    pub(crate) fn of(json: String) -> Result<Self, String> {
        let status: Value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        let missing = |place: &'static str| format!("it has no {place}");
        let at = |place: &'static str| status.pointer(place).ok_or_else(|| missing(place));
        let text = |place| {
            let text = at(place)?.as_str().map(str::to_owned);
            text.ok_or_else(|| missing(place))
        };
        let number = |place| at(place)?.as_u64().ok_or_else(|| missing(place));
        let flag = |place| at(place)?.as_bool().ok_or_else(|| missing(place));
        Ok(NodeStatus {
            node_id: text("/store/node_id")?,
            version: text("/build/version")?,
            sqlite_version: text("/store/sqlite3/version")?,
            http_address: text("/http/bind_addr")?,
            raft_address: text("/store/addr")?,
            state: state(&text("/store/raft/state")?)
                .ok_or_else(|| missing("/store/raft/state"))?,
            leader_id: text("/store/leader/node_id")
                .ok()
                .filter(|id| !id.is_empty()),
            is_ready: flag("/store/ready")?,
            foreign_keys: flag("/store/db_conf/fk_constraints")?,
            database_size: number("/store/sqlite3/db_size")?,
            raft_term: number("/store/raft/term")?,
            commit_index: number("/store/raft/commit_index")?,
            applied_index: number("/store/raft/applied_index")?,
            uptime: go_duration(&text("/node/uptime")?).ok_or_else(|| missing("/node/uptime"))?,
            json,
        })
    }
}

/// Returns the state with this name, as hashicorp/raft writes it.
fn state(name: &str) -> Option<RaftState> {
    match name {
        "Leader" => Some(RaftState::Leader),
        "Follower" => Some(RaftState::Follower),
        "Candidate" => Some(RaftState::Candidate),
        "Shutdown" => Some(RaftState::Shutdown),
        _ => None,
    }
}

/// Parses a duration in Go's format: `1h2m3.5s`, `30.6µs`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        rest = &rest[unit..];
        sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
    }
    (!text.is_empty()).then_some(sum)
}

/// The conditions under which a node counts as ready, and the time that it may take to become so.
///
/// ```
/// use std::time::Duration;
/// use diesel_rqlite::ReadyOptions;
///
/// let caught_up = ReadyOptions::new().sync().timeout(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct ReadyOptions {
    sync: bool,
    no_leader: bool,
    timeout: Duration,
}

impl Default for ReadyOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadyOptions {
    /// Requires that the node reaches its leader and can read its database. It has two seconds for that.
    pub fn new() -> Self {
        ReadyOptions {
            sync: false,
            no_leader: false,
            timeout: Duration::from_secs(2),
        }
    }

    /// Also requires that the node has applied everything that the leader had committed when the request was made.
    pub fn sync(mut self) -> Self {
        self.sync = true;
        self
    }

    /// Requires only that the node answers HTTP requests. It need neither have a leader nor its database.
    pub fn no_leader(mut self) -> Self {
        self.no_leader = true;
        self
    }

    /// Sets the time that the node may take over each step, such as reaching its leader. A node that has not answered
    /// one second after that time counts as a node that does not answer.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn path(self) -> String {
        // A duration in Go's format.
        let mut path = format!("{READY}?timeout={}ns", self.timeout.as_nanos());
        if self.sync {
            path.push_str("&sync");
        }
        if self.no_leader {
            path.push_str("&noleader");
        }
        path
    }

    pub(crate) fn patience(self) -> Duration {
        self.timeout.saturating_add(Duration::from_secs(1))
    }
}

const READY: &str = "/readyz";

/// The readiness of a node, and the node's report on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    is_ready: bool,
    report: String,
}

impl Readiness {
    /// Returns whether the node is ready.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Returns the report: a line for each step that was checked, such as `[+]leader ok`. If the node is not ready, the
    /// last line says why.
    pub fn report(&self) -> &str {
        &self.report
    }

    /// Interprets an answer of `/readyz`. The status of a node that is not ready is 503. Up to 10.2.7, it is 500 if
    /// there is no leader (`http/service.go`).
    pub(crate) fn of(status: http::StatusCode, report: &str) -> Option<Self> {
        let is_ready = match status.as_u16() {
            200 => true,
            500 | 503 => false,
            _ => return None,
        };
        let report = report.trim().to_owned();
        Some(Readiness { is_ready, report })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go_are_read() {
        for (text, wanted) in [
            ("6.5s", Some(6500)),
            ("1h2m3s", Some(3_723_000)),
            ("30ms", Some(30)),
            ("2000µs", Some(2)),
            ("4000000ns", Some(4)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("1.2.3s", None),
            ("1d", None),
        ] {
            assert_eq!(
                go_duration(text),
                wanted.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn a_status_without_a_database_says_what_is_missing() {
        let starting = r#"{"store":{"open":false},"build":{"version":"10"}}"#;
        assert_eq!(
            NodeStatus::of(starting.to_owned()),
            Err("it has no /store/node_id".to_owned())
        );
        assert!(NodeStatus::of("{".to_owned()).is_err());
    }

    #[test]
    fn the_path_has_all_options() {
        let options = ReadyOptions::new().timeout(Duration::from_millis(5));
        assert_eq!(options.path(), "/readyz?timeout=5000000ns");
        let all = options.sync().no_leader().path();
        assert_eq!(all, "/readyz?timeout=5000000ns&sync&noleader");
    }
}
