//! `setup`, `database …` and `migration …` do what Diesel's own tool does on SQLite: see `recorded/migrations`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use similar_asserts::SimpleDiff;

use super::support::Project;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/recorded/migrations")
}

fn recorded(file: &str) -> String {
    let path = directory().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a scenario with our binary, and compares all that it writes.
fn same_as_recorded(scenario: &str) {
    let project = Project::new();
    let script = recorded("common.sh") + &recorded(&format!("{scenario}.sh"));
    let ours = project.command(&[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .current_dir(project.path(""))
        .env("DIESEL", env!("CARGO_BIN_EXE_diesel-rqlite"));
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell.output().expect("runs");
    let written = String::from_utf8(output.stdout).expect("text");
    let written = comparable(&project, &written);
    let wanted = recorded(&format!("{scenario}.txt"));
    let difference = SimpleDiff::from_str(&wanted, &written, "recorded", "written");
    assert!(written == wanted, "{scenario}\n{difference}");
}

/// As `record.sh` writes it. Errors of ours also say where in the file they are.
fn comparable(project: &Project, written: &str) -> String {
    let root = project.path("").canonicalize().expect("is there");
    let root = root.to_string_lossy();
    let url = project.node().url();
    let text = written
        .replace(root.trim_end_matches('/'), "PROJECT")
        .replace(&url, "DATABASE");
    let time = Regex::new(r"\d{4}-\d{2}-\d{2}-\d{6}-[0-9a-f]{4}").expect("compiles");
    let place = Regex::new(r" \((migration|statement|line|table) [^)]*\)").expect("compiles");
    let text = time.replace_all(&text, "TIME");
    place.replace_all(&text, "").into_owned()
}

#[test]
fn migrations_are_run_and_listed() {
    same_as_recorded("run");
}

#[test]
fn migrations_are_reverted() {
    same_as_recorded("revert");
}

#[test]
fn migrations_are_redone() {
    same_as_recorded("redo");
}

#[test]
fn migrations_are_generated() {
    same_as_recorded("generate");
}

#[test]
fn migrations_are_found() {
    same_as_recorded("directories");
}

#[test]
fn errors_are_the_same() {
    same_as_recorded("errors");
}

#[test]
fn a_locked_schema_is_compared() {
    same_as_recorded("locked_schema");
}

#[test]
fn projects_are_set_up() {
    same_as_recorded("setup");
    same_as_recorded("setup_elsewhere");
}

#[test]
fn databases_are_set_up_reset_and_dropped() {
    same_as_recorded("database");
}

#[test]
fn a_difference_creates_tables() {
    same_as_recorded("diff_tables");
    same_as_recorded("diff_joins");
}

#[test]
fn a_difference_drops_tables() {
    same_as_recorded("diff_drop");
    same_as_recorded("diff_bigint");
}

#[test]
fn a_difference_changes_columns() {
    same_as_recorded("diff_columns");
}

#[test]
fn a_difference_is_of_the_tables_asked_for() {
    same_as_recorded("diff_filters");
    same_as_recorded("diff_sections");
}

#[test]
fn a_difference_is_to_the_file_asked_for() {
    same_as_recorded("diff_files");
    same_as_recorded("diff_errors");
}
