//! The service on [Rocket](https://rocket.rs): what is Rocket's of it. All else is in `src/service`.
//!
//! `cargo example rocket_service` listens where Rocket is configured to, 127.0.0.1:8000 by default, until SIGTERM or Ctrl-C.
//! Its options are those of `axum_service`, and so are its routes and answers. The database is that of `RQLITE_URL`, of
//! `ROCKET_DATABASES` or `Rocket.toml`, or one that is started:
//!
//! ```toml
//! [default.databases.bank]
//! url = "rqlite://localhost:4001"
//! max_connections = 64
//! ```
#![allow(clippy::print_stdout)]

use diesel_rqlite_examples::service::bank::{self, Account, NewAccount, Transfer};
use diesel_rqlite_examples::service::{
    self, Connection, Connections, Numbers, Options, POOL_SIZE, ServiceError,
};
use diesel_rqlite_examples::{Failure, Server};
use rocket::fairing::{self, AdHoc};
use rocket::figment::Figment;
use rocket::figment::providers::{Env, Format, Serialized, Toml};
use rocket::http::{Header, Status};
use rocket::response::{self, Responder};
use rocket::serde::json::Json;
use rocket::tokio::task::spawn_blocking;
use rocket::{Build, Request, Rocket, State, catch, catchers, get, post, routes};
use rocket_db_pools::{Database, Error, Pool};

/// Where the URL stands in Rocket's configuration.
const URL: &str = "databases.bank.url";

fn main() -> Result<(), Failure> {
    let options = Options::parse()?;
    let mut figment = figment();
    let server = Server::rqlite_or(figment.extract_inner(URL).ok())?;
    if let Some(load) = options.load {
        return load.run(server.url());
    }
    // Whatever the profile is.
    figment = figment.merge(Serialized::global(URL, server.url()));
    if let Some(listen) = options.listen {
        figment = figment
            .merge(Serialized::global("address", listen.ip()))
            .merge(Serialized::global("port", listen.port()));
    }
    // SIGTERM and Ctrl-C are waited for by Rocket itself.
    rocket::execute(rocket(figment, service::watch()?).launch())?;
    println!("all requests are answered, good bye");
    Ok(())
}

/// As Rocket's own, on top of other defaults: requests that are under way have more time, and it prints less.
fn figment() -> Figment {
    let mut defaults = rocket::Config {
        log_level: rocket::config::LogLevel::Critical,
        ..rocket::Config::default()
    };
    defaults.shutdown.grace = 5;
    Figment::from(defaults)
        .merge(("databases.bank.max_connections", POOL_SIZE))
        .merge(Toml::file(Env::var_or("ROCKET_CONFIG", "Rocket.toml")).nested())
        .merge(Env::prefixed("ROCKET_").ignore(&["PROFILE"]).global())
}

fn rocket(figment: Figment, numbers: Numbers) -> Rocket<Build> {
    rocket::custom(figment)
        .manage(numbers)
        .attach(AdHoc::try_on_ignite("migrations", migrate))
        .attach(Bank::init())
        .attach(AdHoc::on_liftoff("address", |rocket| {
            Box::pin(async move {
                let config = rocket.config();
                println!("listening on http://{}:{}", config.address, config.port);
            })
        }))
        .mount("/", routes![create, list, show, transfer, health, metrics])
        .register("/", catchers![no_connection])
}

async fn migrate(rocket: Rocket<Build>) -> fairing::Result {
    let url = rocket.figment().extract_inner::<String>(URL);
    let migrating = spawn_blocking(move || service::migrate(&service::config(&url?)?));
    match migrating.await {
        Ok(Ok(())) => Ok(rocket),
        failed => {
            rocket::error!("the migrations failed: {failed:?}");
            Err(rocket)
        }
    }
}

/// `databases.bank` in Rocket's configuration.
#[derive(Database)]
#[database("bank")]
struct Bank(BankPool);

/// A type of this crate, so that Rocket's trait can be its.
struct BankPool(Connections);

#[rocket::async_trait]
impl Pool for BankPool {
    type Connection = Connection;
    type Error = Error<Failure, ServiceError>;

    async fn init(figment: &Figment) -> Result<Self, Self::Error> {
        let config: rocket_db_pools::Config = figment.extract()?;
        let size = config.max_connections;
        let config = service::config(&config.url).map_err(Error::Init)?;
        let pool = service::pool(&config, size).map_err(Error::Init)?;
        Ok(BankPool(pool))
    }

    async fn get(&self) -> Result<Connection, Self::Error> {
        service::connection(&self.0).await.map_err(Error::Get)
    }

    /// Rocket calls this when its shutdown begins. Requests that are under way may not have a connection yet, so the pool
    /// stays open; it has nothing that must be closed.
    async fn close(&self) {}
}

/// What Rocket hands to a handler.
type Conn = rocket_db_pools::Connection<Bank>;

#[post("/accounts", data = "<account>")]
async fn create(
    mut conn: Conn,
    account: Json<NewAccount>,
) -> Result<(Status, Json<Account>), ApiError> {
    let account = bank::create(&mut conn, &account).await?;
    Ok((Status::Created, Json(account)))
}

#[get("/accounts")]
async fn list(mut conn: Conn) -> Result<Json<Vec<Account>>, ApiError> {
    Ok(Json(bank::accounts(&mut conn).await?))
}

#[get("/accounts/<id>")]
async fn show(mut conn: Conn, id: i32) -> Result<Json<Account>, ApiError> {
    Ok(Json(bank::account(&mut conn, id).await?))
}

#[post("/transfers", data = "<transfer>")]
async fn transfer(
    mut conn: Conn,
    transfer: Json<Transfer>,
) -> Result<(Status, Json<Transfer>), ApiError> {
    bank::transfer(&mut conn, &transfer).await?;
    Ok((Status::Created, transfer))
}

#[get("/health")]
async fn health(bank: &Bank) -> Result<&'static str, ApiError> {
    service::health(&bank.0.0).await?;
    Ok("well")
}

#[get("/metrics")]
fn metrics(numbers: &State<Numbers>) -> String {
    numbers.render()
}

/// Where a handler could not be given a connection.
#[catch(503)]
fn no_connection() -> ApiError {
    ApiError(ServiceError::Unavailable("no connection".to_owned()))
}

/// A type of this crate, so that Rocket's trait can be its.
struct ApiError(ServiceError);

impl<E: Into<ServiceError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        ApiError(error.into())
    }
}

impl<'r> Responder<'r, 'static> for ApiError {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let answer = self.0.answer();
        let mut response = (Status::new(answer.status), Json(answer.body)).respond_to(request)?;
        if let Some(after) = answer.retry_after {
            response.set_header(Header::new("Retry-After", after));
        }
        Ok(response)
    }
}
