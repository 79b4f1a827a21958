//! The command `migration revert`.

use std::path::Path;

use clap::Args;
use diesel::migration::MigrationVersion;
use diesel_migrations::{FileBasedMigrations, MigrationError, MigrationHarness as _};

use super::harness::{Harness, Outcome};
use super::{Number, files};
use crate::common::Common;
use crate::error::Error;
use crate::{database, print_schema};

/// Reverts the specified migrations.
#[derive(Args, Debug)]
pub(super) struct Revert {
    /// Reverts all previously run migrations.
    #[arg(short, long, conflicts_with = "number")]
    all: bool,

    /// Reverts the last `n` migration files.
    ///
    /// When this option is specified the last `n` migration files will be reverted. By default revert the last one.
    #[arg(short, long, value_name = "REVERT_NUMBER", default_value_t = 1)]
    number: u64,
}

impl Revert {
    pub(super) fn run(self, common: &Common, directory: &Path) -> Result<(), Error> {
        let mut connection = database::connect(common)?;
        let files = files(directory)?;
        let number = Number::chosen(self.all, self.number);
        let mut harness = Harness::new(&mut connection, common, directory);
        revert(&mut harness, &files, number).map_err(Error::Migration)?;
        print_schema::regenerate(common)
    }
}

/// Reverts the last migrations, and stops if there are no more. Returns their versions.
pub(super) fn revert(
    harness: &mut Harness<'_>,
    files: &FileBasedMigrations,
    number: Number,
) -> Outcome<Vec<MigrationVersion<'static>>> {
    let number = match number {
        Number::Last(number) => number,
        Number::All => {
            let reverted = harness.revert_all_migrations(files.clone())?;
            return Ok(reverted.iter().map(MigrationVersion::as_owned).collect());
        }
    };
    let mut reverted = Vec::new();
    for _ in 0..number {
        match harness.revert_last_migration(files.clone()) {
            Ok(version) => reverted.push(version),
            Err(error) if is_nothing_left(&*error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(reverted)
}

fn is_nothing_left(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<MigrationError>();
    matches!(error, Some(MigrationError::NoMigrationRun))
}
