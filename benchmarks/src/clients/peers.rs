//! Other clients of rqlite for Rust.

use std::error::Error;

use diesel_rqlite_tests::Rqlited;
use rqlite_client::response;
use rqlite_client::{Connection, Mapping};
use rqlite_rs::prelude::*;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::asynchronous::runtime;
use super::{Client, key};
use crate::schema::{BATCH, FIND, INSERT, LOAD, ROWS, new_items};

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
    client: std::sync::Arc<RqliteClient>,
}

impl RqliteRs {
    pub fn new(node: &Rqlited, threads: usize) -> Result<Self, Box<dyn Error>> {
        let client = RqliteClientBuilder::new()
            .known_host(node.address())
            .build()?;
        Ok(RqliteRs {
            runtime: runtime(threads)?,
            threads,
            client: client.into(),
        })
    }
}

async fn once(client: &RqliteClient, task: &str, operation: usize) {
    match task {
        "insert one" => {
            let query = rqlite_rs::query!(INSERT, "item", 0.37, "in stock").expect("builds");
            client.exec(query).await.expect("inserts");
        }
        "select one by key" => {
            let query = rqlite_rs::query!(FIND, key(operation)).expect("builds");
            let rows = client.fetch(query).await.expect("answers");
            let rows = rows.into_typed::<Row>().expect("decodes");
            assert_eq!(rows.len(), 1);
        }
        _ => {
            let query = rqlite_rs::query!(LOAD).expect("builds");
            let rows = client.fetch(query).await.expect("answers");
            let rows = rows.into_typed::<Row>().expect("decodes");
            assert_eq!(rows.len(), ROWS);
        }
    }
}

impl Client for RqliteRs {
    fn name(&self) -> String {
        format!("rqlite-rs 0.6, {} thread(s)", self.threads)
    }

    fn run(&mut self, task: &str, operations: usize) -> bool {
        if ![
            "insert one",
            "select one by key",
            "load 100,000 x 4, per row",
        ]
        .contains(&task)
        {
            return false;
        }
        let (client, task) = (self.client.clone(), task.to_owned());
        self.runtime.block_on(async {
            let task = tokio::spawn(async move {
                for operation in 0..operations {
                    once(&client, &task, operation).await;
                }
            });
            task.await.expect("ends");
        });
        true
    }
}

pub struct RqliteClientUreq {
    connection: Connection,
}

impl RqliteClientUreq {
    pub fn new(node: &Rqlited) -> Result<Self, Box<dyn Error>> {
        Ok(RqliteClientUreq {
            connection: Connection::new(&node.http_url())?,
        })
    }

    fn rows(&self, sql: &[Value]) -> usize {
        let query = self.connection.query().set_weak().push_sql_values(sql);
        let answer = response::query::Query::from(query.request_run().expect("answers"));
        match answer.results().next() {
            Some(Mapping::Standard(rows)) => rows.values.as_ref().map_or(0, Vec::len),
            _ => 0,
        }
    }
}

impl Client for RqliteClientUreq {
    fn name(&self) -> String {
        "rqlite_client 0.1".to_owned()
    }

    fn run(&mut self, task: &str, operations: usize) -> bool {
        for operation in 0..operations {
            match task {
                "insert one" => {
                    let query = self.connection.execute();
                    let query = query.push_sql_values(&[
                        Value::from(INSERT),
                        Value::from("item"),
                        Value::from(0.37),
                        Value::from("in stock"),
                    ]);
                    query.request_run().expect("inserts");
                }
                "select one by key" => {
                    let sql = [Value::from(FIND), Value::from(key(operation))];
                    assert_eq!(self.rows(&sql), 1);
                }
                "load 100,000 x 4, per row" => {
                    assert_eq!(self.rows(&[Value::from(LOAD)]), ROWS);
                }
                "insert 10,000, per row" => {
                    let rows = vec!["(?, ?, ?)"; BATCH].join(", ");
                    let sql = format!("INSERT INTO items (name, price, note) VALUES {rows}");
                    let mut values = vec![Value::from(sql)];
                    for item in new_items(BATCH) {
                        values.extend([
                            Value::from(item.name),
                            Value::from(item.price),
                            Value::from(item.note),
                        ]);
                    }
                    let query = self.connection.execute().push_sql_values(&values);
                    query.request_run().expect("inserts");
                }
                _ => return false,
            }
        }
        true
    }
}
