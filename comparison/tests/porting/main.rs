//! An application with its data moves from a SQLite file to rqlite: what diesel-rqlite/docs/porting-from-sqlite.md does step by step.

use clap::Parser as _;
use diesel::prelude::*;
use diesel_rqlite_cli::arguments::Arguments;
use diesel_rqlite_tests::Rqlited;

mod on_rqlite;
mod on_sqlite;

fn tool(url: &str, arguments: &[&str]) -> Result<(), String> {
    let mut all = vec!["diesel-rqlite", "--database-url", url];
    all.extend(arguments);
    let arguments = Arguments::try_parse_from(all).expect("a command line");
    diesel_rqlite_cli::run(arguments).map_err(|error| error.to_string())
}

#[test]
fn the_application_says_the_same_on_both() {
    let mut sqlite = on_sqlite::database::open(":memory:").expect("opens");
    on_sqlite::app::tour(&mut sqlite).expect("on SQLite");
    let node = Rqlited::builder().foreign_keys().start();
    let mut rqlite = on_rqlite::database::open(&node.url()).expect("opens");
    on_rqlite::app::tour(&mut rqlite).expect("on rqlite");
}

#[test]
fn the_application_moves_with_its_data() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("library.db");
    let file = path.to_str().expect("text");
    let mut sqlite = on_sqlite::database::open(file).expect("opens");
    for line in [
        "buy Emma Austen",
        "buy Momo Ende",
        "join Ann",
        "join Bob",
        "lend Emma Ann 2020-02-01",
        "lend Momo Bob",
        "return Momo",
    ] {
        let words: Vec<_> = line.split(' ').collect();
        on_sqlite::app::command(&mut sqlite, &words).expect(line);
    }
    let wanted = ["report", "overdue"]
        .map(|what| on_sqlite::app::command(&mut sqlite, &[what]).expect("reports"));

    let node = Rqlited::builder().foreign_keys().start();
    // What was written last is still in the log beside the file.
    let open = tool(&node.url(), &["load", file]).expect_err("SQLite has it open");
    assert!(open.contains("library.db-wal"), "{open}");
    drop(sqlite);
    tool(&node.url(), &["load", file]).expect("loads");

    // The migrations came along: nothing is pending.
    let mut rqlite = on_rqlite::database::open(&node.url()).expect("opens");
    let said = ["report", "overdue"]
        .map(|what| on_rqlite::app::command(&mut rqlite, &[what]).expect("reports"));
    assert_eq!(said, wanted);
    let lent = on_rqlite::app::command(&mut rqlite, &["lend", "Emma", "Bob"]).expect("lends");
    assert_eq!(lent, "Emma is lent already");

    use on_rqlite::schema::loans;
    let nobody = diesel::insert_into(loans::table)
        .values((
            loans::book_id.eq(99),
            loans::member_id.eq(99),
            loans::lent_at.eq(diesel::dsl::now),
        ))
        .execute(&mut rqlite);
    let nobody = nobody
        .expect_err("the node checks foreign keys")
        .to_string();
    assert_eq!(nobody, "FOREIGN KEY constraint failed");
}

#[test]
fn the_schema_is_what_print_schema_prints() {
    let node = Rqlited::builder().start();
    let mut rqlite = on_rqlite::database::open(&node.url()).expect("opens");
    let printed = diesel_rqlite_cli::print_schema::generate(&mut rqlite, &Default::default());
    let written = include_str!("../../../examples/src/bin/lending/schema.rs");
    assert_eq!(printed.expect("prints"), written);
}
