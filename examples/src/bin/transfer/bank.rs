//! Two accounts, and a transfer from one to the other: as it should be, and as it should not.

use std::thread;
use std::time::Duration;

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

pub(crate) const TABLES: &[&str] = &["transfer_accounts", "transfer_log"];

/// In cents, as all amounts are: numbers with a fraction are stored as binary ones, and 0.1 is none of these.
pub(crate) const AMOUNT: i64 = 50_00;

const SOURCE: i32 = 1;
const TARGET: i32 = 2;

/// Between what a transfer reads and what it writes.
const THINKING: Duration = Duration::from_millis(5);

diesel::table! {
    transfer_accounts (id) {
        id -> Integer,
        balance -> BigInt,
    }
}

diesel::table! {
    transfer_log (id) {
        id -> BigInt,
    }
}

/// The first account has just enough for all transfers.
pub(crate) fn create(total: i64) -> String {
    format!(
        "CREATE TABLE transfer_accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
        INSERT INTO transfer_accounts VALUES ({SOURCE}, {total}), ({TARGET}, 0);
        CREATE TABLE transfer_log (id INTEGER PRIMARY KEY);"
    )
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Now,
    /// By an earlier attempt, whose answer was lost.
    Before,
}

/// Moves the amount unless that was done already: what belongs together is one transaction, the transfer's own number
/// included. So it may be run again whatever became of it.
pub(crate) fn transfer(
    conn: &mut RqliteConnection,
    id: i64,
    meanwhile: impl Fn(),
) -> QueryResult<Done> {
    conn.transaction(|conn| {
        let logged: i64 = transfer_log::table.find(id).count().get_result(conn)?;
        if logged > 0 {
            return Ok(Done::Before);
        }
        let [source, target] = [balance(conn, SOURCE)?, balance(conn, TARGET)?];
        thread::sleep(THINKING);
        meanwhile();
        set(conn, SOURCE, source - AMOUNT)?;
        set(conn, TARGET, target + AMOUNT)?;
        log(conn, id)?;
        Ok(Done::Now)
    })
}

/// The same steps, each applied by itself. Who has read before we write, and writes behind us, undoes what we did;
/// no error tells.
pub(crate) fn transfer_unguarded(conn: &mut RqliteConnection, id: i64) -> QueryResult<()> {
    let [source, target] = [balance(conn, SOURCE)?, balance(conn, TARGET)?];
    thread::sleep(THINKING);
    set(conn, SOURCE, source - AMOUNT)?;
    set(conn, TARGET, target + AMOUNT)?;
    log(conn, id)
}

fn balance(conn: &mut RqliteConnection, id: i32) -> QueryResult<i64> {
    let account = transfer_accounts::table.find(id);
    account.select(transfer_accounts::balance).first(conn)
}

fn set(conn: &mut RqliteConnection, id: i32, balance: i64) -> QueryResult<()> {
    diesel::update(transfer_accounts::table.find(id))
        .set(transfer_accounts::balance.eq(balance))
        .execute(conn)?;
    Ok(())
}

fn log(conn: &mut RqliteConnection, id: i64) -> QueryResult<()> {
    diesel::insert_into(transfer_log::table)
        .values(transfer_log::id.eq(id))
        .execute(conn)?;
    Ok(())
}

/// What is there at the end.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) source: i64,
    pub(crate) target: i64,
    /// How many transfers.
    pub(crate) logged: i64,
}

impl State {
    pub(crate) fn read(conn: &mut RqliteConnection) -> QueryResult<Self> {
        Ok(State {
            source: balance(conn, SOURCE)?,
            target: balance(conn, TARGET)?,
            logged: transfer_log::table.count().get_result(conn)?,
        })
    }
}
