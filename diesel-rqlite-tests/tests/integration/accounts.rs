//! The accounts that transactions are tried on.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::RqliteConnection;
use super::database::Database;

diesel::table! {
    accounts (id) {
        id -> Integer,
        name -> Text,
        balance -> Double,
    }
}

diesel::define_sql_function! {
    /// SQLite's own.
    fn last_insert_rowid() -> diesel::sql_types::Integer;
}

#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Insertable, Identifiable, AsChangeset)]
pub(crate) struct Account {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) balance: f64,
}

pub(crate) const SCHEMA: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, \
     balance REAL NOT NULL CHECK (balance >= 0)); \
     INSERT INTO accounts VALUES (1, 'ann', 100.25), (2, 'bob', 50.1), (3, 'cid', 0)";

pub(crate) fn database() -> Database {
    Database::with(SCHEMA)
}

pub(crate) fn balance(conn: &mut RqliteConnection, id: i32) -> QueryResult<f64> {
    accounts::table
        .find(id)
        .select(accounts::balance)
        .first(conn)
}

pub(crate) fn set_balance(
    conn: &mut RqliteConnection,
    id: i32,
    balance: f64,
) -> QueryResult<usize> {
    diesel::update(accounts::table.find(id))
        .set(accounts::balance.eq(balance))
        .execute(conn)
}

pub(crate) fn open(conn: &mut RqliteConnection, id: i32, name: &str) -> QueryResult<usize> {
    diesel::insert_into(accounts::table)
        .values((
            accounts::id.eq(id),
            accounts::name.eq(name),
            accounts::balance.eq(0.0),
        ))
        .execute(conn)
}

pub(crate) fn is_conflict<T: std::fmt::Debug>(outcome: Result<T, Error>) {
    match outcome {
        Err(Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _)) => {}
        other => panic!("no conflict: {other:?}"),
    }
}
