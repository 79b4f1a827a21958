//! The service on [axum](https://docs.rs/axum): what is axum's of it. All else is in `src/service`.
//!
//! `cargo example axum_service` listens on 127.0.0.1:3000, behind `-- --listen 127.0.0.1:8080` elsewhere, until SIGTERM or
//! Ctrl-C. `cargo run --release … -- --load` puts load on it and looks whether a write was lost or done twice;
//! `--clients 32` and `--requests 4000` say how much.
//!
//! ```sh
//! curl -d '{"owner": "ada", "cents": 10000}' -H 'content-type: application/json' localhost:3000/accounts
//! curl -d '{"owner": "bob", "cents": 0}' -H 'content-type: application/json' localhost:3000/accounts
//! curl -d '{"id": "rent-may", "source": 1, "target": 2, "cents": 2500}' \
//!     -H 'content-type: application/json' localhost:3000/transfers
//! curl localhost:3000/accounts
//! curl localhost:3000/health
//! curl localhost:3000/metrics
//! ```
//!
//! With `RUST_LOG=info` it prints what it does for each request, down to the node that answered.
#![allow(clippy::print_stdout)]

use std::net::SocketAddr;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use diesel_rqlite_examples::service::bank::{self, Account, NewAccount, Transfer};
use diesel_rqlite_examples::service::{
    self, Connections, Numbers, Options, POOL_SIZE, ServiceError,
};
use diesel_rqlite_examples::{Failure, Server};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Instrument;

fn main() -> Result<(), Failure> {
    let options = Options::parse()?;
    let server = Server::rqlite()?;
    if let Some(load) = options.load {
        return load.run(server.url());
    }
    let numbers = service::watch()?;
    let config = service::config(server.url())?;
    service::migrate(&config)?;
    let pool = service::pool(&config, POOL_SIZE)?;
    let listen = options.listen.unwrap_or(([127, 0, 0, 1], 3000).into());
    serve(listen, router(pool, numbers))
}

#[tokio::main]
async fn serve(listen: SocketAddr, router: Router) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
        .await?;
    println!("all requests are answered, good bye");
    Ok(())
}

fn router(pool: Connections, numbers: Numbers) -> Router {
    Router::new()
        .route("/accounts", post(create).get(list))
        .route("/accounts/{id}", get(show))
        .route("/transfers", post(transfer))
        .layer(middleware::from_fn(span))
        .route("/health", get(health))
        .route("/metrics", get(async move || numbers.render()))
        .with_state(pool)
}

async fn create(
    State(pool): State<Connections>,
    Json(account): Json<NewAccount>,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    let mut conn = service::connection(&pool).await?;
    let account = bank::create(&mut conn, &account).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

async fn list(State(pool): State<Connections>) -> Result<Json<Vec<Account>>, ApiError> {
    let mut conn = service::connection(&pool).await?;
    Ok(Json(bank::accounts(&mut conn).await?))
}

async fn show(
    State(pool): State<Connections>,
    Path(id): Path<i32>,
) -> Result<Json<Account>, ApiError> {
    let mut conn = service::connection(&pool).await?;
    Ok(Json(bank::account(&mut conn, id).await?))
}

async fn transfer(
    State(pool): State<Connections>,
    Json(transfer): Json<Transfer>,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    let mut conn = service::connection(&pool).await?;
    bank::transfer(&mut conn, &transfer).await?;
    Ok((StatusCode::CREATED, Json(transfer)))
}

async fn health(State(pool): State<Connections>) -> Result<&'static str, ApiError> {
    service::health(&pool).await?;
    Ok("well")
}

/// A type of this crate, so that axum's trait can be its.
struct ApiError(ServiceError);

impl<E: Into<ServiceError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        ApiError(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let answer = self.0.answer();
        let status = StatusCode::from_u16(answer.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let later = answer
            .retry_after
            .map(|after| [(header::RETRY_AFTER, after)]);
        (status, later, Json(answer.body)).into_response()
    }
}

/// A span for each request; what is done for it, down to the nodes of the database, stands below.
async fn span(request: Request, next: Next) -> Response {
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
