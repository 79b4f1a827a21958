//! The asynchronous connection beside the blocking one, and beside a bare HTTP client that sends and receives the same
//! bytes.
//!
//! `cargo bench --bench asynchronous --features async`; `RQLITED=…` picks the server.

#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::thread;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use diesel::connection::SimpleConnection;
use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig, RqliteConnection};
use diesel_rqlite_tests::Rqlited;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use support::{BATCH, Item, NewItem, ROWS, Recorded, SCHEMA, bare, items, new_items, record};

/// Calls at the same time.
const CALLS: usize = 64;

mod blocking {
    use diesel::RunQueryDsl;
    use diesel::{QueryDsl, SelectableHelper};

    use super::*;

    pub(super) fn find(conn: &mut RqliteConnection) {
        let item = items::table.find(77).select(Item::as_select());
        item.first::<Item>(conn).unwrap();
    }

    pub(super) fn insert(conn: &mut RqliteConnection, batch: &[NewItem]) {
        let insert = diesel::insert_into(items::table).values(batch);
        insert.execute(conn).unwrap();
    }

    pub(super) fn load(conn: &mut RqliteConnection) {
        let items = items::table.select(Item::as_select()).limit(100_000);
        let rows = items.load::<Item>(conn).unwrap();
        assert_eq!(rows.len(), ROWS);
    }
}

mod asynchronous {
    use diesel::{QueryDsl, SelectableHelper};
    use diesel_async::RunQueryDsl;

    use super::*;

    pub(super) async fn find(conn: &mut AsyncRqliteConnection) {
        let item = items::table.find(77).select(Item::as_select());
        item.first::<Item>(conn).await.unwrap();
    }

    pub(super) async fn insert(conn: &mut AsyncRqliteConnection, batch: &[NewItem]) {
        let insert = diesel::insert_into(items::table).values(batch);
        insert.execute(conn).await.unwrap();
    }

    pub(super) async fn load(conn: &mut AsyncRqliteConnection) {
        let items = items::table.select(Item::as_select()).limit(100_000);
        let rows = items.load::<Item>(conn).await.unwrap();
        assert_eq!(rows.len(), ROWS);
    }
}

struct Clients {
    node: Rqlited,
    agent: ureq::Agent,
    runtime: Runtime,
    threads: Vec<RqliteConnection>,
    tasks: Vec<AsyncRqliteConnection>,
}

impl Clients {
    fn new() -> Self {
        let node = Rqlited::start();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let config: RqliteConfig = format!("{}?level=weak", node.url()).parse().unwrap();
        let threads = (0..CALLS).map(|_| config.connect().unwrap()).collect();
        let tasks = (0..CALLS).map(|_| runtime.block_on(config.connect_async()).unwrap());
        let tasks = tasks.collect();
        // As many connections are kept as there are calls at the same time: what the others do by themselves.
        let agent = ureq::Agent::config_builder()
            .proxy(None)
            .max_idle_connections(CALLS)
            .max_idle_connections_per_host(CALLS);
        Clients {
            agent: agent.build().into(),
            node,
            runtime,
            threads,
            tasks,
        }
    }

    /// Measures one client of each kind.
    fn one(
        &mut self,
        criterion: &mut Criterion,
        name: &str,
        rows: usize,
        blocking: impl Fn(&mut RqliteConnection),
        asynchronous: impl AsyncFn(&mut AsyncRqliteConnection),
    ) {
        let recorded = record(&self.node, &blocking);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(rows as u64));
        if rows > 1 {
            group.sample_size(10);
        }
        group.bench_function("bare ureq", |bencher| {
            bencher.iter(|| bare(&self.agent, &self.node, &recorded))
        });
        let conn = &mut self.threads[0];
        group.bench_function("blocking", |bencher| bencher.iter(|| blocking(conn)));
        let (runtime, conn) = (&self.runtime, &mut self.tasks[0]);
        group.bench_function("asynchronous", |bencher| {
            bencher.iter(|| runtime.block_on(asynchronous(conn)))
        });
        group.finish();
    }

    /// Measures many at the same time, each with a connection of its own.
    fn many(&mut self, criterion: &mut Criterion) {
        let recorded = record(&self.node, blocking::find);
        let mut group = criterion.benchmark_group("64 calls at the same time");
        group.throughput(Throughput::Elements(CALLS as u64));
        let id = |name| BenchmarkId::new(name, CALLS);
        group.bench_function(id("bare ureq on threads"), |bencher| {
            bencher.iter(|| bare_on_threads(&self.agent, &self.node, &recorded))
        });
        group.bench_function(id("blocking on threads"), |bencher| {
            bencher.iter(|| {
                thread::scope(|scope| {
                    for conn in &mut self.threads {
                        scope.spawn(|| blocking::find(conn));
                    }
                });
            })
        });
        group.bench_function(id("asynchronous in tasks"), |bencher| {
            bencher.iter(|| self.runtime.block_on(in_tasks(&mut self.tasks)))
        });
        group.finish();
    }
}

fn bare_on_threads(agent: &ureq::Agent, node: &Rqlited, recorded: &Recorded) {
    thread::scope(|scope| {
        for _ in 0..CALLS {
            scope.spawn(|| bare(agent, node, recorded));
        }
    });
}

async fn in_tasks(connections: &mut Vec<AsyncRqliteConnection>) {
    let mut tasks = JoinSet::new();
    for mut conn in connections.drain(..) {
        tasks.spawn(async move {
            asynchronous::find(&mut conn).await;
            conn
        });
    }
    connections.extend(tasks.join_all().await);
}

fn benches(criterion: &mut Criterion) {
    let mut clients = Clients::new();
    clients.threads[0].batch_execute(SCHEMA).unwrap();
    let batch = new_items(BATCH);
    clients.one(
        criterion,
        "a batch of 10,000",
        BATCH,
        |conn| blocking::insert(conn, &batch),
        async |conn| asynchronous::insert(conn, &batch).await,
    );
    let delete = "DELETE FROM items";
    clients.threads[0].batch_execute(delete).unwrap();
    for _ in 0..ROWS / BATCH {
        blocking::insert(&mut clients.threads[0], &batch);
    }
    clients.one(criterion, "one call", 1, blocking::find, asynchronous::find);
    clients.many(criterion);
    clients.one(
        criterion,
        "a load of 100,000 rows",
        ROWS,
        blocking::load,
        asynchronous::load,
    );
}

criterion_group!(asynchronous_and_blocking, benches);
criterion_main!(asynchronous_and_blocking);
