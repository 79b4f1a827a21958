//! A statement that takes long on a leader that is well: it must be waited for.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::AsyncConnection;
use diesel_rqlite::{AsyncRqliteConnection, RqliteConnection};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::Error;

/// Steps of the first try, to see how many take a second. A second or two: less would be too rough a measure.
const FEW: u64 = 3_000_000;

/// How a long statement ended.
#[derive(Debug, Serialize)]
pub(crate) struct Slow {
    pub(crate) what: &'static str,
    pub(crate) seconds: f64,
    pub(crate) error: Option<String>,
}

fn counting(steps: u64) -> String {
    format!(
        "WITH RECURSIVE steps(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM steps LIMIT {steps}) \
         SELECT count(*) FROM steps"
    )
}

fn read(steps: u64) -> String {
    format!("SELECT * FROM ({})", counting(steps))
}

fn write(steps: u64) -> String {
    format!("INSERT INTO writes (id) SELECT -({})", counting(steps))
}

/// The statement with so many steps that it takes about this time: a write more than a read, since every node makes it.
fn lasting(
    connection: &mut RqliteConnection,
    takes: Duration,
    statement: fn(u64) -> String,
) -> QueryResult<String> {
    let began = Instant::now();
    diesel::RunQueryDsl::execute(diesel::sql_query(statement(FEW)), connection)?;
    // A little more: that it takes less is no proof of anything.
    let steps = FEW as f64 * takes.as_secs_f64() * 1.1 / began.elapsed().as_secs_f64();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let steps = steps as u64;
    Ok(statement(steps))
}

/// A read and a write on a blocking connection, and on an asynchronous one, each of about this time.
pub(crate) fn all(runtime: &Runtime, url: &str, takes: Duration) -> Result<Vec<Slow>, Error> {
    let mut connection = RqliteConnection::establish(url)?;
    let read = lasting(&mut connection, takes, read)?;
    let write = lasting(&mut connection, takes, write)?;
    let mut ends = Vec::new();
    for (what, sql) in [("blocking read", &read), ("blocking write", &write)] {
        let began = Instant::now();
        let outcome = diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut connection);
        ends.push(Slow::new(what, began, outcome));
    }
    let began = Instant::now();
    let connection = runtime.block_on(AsyncRqliteConnection::establish(url));
    let mut connection = match connection {
        Ok(connection) => connection,
        Err(error) => {
            ends.push(Slow::new("asynchronous connection", began, Err(&error)));
            return Ok(ends);
        }
    };
    for (what, sql) in [("asynchronous read", &read), ("asynchronous write", &write)] {
        let began = Instant::now();
        let query = diesel::sql_query(sql);
        let outcome = runtime.block_on(diesel_async::RunQueryDsl::execute(query, &mut connection));
        ends.push(Slow::new(what, began, outcome));
    }
    Ok(ends)
}

impl Slow {
    fn new(what: &'static str, began: Instant, outcome: Result<usize, impl ToString>) -> Self {
        Slow {
            what,
            seconds: began.elapsed().as_secs_f64(),
            error: outcome.err().map(|error| error.to_string()),
        }
    }
}
