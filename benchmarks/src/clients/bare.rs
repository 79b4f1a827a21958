//! Plain SQL over bare HTTP; answers are read, not decoded.

use serde_json::{Value, json};

use super::{Client, in_threads, key};
use crate::schema::{BATCH, FIND, INSERT, LOAD, UPDATE, new_items};
use crate::server::Server;
use crate::task::{Kind, Task};

pub struct Bare {
    query: String,
    execute: String,
    agents: Vec<ureq::Agent>,
}

impl Bare {
    pub fn new(server: &Server) -> Self {
        let url = server.http_url();
        Bare {
            query: format!("{url}/db/query?level=weak"),
            execute: format!("{url}/db/execute"),
            agents: Vec::new(),
        }
    }
}

fn post(agent: &ureq::Agent, url: &str, body: &Value) {
    let mut response = agent
        .post(url)
        .content_type("application/json")
        .send(body.to_string())
        .expect("answers");
    let body = response
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_vec();
    assert!(!body.expect("answers").is_empty());
}

/// One statement of 10,000 rows.
fn batch() -> Value {
    let rows = vec!["(?, ?, ?)"; BATCH].join(", ");
    let sql = format!("INSERT INTO items (name, price, note) VALUES {rows}");
    let mut statement = vec![json!(sql)];
    for item in new_items(BATCH) {
        statement.extend([json!(item.name), json!(item.price), json!(item.note)]);
    }
    json!([statement])
}

impl Client for Bare {
    fn name(&self) -> String {
        "bare HTTP".to_owned()
    }

    fn run(&mut self, task: &Task) -> bool {
        let agent = || ureq::Agent::config_builder().proxy(None).build().into();
        let (query, execute) = (&self.query, &self.execute);
        in_threads(task, &mut self.agents, agent, |agent, operation| {
            let (one, other) = (key(operation), key(operation + 1));
            let insert = json!([INSERT, "item", 0.37, "in stock"]);
            match task.kind {
                Kind::Insert => post(agent, execute, &json!([insert])),
                Kind::Select => post(agent, query, &json!([[FIND, one]])),
                Kind::Batch => post(agent, execute, &batch()),
                Kind::Load => post(agent, query, &json!([[LOAD]])),
                Kind::Transaction => {
                    post(agent, query, &json!([[FIND, one]]));
                    post(agent, query, &json!([[FIND, other]]));
                    let writes = json!([[UPDATE, one], [UPDATE, other], insert]);
                    post(agent, &format!("{execute}?transaction"), &writes);
                }
            }
        });
        true
    }
}
