//! The crate sqlx-rqlite: a pool of as many connections as there are workers.

use std::error::Error;

use sqlx_core::query::query;
use sqlx_core::query_as::query_as;
use sqlx_rqlite::{RqlitePool, RqlitePoolOptions};
use tokio::runtime::Runtime;

use super::{Client, in_tasks, key, runtime};
use crate::schema::{FIND, INSERT, LOAD, ROWS};
use crate::server::Server;
use crate::task::{Kind, Task};

type Row = (i64, String, f64, Option<String>);

pub struct Sqlx {
    runtime: Runtime,
    threads: usize,
    url: String,
    pool: Option<(usize, RqlitePool)>,
}

impl Sqlx {
    pub fn new(server: &Server, threads: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Sqlx {
            runtime: runtime(threads)?,
            threads,
            url: format!("rqlite://{}", server.address()),
            pool: None,
        })
    }

    fn pool(&mut self, size: usize) -> RqlitePool {
        if let Some((_, pool)) = self.pool.as_ref().filter(|(known, _)| *known == size) {
            return pool.clone();
        }
        let size_32 = u32::try_from(size).expect("is small");
        let pool = RqlitePoolOptions::new().max_connections(size_32);
        let pool = self.runtime.block_on(pool.connect(&self.url));
        let pool = pool.expect("connects");
        self.pool = Some((size, pool.clone()));
        pool
    }
}

async fn once(pool: &RqlitePool, kind: Kind, operation: usize) {
    match kind {
        Kind::Insert => {
            let insert = query(INSERT).bind("item").bind(0.37).bind("in stock");
            insert.execute(pool).await.expect("inserts");
        }
        Kind::Select => {
            let select = query_as::<_, Row>(FIND).bind(key(operation));
            let _row = select.fetch_one(pool).await.expect("is there");
        }
        _ => {
            let rows = query_as::<_, Row>(LOAD).fetch_all(pool).await;
            assert_eq!(rows.expect("loads").len(), ROWS);
        }
    }
}

impl Client for Sqlx {
    fn name(&self) -> String {
        format!("sqlx-rqlite 0.1, {} thread(s)", self.threads)
    }

    fn run(&mut self, task: &Task) -> bool {
        let kind = task.kind;
        if ![Kind::Insert, Kind::Select, Kind::Load].contains(&kind) {
            return false;
        }
        let mut pools = vec![self.pool(task.workers); task.workers];
        in_tasks(&self.runtime, task, &mut pools, |pool, share| async move {
            for operation in share {
                once(&pool, kind, operation).await;
            }
            pool
        });
        true
    }
}
