//! Runs and reverts migrations as Diesel's harness does, reports each of them, and handles other processes that do
//! the same at the same time.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use diesel::connection::{Connection as _, TransactionManager as _};
use diesel::migration::{Migration, MigrationVersion};
use diesel_migrations::{MigrationError, MigrationHarness};
use diesel_rqlite::{Rqlite, RqliteConnection, RqliteLock, RqliteTransactionManager};
use diesel_rqlite_sql::{Control, Statements};

use super::warnings::warn_about;
use crate::common::Common;
use crate::error::Error;
use crate::{database, output};

/// The result type of Diesel's harness.
pub type Outcome<T> = diesel::migration::Result<T>;

/// The lock for a migration that runs outside of a transaction. It ensures that only one process at a time runs the
/// migration.
const LOCK: &str = "diesel-rqlite migration";

/// The time to wait for a process that runs a migration outside of a transaction.
const PATIENCE: Duration = Duration::from_secs(600);

/// The version of the initial set-up of Diesel's own tool, which is not reported.
const SILENT: &str = "00000000000000";

/// A `MigrationHarness` that reports its steps.
pub struct Harness<'a> {
    connection: &'a mut RqliteConnection,
    common: &'a Common,
    directory: &'a Path,
}

/// An error of one migration.
#[derive(Debug)]
struct Failed {
    name: String,
    error: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Failed to run {} with: {}",
            self.name, self.error
        )
    }
}

impl std::error::Error for Failed {}

impl<'a> Harness<'a> {
    /// Creates a harness for the migrations of this directory.
    pub fn new(
        connection: &'a mut RqliteConnection,
        common: &'a Common,
        directory: &'a Path,
    ) -> Self {
        Harness {
            connection,
            common,
            directory,
        }
    }

    fn announce(&self, what: &str, migration: &dyn Migration<Rqlite>, file: &str) -> Outcome<()> {
        let name = migration.name().to_string();
        if migration.name().version() != MigrationVersion::from(SILENT) {
            output::line(format_args!("{what} {name}"))?;
        }
        warn_about(&self.directory.join(name).join(file));
        Ok(())
    }

    /// Checks for a statement that ends the transaction of the migration. It would leave a part of the migration
    /// applied, without its record.
    fn check_control(&self, migration: &dyn Migration<Rqlite>, file: &str) -> Outcome<()> {
        if !migration.metadata().run_in_transaction() {
            return Ok(());
        }
        let name = migration.name().to_string();
        let path = self.directory.join(&name).join(file);
        // A file that can't be read causes an error when it is run.
        let sql = std::fs::read_to_string(path).unwrap_or_default();
        match transaction_end(&sql) {
            None => Ok(()),
            Some((line, word)) => Err(named(
                migration,
                format!(
                    "{word} on line {line} of {file} would end the transaction in which the migration runs. Say \
                     `run_in_transaction = false` in its metadata.toml if it is to be without one"
                )
                .into(),
            )),
        }
    }

    /// Reverts a migration if it is still applied, in one transaction with that check. If several processes revert it
    /// at the same time, one succeeds.
    fn revert_if_applied(
        &mut self,
        migration: &dyn Migration<Rqlite>,
    ) -> Outcome<MigrationVersion<'static>> {
        let version = migration.name().version().as_owned();
        let mut reverted = None;
        let outcome = self.connection.transaction::<_, Undone, _>(|connection| {
            if !connection.applied_migrations()?.contains(&version) {
                return Err("another process has reverted it".into());
            }
            reverted = Some(connection.revert_migration(migration)?);
            Ok(())
        });
        outcome.map_err(|Undone(error)| error)?;
        Ok(reverted.unwrap_or(version))
    }

    fn apply(&mut self, migration: &dyn Migration<Rqlite>) -> Outcome<()> {
        let outcome = self.connection.run_migration(migration);
        let Err(error) = outcome else {
            return Ok(());
        };
        let version = migration.name().version();
        // Another process was faster, or the commit was applied and its answer was lost.
        match self.is_applied(&version) {
            Ok(true) => Ok(()),
            _ => Err(named(migration, error)),
        }
    }

    fn is_applied(&mut self, version: &MigrationVersion<'_>) -> Outcome<bool> {
        if self.is_in_transaction() {
            return Ok(false);
        }
        Ok(self.connection.applied_migrations()?.contains(version))
    }

    fn is_in_transaction(&mut self) -> bool {
        let status = RqliteTransactionManager::transaction_manager_status_mut(self.connection);
        !matches!(status.transaction_depth(), Ok(None))
    }

    /// Applies a migration under a lock. The migration and its record are not atomic here, so a lock keeps other
    /// processes out.
    fn apply_under_lock(&mut self, migration: &dyn Migration<Rqlite>) -> Outcome<()> {
        let mut holder = database::connect(self.common)?;
        holder.set_transaction_lock(&RqliteLock::new(LOCK).timeout(PATIENCE));
        holder.immediate_transaction(|_| {
            let version = migration.name().version();
            match self.is_applied(&version)? {
                true => Ok(()),
                false => self.apply(migration),
            }
        })
    }
}

impl MigrationHarness<Rqlite> for Harness<'_> {
    fn run_migration(
        &mut self,
        migration: &dyn Migration<Rqlite>,
    ) -> Outcome<MigrationVersion<'static>> {
        self.announce("Running migration", migration, "up.sql")?;
        self.check_control(migration, "up.sql")?;
        if migration.metadata().run_in_transaction() || self.is_in_transaction() {
            self.apply(migration)?;
        } else {
            self.apply_under_lock(migration)?;
        }
        Ok(migration.name().version().as_owned())
    }

    fn revert_migration(
        &mut self,
        migration: &dyn Migration<Rqlite>,
    ) -> Outcome<MigrationVersion<'static>> {
        self.announce("Rolling back migration", migration, "down.sql")?;
        self.check_control(migration, "down.sql")?;
        let outcome = match migration.metadata().run_in_transaction() {
            true => self.revert_if_applied(migration),
            false => self.connection.revert_migration(migration),
        };
        outcome.map_err(|error| named(migration, error))
    }

    fn applied_migrations(&mut self) -> Outcome<Vec<MigrationVersion<'static>>> {
        self.connection.applied_migrations()
    }
}

/// The reason why a transaction is rolled back.
struct Undone(Box<dyn std::error::Error + Send + Sync>);

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Undone {
    fn from(error: E) -> Self {
        Undone(error.into())
    }
}

/// Returns the line and the word of the first statement that ends a transaction.
fn transaction_end(sql: &str) -> Option<(usize, String)> {
    let mut statements = Statements::new(sql.as_bytes());
    // A statement that can't be parsed causes an error when it is run.
    while let Ok(Some(parsed)) = statements.next_statement() {
        let control = Control::of(&parsed);
        if let Ok(Some(Control::Commit | Control::RollBack)) = control {
            return Some((parsed.position().line, parsed.at(0).to_ascii_uppercase()));
        }
    }
    None
}

/// Returns an error that names the migration, as Diesel's errors do for a migration from a file.
fn named(
    migration: &dyn Migration<Rqlite>,
    error: Box<dyn std::error::Error + Send + Sync>,
) -> Box<dyn std::error::Error + Send + Sync> {
    let name = migration.name().to_string();
    // Diesel's own error for a query in a file can't be recognized by its type, which is private.
    let is_named = error
        .to_string()
        .starts_with(&format!("Failed to run {name} with: "));
    match is_named || error.is::<MigrationError>() || error.is::<Error>() {
        true => error,
        false => Box::new(Failed { name, error }),
    }
}
