//! The observation of a connection: spans, metrics, statistics, slow queries.
//!
//! An event is reported to this module by one line at the place where it happens. All events are counted in one place,
//! [`Tally`]. The facade of `metrics` receives the same events. Spans are those of `tracing`. Without these features,
//! the functions that report to them are empty, so that callers need not check for a feature.

#![cfg_attr(not(all(feature = "metrics", feature = "tracing")), allow(dead_code))]

#[cfg(test)]
mod cost;
mod kind;
#[cfg(feature = "metrics")]
mod metric;
#[cfg(not(feature = "metrics"))]
#[path = "no_metric.rs"]
mod metric;
mod operation;
mod request;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(not(feature = "tracing"))]
#[path = "no_spans.rs"]
mod spans;
mod statistics;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use diesel_rqlite_sql::Literals;

#[cfg(feature = "metrics")]
pub use self::metric::describe_metrics;
pub(crate) use self::operation::{Gained, Operation, What};
pub(crate) use self::request::Attempts;
use self::request::{Effort, Node};
pub(crate) use self::spans::{Parent, Span, carried};
pub(crate) use self::statistics::Count;
use self::statistics::{Counters, Tally};
pub use self::statistics::{Errors, SlowQuery, Statistics};
pub(crate) use self::transaction::{End, Observed};

/// The name of the database system, as defined by OpenTelemetry.
const SYSTEM: &str = "rqlite";

/// The settings: the data that may be shown, and the threshold for slow queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) literals: Literals,
    pub(crate) parameters: bool,
    pub(crate) slow: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            literals: Literals::Hidden,
            parameters: false,
            slow: None,
        }
    }
}

/// The common counters of the connections of a configuration, of its clones, and of everything that was built from
/// these.
#[derive(Clone, Debug, Default)]
pub(crate) struct Together(Arc<Counters>);

impl Together {
    pub(crate) fn statistics(&self) -> Statistics {
        self.0.statistics()
    }
}

/// Counters make no difference between configurations.
impl PartialEq for Together {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// An observer of one session.
#[derive(Clone, Debug)]
pub(crate) struct Observer {
    tally: Tally,
    options: Options,
    effort: Effort,
    /// The node that was asked last.
    node: Option<Node>,
}

impl Observer {
    pub(crate) fn new(together: &Together, options: Options) -> Self {
        Observer {
            tally: Tally::new(Arc::clone(&together.0)),
            options,
            effort: Effort::default(),
            node: None,
        }
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.tally.statistics()
    }

    pub(crate) fn count(&self, what: Count) {
        self.tally.count(what, 1);
    }

    /// Counts more of an answer, which has arrived after the operation that requested it.
    pub(crate) fn came(&self, what: Count, number: u64) {
        self.tally.count(what, number);
    }
}
