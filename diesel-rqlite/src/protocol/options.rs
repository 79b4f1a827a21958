//! How single queries are run, where that is not as the configuration says.

use std::fmt;
use std::time::Duration;

use super::request::{FOREVER, ReadConsistency, Settings};
use super::survey::is_host_name;

/// How queries are run, where that is not to be as the configuration says: for one query by
/// [`with_options`](crate::RqliteQueryDsl::with_options), for all queries of a closure by
/// [`with`](crate::RqliteConnection::with), for a connection from now on by
/// [`set_options`](crate::RqliteConnection::set_options).
///
/// What is not set here is as it was: as the closure around says, or the connection, or the configuration. The page
/// [Steering queries](crate::guide::steering) says what each is for, and what it means in a transaction.
///
/// ```
/// use std::time::Duration;
/// use diesel_rqlite::QueryOptions;
///
/// let for_reports = QueryOptions::new()
///     .name("monthly report")
///     .freshness(Duration::from_secs(5))
///     .prefer("replica", 4001)
///     .request_timeout(Duration::from_secs(300));
/// assert_eq!(format!("{for_reports:?}"),
///     "QueryOptions { name: \"monthly report\", level: None, freshness: 5s, prefer: \"replica:4001\", request_timeout: 300s }");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct QueryOptions {
    level: Option<ReadConsistency>,
    freshness: Option<Freshness>,
    prefer: Option<(String, u16)>,
    request_timeout: Option<Duration>,
    leader_timeout: Option<Duration>,
    db_timeout: Option<Duration>,
    name: Option<String>,
}

/// How far a node may be behind that answers reads by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Freshness {
    limit: Duration,
    strict: bool,
}

impl QueryOptions {
    /// None: all is as it was.
    pub fn new() -> Self {
        Self::default()
    }

    /// How fresh reads must be. Writes have no level.
    pub fn read_level(mut self, level: ReadConsistency) -> Self {
        self.level = Some(level);
        if level != ReadConsistency::None {
            self.freshness = None;
        }
        self
    }

    /// Reads at level [`None`](ReadConsistency::None), from a node that has heard of its leader within this time. One that
    /// has not refuses, and the next one is asked.
    pub fn freshness(self, limit: Duration) -> Self {
        self.fresh(limit, false)
    }

    /// The same, where the node must not be further behind in applying the log, either: `freshness_strict`.
    pub fn strict_freshness(self, limit: Duration) -> Self {
        self.fresh(limit, true)
    }

    fn fresh(mut self, limit: Duration, strict: bool) -> Self {
        let limit = limit.min(FOREVER);
        self.level = Some(ReadConsistency::None);
        self.freshness = Some(Freshness { limit, strict });
        self
    }

    /// The node to read from where any node may answer: at the levels [`None`](ReadConsistency::None) and
    /// [`Auto`](ReadConsistency::Auto). It is reached as the first node of the configuration is (TLS, prefix). As long as
    /// it does not answer, others are asked.
    ///
    /// A node that is named here is one of the cluster, as if the configuration had named it: user and password are sent
    /// there. A host that is none is an error of the first query.
    pub fn prefer(mut self, host: impl Into<String>, port: u16) -> Self {
        self.prefer = Some((host.into(), port));
        self
    }

    /// How long sending a request may take, then waiting for its answer, then receiving it: see
    /// [`RqliteConfig::request_timeout`](crate::RqliteConfig::request_timeout). The outcome of a write that runs into it is
    /// unknown.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// How long a request waits for a node that leads, and answers: see
    /// [`RqliteConfig::leader_timeout`](crate::RqliteConfig::leader_timeout).
    pub fn leader_timeout(mut self, timeout: Duration) -> Self {
        self.leader_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// How long the server may work at one statement. What takes longer ends with an error of SQLite's and is not
    /// applied. Zero is no limit.
    pub fn db_timeout(mut self, timeout: Duration) -> Self {
        self.db_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// What the query is called in logs: instrumentation is told its SQL with this name in a comment in front. It is not
    /// sent.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        // Nothing that ends the comment, or a line.
        let name = name.as_ref().replace("*/", "* /");
        let name = name.replace(char::is_control, " ");
        self.name = Some(name);
        self
    }

    /// What it is called, as a comment.
    pub(crate) fn comment(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("/* {name} */ "))
    }

    /// Host and port of the node to read from.
    pub(crate) fn preferred(&self) -> Option<(&str, u16)> {
        let preferred = self.prefer.as_ref();
        preferred.map(|(host, port)| (host.as_str(), *port))
    }

    /// These, and where they say nothing, the others.
    pub(crate) fn over(self, others: &Self) -> Self {
        let freshness = match self.level {
            None => others.freshness,
            // Another level than the one that had it.
            Some(ReadConsistency::None) if others.level == self.level => {
                self.freshness.or(others.freshness)
            }
            Some(_) => self.freshness,
        };
        QueryOptions {
            level: self.level.or(others.level),
            freshness,
            prefer: self.prefer.or_else(|| others.prefer.clone()),
            request_timeout: self.request_timeout.or(others.request_timeout),
            leader_timeout: self.leader_timeout.or(others.leader_timeout),
            db_timeout: self.db_timeout.or(others.db_timeout),
            name: self.name.or_else(|| others.name.clone()),
        }
    }
}

impl fmt::Debug for QueryOptions {
    /// Those that are set.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("QueryOptions");
        if let Some(name) = &self.name {
            text.field("name", name);
        }
        if let Some(level) = &self.level {
            text.field("level", level);
        }
        if let Some(Freshness { limit, strict }) = &self.freshness {
            text.field("freshness", limit);
            if *strict {
                text.field("strict", strict);
            }
        }
        if let Some((host, port)) = &self.prefer {
            // What is no host may hold a password.
            let is_host = is_host_name(host) || host.parse::<std::net::IpAddr>().is_ok();
            let host = if is_host { host } else { "…" };
            text.field("prefer", &format!("{host}:{port}"));
        }
        let timeouts = [
            ("request_timeout", self.request_timeout),
            ("leader_timeout", self.leader_timeout),
            ("db_timeout", self.db_timeout),
        ];
        for (name, timeout) in timeouts {
            if let Some(timeout) = timeout {
                text.field(name, &timeout);
            }
        }
        text.finish()
    }
}

impl Settings {
    /// As these options say. `preferred`: the address of the node that they name.
    pub(crate) fn with(&self, options: &QueryOptions, preferred: Option<String>) -> Self {
        let (freshness, freshness_strict) = match (options.level, options.freshness) {
            (_, Some(Freshness { limit, strict })) => (Some(limit), strict),
            _ => (self.freshness, self.freshness_strict),
        };
        Settings {
            level: options.level.unwrap_or(self.level),
            freshness,
            freshness_strict,
            leader_timeout: options.leader_timeout.unwrap_or(self.leader_timeout),
            authorization: self.authorization.clone(),
            db_timeout: options.db_timeout.or(self.db_timeout),
            request_timeout: options.request_timeout.or(self.request_timeout),
            preferred: preferred.or_else(|| self.preferred.clone()),
            timings: self.timings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_said_last_and_inside_counts() {
        let none = QueryOptions::new;
        let level = |level| none().read_level(level);
        let outer = none().freshness(SECOND).db_timeout(SECOND).name("outer");
        for (inner, wanted) in [
            (none(), outer.clone()),
            (none().name("inner"), outer.clone().name("inner")),
            (
                level(ReadConsistency::Weak),
                none()
                    .read_level(ReadConsistency::Weak)
                    .db_timeout(SECOND)
                    .name("outer"),
            ),
            (level(ReadConsistency::None), outer.clone()),
            (
                none().strict_freshness(2 * SECOND),
                outer.clone().strict_freshness(2 * SECOND),
            ),
        ] {
            assert_eq!(inner.clone().over(&outer), wanted, "{inner:?}");
        }
        let weak = none().freshness(SECOND).read_level(ReadConsistency::Weak);
        assert_eq!(weak, level(ReadConsistency::Weak));
    }

    #[test]
    fn a_name_can_not_end_its_comment() {
        let comment = |name| QueryOptions::new().name(name).comment().unwrap_or_default();
        assert_eq!(
            comment("a */ DROP TABLE t; /*"),
            "/* a * / DROP TABLE t; /* */ "
        );
        assert_eq!(comment("a\0b\n*/"), "/* a b * / */ ");
        assert!(!comment("*//").trim_end_matches("*/ ").contains("*/"));
    }
}
