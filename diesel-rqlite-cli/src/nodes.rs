//! The command `nodes`.

use clap::Args;
use diesel_rqlite::NodeRole;

use crate::common::Common;
use crate::error::Error;
use crate::output::table::Table;
use crate::{output, transfer};

/// Shows the nodes of the cluster, as the first one of the database URL that answers sees them.
#[derive(Args, Debug)]
pub struct Nodes {
    /// Print all that rqlite says about them, as JSON.
    #[arg(long)]
    json: bool,
}

impl Nodes {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let mut connection = transfer::any_node(common)?;
        let nodes = connection.cluster().nodes()?;
        if self.json {
            return output::line(format_args!("{:#}", transfer::json(nodes.json())));
        }
        let mut table = Table::new(["node", "address", "Raft address", "role", "reachable"]);
        for node in nodes {
            let role = match node.role {
                NodeRole::Leader => "leader",
                NodeRole::Voter => "follower",
                _ => "read-only",
            };
            let reachable = if node.is_reachable { "yes" } else { "no" };
            table.row([
                node.id,
                node.api_address.unwrap_or_default(),
                node.raft_address,
                role.to_owned(),
                reachable.to_owned(),
            ]);
        }
        output::line(table)
    }
}
