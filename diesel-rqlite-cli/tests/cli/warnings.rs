//! Warnings about SQL that makes the nodes differ.

use super::support::Project;

#[test]
fn values_that_each_node_makes_for_itself_are_named() {
    let project = Project::new();
    project.write(
        "migrations/1_a/up.sql",
        "-- posts\nCREATE TABLE posts (\n  id INTEGER PRIMARY KEY,\n  at TEXT DEFAULT CURRENT_TIMESTAMP\n);\n",
    );
    project.write(
        "migrations/1_a/down.sql",
        "CREATE TABLE a (b DEFAULT (random()));\nDROP TABLE a;\nDROP TABLE posts;\n",
    );
    let run = project.run(&["migration", "run"]);
    assert_eq!(
        run.stderr,
        "warning: migrations/1_a/up.sql:4: `CURRENT_TIMESTAMP` in a table makes the nodes differ: each evaluates it \
         for itself; give the column its value in each INSERT\n"
    );
    assert_eq!(run.stdout(), "Running migration 1_a\n");
    let reverted = project.run(&["migration", "revert"]);
    assert!(
        reverted
            .stderr
            .starts_with("warning: migrations/1_a/down.sql:1: `random()`"),
        "{reverted:?}"
    );
    assert_eq!(reverted.code, Some(0));
}

#[test]
fn what_the_client_replaces_is_not() {
    let project = Project::new();
    project.write(
        "migrations/1_a/up.sql",
        "CREATE TABLE t (a);\nINSERT INTO t VALUES (CURRENT_TIMESTAMP);\n",
    );
    let run = project.run(&["migration", "run"]);
    assert_eq!(run.stderr, "");
}

#[test]
fn colours_are_for_terminals_and_not_where_nobody_wants_them() {
    let project = Project::new();
    project.write(
        "migrations/1_a/up.sql",
        "CREATE TABLE t (a DEFAULT CURRENT_DATE);\n",
    );
    project.write("migrations/1_a/down.sql", "DROP TABLE t;\n");
    let said = |variable: &str| {
        let mut command = project.command(&["migration", "run"]);
        command.env(variable, "1");
        let run = super::support::Run::of(&mut command);
        project.run(&["migration", "revert"]).stdout();
        run.stderr
    };
    assert!(said("CLICOLOR_FORCE").starts_with("\u{1b}["));
    assert!(said("NO_COLOR").starts_with("warning:"));
}
