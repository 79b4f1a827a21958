//! A measurement of the cost of observing a query. It prints nanoseconds of processor time.
//!
//! `cargo test --release -p diesel-rqlite --lib --features metrics,tracing observe::cost -- --ignored --nocapture`

use bytes::Bytes;
use cpu_time::ThreadTime;
use diesel::result::Error;
use diesel_rqlite_sql::parse;

use super::{Attempts, Count, Observed, Observer, Options, Together, What};
use crate::bind_collector::Bind;
use crate::protocol::call::SendError;
use crate::protocol::head::Request;
use crate::runtime::block_on;

const QUERIES: u32 = 1_000_000;
const SQL: &str = r#"SELECT "posts"."id", "posts"."title" FROM "posts" WHERE ("posts"."id" = ?)"#;

/// Reports everything that is reported for a query with one request.
fn query(observer: &mut Observer, what: What<'_>, request: &Request) {
    observer.count(Count::CacheHits);
    let operation = observer.begin(what, &Observed::default().parent());
    block_on(operation.within(async {
        let mut attempts = Attempts::default();
        let sent = observer.sending(request, &mut attempts, Some("weak"));
        let outcome = sent.within(async {
            let response = http::Response::new(Bytes::from_static(b"{\"results\":[{}]}"));
            Ok::<_, SendError>(response)
        });
        let outcome = outcome.await;
        observer.received(sent, &mut attempts, &outcome);
    }));
    observer.finish(operation, SQL, &Ok::<_, Error>(1_usize));
}

#[allow(clippy::print_stdout)]
fn measure(name: &str) {
    let mut observer = Observer::new(&Together::default(), Options::default());
    let found = parse(SQL).expect("parses");
    let binds = [Bind::Integer(1)];
    let what = What::Query {
        found: &found,
        binds: &binds,
    };
    let request = Request::post(
        "http://127.0.0.1:4001/db/query?level=weak",
        "[[\"SELECT 1\"]]",
    );
    let began = ThreadTime::now();
    for _ in 0..QUERIES {
        query(&mut observer, what, &request);
    }
    let took = began.elapsed() / QUERIES;
    assert_eq!(observer.statistics().operations, u64::from(QUERIES));
    println!("{name}: {took:?} a query");
}

#[test]
#[ignore = "a measurement, of which a busy machine makes nothing"]
fn a_query() {
    measure("nobody listens");
    #[cfg(feature = "metrics")]
    {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new();
        let recorder = recorder.build_recorder();
        metrics::with_local_recorder(&recorder, || measure("metrics for Prometheus"));
    }
    #[cfg(feature = "tracing")]
    {
        let registry = tracing_subscriber::Registry::default();
        tracing::subscriber::with_default(registry, || measure("spans in a registry"));
    }
}
