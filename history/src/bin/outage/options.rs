//! What is to happen, and to whom.

use std::time::Duration;

use diesel_rqlite_history::arguments::{self, Argument, Settings};

use crate::fault::Fault;

/// How the program is called.
pub(crate) const USAGE: &str = "\
Lets something happen to a cluster of three with rqlite's default timeouts, while four programs with default options
write and read: one on a blocking connection, one on an asynchronous one, one on an r2d2 pool, one on a deadpool. Shows how
long each stood still, how long new connections took, and whether any write was lost, doubled, or said not to be applied
when it was.

  --fault FAULTS   what happens, one after the other, by commas       [none]
                     leader-killed             it comes back when the fault is over
                     leader-hung               stopped: connections are accepted, nothing answers
                     leader-cut-from-followers packets are lost; clients reach it
                     leader-cut-from-all       the same, for clients too
                     client-cut-from-leader    clients don't reach it, the followers do
                     leader-slow               everything to it and from it takes 100 ms more
                     leader-mute               clients reach it, its answers don't reach them
                     leader-forgets            all connections of clients to it are half-open
                     all-restart               all are killed and started at once
                     quiet-membership-change   a read-only node joined, and nobody wrote since
                     slow-statement            nothing; statements take --seconds
  --url WHICH      all: of three nodes; one: of the leader only; balancer: of a
                   load balancer before nodes that clients can't resolve        [all]
  --seconds N      how long a fault lasts                             [20]
  --rounds N       how often all faults happen                        [1]
  --workers N      of each pool                                       [4]
  --pause TIME     between a write and the next, such as 5ms          [5ms]
  --exactly-once   writes are transactions that are settled
  --options TEXT   more options of the URL, such as request_timeout=3s
  --at-most TIME   a failure if a program stands still for longer, such as 6s
  --json           one line of JSON instead of a table

The binary of rqlite is that of the environment variable RQLITED, or the one that tests install.
";

/// Which nodes the URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    All,
    One,
    Balancer,
}

impl Way {
    fn from_name(name: &str) -> Option<Self> {
        let mut all = [Way::All, Way::One, Way::Balancer].into_iter();
        all.find(|way| way.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::All => "all",
            Way::One => "one",
            Way::Balancer => "balancer",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) faults: Vec<Fault>,
    pub(crate) rounds: usize,
    pub(crate) way: Way,
    pub(crate) lasts: Duration,
    pub(crate) workers: u32,
    pub(crate) pause: Duration,
    pub(crate) exactly_once: bool,
    pub(crate) url_options: String,
    pub(crate) at_most: Option<Duration>,
    pub(crate) json: bool,
}

impl Options {
    /// Those of a command line, without the program's name.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            faults: vec![Fault::None],
            rounds: 1,
            way: Way::All,
            lasts: Duration::from_secs(20),
            workers: 4,
            pause: Duration::from_millis(5),
            exactly_once: false,
            url_options: String::new(),
            at_most: None,
            json: false,
        };
        arguments::read(&mut options, given)?;
        if options.faults.len() > 1 && options.faults.iter().any(|fault| fault.stands_alone()) {
            return Err("--fault: one of these happens before anything else, or alone".to_owned());
        }
        Ok(options)
    }

    /// What happens, in order.
    pub(crate) fn sequence(&self) -> Vec<Fault> {
        self.faults.repeat(self.rounds)
    }
}

impl Settings for Options {
    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match name {
            "--exactly-once" => self.exactly_once = true,
            "--json" => self.json = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set(&mut self, argument: &Argument<'_>) -> Result<(), String> {
        match argument.name {
            "--fault" => self.faults = argument.list(Fault::from_name)?,
            "--rounds" => self.rounds = argument.number(1)?,
            "--url" => self.way = argument.one(Way::from_name)?,
            "--seconds" => self.lasts = Duration::from_secs(argument.number(0)?),
            "--workers" => self.workers = argument.number(1)?,
            "--pause" => self.pause = argument.duration()?,
            "--options" => argument.value.clone_into(&mut self.url_options),
            "--at-most" => self.at_most = Some(argument.duration()?),
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
        let options = parse("--fault leader-hung --url one --seconds 3 --at-most 6s --json");
        let options = options.expect("parses");
        assert_eq!(options.faults, [Fault::LeaderHung]);
        assert_eq!(options.way, Way::One);
        assert_eq!(options.at_most, Some(Duration::from_secs(6)));
        for line in [
            "--fault flood",
            "--fault leader-killed,slow-statement",
            "--url two",
            "--seconds x",
            "--workers 0",
            "--at-most 6",
            "--what 1",
            "--seconds",
        ] {
            let error = parse(line).expect_err(line);
            assert!(
                error.starts_with(line.split(' ').next().expect("a word")),
                "{error}"
            );
        }
    }
}
