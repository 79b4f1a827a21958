//! Runs an empty rqlited until its input ends (Ctrl-D), and prints its address.
//!
//! `cargo run -p diesel-rqlite-tests` starts a node for experiments.
#![allow(clippy::print_stdout)]

use std::io::Write;

use diesel_rqlite_tests::Rqlited;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Rqlited::builder().try_start()?;
    println!("{}", node.url());
    std::io::stdout().flush()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}
