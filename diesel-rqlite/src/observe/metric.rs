//! The facade of the crate `metrics`.
//!
//! Names are those of OpenTelemetry, if it defines one. They contain dots, which exporters convert for their systems.

use std::time::Duration;

use http::{Method, StatusCode};

use metrics::{Key, Label, Level, Metadata, Unit, counter, describe_counter, describe_histogram};

use super::request::Node;
use super::statistics::COUNTS;

const DURATION: &str = "db.client.operation.duration";
const REQUEST: &str = "http.client.request.duration";
const ERRORS: &str = "diesel_rqlite.errors";
const LOCK_WAIT: &str = "diesel_rqlite.lock.wait.duration";
const LOCK_HOLD: &str = "diesel_rqlite.lock.hold.duration";
const SYSTEM: Label = Label::from_static_parts("db.system.name", super::SYSTEM);
const OPERATION: &str = "db.operation.name";
const METHOD: &str = "http.request.method";
const STATUS: &str = "http.response.status_code";
const METADATA: Metadata<'static> =
    Metadata::new("diesel_rqlite", Level::INFO, Some(module_path!()));

/// Describes the metrics of this crate to the recorder of the crate `metrics`, so that the recorder can show the
/// descriptions. Call it once, after the recorder was installed.
pub fn describe_metrics() {
    for (name, doc) in COUNTS {
        let unit = match name.contains(".bytes.") {
            true => Unit::Bytes,
            false => Unit::Count,
        };
        // Links are of no use in a description.
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
    let key = duration_of(name).filter(|_| error.is_none());
    if let Some(key) = key {
        return record(key, time);
    }
    let mut labels = vec![SYSTEM, Label::from_static_parts(OPERATION, name)];
    if let Some(error) = error {
        labels.push(Label::from_static_parts("error.type", error));
    }
    record(&Key::from_parts(DURATION, labels), time);
}

/// Returns the key of a successful operation, for the frequent ones. Nothing is allocated for it.
fn duration_of(name: &str) -> Option<&'static Key> {
    macro_rules! key {
        ($($name:literal)*) => {
            match name {
                $($name => {
                    static LABELS: [Label; 2] =
                        [SYSTEM, Label::from_static_parts(OPERATION, $name)];
                    static KEY: Key = Key::from_static_parts(DURATION, &LABELS);
                    Some(&KEY)
                })*
                _ => None,
            }
        };
    }
    key!("SELECT" "INSERT" "UPDATE" "DELETE" "REPLACE" "BATCH" "BATCH INSERT" "COMMIT" "CONNECT")
}

/// Records one request to one node.
pub(super) fn request(
    node: &Node,
    method: &Method,
    status: Option<StatusCode>,
    error: Option<&'static str>,
    time: Duration,
) {
    if status == Some(StatusCode::OK) && method == Method::POST {
        return record(&node.well.0, time);
    }
    let label = match (status, error) {
        (Some(status), _) => Label::new(STATUS, status.as_str().to_owned()),
        (None, error) => Label::from_static_parts("error.type", error.unwrap_or("no_answer")),
    };
    record(
        &key_of(node.address.as_ref(), node.port, method, label),
        time,
    );
}

/// The key of successful requests to a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NodeKey(Key);

impl NodeKey {
    pub(super) fn new(address: &str, port: u16) -> Self {
        NodeKey(key_of(
            address,
            port,
            &Method::POST,
            Label::from_static_parts(STATUS, "200"),
        ))
    }
}

fn key_of(address: &str, port: u16, method: &Method, outcome: Label) -> Key {
    let method = Label::new(METHOD, method.as_str().to_owned());
    let address = Label::new("server.address", address.to_owned());
    let port = Label::new("server.port", port.to_string());
    Key::from_parts(REQUEST, vec![method, address, port, outcome])
}

fn record(key: &Key, time: Duration) {
    metrics::with_recorder(|recorder| {
        recorder
            .register_histogram(key, &METADATA)
            .record(time.as_secs_f64());
    });
}
