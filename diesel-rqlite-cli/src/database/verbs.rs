//! `database setup`, `database reset`, `database drop`

use clap::{Args, Subcommand};

use crate::arguments::Common;
use crate::error::Error;
use crate::migration::directory::MigrationDirectory;

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
    Setup,
    /// Resets your database by dropping all it holds and then running `diesel-rqlite database setup`.
    Reset,
    /// Drops all that the database specified in your DATABASE_URL holds.
    #[command(hide = true)]
    Drop,
}

impl Database {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's, and those of the migrations.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let _ = (self.directory.find(common)?, self.verb);
        Err(Error::NotThere("database"))
    }
}
