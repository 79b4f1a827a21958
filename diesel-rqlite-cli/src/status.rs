//! The command `status`.

use clap::Args;
use serde_json::Value;

use crate::common::Common;
use crate::error::Error;
use crate::{output, transfer};

/// Shows the state of a node: the first one of the database URL that answers.
#[derive(Args, Debug)]
pub struct Status {
    /// Print all that the node says, as JSON.
    #[arg(long)]
    json: bool,
}

/// The labels of the lines, with the position of the value in rqlite's status.
const LINES: [(&str, &str); 12] = [
    ("version", "/build/version"),
    ("SQLite", "/store/sqlite3/version"),
    ("node", "/store/node_id"),
    ("address", "/http/bind_addr"),
    ("state", "/store/raft/state"),
    ("leader", "/store/leader/node_id"),
    ("ready", "/store/ready"),
    ("foreign keys", "/store/db_conf/fk_constraints"),
    ("database bytes", "/store/sqlite3/db_size"),
    ("Raft term", "/store/raft/term"),
    ("Raft index", "/store/raft/commit_index"),
    ("uptime", "/node/uptime"),
];

impl Status {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// Returns the errors of the server.
    pub fn run(self, common: &Common) -> Result<(), Error> {
        let mut connection = transfer::any_node(common)?;
        let status = connection.cluster().status()?;
        let status = transfer::json(status.json());
        if self.json {
            return output::line(format_args!("{status:#}"));
        }
        for (name, pointer) in LINES {
            let shown = match status.pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                // Not every version reports every value.
                None => continue,
            };
            output::line(format_args!("{name:<15} {shown}"))?;
        }
        Ok(())
    }
}
