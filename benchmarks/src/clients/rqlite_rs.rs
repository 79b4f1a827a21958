//! The crate rqlite-rs.

use std::error::Error;
use std::sync::Arc;

use rqlite_rs::prelude::*;
use tokio::runtime::Runtime;

use super::{Client, in_tasks, key, runtime};
use crate::schema::{FIND, INSERT, LOAD, ROWS};
use crate::server::Server;
use crate::task::{Kind, Task};

#[derive(FromRow)]
#[allow(dead_code)]
struct Row {
    id: i64,
    name: String,
    price: f64,
    note: Option<String>,
}

pub struct RqliteRs {
    runtime: Runtime,
    threads: usize,
    client: Arc<RqliteClient>,
}

impl RqliteRs {
    pub fn new(server: &Server, threads: usize) -> Result<Self, Box<dyn Error>> {
        let client = RqliteClientBuilder::new()
            .known_host(server.address())
            .build()?;
        Ok(RqliteRs {
            runtime: runtime(threads)?,
            threads,
            client: client.into(),
        })
    }
}

async fn once(client: &RqliteClient, kind: Kind, operation: usize) {
    let query = match kind {
        Kind::Insert => rqlite_rs::query!(INSERT, "item", 0.37, "in stock"),
        Kind::Select => rqlite_rs::query!(FIND, key(operation)),
        _ => rqlite_rs::query!(LOAD),
    };
    let query = query.expect("builds");
    if kind == Kind::Insert {
        client.exec(query).await.expect("inserts");
        return;
    }
    let rows = client.fetch(query).await.expect("answers");
    let rows = rows.into_typed::<Row>().expect("decodes");
    assert_eq!(rows.len(), if kind == Kind::Select { 1 } else { ROWS });
}

impl Client for RqliteRs {
    fn name(&self) -> String {
        format!("rqlite-rs 0.6, {} thread(s)", self.threads)
    }

    fn run(&mut self, task: &Task) -> bool {
        let kind = task.kind;
        if ![Kind::Insert, Kind::Select, Kind::Load].contains(&kind) {
            return false;
        }
        let mut clients = vec![Arc::clone(&self.client); task.workers];
        in_tasks(
            &self.runtime,
            task,
            &mut clients,
            |client, share| async move {
                for operation in share {
                    once(&client, kind, operation).await;
                }
                client
            },
        );
        true
    }
}
