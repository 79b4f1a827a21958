//! Servers, workers and faults together.

use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Cluster;

use crate::Error;
use crate::check::check;
use crate::faults::{self, Injected};
use crate::history::{History, Transaction};
use crate::options::Options;
use crate::report::Report;
use crate::worker::{self, Orders, Shared};
use crate::{processes, state, transaction, workload};

/// Below the time a leader is stopped for, so that answers are lost.
const REQUEST_TIMEOUT: &str = "request_timeout=2s";

/// Starts servers, runs random transactions on them while faults happen, heals them, and checks what came of it.
///
/// # Errors
///
/// A worker that can't connect or dies; nodes that do not answer after all faults are healed. Anomalies are in the
/// report.
///
/// # Panics
///
/// Where the kit does: without an rqlited, or when one does not start.
pub fn run(options: &Options) -> Result<Report, Error> {
    let builder = Cluster::builder();
    let mut cluster = match options.faults.iter().any(|fault| fault.is_of_links()) {
        true => builder.links().start(options.nodes),
        false => builder.start(options.nodes),
    };
    let leader = cluster.leader();
    let mut connection = RqliteConnection::establish(&url(&cluster, options, leader, &[]))?;
    workload::create(&mut connection)?;
    let (transactions, injected) = work(options, &mut cluster)?;
    let strong = url(&cluster, options, cluster.leader(), &["level=strong"]);
    let nodes = (0..options.nodes).map(|place| format!("{}?level=none", cluster.node(place).url()));
    let (state, difference) = state::settled(&strong, &nodes.collect::<Vec<_>>())?;
    let history = History {
        transactions,
        state,
        total: workload::TOTAL,
    };
    let mut anomalies = check(&history, options.strict);
    anomalies.extend(difference);
    Ok(Report::new(options, &history, injected, anomalies))
}

fn work(options: &Options, cluster: &mut Cluster) -> Result<(Vec<Transaction>, Injected), Error> {
    let duration = Duration::from_secs(options.seconds);
    let deadline = Instant::now() + duration;
    let orders: Vec<_> = (0..options.writers)
        .map(|worker| orders(options, cluster, worker, duration))
        .collect();
    let url = orders.first().map(|orders| orders.url.as_str());
    let pool = options.pool.zip(url);
    let pool = pool.map(|(size, url)| worker::pool(url, size));
    thread::scope(|scope| {
        let workers: Vec<_> = orders
            .iter()
            .map(|orders| scope.spawn(|| one(options, orders, pool.as_ref())))
            .collect();
        let mut random = fastrand::Rng::with_seed(options.seed);
        let injected = faults::inject(cluster, &options.faults, &mut random, deadline);
        let mut transactions = Vec::new();
        for worker in workers {
            let done = worker.join().map_err(|_| "a worker panicked")?;
            transactions.extend(done?);
        }
        Ok((transactions, injected))
    })
}

fn orders(options: &Options, cluster: &Cluster, worker: u32, duration: Duration) -> Orders {
    // Each begins at another node.
    let place = usize::try_from(worker).unwrap_or_default() % options.nodes;
    let mut more = vec![REQUEST_TIMEOUT];
    more.extend(options.unguarded.then_some(transaction::UNGUARDED));
    Orders {
        worker,
        url: url(cluster, options, place, &more),
        seed: options.seed.wrapping_add(u64::from(worker) + 1),
        duration,
        lists: options.lists,
        retries: options.retries,
        mode: options.mode,
        exactly_once: !options.unsettled,
    }
}

fn one(
    options: &Options,
    orders: &Orders,
    pool: Option<&Shared>,
) -> Result<Vec<Transaction>, Error> {
    if let Some(program) = &options.processes {
        return processes::work(program, orders);
    }
    let mut transactions = Vec::new();
    worker::work(orders, pool, |transaction| {
        transactions.push(transaction);
        Ok(())
    })?;
    Ok(transactions)
}

/// All nodes, the one at this place first.
fn url(cluster: &Cluster, options: &Options, place: usize, more: &[&str]) -> String {
    // The kit's own has an empty list where there are no others.
    let nodes = match options.nodes {
        1 => format!("{}?", cluster.node(place).url()),
        _ => format!("{}&", cluster.url(place)),
    };
    format!("{nodes}{}", more.join("&"))
}
