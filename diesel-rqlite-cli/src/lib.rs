//! The command line tool `diesel-rqlite`: for rqlite what `diesel` is for Diesel's own databases.
//!
//! Each command is a module with its arguments and a function `run`. [`database`] connects, [`configuration`] reads
//! `diesel.toml`, [`output`] writes to the terminal, and [`error`] defines the errors.
//!
//! The library exists for the binary and its tests. Its items may change with any version.

pub mod arguments;
pub mod backup;
pub mod common;
pub mod completions;
pub mod configuration;
pub mod database;
pub mod error;
pub mod load;
pub mod migration;
pub mod nodes;
pub mod output;
pub mod print_schema;
pub mod project;
pub mod query;
pub mod setup;
pub mod status;
pub mod transfer;

use std::process::ExitCode;

use clap::Parser as _;

use self::arguments::{Arguments, Verb};
use self::error::Error;

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    match load_dotenv().and_then(|()| run(Arguments::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            error.exit_code()
        }
    }
}

/// Loads the file `.env` of the current directory, or of one above it.
fn load_dotenv() -> Result<(), Error> {
    match dotenvy::dotenv() {
        Err(error) if !error.not_found() => Err(Error::Dotenv(error)),
        _ => Ok(()),
    }
}

/// Runs the command of the arguments.
///
/// # Errors
///
/// Returns the errors of the command.
pub fn run(arguments: Arguments) -> Result<(), Error> {
    let common = arguments.common;
    match arguments.verb {
        Verb::Setup(verb) => verb.run(&common),
        Verb::Database(verb) => verb.run(&common),
        Verb::Migration(verb) => verb.run(&common),
        Verb::PrintSchema(verb) => verb.run(&common),
        Verb::Completions(verb) => verb.run(),
        Verb::Backup(verb) => verb.run(&common),
        Verb::Load(verb) => verb.run(&common),
        Verb::Status(verb) => verb.run(&common),
        Verb::Nodes(verb) => verb.run(&common),
        Verb::Query(verb) => verb.run(&common),
    }
}
