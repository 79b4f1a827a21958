//! The errors of the tool. Where they match those of Diesel's own tool, they use its words.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use diesel_migrations::MigrationError;

/// An error of the tool. No message contains a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Initializing `.env` file failed: {}", without_line(.0))]
    Dotenv(dotenvy::Error),
    #[error(
        "The --database-url argument must be passed, or the DATABASE_URL environment variable must be set."
    )]
    DatabaseUrlMissing,
    #[error("Could not connect to database via `{url}`: {error}")]
    Connection {
        /// The URL without its password.
        url: String,
        error: diesel::ConnectionError,
    },
    #[error("Failed to execute a database query: {0}")]
    Query(#[from] diesel::result::Error),
    #[error("Failed to execute a database query: {0}")]
    Sql(#[from] diesel_rqlite_sql::StreamError),
    #[error("Failed to run migrations: {0}")]
    Migration(Box<dyn std::error::Error + Send + Sync>),
    #[error("Unable to find diesel.toml or Cargo.toml in {0:?} or any parent directories.")]
    ProjectRootNotFound(PathBuf),
    #[error("Failed to parse config file: {0}")]
    InvalidConfiguration(Box<toml::de::Error>),
    #[error("No `[print_schema.{0}]` entries in your diesel.toml")]
    NoSchemaKeyFound(String),
    #[error("Encountered an IO error: {error} for `{path}`")]
    Io { path: String, error: io::Error },
    #[error("Can't write to the standard output: {0}")]
    Output(io::Error),
    #[error(
        "Command would result in changes to `{0}`. Rerun the command locally, and commit the changes."
    )]
    SchemaWouldChange(String),
    #[error(transparent)]
    Transfer(#[from] crate::transfer::Error),
    #[error(transparent)]
    PrintSchema(#[from] crate::print_schema::Error),
    #[error("Failed to parse schema: {error} (line {line} of {path})")]
    ParseSchema {
        path: String,
        line: usize,
        error: syn::Error,
    },
    #[error("Cannot change primary keys with --diff-schema yet (table `{0}`)")]
    PrimaryKeyWouldChange(String),
    #[error("Failed to acquire migration folder lock: {error} for `{directory}`")]
    MigrationFolderLock { directory: String, error: io::Error },
    #[error("Specified migration version `{version}` already exists inside `{directory}`")]
    DuplicateMigrationVersion { directory: String, version: String },
}

/// Formats the error without the line, which may contain a password.
fn without_line(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(_, index) => {
            format!("a line can't be parsed, at its character {index}")
        }
        error => error.to_string(),
    }
}

impl From<diesel_rqlite::ClusterError> for Error {
    fn from(error: diesel_rqlite::ClusterError) -> Self {
        Error::Transfer(error.into())
    }
}

impl Error {
    pub fn io(path: impl AsRef<Path>, error: io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        Error::Io { path, error }
    }

    /// Converts the error of a directory of migrations.
    pub fn from_migrations(error: MigrationError, directory: impl AsRef<Path>) -> Self {
        match error {
            MigrationError::IoError(error) => Self::io(directory, error),
            error => Error::Migration(Box::new(error)),
        }
    }

    /// Returns the exit code: 1, as in Diesel's own tool. It is 2 if the command line can't be parsed.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::FAILURE
    }

    /// Returns whether the reader of the standard output has gone.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
