//! What the service does, for people and machines to see: a page of numbers, and a trace of each request.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use diesel_rqlite_examples::Failure;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::Instrument;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Upper ends of the buckets that times are counted in, in seconds: from a read of a local node to an election.
const BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0,
];

/// How often numbers are gathered that nobody has asked for.
const UPKEEP: Duration = Duration::from_secs(5);

/// From here on the metrics of diesel-rqlite are counted, for the page.
pub(crate) fn count() -> Result<PrometheusHandle, Failure> {
    let page = PrometheusBuilder::new()
        .with_recommended_naming(true)
        .set_buckets(&BUCKETS)?
        .install_recorder()?;
    diesel_rqlite::describe_metrics();
    Ok(page)
}

/// Gathers numbers as long as the service runs.
pub(crate) async fn keep_up(page: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        page.run_upkeep();
    }
}

/// From here on spans are printed when they end, as `RUST_LOG` says: `RUST_LOG=info` is all of them. An exporter to
/// OpenTelemetry, by the crate `tracing-opentelemetry`, would be one more layer here.
pub(crate) fn trace() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

/// A span for each request; what is done for it, down to the nodes of the database, stands below.
pub(crate) async fn span(request: Request, next: Next) -> Response {
    let span = tracing::info_span!(
        "http",
        otel.kind = "server",
        otel.name = format!("{} {}", request.method(), request.uri().path()),
        http.response.status_code = tracing::field::Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}
