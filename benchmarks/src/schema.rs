//! What is inserted and loaded.

use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use serde::Deserialize;

use crate::server::Server;

diesel::table! {
    items {
        id -> BigInt,
        name -> Text,
        price -> Double,
        note -> Nullable<Text>,
    }
}

#[derive(Clone, Insertable)]
#[diesel(table_name = items)]
pub struct NewItem {
    pub name: String,
    pub price: f64,
    pub note: Option<String>,
}

#[derive(Deserialize, Queryable, Selectable)]
#[diesel(table_name = items)]
#[allow(dead_code)]
pub struct Item {
    pub id: i64,
    pub name: String,
    pub price: f64,
    pub note: Option<String>,
}

pub const SCHEMA: &str = "DROP TABLE IF EXISTS items; CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL NOT NULL, note TEXT)";
pub const FIND: &str = "SELECT id, name, price, note FROM items WHERE id = ?";
pub const INSERT: &str = "INSERT INTO items (name, price, note) VALUES (?, ?, ?)";
pub const UPDATE: &str = "UPDATE items SET price = price + 1 WHERE id = ?";
pub const LOAD: &str = "SELECT id, name, price, note FROM items LIMIT 100000";
pub const BATCH: usize = 10_000;
pub const ROWS: usize = 100_000;

pub fn new_items(count: usize) -> Vec<NewItem> {
    (0..count)
        .map(|n| NewItem {
            name: format!("item number {n}"),
            price: n as f64 * 0.37,
            note: Some("in stock".to_owned()),
        })
        .collect()
}

/// A table of 100,000 rows.
pub fn fill(server: &Server) -> Result<(), Box<dyn Error>> {
    let mut conn = RqliteConnection::establish(&server.url(""))?;
    conn.batch_execute(SCHEMA)?;
    let batch = new_items(BATCH);
    for _ in 0..ROWS / BATCH {
        diesel::insert_into(items::table)
            .values(&batch)
            .execute(&mut conn)?;
    }
    Ok(())
}
