//! Diesel's SQLite, on a local file, with the write-ahead log that rqlite uses too.

use std::error::Error;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tempfile::TempDir;

use super::Client;
use super::diesel_operation::diesel_operation;
use crate::schema::{BATCH, NewItem, ROWS, SCHEMA, items, new_items};
use crate::task::Task;

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
        let items = new_items(BATCH);
        for _ in 0..ROWS / BATCH {
            diesel::insert_into(items::table)
                .values(&items)
                .execute(&mut conn)?;
        }
        Ok(Connected { conn, items })
    }
}

pub struct Connected {
    conn: SqliteConnection,
    items: Vec<NewItem>,
}

impl Client for Connected {
    fn name(&self) -> String {
        "Diesel on SQLite, a local file".to_owned()
    }

    fn run(&mut self, task: &Task) -> bool {
        if (task.workers, task.nodes) != (1, 1) {
            return false;
        }
        for operation in 0..task.operations {
            diesel_operation!(&mut self.conn, task.kind, operation, &self.items);
        }
        true
    }
}
