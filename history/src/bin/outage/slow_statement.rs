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
/// How often the number of steps is corrected: other programs make the same statement take less or more.
const TRIES: u32 = 5;
/// More than is wanted, since less is no proof of anything.
const MORE: f64 = 1.15;
/// The default of `request_timeout`: longer than this no statement may take.
const LONGEST: Duration = Duration::from_secs(30);

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

/// Runs a statement with as many steps as take long enough. The number is left for the next connection to begin with.
fn lasting(
    what: &'static str,
    takes: Duration,
    steps: &mut u64,
    mut run: impl FnMut(u64) -> Result<(), String>,
) -> Slow {
    let mut tries = 0;
    loop {
        tries += 1;
        let began = Instant::now();
        let error = run(*steps).err();
        let took = began.elapsed();
        let is_short = error.is_none() && took < takes;
        let is_long = error.is_some() && took >= LONGEST;
        if tries < TRIES && (is_short || is_long) {
            let factor = takes.as_secs_f64() * MORE / took.as_secs_f64();
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss
            )]
            {
                *steps = (*steps as f64 * factor) as u64;
            }
            continue;
        }
        let error = error.or_else(|| is_short.then(|| "it took too little time".to_owned()));
        return Slow {
            what,
            seconds: took.as_secs_f64(),
            error,
        };
    }
}

/// A read and a write on a blocking connection, and on an asynchronous one, each of about this time.
pub(crate) fn all(runtime: &Runtime, url: &str, takes: Duration) -> Result<Vec<Slow>, Error> {
    let (mut read_steps, mut write_steps) = (FEW, FEW);
    let mut connection = RqliteConnection::establish(url)?;
    let mut blocking = |sql: String| {
        let outcome = diesel::RunQueryDsl::execute(diesel::sql_query(sql), &mut connection);
        outcome.map(drop).map_err(|error| error.to_string())
    };
    let mut ends = vec![
        lasting("blocking read", takes, &mut read_steps, |steps| {
            blocking(read(steps))
        }),
        lasting("blocking write", takes, &mut write_steps, |steps| {
            blocking(write(steps))
        }),
    ];
    let mut connection = runtime.block_on(AsyncRqliteConnection::establish(url))?;
    let mut asynchronous = |sql: String| {
        let query = diesel::sql_query(sql);
        let outcome = runtime.block_on(diesel_async::RunQueryDsl::execute(query, &mut connection));
        outcome.map(drop).map_err(|error| error.to_string())
    };
    ends.push(lasting(
        "asynchronous read",
        takes,
        &mut read_steps,
        |steps| asynchronous(read(steps)),
    ));
    ends.push(lasting(
        "asynchronous write",
        takes,
        &mut write_steps,
        |steps| asynchronous(write(steps)),
    ));
    Ok(ends)
}
