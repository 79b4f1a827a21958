//! The workers: processes that are replaced when they are killed, or threads.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Error;
use crate::record::Record;
use crate::worker::{self, Orders, WORKER_ARGUMENT};

/// All workers. Faults find their processes here.
pub(crate) struct Crew {
    /// `None` between a worker and the one that replaces it.
    processes: Vec<Mutex<Option<Pid>>>,
    at_work: AtomicUsize,
}

impl Crew {
    pub(crate) fn new(workers: usize) -> Self {
        Crew {
            processes: (0..workers).map(|_| Mutex::default()).collect(),
            at_work: AtomicUsize::new(workers),
        }
    }

    /// Whether any worker is not done yet.
    pub(crate) fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::SeqCst) > 0
    }

    /// Sends a signal to a worker, if it runs as a process now.
    pub(crate) fn signal(&self, worker: usize, signal: Signal) -> bool {
        match *self.process(worker) {
            Some(process) => kill(process, signal).is_ok(),
            None => false,
        }
    }

    fn process(&self, worker: usize) -> MutexGuard<'_, Option<Pid>> {
        let process = &self.processes[worker];
        process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a worker until all its transfers are made, or given up.
    pub(crate) fn run(
        &self,
        worker: usize,
        orders: &Orders,
        as_process: bool,
    ) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        let outcome = match as_process {
            true => self.replace_until_done(worker, orders, &mut records),
            false => worker::work(orders, |record| {
                records.push(record);
                Ok(())
            }),
        };
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        outcome.map(|()| records)
    }

    fn replace_until_done(
        &self,
        worker: usize,
        orders: &Orders,
        records: &mut Vec<Record>,
    ) -> Result<(), Error> {
        let mut orders = orders.clone();
        while !orders.transfers.is_empty() {
            let mut child = start(&orders)?;
            *self.process(worker) = Some(pid(&child)?);
            let read = read(&mut child, records);
            // Before it is waited for: then its number may become that of another process.
            *self.process(worker) = None;
            let status = child.wait()?;
            read?;
            // Killed by a signal, it has no code.
            if status.code().is_some_and(|code| code != 0) {
                return Err(format!("worker {worker}: {status}").into());
            }
            let last = records.iter().rev().find_map(|record| match record {
                Record::Begun(id) => Some(*id),
                Record::Ended(_) | Record::Audited(_) => None,
            });
            orders.transfers.start = last.map_or(orders.transfers.start, |last| last + 1);
        }
        Ok(())
    }
}

fn start(orders: &Orders) -> Result<Child, Error> {
    let child = Command::new(std::env::current_exe()?)
        .arg(WORKER_ARGUMENT)
        .arg(serde_json::to_string(orders)?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(child)
}

fn pid(child: &Child) -> Result<Pid, Error> {
    Ok(Pid::from_raw(i32::try_from(child.id())?))
}

fn read(child: &mut Child, records: &mut Vec<Record>) -> Result<(), Error> {
    let Some(output) = child.stdout.take() else {
        return Ok(());
    };
    for line in BufReader::new(output).lines() {
        records.push(serde_json::from_str(&line?)?);
    }
    Ok(())
}
