//! The commands `migration run`, `revert`, `redo`, `list`, `pending` and `generate`.

mod diff;
pub mod directory;
mod generate;
pub mod harness;
mod list;
mod pending;
mod redo;
mod revert;
mod run;
mod warnings;

use std::path::Path;

use clap::{Args, Subcommand};
use diesel_migrations::FileBasedMigrations;

use self::directory::MigrationDirectory;
use self::generate::Generate;
use self::redo::Redo;
use self::revert::Revert;
pub(crate) use self::run::run_pending;
use crate::common::Common;
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
    ///
    /// Several of these may run at the same time: each migration is applied once.
    Run,
    Revert(Revert),
    Redo(Redo),
    /// Lists all available migrations, marking those that have been applied.
    List,
    /// Returns true if there are any pending migrations.
    Pending,
    Generate(Generate),
}

impl Migration {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server and of the migrations.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let directory = self.directory.find(common)?;
        match self.verb {
            Verb::Run => run::run(common, &directory),
            Verb::Revert(verb) => verb.run(common, &directory),
            Verb::Redo(verb) => verb.run(common, &directory),
            Verb::List => list::run(common, &directory),
            Verb::Pending => pending::run(common, &directory),
            Verb::Generate(verb) => verb.run(common, &directory),
        }
    }
}

/// Returns the migrations in a directory.
///
/// # Errors
///
/// Returns an error if the directory can't be read, or contains anything that is not a migration.
pub fn files(directory: &Path) -> Result<FileBasedMigrations, Error> {
    FileBasedMigrations::from_path(directory)
        .map_err(|error| Error::from_migrations(error, directory))
}

/// The number of migrations, counted from the last one.
#[derive(Clone, Copy, Debug)]
enum Number {
    All,
    Last(u64),
}

impl Number {
    /// Returns the number for the flags `--all` and `--number`.
    fn chosen(all: bool, number: u64) -> Self {
        if all {
            Number::All
        } else {
            Number::Last(number)
        }
    }

    fn is_above(self, done: u64) -> bool {
        match self {
            Number::All => true,
            Number::Last(number) => done < number,
        }
    }
}
