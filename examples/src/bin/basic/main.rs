//! Tables, rows and queries, by a blocking and by an asynchronous connection.
//!
//! `cargo run -p diesel-rqlite-examples --bin basic`, with `-- sync` or `-- async` only one of both.
#![allow(clippy::print_stdout)]

mod asynchronous;
mod blocking;

use diesel::prelude::*;
use diesel_rqlite::RqliteConfig;
use diesel_rqlite_examples::{Failure, Server, Tables};

/// SQLite's types: `INTEGER PRIMARY KEY` is the id that it gives to each row.
const CREATE: &str = "
    CREATE TABLE basic_people (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        city TEXT NOT NULL,
        born INTEGER
    );";

// What Diesel knows about the table. A query that does not fit is an error of the compiler.
diesel::table! {
    basic_people (id) {
        id -> Integer,
        name -> Text,
        city -> Text,
        born -> Nullable<Integer>,
    }
}

/// A row, by the names of its columns: for queries written in SQL, and for others.
#[derive(Debug, PartialEq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = basic_people)]
struct Person {
    name: String,
    born: Option<i32>,
}

/// A row to be inserted, by the names of its columns.
#[derive(Insertable)]
#[diesel(table_name = basic_people)]
struct NewPerson<'a> {
    name: &'a str,
    city: &'a str,
    born: Option<i32>,
}

const MATHEMATICIANS: [NewPerson<'static>; 4] = [
    NewPerson {
        name: "Emmy",
        city: "Erlangen",
        born: Some(1882),
    },
    NewPerson {
        name: "Sofja",
        city: "Moscow",
        born: Some(1850),
    },
    NewPerson {
        name: "Carl",
        city: "Brunswick",
        born: Some(1777),
    },
    NewPerson {
        name: "Hypatia",
        city: "Alexandria",
        born: None,
    },
];

fn main() -> Result<(), Failure> {
    let ways = std::env::args().nth(1);
    let (sync, asynchronous) = match ways.as_deref() {
        None => (true, true),
        Some("sync") => (true, false),
        Some("async") => (false, true),
        Some(other) => return Err(format!("{other}: neither sync nor async").into()),
    };
    let server = Server::rqlite()?;
    let config: RqliteConfig = server.url().parse()?;
    if sync {
        println!("sync");
        let _tables = Tables::create(&config, &["basic_people"], CREATE)?;
        blocking::run(&config)?;
    }
    if asynchronous {
        println!("async");
        let _tables = Tables::create(&config, &["basic_people"], CREATE)?;
        asynchronous::run(&config)?;
    }
    Ok(())
}
