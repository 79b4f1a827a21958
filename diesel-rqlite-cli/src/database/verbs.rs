//! The commands `database setup`, `database reset` and `database drop`.

use std::path::Path;

use clap::{Args, Subcommand};

use super::drop::drop_all;
use super::{connect, printable, url};
use crate::common::Common;
use crate::error::Error;
use crate::migration::directory::MigrationDirectory;
use crate::migration::run_pending;
use crate::{output, print_schema};

/// A group of commands for setting up and resetting your database.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Database {
    #[command(flatten)]
    directory: MigrationDirectory,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Creates Diesel's table of migrations in the database specified in your DATABASE_URL, and then runs any
    /// existing migrations.
    Setup(NoDefaultMigration),
    /// Resets your database by dropping all it holds and then running `diesel-rqlite database setup`.
    Reset(NoDefaultMigration),
    /// Drops all that the database specified in your DATABASE_URL holds.
    #[command(hide = true)]
    Drop,
}

/// For scripts that give it to Diesel's own tool: there is no default migration here.
#[derive(Args, Debug)]
pub struct NoDefaultMigration {
    /// Don't generate the default migration. (There is none for rqlite.)
    #[arg(long)]
    no_default_migration: bool,
}

impl Database {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server and of the migrations.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        match self.verb {
            Verb::Setup(_) => {
                set_up(common, &self.directory.find(common)?)?;
                print_schema::regenerate(common)
            }
            Verb::Reset(_) => {
                let directory = self.directory.find(common)?;
                drop_database(common)?;
                set_up(common, &directory)?;
                print_schema::regenerate(common)
            }
            Verb::Drop => drop_database(common),
        }
    }
}

/// Runs the pending migrations, if no migration was ever run.
///
/// # Errors
///
/// Returns the errors of the server and of the migrations.
pub fn set_up(common: &Common, directory: &Path) -> Result<(), Error> {
    let mut connection = connect(common)?;
    match super::has_table_of_migrations(&mut connection)? {
        true => Ok(()),
        false => run_pending(common, directory),
    }
}

fn drop_database(common: &Common) -> Result<(), Error> {
    let mut connection = connect(common)?;
    let url = printable(&url(common)?);
    output::line(format_args!("Dropping database: {url}"))?;
    drop_all(&mut connection)
}
