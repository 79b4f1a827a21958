//! The database: what differs between SQLite and rqlite.

use diesel::result::Error;
use diesel::{Connection as _, QueryResult};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};
pub(crate) use diesel_rqlite::{Rqlite as Backend, RqliteConnection as Connection};

use super::app::Failure;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../examples/src/bin/lending/migrations");

/// `rqlite://host:4001`. Foreign keys are checked if rqlited was started with `-fk`.
pub(crate) fn open(url: &str) -> Result<Connection, Failure> {
    let mut connection = Connection::establish(url)?;
    connection.run_pending_migrations(MIGRATIONS)?;
    Ok(connection)
}

/// Nobody waits: a transaction that met another one runs again.
pub(crate) fn transaction<T>(
    connection: &mut Connection,
    body: impl FnMut(&mut Connection) -> Result<T, Error>,
) -> QueryResult<T> {
    connection.build_transaction().retries(5).run(body)
}
