//! The table of PRAGMAs in diesel-rqlite/docs/porting-from-sqlite.md, each as the table says.

use diesel::prelude::*;
use diesel::result::Error;

use super::database::Database;
use crate::support::{AnyRow, assert_none};

/// What is done with a PRAGMA.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Done {
    Accepted,
    ForeignKeys,
    Written,
    Asked,
    AskedAlone,
    Refused,
}

/// The second cell of each row begins with one of these.
const SAID: [(&str, Done); 6] = [
    ("accepted, nothing is sent", Done::Accepted),
    ("`ON`: ", Done::ForeignKeys),
    ("sent, as writes", Done::Written),
    ("sent, with or without", Done::Asked),
    ("sent, and answered", Done::AskedAlone),
    ("refused: ", Done::Refused),
];

/// Each PRAGMA of the table.
fn table() -> Vec<(String, Done)> {
    let document = include_str!("../../../diesel-rqlite/docs/porting-from-sqlite.md");
    let (_, behind) = document
        .split_once("## All PRAGMAs")
        .expect("is in the document");
    let (section, _) = behind.split_once("\n## ").expect("is followed by another");
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| `") || line.starts_with("| any"));
    rows.flat_map(|row| {
        let (names, said) = row[2..].split_once(" | ").expect("two cells");
        let done = SAID.iter().find(|(begin, _)| said.starts_with(begin));
        let (_, done) = *done.unwrap_or_else(|| panic!("{said}"));
        names
            .split('`')
            .skip(1)
            .step_by(2)
            .map(move |name| (name.to_owned(), done))
            .collect::<Vec<_>>()
    })
    .collect()
}

/// The statements by which a PRAGMA is said.
fn statements(name: &str, done: Done) -> Vec<String> {
    let alone = format!("PRAGMA {name}");
    if name.contains('=') || ["shrink_memory", "optimize", "incremental_vacuum"].contains(&name) {
        return vec![alone];
    }
    match done {
        Done::Accepted | Done::Written | Done::Refused => {
            vec![
                format!("PRAGMA {name} = 1"),
                format!("PRAGMA main.{name}(1)"),
            ]
        }
        Done::Asked => vec![alone, format!("PRAGMA {name}(t)")],
        Done::AskedAlone | Done::ForeignKeys => vec![alone],
    }
}

#[test]
fn each_is_done_as_the_table_says() {
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let mut wrong = Vec::new();
    let table = table();
    assert!(table.len() > 60, "{}", table.len());
    let others = [("nobody_knows".to_owned(), Done::Refused)];
    for (name, done) in table.into_iter().chain(others) {
        for sql in statements(&name, done) {
            let (outcome, requests) =
                db.requests(|connection| diesel::sql_query(&sql).load::<AnyRow>(connection));
            let outcome = outcome.map(|rows| rows.len());
            let is_right = match (&outcome, done) {
                (Ok(_), Done::Accepted) => requests == 0,
                (Ok(_), Done::Refused) => false,
                (Ok(_), _) => requests == 1,
                (Err(Error::QueryBuilderError(_)), Done::Refused) => requests == 0,
                _ => false,
            };
            if !is_right {
                wrong.push(format!("{sql}: {done:?}, {requests} requests, {outcome:?}"));
            }
        }
    }
    assert_none(&wrong);
}
