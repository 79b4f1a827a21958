//! Plain SQL over bare HTTP. Answers are read only, or decoded as a program would do that knows its query.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, in_threads, key};
use crate::schema::{BATCH, FIND, INSERT, Item, LOAD, UPDATE, new_items};
use crate::server::Server;
use crate::task::{Kind, Task};

pub struct Bare {
    decodes: bool,
    query: String,
    execute: String,
    agents: Vec<ureq::Agent>,
}

impl Bare {
    pub fn new(server: &Server, decodes: bool) -> Self {
        let url = server.http_url();
        Bare {
            decodes,
            query: format!("{url}/db/query?level=weak"),
            execute: format!("{url}/db/execute"),
            agents: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Rows>,
}

#[derive(Deserialize)]
struct Rows {
    values: Vec<Item>,
}

fn decode(answer: &[u8]) {
    let answer: Answer = serde_json::from_slice(answer).expect("has rows");
    assert!(answer.results.iter().all(|rows| !rows.values.is_empty()));
}

fn post(agent: &ureq::Agent, url: &str, body: &Value) -> Vec<u8> {
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
    body.expect("answers")
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
        match self.decodes {
            true => "bare HTTP, decoded".to_owned(),
            false => "bare HTTP".to_owned(),
        }
    }

    fn run(&mut self, task: &Task) -> bool {
        let agent = || ureq::Agent::config_builder().proxy(None).build().into();
        if self.decodes && matches!(task.kind, Kind::Insert | Kind::Batch) {
            return false;
        }
        let (query, execute, decodes) = (&self.query, &self.execute, self.decodes);
        in_threads(task, &mut self.agents, agent, |agent, operation| {
            let (one, other) = (key(operation), key(operation + 1));
            let insert = json!([INSERT, "item", 0.37, "in stock"]);
            let write = |url: &str, writes: &Value| {
                assert!(!post(agent, url, writes).is_empty());
            };
            let read = |select: Value| match (decodes, post(agent, query, &select)) {
                (true, answer) => decode(&answer),
                (false, answer) => assert!(!answer.is_empty()),
            };
            match task.kind {
                Kind::Insert => write(execute, &json!([insert])),
                Kind::Select => read(json!([[FIND, one]])),
                Kind::Batch => write(execute, &batch()),
                Kind::Load => read(json!([[LOAD]])),
                Kind::Transaction => {
                    read(json!([[FIND, one]]));
                    read(json!([[FIND, other]]));
                    let writes = json!([[UPDATE, one], [UPDATE, other], insert]);
                    write(&format!("{execute}?transaction"), &writes);
                }
            }
        });
        true
    }
}
