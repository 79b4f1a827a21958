//! This crate's blocking connection.

use std::error::Error;

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use super::{Client, key};
use crate::schema::{BATCH, Item, NewItem, ROWS, items, new_items};

pub struct Blocking {
    conn: RqliteConnection,
    one: NewItem,
    batch: Vec<NewItem>,
}

impl Blocking {
    pub fn new(node: &Rqlited) -> Result<Self, Box<dyn Error>> {
        Ok(Blocking {
            conn: RqliteConnection::establish(&format!("{}?level=weak", node.url()))?,
            one: new_items(1).remove(0),
            batch: new_items(BATCH),
        })
    }
}

fn find(conn: &mut RqliteConnection, id: i64) -> QueryResult<Item> {
    items::table.find(id).select(Item::as_select()).first(conn)
}

impl Client for Blocking {
    fn name(&self) -> String {
        "diesel-rqlite, blocking".to_owned()
    }

    fn run(&mut self, task: &str, operations: usize) -> bool {
        let conn = &mut self.conn;
        for operation in 0..operations {
            let done = match task {
                "insert one" => diesel::insert_into(items::table)
                    .values(&self.one)
                    .execute(conn),
                "select one by key" => find(conn, key(operation)).map(|_| 1),
                "insert 10,000, per row" => diesel::insert_into(items::table)
                    .values(&self.batch)
                    .execute(conn),
                "load 100,000 x 4, per row" => {
                    let rows = items::table.select(Item::as_select()).limit(100_000);
                    rows.load::<Item>(conn).map(|rows| rows.len())
                }
                _ => conn.transaction(|conn| {
                    let (one, other) = (key(operation), key(operation + 1));
                    for id in [one, other] {
                        find(conn, id)?;
                    }
                    for id in [one, other] {
                        diesel::update(items::table.find(id))
                            .set(items::price.eq(items::price + 1.0))
                            .execute(conn)?;
                    }
                    diesel::insert_into(items::table)
                        .values(&self.one)
                        .execute(conn)
                }),
            };
            let done = done.expect("is done");
            assert!([1, BATCH, ROWS].contains(&done));
        }
        true
    }
}
