//! One operation: something that a program waits for. It may take no request, or several.

use std::time::{Duration, Instant};

use diesel_rqlite_sql::{Literals, Parsed, parse};

use super::kind::Failed;
use super::request::Effort;
use super::spans::{Parent, Span, Within};
use super::statistics::{self, Count, SlowQuery};
use super::{Observer, metric};
use crate::bind_collector::Bind;

/// The length in bytes at which a text is truncated.
const LONGEST_TEXT: usize = 2048;

/// The kind of an operation.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    Connect,
    Query {
        found: &'a [Parsed<'a>],
        binds: &'a [Bind<'a>],
    },
    /// A script: several statements, or one whose result is not needed, or writes for a queue.
    Script(&'a [Parsed<'a>]),
    /// The commit of a transaction. For a migration, it has the version.
    Commit(Option<&'a str>),
}

impl What<'_> {
    /// Returns the name of the operation. There are only a few different names.
    fn name(&self) -> &'static str {
        match self {
            What::Connect => "CONNECT",
            What::Query { found, .. } | What::Script(found) => name_of(found),
            What::Commit(_) => "COMMIT",
        }
    }

    /// Returns a summary for humans. There are many different summaries, but a limited number.
    pub(super) fn summary(&self) -> String {
        match self {
            What::Query { found, .. } | What::Script(found) => match found {
                [one] => one.summary(),
                _ => self.name().to_owned(),
            },
            What::Commit(Some(version)) => format!("COMMIT migration {version}"),
            What::Connect | What::Commit(None) => self.name().to_owned(),
        }
    }

    pub(super) fn found(&self) -> &[Parsed<'_>] {
        match self {
            What::Query { found, .. } | What::Script(found) => found,
            What::Connect | What::Commit(_) => &[],
        }
    }
}

fn name_of(found: &[Parsed<'_>]) -> &'static str {
    match found {
        [one] => one.operation(),
        [first, rest @ ..] => {
            let operation = first.operation();
            let same = rest.iter().all(|other| other.operation() == operation);
            match operation {
                "INSERT" if same => "BATCH INSERT",
                _ => "BATCH",
            }
        }
        [] => "BATCH",
    }
}

/// Returns the text of statements in the form in which it may be shown.
pub(super) fn shown(found: &[Parsed<'_>], literals: Literals) -> String {
    let mut text = String::new();
    for parsed in found {
        if !text.is_empty() {
            text.push_str("; ");
        }
        if text.len() >= LONGEST_TEXT {
            text.push('…');
            break;
        }
        parsed.show(literals, LONGEST_TEXT - text.len(), &mut text);
    }
    text
}

/// The outcome of a successful operation.
pub(crate) trait Gained {
    fn returned(&self) -> Option<u64> {
        None
    }

    fn affected(&self) -> Option<u64> {
        None
    }
}

impl Gained for () {}

/// Queued writes return nothing but the number that the queue has given them.
impl Gained for Option<u64> {}

impl Gained for usize {
    fn affected(&self) -> Option<u64> {
        u64::try_from(*self).ok()
    }
}

/// An operation in progress.
#[derive(Debug)]
#[must_use = "it is counted when it is finished"]
pub(crate) struct Operation {
    name: &'static str,
    span: Span,
    began: Instant,
    /// The effort of the session before the operation.
    before: Effort,
}

/// The time and effort that an operation took.
pub(super) struct Taken {
    pub(super) time: Duration,
    pub(super) effort: Effort,
}

impl Observer {
    /// Begins an operation, as a child of `parent`.
    pub(crate) fn begin(&self, what: What<'_>, parent: &Parent) -> Operation {
        Operation {
            name: what.name(),
            span: Span::operation(what, what.name(), &self.options, parent),
            began: Instant::now(),
            before: self.effort,
        }
    }

    /// Counts an operation. `sql` is the text that is reported if the operation was slow.
    pub(crate) fn finish<T: Gained, E: Failed>(
        &self,
        operation: Operation,
        sql: &str,
        outcome: &Result<T, E>,
    ) {
        let taken = Taken {
            time: operation.began.elapsed(),
            effort: self.effort.since(&operation.before),
        };
        let error = outcome.as_ref().err();
        let kind = error.map(Failed::kind);
        self.tally.count(Count::Operations, 1);
        self.tally.time(statistics::Time::Operation, taken.time);
        metric::operation(operation.name, kind.map(|kind| kind.name()), taken.time);
        if let Some(kind) = kind {
            self.tally.count_error(kind);
        }
        if error.is_some_and(Failed::is_unknown_outcome) {
            self.tally.count(Count::UnknownOutcomes, 1);
        }
        if let Ok(gained) = outcome {
            let returned = gained.returned().unwrap_or_default();
            self.tally.count(Count::RowsReturned, returned);
            let affected = gained.affected().unwrap_or_default();
            self.tally.count(Count::RowsAffected, affected);
            operation.span.gained(gained);
        }
        if let Some((error, kind)) = error.zip(kind) {
            let description = || error.text();
            operation
                .span
                .failed(kind.name(), &self.options, description);
        }
        operation.span.took(&taken, self.node.as_ref());
        if self.options.slow.is_some_and(|slow| taken.time >= slow) {
            self.slow(&operation, sql, &taken);
        }
    }

    /// Counts an error outside of an operation. Either a text can't be parsed, so that there is no operation, or the
    /// rest of the answer failed after the operation.
    pub(crate) fn refuse(&self, error: &impl Failed) {
        self.tally.count_error(error.kind());
    }

    fn slow(&self, operation: &Operation, sql: &str, taken: &Taken) {
        let text = match parse(sql) {
            Ok(found) => shown(&found, self.options.literals),
            // The text is not SQL, or not SQL that can be parsed.
            Err(_) => operation.name.to_owned(),
        };
        let asked = self.node.as_ref().filter(|_| taken.effort.requests > 0);
        let slow = SlowQuery {
            text,
            time: taken.time,
            server_time: taken.effort.server_time,
            requests: taken.effort.requests,
            node: asked.map(ToString::to_string),
        };
        operation.span.slow(&slow);
        self.tally.slow(&slow);
    }
}

impl Operation {
    /// Runs a future within the span of the operation.
    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        self.span.within(future)
    }
}
