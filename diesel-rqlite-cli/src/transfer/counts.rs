//! Counts the rows of each table.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_rqlite::RqliteConnection;

/// The numbers of rows, by the names of the tables.
pub type Counts = BTreeMap<String, u64>;

/// The number of tables per query. It is below SQLite's limit for the parts of a compound SELECT.
const AT_ONCE: usize = 100;

/// Counts the rows of every table that stores rows, except for SQLite's own.
///
/// # Errors
///
/// Returns the errors of the server.
pub fn of_database(connection: &mut RqliteConnection) -> QueryResult<Counts> {
    let names = diesel::dsl::sql::<Text>(
        r"SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
        ORDER BY name",
    );
    let names: Vec<String> = names.load(connection)?;
    let mut counts = Counts::new();
    for names in names.chunks(AT_ONCE) {
        let parts: Vec<_> = names.iter().map(|name| count(name)).collect();
        let query = diesel::dsl::sql::<(Text, BigInt)>(&parts.join(" UNION ALL "));
        let rows: Vec<(String, i64)> = query.load(connection)?;
        counts.extend(
            rows.into_iter()
                .map(|(name, rows)| (name, rows.unsigned_abs())),
        );
    }
    Ok(counts)
}

fn count(table: &str) -> String {
    let text = table.replace('\'', "''");
    let name = table.replace('"', "\"\"");
    format!("SELECT '{text}', count(*) FROM \"{name}\"")
}

/// Returns the number of all rows.
pub fn total(counts: &Counts) -> u64 {
    counts.values().sum()
}

/// Describes the differences between two counts. Returns `None` if there are none.
pub fn difference(of: &str, counts: &Counts, in_other: &str, others: &Counts) -> Option<String> {
    let names: std::collections::BTreeSet<_> = counts.keys().chain(others.keys()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let (one, other) = (counts.get(name), others.get(name));
        let shown = |count: Option<&u64>| match count {
            Some(count) => count.to_string(),
            None => String::from("no such table"),
        };
        (one != other).then(|| {
            let (one, other) = (shown(one), shown(other));
            format!("`{name}` has {one} in {of} and {other} in {in_other}")
        })
    });
    let differing: Vec<_> = differing.collect();
    (!differing.is_empty()).then(|| differing.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let counts = |counts: &[(&str, u64)]| -> Counts {
            let counts = counts.iter();
            counts
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let one = counts(&[("a", 1), ("b", 2)]);
        assert_eq!(difference("x", &one, "y", &one), None);
        let other = counts(&[("a", 1), ("b", 3), ("c", 0)]);
        assert_eq!(
            difference("x", &one, "y", &other).as_deref(),
            Some("`b` has 2 in x and 3 in y, `c` has no such table in x and 0 in y")
        );
    }
}
