//! Plain SQL over bare HTTP; answers are read, not decoded.

use diesel_rqlite_tests::Rqlited;
use serde_json::{Value, json};

use super::{Client, key};
use crate::schema::{BATCH, FIND, INSERT, LOAD, UPDATE, new_items};

pub struct Bare {
    agent: ureq::Agent,
    query: String,
    execute: String,
}

impl Bare {
    pub fn new(node: &Rqlited) -> Self {
        let url = node.http_url();
        Bare {
            agent: ureq::Agent::config_builder().proxy(None).build().into(),
            query: format!("{url}/db/query?level=weak"),
            execute: format!("{url}/db/execute"),
        }
    }

    fn post(&self, url: &str, body: &Value) -> usize {
        let mut response = self
            .agent
            .post(url)
            .content_type("application/json")
            .send(body.to_string())
            .expect("answers");
        let body = response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_vec();
        body.expect("answers").len()
    }
}

impl Client for Bare {
    fn name(&self) -> String {
        "bare HTTP".to_owned()
    }

    fn run(&mut self, task: &str, operations: usize) -> bool {
        for operation in 0..operations {
            match task {
                "insert one" => {
                    self.post(&self.execute, &json!([[INSERT, "item", 0.37, "in stock"]]));
                }
                "select one by key" => {
                    self.post(&self.query, &json!([[FIND, key(operation)]]));
                }
                "insert 10,000, per row" => {
                    let all = new_items(BATCH);
                    let rows = vec!["(?, ?, ?)"; BATCH].join(", ");
                    let mut statement = vec![json!(format!(
                        "INSERT INTO items (name, price, note) VALUES {rows}"
                    ))];
                    for item in all {
                        statement.extend([json!(item.name), json!(item.price), json!(item.note)]);
                    }
                    self.post(&self.execute, &json!([statement]));
                }
                "load 100,000 x 4, per row" => {
                    self.post(&self.query, &json!([[LOAD]]));
                }
                _ => {
                    let (one, other) = (key(operation), key(operation + 1));
                    self.post(&self.query, &json!([[FIND, one]]));
                    self.post(&self.query, &json!([[FIND, other]]));
                    let writes = json!([
                        [UPDATE, one],
                        [UPDATE, other],
                        [INSERT, "item", 0.37, "in stock"]
                    ]);
                    self.post(&format!("{}?transaction", self.execute), &writes);
                }
            }
        }
        true
    }
}
