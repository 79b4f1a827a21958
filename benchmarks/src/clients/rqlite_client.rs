//! The crate rqlite_client.

use rqlite_client::response;
use rqlite_client::{Connection, Mapping};
use serde_json::Value;

use super::{Client, in_threads, key};
use crate::schema::{BATCH, FIND, INSERT, LOAD, ROWS, new_items};
use crate::server::Server;
use crate::task::{Kind, Task};

pub struct RqliteClient {
    url: String,
    connections: Vec<Connection>,
}

impl RqliteClient {
    pub fn new(server: &Server) -> Self {
        RqliteClient {
            url: server.http_url(),
            connections: Vec::new(),
        }
    }
}

fn rows(connection: &Connection, sql: &[Value]) -> usize {
    let query = connection.query().set_weak().push_sql_values(sql);
    let answer = response::query::Query::from(query.request_run().expect("answers"));
    match answer.results().next() {
        Some(Mapping::Standard(rows)) => rows.values.as_ref().map_or(0, Vec::len),
        _ => 0,
    }
}

fn insert(connection: &Connection, sql: String, items: usize) {
    let mut values = vec![Value::from(sql)];
    for item in new_items(items) {
        values.extend([
            Value::from(item.name),
            Value::from(item.price),
            Value::from(item.note),
        ]);
    }
    let query = connection.execute().push_sql_values(&values);
    query.request_run().expect("inserts");
}

impl Client for RqliteClient {
    fn name(&self) -> String {
        "rqlite_client 0.1".to_owned()
    }

    fn run(&mut self, task: &Task) -> bool {
        if task.kind == Kind::Transaction {
            return false;
        }
        let connect = || Connection::new(&self.url).expect("is a URL");
        in_threads(
            task,
            &mut self.connections,
            connect,
            |connection, operation| {
                let find = [Value::from(FIND), Value::from(key(operation))];
                match task.kind {
                    Kind::Insert => insert(connection, INSERT.to_owned(), 1),
                    Kind::Select => assert_eq!(rows(connection, &find), 1),
                    Kind::Load => assert_eq!(rows(connection, &[Value::from(LOAD)]), ROWS),
                    Kind::Batch | Kind::Transaction => {
                        let rows = vec!["(?, ?, ?)"; BATCH].join(", ");
                        let sql = format!("INSERT INTO items (name, price, note) VALUES {rows}");
                        insert(connection, sql, BATCH);
                    }
                }
            },
        );
        true
    }
}
