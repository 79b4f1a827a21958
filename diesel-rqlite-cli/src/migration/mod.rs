//! `migration run`, `revert`, `redo`, `list`, `pending`, `generate`

pub mod directory;
mod pending;

use std::path::Path;

use clap::{Args, Subcommand};
use diesel_migrations::FileBasedMigrations;

use self::directory::MigrationDirectory;
use crate::arguments::Common;
use crate::error::Error;

/// A group of commands for generating, running, and reverting migrations.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Migration {
    #[command(flatten)]
    directory: MigrationDirectory,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs all pending migrations.
    Run,
    /// Reverts the specified migrations.
    Revert,
    /// Reverts and re-runs the latest migration. Useful for testing that a migration can in fact be reverted.
    Redo,
    /// Lists all available migrations, marking those that have been applied.
    List,
    /// Returns true if there are any pending migrations.
    Pending,
    /// Generate a new migration with the given name, and the current timestamp as the version.
    Generate,
}

impl Migration {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's, and those of the migrations.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let directory = self.directory.find(common)?;
        match self.verb {
            Verb::Pending => pending::run(common, &directory),
            _ => Err(Error::NotThere("migration")),
        }
    }
}

/// The migrations in a directory.
fn files(directory: &Path) -> Result<FileBasedMigrations, Error> {
    FileBasedMigrations::from_path(directory)
        .map_err(|error| Error::from_migrations(error, directory))
}
