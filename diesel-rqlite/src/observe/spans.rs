//! Spans of `tracing`, named after OpenTelemetry's conventions for database clients.

use bytes::Bytes;
use diesel_rqlite_sql::Literals;
use tracing::field::{Empty, display};
use tracing::instrument::{Instrument, Instrumented, WithDispatch, WithSubscriber};
use tracing::span::Id;

use super::operation::{Gained, Taken, What, shown};
use super::request::Node;
use super::{Options, SYSTEM, SlowQuery};
use crate::bind_collector::Bind;
use crate::protocol::call::{SERVED_BY, SendError};
use crate::protocol::head::Request;

/// The target of all spans and events.
const TARGET: &str = "diesel_rqlite";
/// The length at which values of parameters are truncated, in characters.
const LONGEST_VALUE: usize = 100;
/// The maximum number of parameters that are shown. The rest is omitted.
const MOST_VALUES: usize = 100;

/// A span, or none.
#[derive(Clone, Debug)]
pub(crate) struct Span(tracing::Span);

impl Default for Span {
    fn default() -> Self {
        Span(tracing::Span::none())
    }
}

/// A future that runs inside a span.
pub(crate) type Within<F> = Instrumented<F>;

/// Wraps the future of a separate task, so that its spans are children of the span in which it was started.
pub(crate) fn carried<F: Future>(future: F) -> WithDispatch<Instrumented<F>> {
    future.in_current_span().with_current_subscriber()
}

/// The parent of a span: the span that is entered, or the span of a transaction. The latter is not entered if the
/// transaction was begun without giving a closure to the connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parent {
    /// The span around the transaction, and the span of the transaction.
    transaction: Option<(Option<Id>, Option<Id>)>,
    around: Option<Id>,
}

impl Parent {
    /// Returns the span that is entered.
    pub(super) fn current() -> Self {
        Parent {
            transaction: None,
            around: tracing::Span::current().id(),
        }
    }

    /// Returns a parent that is the span of a transaction as long as the span of `self` is the current one.
    pub(super) fn or_below(self, span: &Span) -> Self {
        Parent {
            transaction: Some((self.around, span.0.id())),
            around: None,
        }
    }

    fn id(&self) -> Option<Id> {
        let current = tracing::Span::current().id();
        match &self.transaction {
            Some((around, Some(transaction))) if *around == current => Some(transaction.clone()),
            _ => current,
        }
    }
}

/// Creates a span with the fields that all operations have.
macro_rules! operation {
    ($name:literal, $parent:expr, $operation:expr) => {
        tracing::info_span!(
            target: TARGET,
            parent: $parent.id(),
            $name,
            otel.kind = "client",
            otel.name = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
            db.system.name = SYSTEM,
            db.operation.name = $operation,
            db.operation.batch.size = Empty,
            db.collection.name = Empty,
            db.query.summary = Empty,
            db.query.text = Empty,
            db.query.parameters = Empty,
            db.response.returned_rows = Empty,
            db.response.status_code = Empty,
            "error.type" = Empty,
            server.address = Empty,
            server.port = Empty,
            rqlite.rows_affected = Empty,
            rqlite.requests = Empty,
            rqlite.retries = Empty,
            rqlite.redirects = Empty,
            rqlite.fail_overs = Empty,
            rqlite.bytes_sent = Empty,
            rqlite.bytes_received = Empty,
            rqlite.server_time = Empty,
            rqlite.migration = Empty,
        )
    };
}

impl Span {
    pub(super) fn operation(
        what: What<'_>,
        operation: &'static str,
        options: &Options,
        parent: &Parent,
    ) -> Self {
        let span = match what {
            What::Connect => operation!("connect", parent, operation),
            What::Query { .. } => operation!("query", parent, operation),
            What::Script(_) => operation!("script", parent, operation),
            What::Commit(_) => operation!("commit", parent, operation),
        };
        if !span.is_disabled() {
            describe(&span, what, options);
        }
        Span(span)
    }

    /// Creates the span of a whole transaction. Its operations are spans inside it.
    pub(super) fn transaction(mode: &'static str) -> Self {
        Span(tracing::info_span!(
            target: TARGET,
            "transaction",
            otel.kind = "internal",
            otel.name = "TRANSACTION",
            otel.status_code = Empty,
            db.system.name = SYSTEM,
            "error.type" = Empty,
            rqlite.transaction.mode = mode,
            rqlite.transaction.outcome = Empty,
            rqlite.migration = Empty,
        ))
    }

    pub(super) fn lock(name: &str, parent: &Parent) -> Self {
        Span(tracing::info_span!(
            target: TARGET,
            parent: parent.id(),
            "lock",
            otel.kind = "internal",
            otel.name = "LOCK",
            otel.status_code = Empty,
            db.system.name = SYSTEM,
            "error.type" = Empty,
            rqlite.lock.name = name,
        ))
    }

    /// Creates the span of one HTTP request to one node.
    pub(super) fn request(
        request: &Request,
        node: Option<&Node>,
        resent: u64,
        level: Option<&'static str>,
    ) -> Self {
        let span = tracing::info_span!(
            target: TARGET,
            "request",
            otel.kind = "client",
            otel.name = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
            db.system.name = SYSTEM,
            http.request.method = request.method().as_str(),
            http.request.body.size = request.body().len(),
            http.request.resend_count = Empty,
            http.response.status_code = Empty,
            http.response.body.size = Empty,
            "error.type" = Empty,
            server.address = Empty,
            server.port = Empty,
            url.full = Empty,
            rqlite.level = level,
            rqlite.served_by = Empty,
        );
        if !span.is_disabled() {
            let (method, uri) = (request.method(), request.uri());
            span.record(
                "otel.name",
                display(format_args!("{method} {}", uri.path())),
            );
            // The URL contains neither user nor password.
            span.record("url.full", display(uri));
            if resent > 0 {
                span.record("http.request.resend_count", resent);
            }
            record_node(&span, node);
        }
        Span(span)
    }

    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        future.instrument(self.0.clone())
    }

    pub(crate) fn in_scope<T>(&self, run: impl FnOnce() -> T) -> T {
        self.0.in_scope(run)
    }

    pub(super) fn gained(&self, gained: &impl Gained) {
        if let Some(rows) = gained.returned() {
            self.0.record("db.response.returned_rows", rows);
        }
        if let Some(rows) = gained.affected() {
            self.0.record("rqlite.rows_affected", rows);
        }
    }

    /// Records an error. Its description may contain literals of the text, and values.
    pub(super) fn failed(
        &self,
        kind: &'static str,
        options: &Options,
        description: impl FnOnce() -> String,
    ) {
        if self.0.is_disabled() {
            return;
        }
        self.fails_with(kind);
        if options.parameters && options.literals == Literals::Shown {
            self.0.record("otel.status_description", description());
        }
    }

    fn fails_with(&self, kind: &str) {
        self.0.record("otel.status_code", "ERROR");
        self.0.record("error.type", kind);
    }

    pub(super) fn took(&self, taken: &Taken, node: Option<&Node>) {
        let span = &self.0;
        let effort = &taken.effort;
        if span.is_disabled() {
            return;
        }
        span.record("rqlite.requests", effort.requests);
        let rare = [
            ("rqlite.retries", effort.retries),
            ("rqlite.redirects", effort.redirects),
            ("rqlite.fail_overs", effort.fail_overs),
        ];
        for (field, number) in rare.into_iter().filter(|(_, number)| *number > 0) {
            span.record(field, number);
        }
        if effort.requests == 0 {
            return;
        }
        span.record("rqlite.bytes_sent", effort.sent);
        span.record("rqlite.bytes_received", effort.received);
        if let Some(time) = effort.server_time {
            span.record("rqlite.server_time", time.as_secs_f64());
        }
        if let Some(status) = effort.status {
            span.record("db.response.status_code", status.as_str());
        }
        record_node(span, node);
    }

    pub(super) fn slow(&self, slow: &SlowQuery) {
        tracing::warn!(
            target: TARGET,
            parent: &self.0,
            {
                db.query.text = slow.text,
                time = slow.time.as_secs_f64(),
                rqlite.server_time = slow.server_time.map(|time| time.as_secs_f64()),
                rqlite.requests = slow.requests,
                server.address = slow.node,
            },
            "slow query",
        );
    }

    pub(super) fn answered(
        &self,
        outcome: &Result<http::Response<Bytes>, SendError>,
        error: Option<&'static str>,
    ) {
        let span = &self.0;
        if span.is_disabled() {
            return;
        }
        match outcome {
            Ok(response) => {
                span.record("http.response.status_code", response.status().as_u16());
                span.record("http.response.body.size", response.body().len());
                let served_by = response.headers().get(SERVED_BY);
                if let Some(node) = served_by.and_then(|node| node.to_str().ok()) {
                    span.record("rqlite.served_by", node);
                }
                let status = response.status();
                if status.is_client_error() || status.is_server_error() {
                    self.fails_with(status.as_str());
                }
            }
            Err(failed) => {
                self.fails_with(error.unwrap_or_default());
                // The message describes the connection to the node.
                span.record("otel.status_description", &*failed.message);
            }
        }
    }

    pub(super) fn ended(&self, outcome: &'static str) {
        self.0.record("rqlite.transaction.outcome", outcome);
        if outcome == "conflict" {
            self.fails_with("SerializationFailure");
        }
    }

    pub(super) fn is_migration(&self, version: &str) {
        if !self.0.is_disabled() {
            self.0
                .record("otel.name", display(format_args!("MIGRATION {version}")));
            self.0.record("rqlite.migration", version);
        }
    }

    pub(super) fn failed_to_lock(&self) {
        self.fails_with("LockError");
    }
}

/// Records the fields of an operation that are costly to compute.
fn describe(span: &tracing::Span, what: What<'_>, options: &Options) {
    let summary = what.summary();
    span.record("otel.name", &*summary);
    let found = what.found();
    if let What::Commit(Some(version)) = what {
        span.record("rqlite.migration", version);
    }
    if found.is_empty() {
        return;
    }
    span.record("db.query.summary", &*summary);
    span.record("db.query.text", shown(found, options.literals));
    if let [one] = found
        && let Some(table) = one.table_name()
    {
        span.record("db.collection.name", table);
    }
    if found.len() > 1 {
        span.record("db.operation.batch.size", found.len());
    }
    if let What::Query { binds, .. } = what
        && options.parameters
        && !binds.is_empty()
    {
        span.record("db.query.parameters", values(binds));
    }
}

fn record_node(span: &tracing::Span, node: Option<&Node>) {
    if let Some(node) = node {
        span.record("server.address", &*node.address);
        span.record("server.port", node.port);
    }
}

/// Returns the values of parameters, in SQL syntax.
fn values(binds: &[Bind<'_>]) -> String {
    let values: Vec<_> = binds.iter().take(MOST_VALUES).map(value).collect();
    let rest = if binds.len() > MOST_VALUES {
        ", …"
    } else {
        ""
    };
    format!("[{}{rest}]", values.join(", "))
}

fn value(bind: &Bind<'_>) -> String {
    let text = |text: &str| {
        let mut shown: String = text.chars().take(LONGEST_VALUE).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        format!("'{}'", shown.replace('\'', "''"))
    };
    match bind {
        Bind::Null => "NULL".to_owned(),
        Bind::Integer(value) => value.to_string(),
        Bind::Real(value) => value.to_string(),
        Bind::Text(value) => text(value),
        Bind::Binary(value) => format!("{} bytes", value.len()),
        #[cfg(feature = "serde_json")]
        Bind::Jsonb(value) => text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut() {
        let long = "é'".repeat(LONGEST_VALUE);
        let binds = [
            Bind::Null,
            Bind::Real(1.5),
            Bind::Text("it's".into()),
            Bind::Binary([0; 3].as_slice().into()),
        ];
        assert_eq!(values(&binds), "[NULL, 1.5, 'it''s', 3 bytes]");
        let cut = value(&Bind::Text(long.into()));
        assert!(cut.ends_with("…'"), "{cut}");
        let many = vec![Bind::Integer(1); MOST_VALUES + 1];
        assert!(values(&many).ends_with("1, …]"));
    }
}
