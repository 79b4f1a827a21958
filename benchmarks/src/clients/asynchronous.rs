//! This crate's asynchronous connection.

use std::error::Error;

use diesel::{ExpressionMethods, QueryDsl, QueryResult, SelectableHelper};
use diesel_async::{AsyncConnection, RunQueryDsl};
use diesel_rqlite::AsyncRqliteConnection;
use diesel_rqlite_tests::Rqlited;
use tokio::runtime::Runtime;

use super::{Client, key};
use crate::schema::{BATCH, Item, NewItem, items, new_items};

pub struct Asynchronous {
    runtime: Runtime,
    threads: usize,
    conn: Option<AsyncRqliteConnection>,
    one: NewItem,
    batch: Vec<NewItem>,
}

/// A runtime of one thread, the caller's, or of several.
pub fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}

impl Asynchronous {
    pub fn new(node: &Rqlited, threads: usize) -> Result<Self, Box<dyn Error>> {
        let runtime = runtime(threads)?;
        let url = format!("{}?level=weak", node.url());
        let conn = runtime.block_on(AsyncRqliteConnection::establish(&url))?;
        Ok(Asynchronous {
            runtime,
            threads,
            conn: Some(conn),
            one: new_items(1).remove(0),
            batch: new_items(BATCH),
        })
    }
}

async fn find(conn: &mut AsyncRqliteConnection, id: i64) -> QueryResult<Item> {
    items::table
        .find(id)
        .select(Item::as_select())
        .first(conn)
        .await
}

async fn once(
    conn: &mut AsyncRqliteConnection,
    task: &str,
    operation: usize,
    one: &NewItem,
    batch: &[NewItem],
) -> QueryResult<()> {
    match task {
        "insert one" => {
            diesel::insert_into(items::table)
                .values(one)
                .execute(conn)
                .await?;
        }
        "select one by key" => {
            find(conn, key(operation)).await?;
        }
        "insert 10,000, per row" => {
            diesel::insert_into(items::table)
                .values(batch)
                .execute(conn)
                .await?;
        }
        "load 100,000 x 4, per row" => {
            let rows = items::table.select(Item::as_select()).limit(100_000);
            rows.load::<Item>(conn).await?;
        }
        _ => {
            conn.transaction(async |conn| {
                let (one_id, other) = (key(operation), key(operation + 1));
                for id in [one_id, other] {
                    find(conn, id).await?;
                }
                for id in [one_id, other] {
                    diesel::update(items::table.find(id))
                        .set(items::price.eq(items::price + 1.0))
                        .execute(conn)
                        .await?;
                }
                diesel::insert_into(items::table)
                    .values(one)
                    .execute(conn)
                    .await
            })
            .await?;
        }
    }
    Ok(())
}

impl Client for Asynchronous {
    fn name(&self) -> String {
        format!("diesel-rqlite, async, {} thread(s)", self.threads)
    }

    fn run(&mut self, task: &str, operations: usize) -> bool {
        let Some(mut conn) = self.conn.take() else {
            return false;
        };
        let (task, one, batch) = (task.to_owned(), self.one.clone(), self.batch.clone());
        // As a service does: in a task.
        let done = self.runtime.block_on(async {
            let task = tokio::spawn(async move {
                for operation in 0..operations {
                    once(&mut conn, &task, operation, &one, &batch).await?;
                }
                Ok::<_, diesel::result::Error>(conn)
            });
            task.await
        });
        self.conn = Some(done.expect("ends").expect("is done"));
        true
    }
}
