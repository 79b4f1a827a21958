//! The command `migration generate`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use chrono::Utc;
use clap::{Args, ValueEnum};
use fd_lock::RwLock;

use super::diff::DiffSchema;
use crate::common::Common;
use crate::error::Error;
use crate::{output, project};

const TIMESTAMP: &str = "%Y-%m-%d-%H%M%S";

/// Generate a new migration with the given name, and the current timestamp as the version.
#[derive(Args, Debug)]
pub(super) struct Generate {
    /// The name of the migration to create.
    #[arg(value_name = "MIGRATION_NAME")]
    name: String,

    /// The version number to use when generating the migration. Defaults to the current timestamp, which should suffice
    /// for most use cases.
    #[arg(long, value_name = "MIGRATION_VERSION")]
    version: Option<String>,

    /// Don't generate a down.sql file. You won't be able to run migration `revert` or `redo`.
    #[arg(short = 'u', long)]
    no_down: bool,

    /// The format of the migration to be generated.
    #[arg(long, value_name = "MIGRATION_FORMAT", value_enum, default_value_t = Format::Sql)]
    format: Format,

    #[command(flatten)]
    diff: DiffSchema,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Sql,
}

impl Generate {
    pub(super) fn run(self, common: &Common, directory: &Path) -> Result<(), Error> {
        // Other processes that generate a migration at the same time wait, so that no version is used twice.
        let mut lock = RwLock::new(lock_file(directory)?);
        let (up, down) = self.diff.sql(common)?;
        let held = lock.write().map_err(|error| Error::MigrationFolderLock {
            directory: directory.display().to_string(),
            error,
        })?;
        let taken = versions(directory)?;
        let version = match self.version {
            Some(version) if taken.contains(&normalized(&version)) => {
                let directory = directory.display().to_string();
                return Err(Error::DuplicateMigrationVersion { directory, version });
            }
            Some(version) => version,
            None => free_version(&Utc::now().format(TIMESTAMP).to_string(), &taken),
        };
        let path = directory.join(format!("{version}_{}", self.name));
        fs::create_dir(&path).map_err(|error| Error::io(&path, error))?;
        drop(held);
        let Format::Sql = self.format;
        let up = format!("-- Your SQL goes here\n{up}");
        create(&path.join("up.sql"), &up)?;
        if !self.no_down {
            let down = format!("-- This file should undo anything in `up.sql`\n{down}");
            create(&path.join("down.sql"), &down)?;
        }
        Ok(())
    }
}

fn lock_file(directory: &Path) -> Result<File, Error> {
    let path = directory.join(".diesel_lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    file.map_err(|error| Error::io(path, error))
}

/// Returns the versions in a directory of migrations, normalized.
fn versions(directory: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(directory).map_err(|error| Error::io(directory, error))?;
    let names = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names
        .filter_map(|name| name.split_once('_').map(|(version, _)| normalized(version)))
        .collect())
}

/// Returns the version without hyphens, as Diesel compares versions.
fn normalized(version: &str) -> String {
    version.replace('-', "")
}

/// Returns the time, followed by a number if that is needed to make the version unique.
fn free_version(time: &str, taken: &[String]) -> String {
    let mut numbers = (0_u64..).map(|number| format!("{time}-{number:04x}"));
    let free = numbers.find(|version| !taken.contains(&normalized(version)));
    free.unwrap_or_else(|| time.to_owned())
}

fn create(path: &PathBuf, text: &str) -> Result<(), Error> {
    output::line(format_args!("Creating {}", project::shown(path).display()))?;
    fs::write(path, text).map_err(|error| Error::io(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_same_second_are_counted() {
        let time = "2026-01-01-000000";
        assert_eq!(free_version(time, &[]), "2026-01-01-000000-0000");
        let taken = ["20260101000000-0000", "202601010000000001"].map(normalized);
        assert_eq!(free_version(time, &taken), "2026-01-01-000000-0002");
    }
}
