//! Workers as processes: orders as an argument, records as lines of JSON.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;
use crate::history::Transaction;
use crate::worker::{self, Orders};

/// With this argument, and orders behind it, the program is one of the workers.
pub const WORKER_ARGUMENT: &str = "--worker";

/// Is a worker, and writes what it did to the standard output.
///
/// # Errors
///
/// Orders that are not understood, no connection, and a reader that has gone away.
pub fn work_as_process(orders: &str) -> Result<(), Error> {
    let orders: Orders = serde_json::from_str(orders)?;
    let mut lines = io::stdout().lock();
    worker::work(&orders, None, |transaction| {
        serde_json::to_writer(&mut lines, &transaction)?;
        lines.write_all(b"\n")?;
        Ok(())
    })
}

/// Starts a worker and reads what it did, until it ends.
pub(crate) fn work(program: &Path, orders: &Orders) -> Result<Vec<Transaction>, Error> {
    let mut child = Command::new(program)
        .arg(WORKER_ARGUMENT)
        .arg(serde_json::to_string(orders)?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take();
    let lines = output
        .into_iter()
        .flat_map(|output| BufReader::new(output).lines());
    let transactions = lines.map(|line| Ok(serde_json::from_str(&line?)?));
    let transactions: Result<_, Error> = transactions.collect();
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("worker {}: {status}", orders.worker).into());
    }
    transactions
}
