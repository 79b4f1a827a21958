//! One operation: what a program waits for, which may be no request or several.

use std::time::{Duration, Instant};

use diesel_rqlite_sql::{Literals, Parsed, parse};

use super::kind::Failed;
use super::request::Effort;
use super::spans::{Parent, Span, Within};
use super::statistics::{self, Count, SlowQuery};
use super::{Observer, metric};
use crate::bind_collector::Bind;

/// A longer text is cut, in bytes.
const LONGEST_TEXT: usize = 2048;

/// What is done.
#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    Connect,
    Query {
        found: &'a [Parsed<'a>],
        binds: &'a [Bind<'a>],
    },
    /// Of several statements, or one that nothing is wanted of; or writes for a queue.
    Script(&'a [Parsed<'a>]),
    /// Of a transaction, perhaps one that is this migration.
    Commit(Option<&'a str>),
}

impl What<'_> {
    /// The name of the operation: one of a few.
    fn name(&self) -> &'static str {
        match self {
            What::Connect => "CONNECT",
            What::Query { found, .. } | What::Script(found) => name_of(found),
            What::Commit(_) => "COMMIT",
        }
    }

    /// What it is about, for people: one of many, but not of endless many.
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

/// The text of statements, as it may be shown.
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

/// What came of an operation that went well.
pub(crate) trait Gained {
    fn returned(&self) -> Option<u64> {
        None
    }

    fn affected(&self) -> Option<u64> {
        None
    }
}

impl Gained for () {}

/// Of queued writes nothing comes back but what the queue calls them.
impl Gained for Option<u64> {}

impl Gained for usize {
    fn affected(&self) -> Option<u64> {
        u64::try_from(*self).ok()
    }
}

/// An operation that goes on.
#[derive(Debug)]
#[must_use = "it is counted when it is finished"]
pub(crate) struct Operation {
    name: &'static str,
    span: Span,
    began: Instant,
    /// Of the session before it.
    before: Effort,
}

/// What an operation took.
pub(super) struct Taken {
    pub(super) time: Duration,
    pub(super) effort: Effort,
}

impl Observer {
    /// Begins an operation below what is around it.
    pub(crate) fn begin(&self, what: What<'_>, parent: &Parent) -> Operation {
        Operation {
            name: what.name(),
            span: Span::operation(what, what.name(), &self.options, parent),
            began: Instant::now(),
            before: self.effort,
        }
    }

    /// Counts an operation. `sql` is its text, for one that was slow.
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

    /// What would be an operation is none, since its text can't be read; or it was one, and the rest of its answer failed.
    pub(crate) fn refuse(&self, error: &impl Failed) {
        self.tally.count_error(error.kind());
    }

    fn slow(&self, operation: &Operation, sql: &str, taken: &Taken) {
        let text = match parse(sql) {
            Ok(found) => shown(&found, self.options.literals),
            // It was no SQL, or none that is read.
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
    /// What is done for it stands below it.
    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        self.span.within(future)
    }
}
