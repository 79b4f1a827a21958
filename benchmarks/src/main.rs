//! One table: this crate beside plain SQL over bare HTTP, other rqlite clients and Diesel's SQLite, all on the same
//! machine in one run.
//!
//! `cargo run --release --manifest-path benchmarks/Cargo.toml`; `RQLITED=…` picks the server. An argument picks the tasks
//! whose names contain it, or the one that it names in full, and a second one the clients: `-- "insert one, 64" coalescing`.
//! sqlx-rqlite takes part only if that names it, since it prints each query. Times are of one operation, the middle of
//! several rounds; CPU is what this process used for it.

mod clients;
mod measure;
mod schema;
mod server;
mod task;

use std::collections::BTreeMap;
use std::error::Error;

use clients::{Client, asynchronous, bare, blocking, rqlite_client, rqlite_rs, sqlite, sqlx};
use measure::Table;
use server::Server;
use task::{Task, tasks};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next().unwrap_or_default();
    let client = arguments.next().unwrap_or_default();
    let mut servers = BTreeMap::new();
    let sqlite = sqlite::Sqlite::open()?;
    let mut table = Table::default();
    for task in picked(&wanted) {
        let server = servers
            .entry(task.nodes)
            .or_insert_with(|| Server::start(task.nodes));
        schema::fill(server)?;
        let mut clients = clients_of(server, &client)?;
        table.measure(&task, &mut clients);
        let mut local: Vec<Box<dyn Client>> = vec![Box::new(sqlite.client()?)];
        local.retain(|one| one.name().contains(&client));
        table.measure(&task, &mut local);
    }
    print!("{table}");
    Ok(())
}

fn picked(wanted: &str) -> Vec<Task> {
    let mut tasks = tasks();
    match tasks.iter().any(|task| task.to_string() == wanted) {
        true => tasks.retain(|task| task.to_string() == wanted),
        false => tasks.retain(|task| task.to_string().contains(wanted)),
    }
    tasks
}

/// Those of rqlite whose names contain this.
fn clients_of(server: &Server, wanted: &str) -> Result<Vec<Box<dyn Client>>, Box<dyn Error>> {
    let mut clients: Vec<Box<dyn Client>> = Vec::new();
    for decodes in [false, true] {
        clients.push(Box::new(bare::Bare::new(server, decodes)));
    }
    for coalescing in [false, true] {
        clients.push(Box::new(blocking::Blocking::new(server, coalescing)));
        for threads in [1, 2] {
            let client = asynchronous::Asynchronous::new(server, threads, coalescing)?;
            clients.push(Box::new(client));
        }
    }
    for threads in [1, 2] {
        clients.push(Box::new(rqlite_rs::RqliteRs::new(server, threads)?));
        if wanted.contains("sqlx") {
            clients.push(Box::new(sqlx::Sqlx::new(server, threads)?));
        }
    }
    clients.push(Box::new(rqlite_client::RqliteClient::new(server)));
    clients.retain(|one| one.name().contains(wanted));
    Ok(clients)
}
