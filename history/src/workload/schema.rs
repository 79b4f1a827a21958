//! The tables of all workloads.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

use crate::history::{self, State};

use super::{bank, on_call};

diesel::table! {
    lists (id) {
        id -> BigInt,
        items -> Text,
    }
}

diesel::table! {
    accounts (id) {
        id -> BigInt,
        balance -> BigInt,
    }
}

diesel::table! {
    doctors (id) {
        id -> BigInt,
        pair -> BigInt,
        on_call -> Bool,
    }
}

diesel::table! {
    counters (id) {
        id -> BigInt,
        last -> BigInt,
    }
}

diesel::table! {
    tickets (id) {
        id -> BigInt,
        number -> BigInt,
        holder -> BigInt,
    }
}

/// Without constraints that would hide an anomaly behind an error.
const TABLES: &str = "
    CREATE TABLE lists (id INTEGER PRIMARY KEY, items TEXT NOT NULL);
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    CREATE TABLE doctors (id INTEGER PRIMARY KEY, pair INTEGER NOT NULL, on_call INTEGER NOT NULL);
    CREATE TABLE counters (id INTEGER PRIMARY KEY, last INTEGER NOT NULL);
    CREATE TABLE tickets (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, holder INTEGER NOT NULL);
";

/// The only counter.
pub(super) const COUNTER: i64 = 1;

pub(crate) fn create(connection: &mut RqliteConnection) -> QueryResult<()> {
    connection.batch_execute(TABLES)?;
    let filled: Vec<_> = (0..bank::ACCOUNTS)
        .map(|id| (accounts::id.eq(id), accounts::balance.eq(bank::BALANCE)))
        .collect();
    diesel::insert_into(accounts::table)
        .values(filled)
        .execute(connection)?;
    let present: Vec<_> = (0..2 * on_call::PAIRS)
        .map(|id| {
            (
                doctors::id.eq(id),
                doctors::pair.eq(id / 2),
                doctors::on_call.eq(true),
            )
        })
        .collect();
    diesel::insert_into(doctors::table)
        .values(present)
        .execute(connection)?;
    diesel::insert_into(counters::table)
        .values((counters::id.eq(COUNTER), counters::last.eq(0)))
        .execute(connection)?;
    Ok(())
}

/// What they hold.
pub(crate) fn state(connection: &mut RqliteConnection) -> QueryResult<State> {
    let texts: Vec<(i64, String)> = lists::table.load(connection)?;
    let lists = texts.iter();
    let lists = lists.map(|(list, text)| (*list, history::items(text)));
    let doctors: Vec<(i64, bool)> = doctors::table
        .select((doctors::pair, doctors::on_call))
        .load(connection)?;
    let mut state = State {
        lists: lists.collect(),
        balances: accounts::table.select(accounts::balance).load(connection)?,
        counter: counters::table
            .find(COUNTER)
            .select(counters::last)
            .first(connection)?,
        tickets: tickets::table
            .select((tickets::number, tickets::holder))
            .load(connection)?,
        ..State::default()
    };
    for (pair, is_on_call) in doctors {
        *state.on_call.entry(pair).or_default() += i64::from(is_on_call);
    }
    Ok(state)
}
