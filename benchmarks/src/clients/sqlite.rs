//! Diesel's SQLite, on a local file, with the write-ahead log that rqlite uses too.

use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tempfile::TempDir;

use super::{Client, key};
use crate::schema::{BATCH, Item, NewItem, ROWS, SCHEMA, items, new_items};

pub struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    pub fn open() -> Result<Self, Box<dyn Error>> {
        Ok(Sqlite {
            folder: TempDir::new()?,
        })
    }

    /// A table filled anew.
    pub fn client(&self) -> Result<Connected, Box<dyn Error>> {
        let path = self.folder.path().join("items.db");
        let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
        conn.batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
        conn.batch_execute(SCHEMA)?;
        let batch = new_items(BATCH);
        for _ in 0..ROWS / BATCH {
            insert(&mut conn, &batch)?;
        }
        Ok(Connected {
            conn,
            one: new_items(1).remove(0),
            batch,
        })
    }
}

pub struct Connected {
    conn: SqliteConnection,
    one: NewItem,
    batch: Vec<NewItem>,
}

fn find(conn: &mut SqliteConnection, id: i64) -> QueryResult<Item> {
    items::table.find(id).select(Item::as_select()).first(conn)
}

fn insert(conn: &mut SqliteConnection, batch: &[NewItem]) -> QueryResult<usize> {
    conn.transaction(|conn| {
        for item in batch {
            diesel::insert_into(items::table)
                .values(item)
                .execute(conn)?;
        }
        Ok(batch.len())
    })
}

impl Client for Connected {
    fn name(&self) -> String {
        "Diesel on SQLite, a local file".to_owned()
    }

    fn run(&mut self, task: &str, operations: usize) -> bool {
        let conn = &mut self.conn;
        for operation in 0..operations {
            let done = match task {
                "insert one" => diesel::insert_into(items::table)
                    .values(&self.one)
                    .execute(conn),
                "select one by key" => find(conn, key(operation)).map(|_| 1),
                "insert 10,000, per row" => insert(conn, &self.batch),
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
            done.expect("is done");
        }
        true
    }
}
