//! Accounts, and the log of transfers.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

diesel::table! {
    accounts (id) {
        id -> BigInt,
        balance -> BigInt,
    }
}

diesel::table! {
    log (place) {
        place -> BigInt,
        transfer -> BigInt,
        origin -> BigInt,
        target -> BigInt,
        amount -> BigInt,
    }
}

pub(crate) const ACCOUNTS: i64 = 6;
pub(crate) const BALANCE: i64 = 1000;

/// Without constraints that would hide a loss behind an error: a transfer may be logged twice.
const TABLES: &str = "
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    CREATE TABLE log (place INTEGER PRIMARY KEY, transfer INTEGER NOT NULL, origin INTEGER NOT NULL,
        target INTEGER NOT NULL, amount INTEGER NOT NULL);
";

pub(crate) fn create(connection: &mut RqliteConnection) -> QueryResult<()> {
    connection.batch_execute(TABLES)?;
    let filled: Vec<_> = (0..ACCOUNTS)
        .map(|id| (accounts::id.eq(id), accounts::balance.eq(BALANCE)))
        .collect();
    diesel::insert_into(accounts::table)
        .values(filled)
        .execute(connection)?;
    Ok(())
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = log)]
pub(crate) struct Logged {
    pub(crate) transfer: i64,
    pub(crate) origin: i64,
    pub(crate) target: i64,
    pub(crate) amount: i64,
}

/// What is in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// By account.
    pub(crate) balances: Vec<(i64, i64)>,
    pub(crate) log: Vec<Logged>,
}

impl State {
    pub(crate) fn read(connection: &mut RqliteConnection) -> QueryResult<Self> {
        Ok(State {
            balances: accounts::table.order(accounts::id).load(connection)?,
            log: log::table
                .order(log::place)
                .select(Logged::as_select())
                .load(connection)?,
        })
    }
}
