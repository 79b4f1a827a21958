//! The command `completions SHELL`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::error::Error;
use crate::output;

/// Generate shell completion scripts for the diesel-rqlite command.
#[derive(Args, Debug)]
pub struct Completions {
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Writes the script to the standard output.
    ///
    /// # Errors
    ///
    /// Returns the errors of writing.
    pub fn run(self) -> Result<(), Error> {
        let mut command = Arguments::command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        output::raw(&script)
    }
}
