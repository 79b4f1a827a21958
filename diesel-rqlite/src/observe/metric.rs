//! The facade of the crate `metrics`.
//!
//! Names are OpenTelemetry's where it has one, with dots, which exporters write as their systems do.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use metrics::{
    Key, Label, Level, Metadata, SharedString, Unit, counter, describe_counter, describe_histogram,
};

use super::request::Node;
use super::statistics::COUNTS;

const DURATION: &str = "db.client.operation.duration";
const REQUEST: &str = "http.client.request.duration";
const ERRORS: &str = "diesel_rqlite.errors";
const LOCK_WAIT: &str = "diesel_rqlite.lock.wait.duration";
const LOCK_HOLD: &str = "diesel_rqlite.lock.hold.duration";
const SYSTEM: Label = Label::from_static_parts("db.system.name", super::SYSTEM);
const METHOD: Label = Label::from_static_parts("http.request.method", "POST");
const STATUS: &str = "http.response.status_code";
const METADATA: Metadata<'static> =
    Metadata::new("diesel_rqlite", Level::INFO, Some(module_path!()));

/// Tells the recorder of the crate `metrics` what the metrics of this crate are, for its page. Call it once, behind
/// installing the recorder.
pub fn describe_metrics() {
    for (name, doc) in COUNTS {
        let unit = match name.contains(".bytes.") {
            true => Unit::Bytes,
            false => Unit::Count,
        };
        // Links are of no use there.
        describe_counter!(
            *name,
            unit,
            doc.split(" as long as [").next().unwrap_or(doc)
        );
    }
    describe_counter!(
        ERRORS,
        Unit::Count,
        "Operations that failed, by the kind of their error."
    );
    let seconds = Unit::Seconds;
    describe_histogram!(DURATION, seconds, "How long operations took.");
    describe_histogram!(REQUEST, seconds, "How long nodes took to answer requests.");
    describe_histogram!(
        LOCK_WAIT,
        seconds,
        "How long transactions waited for their locks."
    );
    describe_histogram!(
        LOCK_HOLD,
        seconds,
        "How long transactions held their locks."
    );
}

/// Adds to a counter without labels.
macro_rules! count {
    ($name:literal, $number:expr) => {
        metrics::counter!($name).increment($number)
    };
}
pub(super) use count;

pub(super) fn error(kind: &'static str) {
    counter!(ERRORS, "error.type" => kind).increment(1);
}

pub(super) fn lock_wait(time: Duration) {
    metrics::histogram!(LOCK_WAIT).record(time.as_secs_f64());
}

pub(super) fn lock_hold(time: Duration) {
    metrics::histogram!(LOCK_HOLD).record(time.as_secs_f64());
}

pub(super) fn operation(name: &'static str, error: Option<&'static str>, time: Duration) {
    let name = Label::from_static_parts("db.operation.name", name);
    let key = match error {
        None => Key::from_parts(DURATION, vec![SYSTEM, name]),
        Some(error) => {
            let error = Label::from_static_parts("error.type", error);
            Key::from_parts(DURATION, vec![SYSTEM, name, error])
        }
    };
    record(&key, time);
}

/// One request to one node.
pub(super) fn request(
    node: &Node,
    status: Option<StatusCode>,
    error: Option<&'static str>,
    time: Duration,
) {
    let shared = |text: &Arc<str>| SharedString::from_shared(Arc::clone(text));
    let mut labels = Vec::with_capacity(4);
    labels.push(METHOD);
    labels.push(Label::new("server.address", shared(&node.address)));
    labels.push(Label::new("server.port", shared(&node.port_text)));
    match (status, error) {
        (Some(StatusCode::OK), _) => labels.push(Label::from_static_parts(STATUS, "200")),
        (Some(status), _) => labels.push(Label::new(STATUS, status.as_str().to_owned())),
        (None, Some(error)) => labels.push(Label::from_static_parts("error.type", error)),
        (None, None) => {}
    }
    record(&Key::from_parts(REQUEST, labels), time);
}

fn record(key: &Key, time: Duration) {
    metrics::with_recorder(|recorder| {
        recorder
            .register_histogram(key, &METADATA)
            .record(time.as_secs_f64());
    });
}
