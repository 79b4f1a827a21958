//! The command line as a whole.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::backup::Backup;
use crate::completions::Completions;
use crate::database::verbs::Database;
use crate::load::Load;
use crate::migration::Migration;
use crate::nodes::Nodes;
use crate::print_schema::PrintSchema;
use crate::query::Query;
use crate::setup::Setup;
use crate::status::Status;

/// Diesel's command line tool for rqlite.
#[derive(Debug, Parser)]
#[command(
    name = "diesel-rqlite",
    version,
    about = "Diesel's command line tool for rqlite",
    after_help = "You can also run `diesel-rqlite SUBCOMMAND -h` to get more information about that subcommand.",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Arguments {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Specifies the database URL to connect to. Falls back to the DATABASE_URL environment variable if unspecified.
    ///
    /// It is `rqlite://[user[:password]@]host[:port][?option=value]`, or rqlites:// for HTTPS. A file `.env` in the
    /// current directory, or in one above it, may set DATABASE_URL.
    #[arg(long, global = true, value_name = "DATABASE_URL")]
    pub database_url: Option<String>,

    /// The location of the configuration file to use. Falls back to the `DIESEL_CONFIG_FILE` environment variable if
    /// unspecified. Defaults to `diesel.toml` in your project root. See diesel.rs/guides/configuring-diesel-cli for
    /// documentation on this file.
    #[arg(long, global = true, value_name = "CONFIG_FILE")]
    pub config_file: Option<PathBuf>,

    /// Require that the schema file is up to date.
    ///
    /// When `print_schema.file` is specified in your config file, this flag will cause the command to fail if it
    /// would result in changes to that file. It is recommended that you use this flag when running migrations in CI
    /// or production.
    #[arg(long, global = true)]
    pub locked_schema: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Migration(Migration),
    Setup(Setup),
    #[command(alias = "db")]
    Database(Database),
    Completions(Completions),
    PrintSchema(PrintSchema),
    Backup(Backup),
    Load(Load),
    Status(Status),
    Nodes(Nodes),
    Query(Query),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        Arguments::command().debug_assert();
    }
}
