//! Determines which process of the cluster made a connection. A node has one address for all others, so that only the
//! process tells them apart.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The time to wait for a process id: a process may connect before its id is recorded.
const PATIENCE: Duration = Duration::from_millis(500);

/// The process of each node, by the node's index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers(Arc<Mutex<Vec<Option<u32>>>>);

impl Peers {
    pub(crate) fn started(&self, place: usize, process: u32) {
        let mut processes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = processes.len().max(place + 1);
        processes.resize(count, None);
        processes[place] = Some(process);
    }

    /// Returns the node that holds the end `from` of a connection to `to`.
    pub(crate) fn who(&self, from: SocketAddr, to: SocketAddr) -> Option<usize> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // There is no socket if the process has already closed it.
            let socket = socket(from, to)?;
            let processes = self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let holds = |process: &Option<u32>| process.is_some_and(|it| has_open(it, &socket));
            let found = processes.iter().position(holds);
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Returns the name that a process has among its open files for the end `from` of a connection.
fn socket(from: SocketAddr, to: SocketAddr) -> Option<String> {
    let ends = [ending(from), ending(to)];
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&ends[0]) && fields.get(2)?.ends_with(&ends[1]);
        let inode = *fields.get(9)?;
        // A socket without a file belongs to no process any more.
        (is_it && inode != "0").then(|| format!("socket:[{inode}]"))
    })
}

/// Returns the port in the notation of the table. The address in it is that of loopback.
fn ending(address: SocketAddr) -> String {
    format!(":{:04X}", address.port())
}

fn has_open(process: u32, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    let targets = files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok());
    targets
        .into_iter()
        .any(|target| target.as_os_str() == socket)
}
