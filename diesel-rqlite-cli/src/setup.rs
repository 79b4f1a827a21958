//! `setup`

use clap::Args;

use crate::arguments::Common;
use crate::error::Error;
use crate::migration::directory::MigrationDirectory;

/// Creates the migrations directory, creates Diesel's table of migrations in the database specified in your
/// DATABASE_URL, and runs existing migrations.
#[derive(Args, Debug)]
pub struct Setup {
    #[command(flatten)]
    directory: MigrationDirectory,
}

impl Setup {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's, and those of the migrations.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let _ = self.directory.find(common)?;
        Err(Error::NotThere("setup"))
    }
}
