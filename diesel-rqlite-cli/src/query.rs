//! `query`

use clap::Args;

use crate::arguments::Common;
use crate::error::Error;

/// Runs SQL.
#[derive(Args, Debug)]
pub struct Query {}

impl Query {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn run(self, _common: &Common) -> Result<(), Error> {
        Err(Error::NotThere("query"))
    }
}
