//! `backup`

use clap::Args;

use crate::arguments::Common;
use crate::error::Error;

/// Writes the database to a file.
#[derive(Args, Debug)]
pub struct Backup {}

impl Backup {
    /// Runs the verb.
    ///
    /// # Errors
    ///
    /// The server's.
    pub fn run(self, _common: &Common) -> Result<(), Error> {
        Err(Error::NotThere("backup"))
    }
}
