//! `load`

use clap::Args;

use crate::arguments::Common;
use crate::error::Error;

/// Loads a SQLite file or an SQL dump into the database.
#[derive(Args, Debug)]
pub struct Load {}

impl Load {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn run(self, _common: &Common) -> Result<(), Error> {
        Err(Error::NotThere("load"))
    }
}
