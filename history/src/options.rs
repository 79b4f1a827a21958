//! What to run, and for how long.

use std::path::PathBuf;

use crate::arguments::{self, Argument, Settings};
use crate::faults::Fault;
use crate::transaction::Mode;

/// How the program is called.
pub const USAGE: &str = "\
Runs random transactions against real servers that crash, and checks that their history is serializable.

  --seconds N      how long                                              [30]
  --nodes N        how many servers                                      [3]
  --faults LIST    of the leader, separated by commas: kill, stop, cut,
                   mute, slow                                            [none]
  --writers N      how many workers                                      [8]
  --lists N        how many lists they append to at a time               [6]
  --retries N      how often a transaction is run again after a conflict [10]
  --mode MODE      interactive, eager, deferred or serial                [interactive]
  --strict         the serial order must also agree with the clock
  --unguarded      commits check nothing; anomalies are shown, not an error
  --processes      each worker is a process of its own
  --pool N         workers take their connections from one r2d2 pool     [each has its own]
  --unsettled      commits whose answer was lost stay unknown: no exactly_once
  --seed N         of all random choices                                 [random]
";

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the workers work.
    pub seconds: u64,
    /// How many servers.
    pub nodes: usize,
    /// What happens to the leader, at random; nothing, if empty.
    pub faults: Vec<Fault>,
    /// How many workers.
    pub writers: u32,
    /// How many lists they append to at a time.
    pub lists: i64,
    /// Whether commits are to check nothing.
    pub unguarded: bool,
    /// Whether the serial order must also agree with the clock.
    pub strict: bool,
    /// Of all random choices. What comes of them depends on the machine as well.
    pub seed: u64,
    /// How often a transaction is run again after a conflict.
    pub retries: u32,
    /// The program that is started for each worker, see [`work_as_process`](crate::work_as_process); threads, if none.
    pub processes: Option<PathBuf>,
    /// How transactions are run.
    pub mode: Mode,
    /// How many connections workers share, in a pool; each has its own, if none.
    pub pool: Option<u32>,
    /// Whether commits whose answer was lost stay unknown.
    pub unsettled: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seconds: 30,
            nodes: 3,
            faults: Vec::new(),
            writers: 8,
            lists: 6,
            unguarded: false,
            strict: false,
            seed: fastrand::u64(..),
            retries: 10,
            processes: None,
            mode: Mode::default(),
            pool: None,
            unsettled: false,
        }
    }
}

impl Options {
    /// Those of a command line, without the program's name.
    ///
    /// # Errors
    ///
    /// What is not understood.
    pub fn parse(given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options::default();
        arguments::read(&mut options, given)?;
        if options.pool.is_some() && options.processes.is_some() {
            return Err("--pool: processes share no connections".into());
        }
        Ok(options)
    }
}

impl Settings for Options {
    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match name {
            "--unguarded" => self.unguarded = true,
            "--strict" => self.strict = true,
            "--unsettled" => self.unsettled = true,
            "--processes" => {
                let this = std::env::current_exe();
                self.processes = Some(this.map_err(|error| error.to_string())?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set(&mut self, argument: &Argument<'_>) -> Result<(), String> {
        match argument.name {
            "--seconds" => self.seconds = argument.number(1)?,
            "--nodes" => self.nodes = argument.number(1)?,
            "--writers" => self.writers = argument.number(1)?,
            "--lists" => self.lists = argument.number(1)?,
            "--retries" => self.retries = argument.number(0)?,
            "--pool" => self.pool = Some(argument.number(1)?),
            "--seed" => self.seed = argument.number(0)?,
            "--faults" => self.faults = argument.list(Fault::from_name)?,
            "--mode" => self.mode = argument.one(Mode::from_name)?,
            _ => return Err(argument.unknown()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let options =
            parse("--seconds 5 --faults kill,mute --strict --mode eager --seed 0 --pool 3");
        let options = options.expect("parses");
        assert_eq!((options.seconds, options.seed), (5, 0));
        assert_eq!(options.faults, [Fault::Kill, Fault::Mute]);
        assert_eq!((options.strict, options.unguarded), (true, false));
        assert_eq!(options.pool, Some(3));
        assert_eq!(options.mode, Mode::Eager);
        for line in [
            "--seconds",
            "--seconds x",
            "--nodes 0",
            "--faults kill,flood",
            "--pool 0",
            "--pool 2 --processes",
            "--mode lazy",
            "--what 1",
        ] {
            let error = parse(line).expect_err(line);
            assert!(
                error.contains(line.split(' ').next().expect("a word")),
                "{error}"
            );
        }
    }
}
