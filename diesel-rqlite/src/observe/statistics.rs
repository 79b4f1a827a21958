//! The counters. One table defines the fields of the snapshot, the counters behind it, and the names of the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::metric;
use crate::mutex::locked;

/// Defines all counters. Each row has a field, a variant, a metric and a description.
macro_rules! counts {
    ($($field:ident $count:ident $metric:literal $doc:literal;)*) => {
        /// The activity of one connection, or of all connections of a configuration. See
        /// [`RqliteConnection::statistics`](crate::RqliteConnection::statistics) and
        /// [`RqliteConfig::statistics`](crate::RqliteConfig::statistics).
        ///
        /// Numbers only grow. An operation is counted when it ends. If its future is dropped, it is not counted, but
        /// its requests are. Fields are read one after the other while other threads may count. Their sums may
        /// therefore be off by what is under way.
        ///
        /// ```
        /// use diesel_rqlite::{RqliteConfig, Statistics};
        ///
        /// let config: RqliteConfig = "rqlite://localhost:4001".parse()?;
        /// assert_eq!(config.statistics(), Statistics::default());
        /// # Ok::<(), diesel_rqlite::ConfigError>(())
        /// ```
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct Statistics {
            $(#[doc = $doc] pub $field: u64,)*
            /// The total time of all operations, from the program's call to its result.
            pub operation_time: Duration,
            /// The total time that transactions waited for their locks.
            pub lock_wait: Duration,
            /// The total time that transactions held their locks.
            pub lock_hold: Duration,
            /// Operations that failed, by the kind of their error.
            pub errors: Errors,
            /// The slowest of the operations that [`slow_queries`](Self::slow_queries) counts.
            pub slowest_query: Option<SlowQuery>,
        }

        /// A counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Count {
            $($count,)*
        }

        /// The name of each metric, and its description.
        pub(super) const COUNTS: &[(&str, &str)] = &[$(($metric, $doc),)*];

        impl Count {
            pub(super) fn metric(self, number: u64) {
                match self {
                    $(Count::$count => metric::count!($metric, number),)*
                }
            }
        }

        impl Statistics {
            fn of(counted: &[AtomicU64]) -> Self {
                let mut counted = counted.iter().map(|number| number.load(Ordering::Relaxed));
                Statistics {
                    $($field: counted.next().unwrap_or_default(),)*
                    ..Statistics::default()
                }
            }
        }
    };
}

counts! {
    operations Operations "diesel_rqlite.operations"
        "Queries, scripts, commits and the opening of connections, which may be no request or several.";
    rows_returned RowsReturned "diesel_rqlite.rows.returned"
        "Rows that queries returned to the program.";
    rows_affected RowsAffected "diesel_rqlite.rows.affected"
        "Rows that were affected, as the program was told.";
    requests Requests "diesel_rqlite.requests"
        "HTTP requests with statements, those that were sent again included.";
    probes Probes "diesel_rqlite.probes"
        "Small HTTP requests that ask nodes who leads, beside everything else.";
    retries Retries "diesel_rqlite.retries"
        "Requests that were sent again, to the same node or another: never a write that may have been applied.";
    redirects Redirects "diesel_rqlite.redirects"
        "Requests that were sent again since a node named the leader.";
    fail_overs FailOvers "diesel_rqlite.fail_overs"
        "Retries that went to another node than the one before.";
    bytes_sent BytesSent "diesel_rqlite.bytes.sent"
        "Bytes of the bodies of requests.";
    bytes_received BytesReceived "diesel_rqlite.bytes.received"
        "Bytes of the bodies of answers.";
    transactions Transactions "diesel_rqlite.transactions"
        "Outermost transactions that were begun.";
    commits Commits "diesel_rqlite.commits"
        "Outermost transactions that were committed.";
    rollbacks Rollbacks "diesel_rqlite.rollbacks"
        "Outermost transactions that ended in any other way.";
    conflicts Conflicts "diesel_rqlite.conflicts"
        "Of these, those that failed since something they were shown had changed, or their lock was lost.";
    migrations Migrations "diesel_rqlite.migrations"
        "Of the committed ones, those that were a migration. One that another process had applied meanwhile does not count.";
    peeks Peeks "diesel_rqlite.peeks"
        "Requests inside transactions that show what their statements would do.";
    unknown_outcomes UnknownOutcomes "diesel_rqlite.unknown_outcomes"
        "Writes and commits of which it could not be told whether they were applied.";
    lock_acquisitions LockAcquisitions "diesel_rqlite.lock.acquisitions"
        "Locks that transactions took.";
    statement_cache_hits CacheHits "diesel_rqlite.statement_cache.hits"
        "Queries whose text was known.";
    statement_cache_misses CacheMisses "diesel_rqlite.statement_cache.misses"
        "Queries whose text was read.";
    slow_queries SlowQueries "diesel_rqlite.slow_queries"
        "Operations that took as long as [`slow_query_threshold`](crate::RqliteConfig::slow_query_threshold) says, or longer.";
}

macro_rules! kinds {
    ($($field:ident $kind:ident $doc:literal;)*) => {
        /// Operations that failed, by the kind of their error. The kinds are Diesel's.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Errors {
            $(#[doc = $doc] pub $field: u64,)*
        }

        /// The kind of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($kind,)*
        }

        const KINDS: usize = [$(Kind::$kind),*].len();

        impl Kind {
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => stringify!($kind),)*
                }
            }
        }

        impl Errors {
            /// Returns the sum of all kinds.
            pub fn total(&self) -> u64 {
                0 $(+ self.$field)*
            }

            fn of(counted: &[AtomicU64]) -> Self {
                let mut counted = counted.iter().map(|number| number.load(Ordering::Relaxed));
                Errors {
                    $($field: counted.next().unwrap_or_default(),)*
                }
            }
        }
    };
}

kinds! {
    unique_violation UniqueViolation "`UniqueViolation`";
    foreign_key_violation ForeignKeyViolation "`ForeignKeyViolation`";
    not_null_violation NotNullViolation "`NotNullViolation`";
    check_violation CheckViolation "`CheckViolation`";
    serialization_failure SerializationFailure "`SerializationFailure`: a transaction to be run again.";
    read_only_transaction ReadOnlyTransaction "`ReadOnlyTransaction`";
    unable_to_send_command UnableToSendCommand "`UnableToSendCommand`: nothing was applied, or read.";
    closed_connection ClosedConnection "`ClosedConnection`: see [`Statistics::unknown_outcomes`].";
    unknown Unknown "`Unknown`: any other message of SQLite.";
    query_builder QueryBuilderError "`QueryBuilderError`: SQL that is not sent.";
    deserialization DeserializationError "`DeserializationError`";
    connection ConnectionError "`ConnectionError`: no connection was made.";
    other Other "Any other.";
}

/// An operation that took at least the time of [`slow_query_threshold`](crate::RqliteConfig::slow_query_threshold).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SlowQuery {
    /// The SQL, without literals and comments unless [`trace_literals`](crate::RqliteConfig::trace_literals) includes
    /// them. A long text is truncated.
    pub text: String,
    /// The time that the operation took, from the program's call to its result.
    pub time: Duration,
    /// The time that the servers report to have worked on the operation, if they do.
    pub server_time: Option<Duration>,
    /// The number of HTTP requests of the operation, retries included.
    pub requests: u64,
    /// The node that was asked last, `host:port`, if there was one.
    pub node: Option<String>,
}

/// A duration that is summed up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    Operation,
    LockWait,
    LockHold,
}

/// Counters that can be incremented from any thread.
#[derive(Debug)]
pub(crate) struct Counters {
    counts: [AtomicU64; COUNTS.len()],
    errors: [AtomicU64; KINDS],
    /// The sums of durations, in nanoseconds.
    times: [AtomicU64; 3],
    slowest: Mutex<Option<SlowQuery>>,
}

impl Default for Counters {
    fn default() -> Self {
        let zeros = |_| AtomicU64::new(0);
        Counters {
            counts: std::array::from_fn(zeros),
            errors: std::array::from_fn(zeros),
            times: std::array::from_fn(zeros),
            slowest: Mutex::default(),
        }
    }
}

impl Counters {
    pub(crate) fn statistics(&self) -> Statistics {
        let time = |time: Time| {
            let nanoseconds = self.times[time as usize].load(Ordering::Relaxed);
            Duration::from_nanos(nanoseconds)
        };
        Statistics {
            operation_time: time(Time::Operation),
            lock_wait: time(Time::LockWait),
            lock_hold: time(Time::LockHold),
            errors: Errors::of(&self.errors),
            slowest_query: locked(&self.slowest).clone(),
            ..Statistics::of(&self.counts)
        }
    }

    fn note_slow(&self, slow: &SlowQuery) {
        let mut slowest = locked(&self.slowest);
        if slowest.as_ref().is_none_or(|known| known.time < slow.time) {
            *slowest = Some(slow.clone());
        }
    }
}

/// The counters of a connection and of its configuration. All counting is done here.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    own: Arc<Counters>,
    all: Arc<Counters>,
}

impl Tally {
    pub(super) fn new(all: Arc<Counters>) -> Self {
        Tally {
            own: Arc::default(),
            all,
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        self.own.statistics()
    }

    pub(crate) fn count(&self, what: Count, number: u64) {
        if number > 0 {
            self.add(|counters| &counters.counts[what as usize], number);
            what.metric(number);
        }
    }

    pub(super) fn count_error(&self, kind: Kind) {
        self.add(|counters| &counters.errors[kind as usize], 1);
        metric::error(kind.name());
    }

    /// Adds a time. The time of an operation is not reported as a metric here, because only the operation knows its
    /// name.
    pub(super) fn time(&self, what: Time, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.add(|counters| &counters.times[what as usize], nanoseconds);
        match what {
            Time::Operation => {}
            Time::LockWait => metric::lock_wait(time),
            Time::LockHold => metric::lock_hold(time),
        }
    }

    pub(super) fn slow(&self, slow: &SlowQuery) {
        self.count(Count::SlowQueries, 1);
        self.own.note_slow(slow);
        self.all.note_slow(slow);
    }

    fn add(&self, which: impl Fn(&Counters) -> &AtomicU64, number: u64) {
        which(&self.own).fetch_add(number, Ordering::Relaxed);
        which(&self.all).fetch_add(number, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_for_its_configuration_too() {
        let all = Arc::<Counters>::default();
        let (one, other) = (Tally::new(Arc::clone(&all)), Tally::new(Arc::clone(&all)));
        one.count(Count::Requests, 2);
        other.count(Count::SlowQueries, 1);
        one.count_error(Kind::Other);
        other.time(Time::LockHold, Duration::from_millis(3));
        assert_eq!(one.statistics().requests, 2);
        assert_eq!(other.statistics().requests, 0);
        let all = all.statistics();
        assert_eq!((all.requests, all.slow_queries), (2, 1));
        assert_eq!((all.errors.other, all.errors.total()), (1, 1));
        assert_eq!(all.lock_hold, Duration::from_millis(3));
    }

    #[test]
    fn the_slowest_query_is_kept() {
        let counters = Counters::default();
        for milliseconds in [2, 3, 1] {
            counters.note_slow(&SlowQuery {
                text: String::new(),
                time: Duration::from_millis(milliseconds),
                server_time: None,
                requests: 1,
                node: None,
            });
        }
        let slowest = counters.statistics().slowest_query.expect("is kept");
        assert_eq!(slowest.time, Duration::from_millis(3));
    }
}
