//! The database: what differs between SQLite and rqlite.

use diesel::connection::SimpleConnection as _;
use diesel::result::Error;
pub(crate) use diesel::sqlite::{Sqlite as Backend, SqliteConnection as Connection};
use diesel::{Connection as _, QueryResult};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::app::Failure;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../examples/src/bin/lending/migrations");

/// A file.
pub(crate) fn open(file: &str) -> Result<Connection, Failure> {
    let mut connection = Connection::establish(file)?;
    connection.batch_execute(
        "PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON",
    )?;
    connection.run_pending_migrations(MIGRATIONS)?;
    Ok(connection)
}

/// Others wait until it is over.
pub(crate) fn transaction<T>(
    connection: &mut Connection,
    body: impl FnMut(&mut Connection) -> Result<T, Error>,
) -> QueryResult<T> {
    connection.immediate_transaction(body)
}
