//! Three nodes in three time zones, and what each of them holds.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::{NodeHttp, RqliteConnection};
use diesel_rqlite_tests::Cluster;
use serde_json::Value;

use crate::grammar::SCHEMA;

/// POSIX forms, which need no files of the system: UTC, Tokyo, New York with its summer time.
const ZONES: [&str; 3] = ["UTC0", "JST-9", "EST5EDT,M3.2.0,M11.1.0"];

/// How long a node may be behind.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Nodes {
    pub(crate) connection: RqliteConnection,
    pub(crate) url: String,
    readers: Vec<NodeHttp>,
    mark: u64,
    // Stopped behind what is connected to it.
    _cluster: Cluster,
}

/// The values of each table, as text that keeps their storage class and every bit.
pub(crate) type Contents = BTreeMap<String, Vec<String>>;

/// What two nodes hold of one table.
pub(crate) struct Difference {
    table: String,
    nodes: Vec<Vec<String>>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "  table {}:", self.table)?;
        for (zone, rows) in ZONES.iter().zip(&self.nodes) {
            writeln!(formatter, "    TZ={zone}: {}", rows.join(" | "))?;
        }
        Ok(())
    }
}

impl Nodes {
    pub(crate) fn start() -> Self {
        let mut cluster = Cluster::in_time_zones(&ZONES);
        let mut connection = connect(&cluster.url(0));
        connection
            .batch_execute("CREATE TABLE mark (n INTEGER NOT NULL); INSERT INTO mark VALUES (0)")
            .expect("creates");
        restart_with_a_new_connection(&mut cluster, 2);
        let readers = (0..ZONES.len()).map(|place| {
            let url = format!("{}?level=none", cluster.node(place).url());
            connect(&url).node_http()
        });
        Nodes {
            readers: readers.collect(),
            url: cluster.url(0),
            connection,
            mark: 0,
            _cluster: cluster,
        }
    }

    /// The same tables for each input.
    pub(crate) fn reset(&mut self) {
        self.connection.batch_execute(SCHEMA).expect("fixed SQL");
    }

    /// Where the nodes differ, once each has applied all that was sent before.
    pub(crate) fn difference(&mut self) -> Vec<Difference> {
        self.mark += 1;
        let mark = format!("UPDATE mark SET n = {}", self.mark);
        self.connection.batch_execute(&mark).expect("fixed SQL");
        let contents: Vec<_> = (0..ZONES.len()).map(|place| self.contents(place)).collect();
        let tables = contents.iter().flat_map(BTreeMap::keys);
        let mut tables: Vec<_> = tables.cloned().collect();
        tables.sort();
        tables.dedup();
        tables
            .into_iter()
            .filter_map(|table| of_table(table, &contents))
            .collect()
    }

    fn contents(&self, place: usize) -> Contents {
        self.wait(place);
        let columns = "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_xinfo(t.name) c \
             WHERE t.type = 'table' ORDER BY t.name, c.cid";
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows(&self.query(place, &[columns])[0]) {
            tables
                .entry(row[0].clone())
                .or_default()
                .push(row[1].clone());
        }
        // It comes first, since the first read behind a change of the schema may see the old one.
        let schema = String::from(
            "SELECT quote(type), quote(name), quote(tbl_name), quote(sql) FROM sqlite_schema",
        );
        let queries = tables.iter().map(|(table, columns)| {
            let columns: Vec<_> = columns
                .iter()
                .map(|column| exact(&quoted(column)))
                .collect();
            format!("SELECT {} FROM {}", columns.join(", "), quoted(table))
        });
        let queries: Vec<_> = std::iter::once(schema).chain(queries).collect();
        let queries: Vec<_> = queries.iter().map(String::as_str).collect();
        let names = std::iter::once("sqlite_schema".to_owned()).chain(tables.into_keys());
        let results = self.query(place, &queries);
        let rows = results.iter().map(|result| {
            let rows = rows(result).into_iter();
            rows.map(|row| row.join(", ")).collect()
        });
        names.zip(rows).collect()
    }

    fn wait(&self, place: usize) {
        let wanted = self.mark.to_string();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = rows(&self.query(place, &["SELECT CAST(n AS TEXT) FROM mark"])[0]);
            if found.first().is_some_and(|row| row[0] == wanted) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "node {place} is behind: {found:?}, not {wanted}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// By plain HTTP, from this node's own file.
    fn query(&self, place: usize, statements: &[&str]) -> Vec<Value> {
        let body = serde_json::to_vec(statements).expect("is JSON");
        let length = body.len() as u64;
        let answer = self.readers[place].post(
            "/db/query?level=none",
            "application/json",
            &mut body.as_slice(),
            Some(length),
        );
        let mut text = String::new();
        let mut answer = answer.expect("answers");
        answer
            .body_mut()
            .read_to_string(&mut text)
            .expect("is text");
        let mut answer: Value = serde_json::from_str(&text).expect(&text);
        let Value::Array(results) = answer["results"].take() else {
            panic!("{text}");
        };
        for (result, sql) in results.iter().zip(statements) {
            assert!(result.get("error").is_none(), "{sql}: {result}");
        }
        assert_eq!(results.len(), statements.len(), "{text}");
        results
    }
}

/// So that what only a connection knows, such as `total_changes()`, differs from what the others know.
fn restart_with_a_new_connection(cluster: &mut Cluster, place: usize) {
    let node = cluster.node_mut(place);
    // Without it, the node would run its log again on the new connection, and count the same.
    let snapshot = connect(&format!("{}?level=none", node.url())).node_http();
    let answer = snapshot.post("/snapshot", "text/plain", &mut std::io::empty(), Some(0));
    assert_eq!(answer.expect("answers").status(), 200);
    node.restart();
}

fn connect(url: &str) -> RqliteConnection {
    RqliteConnection::establish(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn of_table(table: String, contents: &[Contents]) -> Option<Difference> {
    let nodes = contents
        .iter()
        .map(|contents| contents.get(&table).cloned());
    let nodes: Vec<_> = nodes
        .map(|rows| rows.unwrap_or_else(|| vec!["missing".to_owned()]))
        .collect();
    if nodes.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    // Only the rows that are not the same everywhere.
    let mut shown = nodes.clone();
    for (place, rows) in shown.iter_mut().enumerate() {
        rows.retain(|row| {
            nodes
                .iter()
                .enumerate()
                .any(|(other, rows)| other != place && !rows.contains(row))
        });
    }
    Some(Difference {
        table,
        nodes: shown,
    })
}

/// A number as SQL has it, anything else by its bytes.
fn exact(column: &str) -> String {
    format!(
        "typeof({column}) || ' ' || iif(typeof({column}) IN ('integer', 'real'), quote({column}), hex({column}))"
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// All values are texts.
fn rows(result: &Value) -> Vec<Vec<String>> {
    let rows = result["values"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    rows.iter()
        .map(|row| row.as_array().expect("a row").iter().map(text).collect())
        .collect()
}
