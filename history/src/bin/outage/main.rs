//! How long programs stand still when something happens to their cluster: see `--help`.
//!
//! ```text
//!  scene (cluster, links, balancer) ◄── fault
//!    ▲                 ▲
//!  programs          newcomers      each step is noted in a diary
//!    ▼                 ▼
//!  check (all nodes, once healed) ──► report
//! ```

mod attempt;
mod check;
mod diary;
mod fault;
mod newcomers;
mod options;
mod programs;
mod report;
mod run;
mod scene;
mod slow_statement;

use std::io::{self, Write};
use std::process::ExitCode;

use self::options::{Options, USAGE};

/// What ends a run early.
type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match program() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is as it should be.
fn program() -> Result<bool, Error> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == "--help") {
        io::stdout().write_all(USAGE.as_bytes())?;
        return Ok(true);
    }
    if arguments
        .next_if(|first| first == newcomers::ARGUMENT)
        .is_some()
    {
        let mut next = || arguments.next().unwrap_or_default();
        newcomers::be(&next(), &next())?;
        return Ok(true);
    }
    let options = Options::parse(arguments)?;
    let report = run::run(&options)?;
    let mut out = io::stdout().lock();
    match options.json {
        true => writeln!(out, "{}", serde_json::to_string(&report)?)?,
        false => report.write(&mut out)?,
    }
    Ok(report.is_right(options.at_most))
}
