//! Processes that move money from one account to the other, with workers and servers that fail meanwhile.
//!
//! `cargo run -p diesel-rqlite-examples --bin transfer -- --help`
#![allow(clippy::print_stdout)]

mod bank;
mod crew;
mod event;
mod options;
mod report;
mod worker;

use std::process::ExitCode;

use diesel_rqlite_examples::{Failure, Tables};

use self::options::{Options, USAGE};

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments)?;
    match options.worker {
        Some(worker) => worker::run(&options, worker).map(|()| ExitCode::SUCCESS),
        None => run(&options),
    }
}

fn run(options: &Options) -> Result<ExitCode, Failure> {
    let servers = crew::Servers::start(options)?;
    let config = servers.url(0).parse()?;
    let _tables = Tables::create(&config, bank::TABLES, &bank::create(options.total()))?;
    let tallies = crew::run(options, &servers)?;
    let state = bank::State::read(&mut config.connect()?)?;
    report::table(options, &tallies);
    let is_right = report::check(options, &tallies, &state);
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
