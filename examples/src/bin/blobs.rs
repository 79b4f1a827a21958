//! Bytes, as they are: by SQL, by structs, and by an asynchronous connection.
//!
//! `cargo run -p diesel-rqlite-examples --bin blobs`
#![allow(clippy::print_stdout)]

use diesel::prelude::*;
use diesel::sql_types::{Binary, Integer, Nullable, Text};
use diesel_rqlite::{RqliteConfig, RqliteConnection};
use diesel_rqlite_examples::{Failure, Server, Tables};

const CREATE: &str = "
    CREATE TABLE blob_files (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        content BLOB NOT NULL,
        thumbnail BLOB
    );";

diesel::table! {
    blob_files (id) {
        id -> Integer,
        name -> Text,
        content -> Binary,
        thumbnail -> Nullable<Binary>,
    }
}

diesel::define_sql_function! {
    /// How many bytes a blob has.
    fn length(content: Binary) -> Integer;
}

/// `Vec<u8>` is a blob.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = blob_files, treat_none_as_null = true)]
struct File {
    id: i32,
    name: String,
    content: Vec<u8>,
    thumbnail: Option<Vec<u8>>,
}

/// To be inserted, bytes need not be copied.
#[derive(Insertable)]
#[diesel(table_name = blob_files)]
struct NewFile<'a> {
    name: &'a str,
    content: &'a [u8],
    thumbnail: Option<&'a [u8]>,
}

/// In the answer of a query in SQL, which has no types of its own.
#[derive(QueryableByName)]
struct Content {
    #[diesel(sql_type = Binary)]
    content: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    thumbnail: Option<Vec<u8>>,
    #[diesel(sql_type = Integer)]
    size: i32,
}

/// Every byte there is: zeros, and what is no text in any encoding.
fn all_bytes() -> Vec<u8> {
    (0..=255).collect()
}

fn main() -> Result<(), Failure> {
    let server = Server::rqlite()?;
    let config: RqliteConfig = server.url().parse()?;
    let _tables = Tables::create(&config, &["blob_files"], CREATE)?;
    let mut conn = config.connect()?;
    by_sql(&mut conn)?;
    by_structs(&mut conn)?;
    asynchronous(&config)
}

fn by_sql(conn: &mut RqliteConnection) -> QueryResult<()> {
    let bytes = all_bytes();
    diesel::sql_query(
        "INSERT INTO blob_files (name, content, thumbnail) VALUES (?, ?, ?), (?, ?, ?)",
    )
    .bind::<Text, _>("all")
    .bind::<Binary, _>(&bytes)
    .bind::<Nullable<Binary>, _>(None::<&[u8]>)
    .bind::<Text, _>("none")
    // Not the same as NULL.
    .bind::<Binary, _>(b"")
    .bind::<Nullable<Binary>, _>(Some(&[0_u8][..]))
    .execute(conn)?;
    let found: Vec<Content> = diesel::sql_query(
        "SELECT content, thumbnail, length(content) AS size FROM blob_files ORDER BY id",
    )
    .load(conn)?;
    assert_eq!((&found[0].content, &found[0].thumbnail), (&bytes, &None));
    assert_eq!(found[1].content, b"");
    assert_eq!(found[1].thumbnail.as_deref(), Some(&[0][..]));
    assert_eq!((found[0].size, found[1].size), (256, 0));
    println!(
        "by SQL: {} bytes and {} bytes",
        found[0].size, found[1].size
    );
    Ok(())
}

fn by_structs(conn: &mut RqliteConnection) -> QueryResult<()> {
    let large = all_bytes().repeat(4096);
    let file = diesel::insert_into(blob_files::table)
        .values(NewFile {
            name: "large",
            content: &large,
            thumbnail: Some(&large[..16]),
        })
        .returning(File::as_returning())
        .get_result(conn)?;
    assert!(file.content == large, "a megabyte came back changed");

    let changed = File {
        content: file.content.iter().rev().copied().collect(),
        thumbnail: None,
        ..file
    };
    let saved: File = changed.save_changes(conn)?;
    assert!(saved == changed, "other bytes were saved");

    // Bytes are compared as bytes.
    let with_it: String = blob_files::table
        .filter(blob_files::content.eq(&changed.content))
        .select(blob_files::name)
        .first(conn)?;
    // What only its size is asked of need not travel.
    let sizes: Vec<(String, i32)> = blob_files::table
        .select((blob_files::name, length(blob_files::content)))
        .order(length(blob_files::content).desc())
        .load(conn)?;
    assert_eq!((with_it.as_str(), sizes[0].1), ("large", 1 << 20));
    println!("by structs: {sizes:?}");
    Ok(())
}

#[tokio::main]
async fn asynchronous(config: &RqliteConfig) -> Result<(), Failure> {
    use diesel_async::RunQueryDsl;

    let mut conn = config.connect_async().await?;
    let update = diesel::update(blob_files::table.filter(blob_files::name.eq("none")));
    let updated =
        RunQueryDsl::execute(update.set(blob_files::content.eq(all_bytes())), &mut conn).await?;
    let same = blob_files::table
        .filter(blob_files::content.eq(all_bytes()))
        .order(blob_files::id)
        .select(blob_files::name);
    let same: Vec<String> = RunQueryDsl::load(same, &mut conn).await?;
    assert_eq!(
        (updated, same),
        (1, vec!["all".to_owned(), "none".to_owned()])
    );
    println!("asynchronously: now two files hold all bytes");
    Ok(())
}
