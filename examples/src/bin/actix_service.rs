//! The service on [actix-web](https://actix.rs): what is actix-web's of it. All else is in `src/service`.
//!
//! `cargo example actix_service` listens on 127.0.0.1:3000, until SIGTERM. (At Ctrl-C, actix-web ends at once.) Its options
//! are those of `axum_service`, and so are its routes and answers.
#![allow(clippy::print_stdout)]

use std::fmt;
use std::net::SocketAddr;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Json, Path};
use actix_web::{App, HttpResponse, HttpServer, ResponseError, get, post};
use diesel_rqlite_examples::service::bank::{self, Account, NewAccount, Transfer};
use diesel_rqlite_examples::service::{
    self, Connections, Numbers, Options, POOL_SIZE, ServiceError,
};
use diesel_rqlite_examples::{Failure, Server};

/// How many threads serve, each with a runtime of its own.
const WORKERS: usize = 4;

fn main() -> Result<(), Failure> {
    let options = Options::parse()?;
    let server = Server::rqlite()?;
    if let Some(load) = options.load {
        return load.run(server.url());
    }
    let numbers = service::watch()?;
    service::migrate(&service::config(server.url())?)?;
    let listen = options.listen.unwrap_or(([127, 0, 0, 1], 3000).into());
    serve(listen, server.url().to_owned(), numbers)
}

#[actix_web::main]
async fn serve(listen: SocketAddr, url: String, numbers: Numbers) -> Result<(), Failure> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(worker_pool(&url)))
            .app_data(Data::new(numbers.clone()))
            .service(create)
            .service(list)
            .service(show)
            .service(transfer)
            .service(health)
            .service(metrics)
    });
    let server = server.workers(WORKERS).bind(listen)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    // SIGTERM is waited for by actix-web itself.
    server.run().await?;
    println!("all requests are answered, good bye");
    Ok(())
}

/// actix-web calls this in each of its workers. A worker is a thread with a runtime of its own, and an HTTP connection
/// belongs to the runtime in which it was made. So each worker has its own pool, made by a configuration of its own: clones
/// of one would share HTTP connections. At a shutdown, a worker without work ends first, and would take connections along
/// on which others still wait for answers.
fn worker_pool(url: &str) -> Connections {
    let config = service::config(url).expect("the migrations have been run there");
    service::pool(&config, POOL_SIZE / WORKERS).expect("has no timeouts that need a runtime")
}

#[post("/accounts")]
async fn create(
    pool: Data<Connections>,
    account: Json<NewAccount>,
) -> Result<(Json<Account>, StatusCode), ApiError> {
    let mut conn = service::connection(&pool).await?;
    let account = bank::create(&mut conn, &account).await?;
    Ok((Json(account), StatusCode::CREATED))
}

#[get("/accounts")]
async fn list(pool: Data<Connections>) -> Result<Json<Vec<Account>>, ApiError> {
    let mut conn = service::connection(&pool).await?;
    Ok(Json(bank::accounts(&mut conn).await?))
}

#[get("/accounts/{id}")]
async fn show(pool: Data<Connections>, id: Path<i32>) -> Result<Json<Account>, ApiError> {
    let mut conn = service::connection(&pool).await?;
    Ok(Json(bank::account(&mut conn, *id).await?))
}

#[post("/transfers")]
async fn transfer(
    pool: Data<Connections>,
    transfer: Json<Transfer>,
) -> Result<(Json<Transfer>, StatusCode), ApiError> {
    let mut conn = service::connection(&pool).await?;
    bank::transfer(&mut conn, &transfer).await?;
    Ok((transfer, StatusCode::CREATED))
}

#[get("/health")]
async fn health(pool: Data<Connections>) -> Result<&'static str, ApiError> {
    service::health(&pool).await?;
    Ok("well")
}

#[get("/metrics")]
async fn metrics(numbers: Data<Numbers>) -> String {
    numbers.render()
}

/// A type of this crate, so that actix-web's trait can be its.
#[derive(Debug)]
struct ApiError(ServiceError);

impl<E: Into<ServiceError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        ApiError(error.into())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl ResponseError for ApiError {
    fn error_response(&self) -> HttpResponse {
        let answer = self.0.answer();
        let status = StatusCode::from_u16(answer.status);
        let mut response = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        if let Some(after) = answer.retry_after {
            response.insert_header((header::RETRY_AFTER, after));
        }
        response.json(answer.body)
    }
}
