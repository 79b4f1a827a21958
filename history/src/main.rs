//! The program: see `--help`.

use std::io::{self, Write};
use std::process::ExitCode;

use diesel_rqlite_history::{Error, Options, USAGE, WORKER_ARGUMENT, run, work_as_process};

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
        work_as_process(&arguments.next().unwrap_or_default())?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.peek().is_some_and(|first| first == "--help") {
        io::stdout().write_all(USAGE.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments)?;
    let report = run(&options)?;
    report.write(&mut io::stdout().lock())?;
    let is_failure = !report.anomalies.is_empty() && !options.unguarded;
    Ok(if is_failure {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
