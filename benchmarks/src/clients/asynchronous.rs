//! This crate's asynchronous connection, one for each task.

use std::sync::Arc;

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::{AsyncConnection, RunQueryDsl};
use diesel_rqlite::{AsyncRqliteConnection, RqliteConfig};
use tokio::runtime::Runtime;

use super::diesel_operation::diesel_operation;
use super::{Client, in_tasks, own_name, own_options, runtime};
use crate::schema::{BATCH, NewItem, new_items};
use crate::server::Server;
use crate::task::Task;

pub struct Asynchronous {
    runtime: Runtime,
    threads: usize,
    coalescing: bool,
    config: RqliteConfig,
    conns: Vec<AsyncRqliteConnection>,
    items: Arc<Vec<NewItem>>,
}

impl Asynchronous {
    pub fn new(
        server: &Server,
        threads: usize,
        coalescing: bool,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Asynchronous {
            runtime: runtime(threads)?,
            threads,
            coalescing,
            config: server.url(own_options(coalescing)).parse()?,
            conns: Vec::new(),
            items: new_items(BATCH).into(),
        })
    }
}

impl Client for Asynchronous {
    fn name(&self) -> String {
        own_name(
            &format!("async, {} thread(s)", self.threads),
            self.coalescing,
        )
    }

    fn run(&mut self, task: &Task) -> bool {
        while self.conns.len() < task.workers {
            let conn = self.runtime.block_on(self.config.connect_async());
            self.conns.push(conn.expect("connects"));
        }
        let kind = task.kind;
        in_tasks(&self.runtime, task, &mut self.conns, |mut conn, share| {
            let items = Arc::clone(&self.items);
            async move {
                for operation in share {
                    diesel_operation!(&mut conn, kind, operation, &items, async await);
                }
                conn
            }
        });
        true
    }
}
