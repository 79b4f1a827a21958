//! Accounts and transfers between them as a REST service, with a pool of connections.
//!
//! `cargo run -p diesel-rqlite-examples --bin axum_service` listens on 127.0.0.1:3000, behind `-- --listen
//! 127.0.0.1:8080` elsewhere, until SIGTERM or Ctrl-C. `cargo run --release … -- --load` puts load on it and
//! looks whether a write was lost or done twice; `--clients 32` and `--requests 4000` say how much.
//!
//! ```sh
//! curl -d '{"owner": "ada", "cents": 10000}' -H 'content-type: application/json' localhost:3000/accounts
//! curl -d '{"owner": "bob", "cents": 0}' -H 'content-type: application/json' localhost:3000/accounts
//! curl -d '{"id": "rent-may", "source": 1, "target": 2, "cents": 2500}' \
//!     -H 'content-type: application/json' localhost:3000/transfers
//! curl localhost:3000/accounts
//! curl localhost:3000/metrics
//! ```
//!
//! With `RUST_LOG=info` it prints what it does for each request, down to the node that answered.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod api;
mod bank;
mod error;
mod load;
mod seen;

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, RecyclingMethod};
use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig};
use diesel_rqlite_examples::{Failure, Server, Tables};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use self::load::Load;

/// What takes longer is a warning, with what the server says it took.
const SLOW: Duration = Duration::from_millis(500);

fn main() -> Result<(), Failure> {
    let mut listen = "127.0.0.1:3000".to_owned();
    let (mut load, mut has_load) = (Load::default(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or("an option without its value");
        match name.as_str() {
            "--load" => has_load = true,
            "--listen" => listen = value()?,
            "--clients" => load.clients = value()?.parse::<NonZeroU32>()?.get(),
            "--requests" => load.requests = value()?.parse()?,
            _ => return Err(format!("{name} is no option").into()),
        }
    }
    let server = Server::rqlite()?;
    let config: RqliteConfig = server.url().parse()?;
    let config = config.slow_query_threshold(SLOW);
    seen::trace();
    let page = seen::count()?;
    if has_load {
        let _tables = Tables::create(&config, bank::TABLES, bank::CREATE)?;
        return load::run(&config, &load, page);
    }
    // What is there stays there.
    let create = bank::CREATE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
    config.connect()?.batch_execute(&create)?;
    run(&config, &listen, page)
}

#[tokio::main]
async fn run(config: &RqliteConfig, listen: &str, page: PrometheusHandle) -> Result<(), Failure> {
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, pool(config)?, page, terminated()).await?;
    println!("all requests are answered, good bye");
    Ok(())
}

fn pool(config: &RqliteConfig) -> Result<Pool<AsyncRqliteConnection>, Failure> {
    // So made, all connections of the pool share their HTTP connections. The URL is not looked at.
    let mut manager = config.manager_config();
    // A connection is no more than a place for pending statements. There is nothing that could have died in the
    // pool, and so no reason to send a request before each use; and there can be many of them.
    manager.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::new_with_config("", manager);
    Ok(Pool::builder(manager).max_size(64).build()?)
}

/// Serves until `shutdown`, and then answers what it has begun.
async fn serve(
    listener: TcpListener,
    pool: Pool<AsyncRqliteConnection>,
    page: PrometheusHandle,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let upkeep = tokio::spawn(seen::keep_up(page.clone()));
    axum::serve(listener, api::router(pool.clone(), page))
        .with_graceful_shutdown(shutdown)
        .await?;
    upkeep.abort();
    pool.close();
    Ok(())
}

/// Ctrl-C, or what a service manager sends.
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    let ends = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate)] = ends else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
