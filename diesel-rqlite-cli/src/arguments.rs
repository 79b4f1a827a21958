//! The arguments of the command line.

use clap::{Parser, Subcommand};

use crate::backup::Backup;
use crate::common::Common;
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
