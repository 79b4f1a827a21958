//! Compares the rows of a dump with those of a database.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use diesel_rqlite::{ClusterError, LoadSqlError, LoadSqlReason, LoadedSql};
use diesel_rqlite_sql::{Form, Keyword, Parsed, Purpose, Statements, StreamError};

use crate::transfer::Error;
use crate::transfer::counts::Counts;

/// Returns the rows that the tables should have, or `None` if the text did more than insert rows.
pub(super) fn expected(loaded: &LoadedSql, before: &Counts, found: &Counts) -> Option<Counts> {
    let by_folded: BTreeMap<_, _> = loaded
        .inserted
        .iter()
        .map(|(name, rows)| (name.to_ascii_lowercase(), *rows))
        .collect();
    let expected = found.keys().map(|name| {
        let inserted = by_folded.get(&name.to_ascii_lowercase());
        let rows = before.get(name).copied().unwrap_or_default();
        (name.clone(), rows + inserted.copied().unwrap_or_default())
    });
    loaded.only_inserts.then(|| expected.collect())
}

/// Returns the error of a text that was not loaded to its end.
pub(super) fn failure(error: LoadSqlError) -> Error {
    let LoadSqlError {
        reason,
        line,
        applied,
        in_doubt,
        ..
    } = error;
    let before = applied.statements;
    match (reason, in_doubt) {
        (LoadSqlReason::Cluster(ClusterError::Unknown(cause)), Some(lines)) => {
            Error::StatementsUnknown {
                cause,
                before,
                from: *lines.start(),
                to: *lines.end(),
            }
        }
        (reason, _) => Error::Statement {
            line,
            reason: reason.to_string(),
            before,
        },
    }
}

/// Returns the rows that a dump inserts, if each statement has one row.
///
/// # Errors
///
/// Returns an error if the text can't be read.
pub fn inserted_rows(reader: impl BufRead) -> io::Result<Counts> {
    let mut statements = Statements::new(reader);
    let mut rows = Counts::new();
    let mut created = BTreeSet::new();
    let mut is_whole = false;
    let unreadable = |error| match error {
        StreamError::Io(error) => error,
        StreamError::Text(error) => io::Error::new(io::ErrorKind::InvalidData, error),
    };
    while let Some(parsed) = statements.next_statement().map_err(unreadable)? {
        match Purpose::of(&parsed) {
            Purpose::Insert(table) if !table.starts_with("sqlite_") => {
                *rows.entry(table).or_default() += 1;
            }
            // This is a table without rows.
            Purpose::Schema => {
                if let Some(table) = created_table(&parsed) {
                    created.insert(table.to_ascii_lowercase());
                    rows.entry(table).or_default();
                }
            }
            _ => {}
        }
        is_whole = parsed.form() == Form::Commit;
    }
    // A virtual table is not created by a statement of its own, and its rows are in other tables.
    rows.retain(|table, _| created.contains(&table.to_ascii_lowercase()));
    match is_whole {
        true => Ok(rows),
        false => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it does not end with COMMIT",
        )),
    }
}

fn created_table(parsed: &Parsed<'_>) -> Option<String> {
    let created = parsed.created()?;
    let is_table = created.what == Some(Keyword::Table) && !created.is_temporary;
    (is_table && !created.name.starts_with("sqlite_")).then_some(created.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_dump_are_counted() {
        let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a(x);\nINSERT INTO \"a\" VALUES(1);
            INSERT INTO \"a\" VALUES(2);\nCREATE TABLE IF NOT EXISTS b(x);\n";
        let whole = format!("{dump}COMMIT;\n");
        let rows = inserted_rows(whole.as_bytes()).expect("is whole");
        let wanted = [("a".to_owned(), 2), ("b".to_owned(), 0)];
        assert_eq!(rows.into_iter().collect::<Vec<_>>(), wanted);
        assert!(inserted_rows(dump.as_bytes()).is_err());
    }
}
