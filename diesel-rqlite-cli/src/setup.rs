//! The command `setup`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::common::Common;
use crate::configuration::Configuration;
use crate::database::verbs::{NoDefaultMigration, set_up};
use crate::error::Error;
use crate::migration::directory::MigrationDirectory;
use crate::{output, project};

/// Creates the migrations directory, creates Diesel's table of migrations in the database specified in your
/// DATABASE_URL, and runs existing migrations.
#[derive(Args, Debug)]
pub struct Setup {
    #[command(flatten)]
    directory: MigrationDirectory,
    #[command(flatten)]
    _default: NoDefaultMigration,
}

impl Setup {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server and of the migrations.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let directory = match self.directory.find(common) {
            Ok(directory) => directory,
            Err(Error::InvalidConfiguration(error)) => {
                return Err(Error::InvalidConfiguration(error));
            }
            Err(_) => project::root()?.join("migrations"),
        };
        create_directory(&directory)?;
        create_configuration(common, &directory)?;
        set_up(common, &directory)
    }
}

/// Creates the directory with a `.keep` file, so that git keeps it.
fn create_directory(directory: &Path) -> Result<(), Error> {
    if directory.exists() {
        return Ok(());
    }
    output::line(format_args!(
        "Creating migrations directory at: {}",
        directory.display()
    ))?;
    fs::create_dir_all(directory).map_err(|error| Error::io(directory, error))?;
    write(&directory.join(".keep"), "")
}

fn create_configuration(common: &Common, directory: &Path) -> Result<(), Error> {
    let path = Configuration::path(common);
    if path.exists() {
        return Ok(());
    }
    let relative = project::relative(directory, &project::root()?);
    write(&path, &configuration(&relative))
}

fn configuration(migrations: &Path) -> String {
    let directory = toml::Value::from(migrations.to_string_lossy().as_ref());
    format!(
        "# For documentation on how to configure this file,\n\
         # see https://diesel.rs/guides/configuring-diesel-cli\n\
         \n\
         [print_schema]\n\
         file = \"src/schema.rs\"\n\
         custom_type_derives = [\"diesel::query_builder::QueryId\", \"Clone\"]\n\
         \n\
         [migrations_directory]\n\
         dir = {directory}\n"
    )
}

fn write(path: &PathBuf, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| Error::io(path, error))
}
