//! `nodes`

use clap::Args;
use serde_json::Value;

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

/// A node that does not answer within it is shown as not reachable.
const PATH: &str = "/nodes?ver=2&nonvoters&timeout=2s";

impl Nodes {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let node = transfer::any_node(common)?;
        let answer = transfer::get_json(&node, PATH)?;
        if self.json {
            return output::line(format_args!("{answer:#}"));
        }
        let mut table = Table::new(["node", "address", "Raft address", "role", "reachable"]);
        for node in answer["nodes"].as_array().into_iter().flatten() {
            let role = match (&node["leader"], &node["voter"]) {
                (Value::Bool(true), _) => "leader",
                (_, Value::Bool(true)) => "follower",
                _ => "read-only",
            };
            let reachable = match &node["reachable"] {
                Value::Bool(true) => "yes",
                _ => "no",
            };
            let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
            table.row([
                text("id"),
                text("api_addr"),
                text("addr"),
                role.to_owned(),
                reachable.to_owned(),
            ]);
        }
        output::line(table)
    }
}
