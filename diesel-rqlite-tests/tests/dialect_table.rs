//! The tables of SQLite's dialect and of porting from SQLite name tests. They must be there.

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

/// `file::name` is of the comparison with SQLite, others say with a prefix where they are.
fn exists(reference: &str) -> bool {
    let (kind, path) = reference.split_once(":").unwrap_or_default();
    let in_file = |path: &str| {
        let (file, name) = path.split_once("::").unwrap_or_default();
        (file.to_owned(), name.to_owned())
    };
    let (folder, (file, name)) = match kind {
        "doc" => (
            "diesel-rqlite/src",
            ("must_not_compile".to_owned(), path.to_owned()),
        ),
        "tests" => ("diesel-rqlite-tests/tests/integration", in_file(path)),
        "cli" => ("diesel-rqlite-cli/tests/cli", in_file(path)),
        "porting" => (
            "comparison/tests/porting",
            ("main".to_owned(), path.to_owned()),
        ),
        _ => ("comparison/tests/comparison", in_file(reference)),
    };
    let source = fs::read_to_string(root().join(folder).join(file).with_extension("rs"));
    source.is_ok_and(|source| defines(&source, &name))
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
    let table =
        fs::read_to_string(root().join("diesel-rqlite/docs/sqlite-dialect.md")).expect("the table");
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

/// The names in a comment that the page does not show: `<!-- tested by one, other -->`.
fn tested_by(text: &str) -> Vec<&str> {
    let comments = text.split("<!-- tested by ").skip(1);
    let names = comments.filter_map(|behind| Some(behind.split_once("-->")?.0));
    names
        .flat_map(|names| names.split(',').map(str::trim))
        .collect()
}

/// The rows of the table behind this heading.
fn rows<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = document.split_once(heading).expect(heading);
    let lines = section.lines().skip_while(|line| !line.starts_with("|---"));
    lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect()
}

#[test]
fn every_difference_from_sqlite_names_a_test_that_exists() {
    let path = root().join("diesel-rqlite/docs/porting-from-sqlite.md");
    let document = fs::read_to_string(path).expect("the document");
    for (heading, least) in [
        ("\n## What changes\n", 30),
        ("\n## All PRAGMAs\n", 7),
        ("\n## When an error is seen\n", 7),
    ] {
        let rows = rows(&document, heading);
        assert!(rows.len() >= least, "{heading}: {} rows", rows.len());
        for row in rows {
            assert!(!tested_by(row).is_empty(), "without a test: {row}");
        }
    }
    for reference in tested_by(&document) {
        assert!(exists(reference), "{reference} is no test");
    }
    assert!(!exists("cli:transfer::nothing_of_the_kind"));
}
