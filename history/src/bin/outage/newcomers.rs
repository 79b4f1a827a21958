//! Programs that connect while something is wrong: how long until they can read?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::AsyncConnection;
use diesel_rqlite::{AsyncRqliteConnection, RqliteConnection};
use tokio::runtime::Runtime;

use crate::attempt::writes;

/// Between one newcomer and the next; also between its tries.
const PAUSE: Duration = Duration::from_millis(100);

/// One after the other, of both kinds.
pub(crate) struct Newcomers {
    is_over: Arc<AtomicBool>,
    blocking: JoinHandle<Vec<Arrival>>,
    asynchronous: tokio::task::JoinHandle<Vec<Arrival>>,
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
    pub(crate) fn start(runtime: &Runtime, url: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, its_url) = (Arc::clone(&is_over), url.to_owned());
        let blocking = thread::spawn(move || {
            let mut arrivals = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let mut arrival = Arrival::new();
                while !arrival.is_over(&over, blocking(&its_url)) {
                    thread::sleep(PAUSE);
                }
                arrivals.push(arrival);
                thread::sleep(PAUSE);
            }
            arrivals
        });
        let (over, its_url) = (Arc::clone(&is_over), url.to_owned());
        let asynchronous = runtime.spawn(async move {
            let mut arrivals = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let mut arrival = Arrival::new();
                while !arrival.is_over(&over, asynchronous(&its_url).await) {
                    tokio::time::sleep(PAUSE).await;
                }
                arrivals.push(arrival);
                tokio::time::sleep(PAUSE).await;
            }
            arrivals
        });
        Newcomers {
            is_over,
            blocking,
            asynchronous,
        }
    }

    /// Ends them, and waits for the last: the blocking and the asynchronous ones.
    pub(crate) fn end(self, runtime: &Runtime) -> Result<[Vec<Arrival>; 2], crate::Error> {
        self.is_over.store(true, Ordering::SeqCst);
        let blocking = self.blocking.join().map_err(|_| "a newcomer panicked")?;
        Ok([blocking, runtime.block_on(self.asynchronous)?])
    }
}

impl Arrival {
    fn new() -> Self {
        Arrival {
            came: Instant::now(),
            took: Duration::ZERO,
            failures: 0,
            arrived: false,
        }
    }

    fn is_over(&mut self, over: &AtomicBool, is_in: bool) -> bool {
        self.took = self.came.elapsed();
        self.arrived = is_in;
        self.failures += usize::from(!is_in);
        is_in || over.load(Ordering::SeqCst)
    }
}

fn blocking(url: &str) -> bool {
    let Ok(mut connection) = RqliteConnection::establish(url) else {
        return false;
    };
    let query = writes::table.select(writes::id).limit(1);
    diesel::RunQueryDsl::load::<i64>(query, &mut connection).is_ok()
}

async fn asynchronous(url: &str) -> bool {
    let Ok(mut connection) = AsyncRqliteConnection::establish(url).await else {
        return false;
    };
    let query = writes::table.select(writes::id).limit(1);
    let rows: QueryResult<Vec<i64>> = diesel_async::RunQueryDsl::load(query, &mut connection).await;
    rows.is_ok()
}
