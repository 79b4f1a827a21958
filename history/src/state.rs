//! What is left in the database, on every node.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

use crate::Error;
use crate::check::{Anomaly, Kind};
use crate::history::State;
use crate::workload;

/// How long nodes may take to catch up.
const PATIENCE: Duration = Duration::from_secs(60);

/// All rows of all tables, as SQL literals.
type Dump = BTreeMap<String, Vec<String>>;

/// The final state, once all nodes have it and nothing changes any more. The first URL is asked through the Raft log,
/// the others each for what its own node holds.
pub(crate) fn settled(strong: &str, nodes: &[String]) -> Result<(State, Option<Anomaly>), Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = compare(strong, nodes);
        let is_over = Instant::now() > deadline;
        match found {
            Ok((state, None)) => return Ok((state, None)),
            outcome if is_over => return outcome,
            // A node that has just started has no leader yet, or lags behind.
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

fn compare(strong: &str, nodes: &[String]) -> Result<(State, Option<Anomaly>), Error> {
    let mut connection = RqliteConnection::establish(strong)?;
    let wanted = dump(&mut connection)?;
    let mut differences = Vec::new();
    for node in nodes {
        let there = dump(&mut RqliteConnection::establish(node)?)?;
        differences.extend(difference(node, &wanted, &there));
    }
    let state = workload::state(&mut connection)?;
    differences.extend(difference(
        "a moment later",
        &wanted,
        &dump(&mut connection)?,
    ));
    let anomaly = (!differences.is_empty())
        .then(|| Anomaly::new(Kind::ReplicasDiffer, Vec::new(), differences.join("; ")));
    Ok((state, anomaly))
}

fn difference(place: &str, wanted: &Dump, there: &Dump) -> Option<String> {
    let tables = wanted.keys().chain(there.keys());
    let mut tables = tables.filter(|&table| wanted.get(table) != there.get(table));
    tables.next().map(|table| format!("table {table}, {place}"))
}

#[derive(QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    value: String,
}

fn texts(connection: &mut RqliteConnection, sql: &str) -> QueryResult<Vec<String>> {
    let rows: Vec<Text> = diesel::sql_query(sql).load(connection)?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// Every table, those that the connection keeps for itself included.
fn dump(connection: &mut RqliteConnection) -> QueryResult<Dump> {
    let tables = "SELECT name AS value FROM sqlite_master \
                  WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut dump = Dump::new();
    for table in texts(connection, tables)? {
        let columns = format!("SELECT name AS value FROM pragma_table_info('{table}')");
        let columns = texts(connection, &columns)?;
        let columns: Vec<_> = columns
            .iter()
            .map(|name| format!("quote(\"{name}\")"))
            .collect();
        let row = columns.join(" || ',' || ");
        let rows = format!("SELECT {row} AS value FROM \"{table}\" ORDER BY 1");
        let rows = texts(connection, &rows)?;
        dump.insert(table, rows);
    }
    Ok(dump)
}
