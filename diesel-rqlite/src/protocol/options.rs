//! The options of single queries that differ from the configuration.

use std::fmt;
use std::time::Duration;

use super::request::{FOREVER, ReadConsistency, Settings};
use super::survey::is_host_name;

/// The options of queries that differ from the configuration. They are set for one query by
/// [`with_options`](crate::RqliteQueryDsl::with_options), for all queries of a closure by
/// [`with`](crate::RqliteConnection::with), and for the rest of a connection by
/// [`set_options`](crate::RqliteConnection::set_options).
///
/// An option that is not set here keeps its value from the surrounding closure, the connection or the configuration.
/// The page [Steering queries](crate::guide::steering) explains the use of each option, and its meaning in a
/// transaction.
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

/// The maximum lag of a node that answers reads by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Freshness {
    limit: Duration,
    strict: bool,
}

impl QueryOptions {
    /// Creates options of which none is set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the read consistency. Writes have none.
    pub fn read_level(mut self, level: ReadConsistency) -> Self {
        self.level = Some(level);
        if level != ReadConsistency::None {
            self.freshness = None;
        }
        self
    }

    /// Reads at level [`None`](ReadConsistency::None), from a node that has heard from its leader within this time. A
    /// node that has not refuses, and the next one is asked.
    pub fn freshness(self, limit: Duration) -> Self {
        self.fresh(limit, false)
    }

    /// Like [`freshness`](Self::freshness), but the node must also not be further behind in applying the log:
    /// `freshness_strict`.
    pub fn strict_freshness(self, limit: Duration) -> Self {
        self.fresh(limit, true)
    }

    fn fresh(mut self, limit: Duration, strict: bool) -> Self {
        let limit = limit.min(FOREVER);
        self.level = Some(ReadConsistency::None);
        self.freshness = Some(Freshness { limit, strict });
        self
    }

    /// Sets the node to read from where any node may answer: at the levels [`None`](ReadConsistency::None) and
    /// [`Auto`](ReadConsistency::Auto). The node is reached in the same way as the first node of the configuration
    /// (TLS, prefix). As long as it does not answer, other nodes are asked.
    ///
    /// The node counts as one of the cluster, as if the configuration named it: it is sent user and password. An
    /// invalid host is an error of the first query.
    pub fn prefer(mut self, host: impl Into<String>, port: u16) -> Self {
        self.prefer = Some((host.into(), port));
        self
    }

    /// Sets the time that each of these may take: sending a request, waiting for its answer, and receiving the answer.
    /// See [`RqliteConfig::request_timeout`](crate::RqliteConfig::request_timeout). The outcome of a write that exceeds
    /// the time is unknown.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that a request waits for a leader that answers. See
    /// [`RqliteConfig::leader_timeout`](crate::RqliteConfig::leader_timeout).
    pub fn leader_timeout(mut self, timeout: Duration) -> Self {
        self.leader_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the time that the server may work on one statement. A statement that takes longer ends with an error of
    /// SQLite and is not applied. Zero means no limit.
    pub fn db_timeout(mut self, timeout: Duration) -> Self {
        self.db_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Sets the name of the query in logs. Instrumentation receives the SQL with this name in a leading comment. The
    /// name is not sent to the server.
    pub fn name(mut self, name: impl AsRef<str>) -> Self {
        // Nothing may end the comment, or the line.
        let name = name.as_ref().replace("*/", "* /");
        let name = name.replace(char::is_control, " ");
        self.name = Some(name);
        self
    }

    /// Returns the name as an SQL comment.
    pub(crate) fn comment(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("/* {name} */ "))
    }

    /// Returns host and port of the node to read from.
    pub(crate) fn preferred(&self) -> Option<(&str, u16)> {
        let preferred = self.prefer.as_ref();
        preferred.map(|(host, port)| (host.as_str(), *port))
    }

    /// Returns these options, with the values of `others` where these are not set.
    pub(crate) fn over(self, others: &Self) -> Self {
        let freshness = match self.level {
            None => others.freshness,
            // The level differs from the one that the freshness was set for.
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
    /// Shows the options that are set.
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
            // A string that is not a host may contain a password.
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
    /// Returns these settings, changed by the options. `preferred` is the address of the node that the options name.
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
