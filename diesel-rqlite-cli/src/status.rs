//! `status`

use clap::Args;

use crate::arguments::Common;
use crate::error::Error;

/// Shows the status of a node.
#[derive(Args, Debug)]
pub struct Status {}

impl Status {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn run(self, _common: &Common) -> Result<(), Error> {
        Err(Error::NotThere("status"))
    }
}
