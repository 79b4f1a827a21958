//! The command `migration redo`.

use std::collections::HashSet;
use std::path::Path;

use clap::Args;
use diesel::Connection as _;
use diesel::migration::{Migration, MigrationSource as _, MigrationVersion};
use diesel_migrations::{FileBasedMigrations, MigrationHarness as _};
use diesel_rqlite::{Rqlite, RqliteConnection, TransactionMode};

use super::harness::{Harness, Outcome};
use super::revert::revert;
use super::{Number, files};
use crate::common::Common;
use crate::error::Error;
use crate::{database, print_schema};

/// Reverts and re-runs the latest migration. Useful for testing that a migration can in fact be reverted.
#[derive(Args, Debug)]
pub(super) struct Redo {
    /// Reverts and re-runs all migrations.
    ///
    /// When this option is specified all migrations will be reverted and re-runs. Useful for testing that your
    /// migrations can be reverted and applied.
    #[arg(short, long, conflicts_with = "number")]
    all: bool,

    /// Redo the last `n` migration files.
    ///
    /// When this option is specified the last `n` migration files will be reverted and re-runs. By default redo the
    /// last migration.
    #[arg(short, long, value_name = "REDO_NUMBER", default_value_t = 1)]
    number: u64,
}

impl Redo {
    pub(super) fn run(self, common: &Common, directory: &Path) -> Result<(), Error> {
        let mut connection = database::connect(common)?;
        let files = files(directory)?;
        let number = Number::chosen(self.all, self.number);
        let applied = connection.applied_migrations().map_err(Error::Migration)?;
        let alone = outside_of_transactions(&files).map_err(Error::Migration)?;
        let chosen = applied
            .iter()
            .zip(0..)
            .take_while(|(_, place)| number.is_above(*place));
        let together = !chosen
            .into_iter()
            .any(|(version, _)| alone.contains(version));
        let run = |connection: &mut RqliteConnection| {
            let mut harness = Harness::new(connection, common, directory);
            redo(&mut harness, &files, number)
        };
        let outcome = match together {
            // The redo succeeds or fails as a whole. Each migration is run at once, so that an error names it.
            true => {
                connection.set_transaction_mode(TransactionMode::Eager);
                connection.transaction(run)
            }
            false => run(&mut connection),
        };
        outcome.map_err(Error::Migration)?;
        print_schema::regenerate(common)
    }
}

fn redo(harness: &mut Harness<'_>, files: &FileBasedMigrations, number: Number) -> Outcome<()> {
    let reverted: HashSet<_> = revert(harness, files, number)?.into_iter().collect();
    let mut again: Vec<Box<dyn Migration<Rqlite>>> = files.migrations()?;
    again.retain(|migration| reverted.contains(&migration.name().version()));
    again.sort_by_key(|migration| migration.name().version().as_owned());
    harness.run_migrations(&again).map(|_| ())
}

/// Returns the versions of the migrations that must run outside of a transaction.
fn outside_of_transactions(
    files: &FileBasedMigrations,
) -> Outcome<HashSet<MigrationVersion<'static>>> {
    let migrations: Vec<Box<dyn Migration<Rqlite>>> = files.migrations()?;
    let alone = migrations
        .iter()
        .filter(|migration| !migration.metadata().run_in_transaction());
    Ok(alone
        .map(|migration| migration.name().version().as_owned())
        .collect())
}
