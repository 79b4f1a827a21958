//! Structs for rows: associations, `save_changes`, upserts, nested transactions.
//!
//! `cargo run -p diesel-rqlite-examples --bin orm`, with `-- sync` or `-- async` only one of both.
#![allow(clippy::print_stdout)]

mod asynchronous;
mod blocking;

use diesel::prelude::*;
use diesel_rqlite::RqliteConfig;
use diesel_rqlite_examples::{Failure, Server, Tables};

const TABLES: &[&str] = &["orm_authors", "orm_books"];

const CREATE: &str = "
    CREATE TABLE orm_authors (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        email TEXT
    );
    CREATE TABLE orm_books (
        id INTEGER PRIMARY KEY,
        author_id INTEGER NOT NULL REFERENCES orm_authors (id),
        title TEXT NOT NULL,
        copies INTEGER NOT NULL DEFAULT 0,
        UNIQUE (author_id, title)
    );";

diesel::table! {
    orm_authors (id) {
        id -> Integer,
        name -> Text,
        email -> Nullable<Text>,
    }
}

diesel::table! {
    orm_books (id) {
        id -> Integer,
        author_id -> Integer,
        title -> Text,
        copies -> Integer,
    }
}

diesel::joinable!(orm_books -> orm_authors (author_id));
diesel::allow_tables_to_appear_in_same_query!(orm_authors, orm_books);

/// `AsChangeset` makes it one that can be changed and saved.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = orm_authors, treat_none_as_null = true)]
struct Author {
    id: i32,
    name: String,
    email: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = orm_authors)]
struct NewAuthor<'a> {
    name: &'a str,
    email: Option<&'a str>,
}

/// `belongs_to` is for an author's books.
#[derive(Debug, Queryable, Selectable, Identifiable, Associations)]
#[diesel(table_name = orm_books, belongs_to(Author))]
struct Book {
    id: i32,
    author_id: i32,
    title: String,
    copies: i32,
}

#[derive(Insertable)]
#[diesel(table_name = orm_books)]
struct NewBook<'a> {
    author_id: i32,
    title: &'a str,
    copies: i32,
}

const AUTHORS: [NewAuthor<'static>; 2] = [
    NewAuthor {
        name: "Mary Shelley",
        email: Some("mary@example.org"),
    },
    NewAuthor {
        name: "Stanisław Lem",
        email: None,
    },
];

fn books(authors: &[Author]) -> [NewBook<'static>; 3] {
    let book = |place: usize, title, copies| NewBook {
        author_id: authors[place].id,
        title,
        copies,
    };
    [
        book(0, "Frankenstein", 3),
        book(1, "Solaris", 5),
        book(1, "The Cyberiad", 2),
    ]
}

/// The titles of each author, in their order.
fn titles(books: &[Vec<Book>]) -> Vec<Vec<&str>> {
    let mut titles = Vec::new();
    for books in books {
        titles.push(books.iter().map(|book| book.title.as_str()).collect());
    }
    titles
}

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
        let _tables = Tables::create(&config, TABLES, CREATE)?;
        blocking::run(&config)?;
    }
    if asynchronous {
        println!("async");
        let _tables = Tables::create(&config, TABLES, CREATE)?;
        asynchronous::run(&config)?;
    }
    Ok(())
}
