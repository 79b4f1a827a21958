//! The table of SQLite's dialect names tests. They must be there.

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace")
}

/// Whether a source has this as a test, a body of `same!` or a struct of `must_not_compile!`.
fn defines(source: &str, name: &str) -> bool {
    let is_test = |(place, line): (usize, &str)| {
        let line = line.trim_start();
        let before = source.lines().nth(place.wrapping_sub(1));
        line.starts_with(&format!("fn {name}(conn, shown) {{"))
            || line.starts_with(&format!("fn {name}() {{"))
                && before.is_some_and(|before| before.trim() == "#[test]")
            || line.starts_with(&format!("{name}: "))
    };
    source.lines().enumerate().any(is_test)
}

fn exists(reference: &str) -> bool {
    let (folder, path) = match reference.split_once(':') {
        Some(("doc", name)) => ("diesel-rqlite/src", ("must_not_compile", name)),
        Some(("tests", path)) => (
            "diesel-rqlite-tests/tests/integration",
            path.split_once("::").unwrap_or_default(),
        ),
        _ => (
            "comparison/tests/comparison",
            reference.split_once("::").unwrap_or_default(),
        ),
    };
    let (file, name) = path;
    let source = fs::read_to_string(root().join(folder).join(file).with_extension("rs"));
    source.is_ok_and(|source| defines(&source, name))
}

/// What stands between back-quotes in the last column.
fn references(table: &str) -> Vec<Vec<&str>> {
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| feature"));
    let last = rows.map(|row| row.trim_end_matches('|').rsplit('|').next().unwrap_or(""));
    last.map(|cell| cell.split('`').skip(1).step_by(2).collect())
        .collect()
}

#[test]
fn every_cell_names_a_test_that_exists() {
    let table = fs::read_to_string(root().join("docs/sqlite-dialect.md")).expect("the table");
    let rows = references(&table);
    assert!(rows.len() > 60, "{} rows", rows.len());
    for row in &rows {
        assert!(!row.is_empty(), "a row without a test");
        for reference in row {
            assert!(exists(reference), "{reference} is no test");
        }
    }
    assert!(!exists("selects::nothing_of_the_kind"));
    assert!(!exists("kit::shown"));
}
