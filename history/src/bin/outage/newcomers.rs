//! Programs that start while something is wrong: how long until they can read? Each is a process of its own, since the
//! connections of one process may tell each other what they know.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::AsyncConnection;
use diesel_rqlite::{AsyncRqliteConnection, RqliteConnection};
use tokio::runtime::Runtime;

use crate::Error;
use crate::attempt::writes;

/// With this argument, and a kind and a URL behind it, the program is a newcomer.
pub(crate) const ARGUMENT: &str = "--newcomer";

pub(crate) const KINDS: [&str; 2] = ["blocking", "asynchronous"];

/// Between one newcomer and the next; also between its tries.
const PAUSE: Duration = Duration::from_millis(100);

/// One after the other, of each kind.
pub(crate) struct Newcomers {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Vec<Arrival>, String>>>,
}

/// How long one took until it had its first answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) came: Instant,
    pub(crate) took: Duration,
    /// How often it was told that it can't.
    pub(crate) failures: usize,
    pub(crate) arrived: bool,
}

impl Newcomers {
    pub(crate) fn start(url: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = KINDS.map(|kind| {
            let (over, url) = (Arc::clone(&is_over), url.to_owned());
            thread::spawn(move || arrivals(kind, &url, &over))
        });
        Newcomers {
            is_over,
            threads: threads.into(),
        }
    }

    /// Ends them, and waits for the last of each kind.
    pub(crate) fn end(self) -> Result<Vec<Vec<Arrival>>, Error> {
        self.is_over.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for thread in self.threads {
            all.push(thread.join().map_err(|_| "a newcomer panicked")??);
        }
        Ok(all)
    }
}

fn arrivals(kind: &str, url: &str, over: &AtomicBool) -> Result<Vec<Arrival>, String> {
    let mut arrivals = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let mut arrival = Arrival {
            came: Instant::now(),
            took: Duration::ZERO,
            failures: 0,
            arrived: false,
        };
        while !arrival.arrived && !over.load(Ordering::SeqCst) {
            arrival.arrived = arrives(kind, url)?;
            arrival.took = arrival.came.elapsed();
            arrival.failures += usize::from(!arrival.arrived);
            thread::sleep(PAUSE);
        }
        arrivals.push(arrival);
    }
    Ok(arrivals)
}

/// Starts a process that connects and reads.
fn arrives(kind: &str, url: &str) -> Result<bool, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut newcomer = Command::new(program);
    newcomer.args([ARGUMENT, kind, url]);
    newcomer.stdin(Stdio::null()).stderr(Stdio::null());
    let status = newcomer.status();
    Ok(status.map_err(|error| error.to_string())?.success())
}

/// Is a newcomer.
pub(crate) fn be(kind: &str, url: &str) -> Result<(), Error> {
    let query = writes::table.select(writes::id).limit(1);
    if kind == KINDS[0] {
        let mut connection = RqliteConnection::establish(url)?;
        diesel::RunQueryDsl::load::<i64>(query, &mut connection)?;
        return Ok(());
    }
    Runtime::new()?.block_on(async {
        let mut connection = AsyncRqliteConnection::establish(url).await?;
        let rows: Vec<i64> = diesel_async::RunQueryDsl::load(query, &mut connection).await?;
        drop(rows);
        Ok(())
    })
}
