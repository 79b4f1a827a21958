//! One table: this crate beside plain SQL over bare HTTP, other rqlite clients and Diesel's SQLite, all on the same
//! machine in one run.
//!
//! `cargo run --release --manifest-path benchmarks/Cargo.toml`; `RQLITED=…` picks the server. An argument picks the tasks
//! whose names contain it, a second one the clients. Times are of one operation, the middle of several rounds; CPU is what
//! this process used for it.

mod clients;
mod measure;
mod schema;

use std::error::Error;

use diesel_rqlite_tests::Rqlited;

use clients::{asynchronous, bare, blocking, peers, sqlite};
use measure::{Table, Task};
use schema::{BATCH, ROWS};

const TASKS: [Task; 5] = [
    Task {
        name: "insert one",
        operations: 500,
        rounds: 7,
        rows: 1,
    },
    Task {
        name: "select one by key",
        operations: 2_000,
        rounds: 9,
        rows: 1,
    },
    Task {
        name: "insert 10,000, per row",
        operations: 1,
        rounds: 7,
        rows: BATCH,
    },
    Task {
        name: "load 100,000 x 4, per row",
        operations: 1,
        rounds: 7,
        rows: ROWS,
    },
    Task {
        name: "transaction: 2 reads, 3 writes",
        operations: 200,
        rounds: 7,
        rows: 1,
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let client = arguments.next().unwrap_or_default();
    let node = Rqlited::start();
    let sqlite = sqlite::Sqlite::open()?;
    let mut table = Table::default();
    for task in TASKS.iter().filter(|task| task.name.contains(&wanted)) {
        schema::fill(&node)?;
        let mut clients: Vec<Box<dyn clients::Client + '_>> = vec![
            Box::new(bare::Bare::new(&node)),
            Box::new(blocking::Blocking::new(&node)?),
            Box::new(asynchronous::Asynchronous::new(&node, 1)?),
            Box::new(asynchronous::Asynchronous::new(&node, 2)?),
            Box::new(peers::RqliteRs::new(&node, 1)?),
            Box::new(peers::RqliteRs::new(&node, 2)?),
            Box::new(peers::RqliteClientUreq::new(&node)?),
        ];
        clients.retain(|one| one.name().contains(&client));
        table.measure(task, &mut clients);
        let mut local: Vec<Box<dyn clients::Client + '_>> = vec![Box::new(sqlite.client()?)];
        local.retain(|one| one.name().contains(&client));
        table.measure(task, &mut local);
    }
    print!("{table}");
    Ok(())
}
