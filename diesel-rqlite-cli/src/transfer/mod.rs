//! Code that the commands about whole databases and about nodes share.

pub mod counts;
pub mod progress;
pub mod sqlite_file;

use std::io;
use std::path::Path;

use diesel_rqlite::{ClusterError, ReadConsistency, RqliteConfig, RqliteConnection};

use self::sqlite_file::Damage;
use crate::common::Common;
use crate::database;
use crate::error::Error as CliError;

/// An error of a transfer. It states whether the database was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error("{0}")]
    NoAnswer(io::Error),
    #[error("`{file}` exists already: it is replaced with --force. Nothing was written")]
    FileExists { file: String },
    #[error("`{file}` can't be used: {damage}. The database was not changed")]
    BadFile { file: String, damage: Damage },
    #[error(
        "`{file}` is not all of its database: there is also `{other}`. Let SQLite take that in, for instance with `PRAGMA wal_checkpoint(TRUNCATE)`, or stop the program that writes. The database was not changed"
    )]
    OpenFile { file: String, other: String },
    #[error(
        "The database is not empty: it has {tables} tables, among them `{table}`. With --force it is replaced by a SQLite file, and added to by SQL. It was not changed"
    )]
    NotEmpty { tables: usize, table: String },
    #[error("The backup is incomplete, and was thrown away: {0}")]
    Incomplete(String),
    #[error("The backup was thrown away, since its rows are not those of the database: {0}")]
    BackupDiffers(String),
    #[error(
        "{cause}. The database may have been replaced, or not: `diesel-rqlite status` and a query tell"
    )]
    LoadUnknown { cause: Box<ClusterError> },
    #[error("The file was loaded, but its rows are not those of the database: {0}")]
    LoadDiffers(String),
    #[error("Line {line}: {reason}. {}", applied(*.before))]
    Statement {
        line: u64,
        reason: String,
        before: u64,
    },
    #[error(
        "{cause}. {} The statements of lines {from} to {to} may have been run as well, all of them or none",
        applied(*.before)
    )]
    StatementsUnknown {
        cause: Box<ClusterError>,
        before: u64,
        from: u64,
        to: u64,
    },
}

fn applied(statements: u64) -> String {
    match statements {
        0 => String::from("The database was not changed."),
        1 => String::from("The statement before it was run."),
        _ => format!("The {statements} statements before it were run."),
    }
}

/// Connects to the leader, whatever the URL says about reads.
///
/// # Errors
///
/// Returns the errors of [`database::connect`].
pub fn connect(common: &Common) -> Result<RqliteConnection, CliError> {
    connect_at(common, ReadConsistency::Linearizable)
}

/// Connects to the first node of the URL that answers, whether the cluster has a leader or not.
///
/// # Errors
///
/// Returns the errors of [`connect`].
pub fn any_node(common: &Common) -> Result<RqliteConnection, CliError> {
    connect_at(common, ReadConsistency::None)
}

fn connect_at(common: &Common, level: ReadConsistency) -> Result<RqliteConnection, CliError> {
    let url = database::url(common)?;
    let config = url
        .parse::<RqliteConfig>()
        .map_err(diesel::ConnectionError::from);
    let connected = config.and_then(|config| config.read_consistency(level).connect());
    connected.map_err(|error| CliError::Connection {
        url: database::printable(&url),
        error,
    })
}

/// Parses an answer of rqlite that has already been checked to be JSON.
pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Formats a path for an error.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Formats a number with its noun: `1 row`, `2 rows`.
pub fn plural(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
