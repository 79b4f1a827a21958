//! `nodes`

use clap::Args;

use crate::arguments::Common;
use crate::error::Error;

/// Lists the nodes of the cluster.
#[derive(Args, Debug)]
pub struct Nodes {}

impl Nodes {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn run(self, _common: &Common) -> Result<(), Error> {
        Err(Error::NotThere("nodes"))
    }
}
