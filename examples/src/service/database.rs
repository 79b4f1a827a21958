//! From a URL to a pool, and whether the database is well.

use std::time::Duration;

use diesel::IntoSql;
use diesel::sql_types::Integer;
use diesel_async::RunQueryDsl;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, RecyclingMethod};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig};
use tokio::time::timeout;

use super::ServiceError;
use crate::Failure;

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("src/service/migrations");

/// What takes longer is a warning, with what the server says it took.
const SLOW: Duration = Duration::from_millis(500);

/// Better an early "try again" than a queue that grows.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who asks how a service is wants to know it before its own patience ends.
const HEALTH_PATIENCE: Duration = Duration::from_secs(1);

/// There can be many: each is no more than a place for pending statements.
pub const POOL_SIZE: usize = 64;

/// A pool.
pub type Connections = Pool<AsyncRqliteConnection>;

/// One of its connections, until it is dropped.
pub type Connection = Object<AsyncRqliteConnection>;

/// The configuration that a URL stands for. What is made by one and its clones shares HTTP connections.
///
/// # Errors
///
/// When it is none.
pub fn config(url: &str) -> Result<RqliteConfig, Failure> {
    Ok(url.parse::<RqliteConfig>()?.slow_query_threshold(SLOW))
}

/// Brings the schema up to date. All instances of a service may do so when they start: each migration is applied once.
///
/// It blocks: call it before there is a runtime, or by `spawn_blocking`.
///
/// # Errors
///
/// When the database does not answer, or a migration fails.
pub fn migrate(config: &RqliteConfig) -> Result<(), Failure> {
    config.connect()?.run_pending_migrations(MIGRATIONS)?;
    Ok(())
}

/// A pool. No connection is made before it is needed.
///
/// # Errors
///
/// None that a caller could mend.
pub fn pool(config: &RqliteConfig, size: usize) -> Result<Connections, Failure> {
    // So made, all connections of the pool share their HTTP connections. The URL is not looked at.
    let mut manager = config.manager_config();
    // Nothing could have died in the pool, so there is no reason to send a request before each use.
    manager.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::new_with_config("", manager);
    Ok(Pool::builder(manager).max_size(size).build()?)
}

/// A connection, as soon as one is free.
///
/// # Errors
///
/// `Unavailable` where none is free in time, or none can be made.
pub async fn connection(pool: &Connections) -> Result<Connection, ServiceError> {
    let busy = |_| ServiceError::Unavailable("all connections are in use".to_owned());
    Ok(timeout(PATIENCE, pool.get()).await.map_err(busy)??)
}

/// Whether the database answers, and soon. A read like any other: it needs a leader that a majority follows.
///
/// # Errors
///
/// `Unavailable` where it does not.
pub async fn health(pool: &Connections) -> Result<(), ServiceError> {
    let late = |_| ServiceError::Unavailable("the database takes too long".to_owned());
    timeout(HEALTH_PATIENCE, ask(pool)).await.map_err(late)?
}

async fn ask(pool: &Connections) -> Result<(), ServiceError> {
    let mut conn = pool.get().await?;
    let one = 1.into_sql::<Integer>();
    let _: i32 = diesel::select(one).get_result(&mut conn).await?;
    Ok(())
}
