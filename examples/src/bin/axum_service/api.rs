//! The routes.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_rqlite::AsyncRqliteConnection;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::time::timeout;

use crate::bank::{self, Account, NewAccount, Transfer};
use crate::error::ApiError;
use crate::seen;

type Connections = Pool<AsyncRqliteConnection>;

/// Better an early "try again" than a queue that grows.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn router(pool: Connections, page: PrometheusHandle) -> Router {
    Router::new()
        .route("/accounts", post(create).get(list))
        .route("/accounts/{id}", get(show))
        .route("/transfers", post(transfer))
        .layer(middleware::from_fn(seen::span))
        .route("/metrics", get(async move || page.render()))
        .with_state(pool)
}

async fn connection(pool: &Connections) -> Result<Object<AsyncRqliteConnection>, ApiError> {
    let busy = |_| ApiError::Unavailable("all connections are in use".to_owned());
    Ok(timeout(PATIENCE, pool.get()).await.map_err(busy)??)
}

async fn create(
    State(pool): State<Connections>,
    Json(account): Json<NewAccount>,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    let mut conn = connection(&pool).await?;
    let account = bank::create(&mut conn, &account).await?;
    Ok((StatusCode::CREATED, Json(account)))
}

async fn list(State(pool): State<Connections>) -> Result<Json<Vec<Account>>, ApiError> {
    let mut conn = connection(&pool).await?;
    Ok(Json(bank::accounts(&mut conn).await?))
}

async fn show(
    State(pool): State<Connections>,
    Path(id): Path<i32>,
) -> Result<Json<Account>, ApiError> {
    let mut conn = connection(&pool).await?;
    Ok(Json(bank::account(&mut conn, id).await?))
}

async fn transfer(
    State(pool): State<Connections>,
    Json(transfer): Json<Transfer>,
) -> Result<(StatusCode, Json<Transfer>), ApiError> {
    if transfer.source == transfer.target || transfer.cents <= 0 {
        return Err(ApiError::Invalid("nothing would be moved".to_owned()));
    }
    let mut conn = connection(&pool).await?;
    bank::transfer(&mut conn, &transfer).await?;
    Ok((StatusCode::CREATED, Json(transfer)))
}
