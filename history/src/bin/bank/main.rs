//! Transfers between accounts, by processes that are killed and stopped while they hold a lock: see `--help`.

mod check;
mod crew;
mod faults;
mod lock;
mod options;
mod record;
mod report;
mod run;
mod schema;
mod worker;

use std::io::{self, Write};
use std::process::ExitCode;

use self::options::{Options, USAGE};
use self::worker::WORKER_ARGUMENT;

/// What ends a run early.
type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match program() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

fn program() -> Result<ExitCode, Error> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments
        .next_if(|first| first == WORKER_ARGUMENT)
        .is_some()
    {
        worker::work_as_process(&arguments.next().unwrap_or_default())?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.peek().is_some_and(|first| first == "--help") {
        io::stdout().write_all(USAGE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments)?;
    let report = run::run(&options)?;
    report.write(&mut io::stdout().lock())?;
    let is_failure = report.has_failed() && !options.unguarded;
    Ok(if is_failure {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
