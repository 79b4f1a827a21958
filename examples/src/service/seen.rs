//! What a service does, for people and machines to see: a page of numbers, and a trace of each request.

use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::Failure;

/// Upper ends of the buckets that times are counted in, in seconds: from a read of a local node to an election.
const BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];

/// How often numbers are gathered that nobody has asked for.
const UPKEEP: Duration = Duration::from_secs(5);

/// The numbers of the process, for Prometheus: [`render`](PrometheusHandle::render) is the page.
pub type Numbers = PrometheusHandle;

/// From here on spans are printed when they end, as `RUST_LOG` says (`RUST_LOG=info` is all of them), and the metrics of
/// diesel-rqlite are counted. An exporter to OpenTelemetry, by the crate `tracing-opentelemetry`, would be one more layer
/// here.
///
/// # Errors
///
/// When it is called twice.
pub fn watch() -> Result<Numbers, Failure> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init()?;
    let numbers = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&BUCKETS)?
        .install_recorder()?;
    diesel_rqlite::describe_metrics();
    let gathered = numbers.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(UPKEEP);
            gathered.run_upkeep();
        }
    });
    Ok(numbers)
}
