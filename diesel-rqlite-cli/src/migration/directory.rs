//! Finds the directory of the migrations.

use std::path::PathBuf;

use clap::Args;
use diesel_migrations::FileBasedMigrations;

use crate::common::Common;
use crate::configuration::Configuration;
use crate::error::Error;
use crate::project;

/// The argument for it.
#[derive(Args, Debug)]
pub struct MigrationDirectory {
    /// The location of your migration directory. By default this will look for a directory called `migrations` in the
    /// current directory and its parents.
    #[arg(long, global = true, value_name = "MIGRATION_DIRECTORY")]
    pub migration_dir: Option<PathBuf>,
}

impl MigrationDirectory {
    /// Returns the directory that the argument names, or the variable `MIGRATION_DIRECTORY`, or `diesel.toml`. If
    /// none of these does, returns the nearest directory named `migrations`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such directory.
    pub fn find(&self, common: &Common) -> Result<PathBuf, Error> {
        if let Some(directory) = &self.migration_dir {
            return Ok(directory.clone());
        }
        if let Some(directory) = std::env::var_os("MIGRATION_DIRECTORY") {
            return Ok(directory.into());
        }
        if let Some(section) = Configuration::read(common)?.migrations_directory {
            return Ok(section.dir);
        }
        let start = project::current_directory()?;
        FileBasedMigrations::find_migrations_directory_in_path(&start)
            .map(|found| found.path().to_path_buf())
            .map_err(|error| Error::from_migrations(error, start))
    }
}
