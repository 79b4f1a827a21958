//! Servers, workers and faults together.

use std::thread;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Cluster;

use crate::Error;
use crate::check::check;
use crate::crew::Crew;
use crate::faults::{self, Injected};
use crate::lock::{Access, Kind, Site};
use crate::options::Options;
use crate::record::Record;
use crate::report::Report;
use crate::schema::{self, State};
use crate::worker::Orders;

/// Below the time a leader is stopped for, so that answers are lost.
const REQUEST_TIMEOUT: &str = "request_timeout=2s";

/// How long nodes may take to catch up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The numbers of a worker's transfers begin at a multiple of it.
const APART: i64 = 1_000_000;

pub(crate) fn run(options: &Options) -> Result<Report, Error> {
    let site = Site::start(options.lock);
    let builder = Cluster::builder();
    let mut cluster = match options.faults.iter().any(|fault| fault.is_of_links()) {
        true => builder.links().start(options.nodes),
        false => builder.start(options.nodes),
    };
    let url = url(&cluster, options, cluster.leader(), "level=strong");
    schema::create(&mut RqliteConnection::establish(&url)?)?;
    let began = Instant::now();
    let (records, injected) = work(options, &mut cluster, &site)?;
    let took = began.elapsed();
    let (state, replicas_differ) = settled(options, &cluster)?;
    let failures = check(&records, &state, replicas_differ);
    Ok(Report::new(
        options, &records, &state, injected, took, failures,
    ))
}

fn work(
    options: &Options,
    cluster: &mut Cluster,
    site: &Site,
) -> Result<(Vec<Record>, Injected), Error> {
    let as_processes = options.lock != Kind::Thread;
    let orders: Vec<_> = (0..options.workers)
        .map(|worker| orders(options, cluster, site, worker))
        .collect();
    let crew = Crew::new(orders.len());
    thread::scope(|scope| {
        let crew = &crew;
        let workers: Vec<_> = orders
            .iter()
            .enumerate()
            .map(|(worker, orders)| scope.spawn(move || crew.run(worker, orders, as_processes)))
            .collect();
        let injected = faults::inject(options, cluster, site, crew);
        let mut records = Vec::new();
        for worker in workers {
            records.extend(worker.join().map_err(|_| "a worker panicked")??);
        }
        Ok((records, injected))
    })
}

fn orders(options: &Options, cluster: &Cluster, site: &Site, worker: u32) -> Orders {
    let place = usize::try_from(worker).unwrap_or_default() % options.nodes;
    let first = (i64::from(worker) + 1) * APART;
    Orders {
        url: url(cluster, options, place, REQUEST_TIMEOUT),
        lock: Access {
            kind: options.lock,
            url: site.url(),
            lease: options.lease,
        },
        mode: options.mode,
        work: options.work,
        retries: options.retries,
        exactly_once: !options.unguarded && !options.unsettled,
        seed: options.seed,
        transfers: first..first + i64::from(options.transfers),
    }
}

/// The final state, and whether any node has another one, once all have caught up.
fn settled(options: &Options, cluster: &Cluster) -> Result<(State, bool), Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = compare(options, cluster);
        match found {
            Ok((state, false)) => return Ok((state, false)),
            outcome if Instant::now() > deadline => return outcome,
            _ => thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn compare(options: &Options, cluster: &Cluster) -> Result<(State, bool), Error> {
    let strong = url(cluster, options, cluster.leader(), "level=strong");
    let wanted = State::read(&mut RqliteConnection::establish(&strong)?)?;
    let mut differ = false;
    for place in 0..options.nodes {
        let url = format!("{}?level=none", cluster.node(place).url());
        differ |= State::read(&mut RqliteConnection::establish(&url)?)? != wanted;
    }
    Ok((wanted, differ))
}

/// All nodes, the one at this place first.
fn url(cluster: &Cluster, options: &Options, place: usize, more: &str) -> String {
    match options.nodes {
        1 => format!("{}?{more}", cluster.node(place).url()),
        _ => format!("{}&{more}", cluster.url(place)),
    }
}
