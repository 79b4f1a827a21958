//! `print-schema`, against what Diesel's own tool printed for the same schema on SQLite: see `record.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use diesel::connection::SimpleConnection as _;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel_rqlite::{Rqlite, RqliteConnection, RqliteValue};
use diesel_rqlite_cli::print_schema;
use similar_asserts::SimpleDiff;

use self::custom::people;
use super::support::{Project, Run};

/// What was printed is Rust.
#[allow(unreachable_pub)]
#[path = "generated/custom.rs"]
mod custom;
#[path = "generated/extended.rs"]
mod extended;

static RECORDED: LazyLock<PathBuf> =
    LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/recorded/print_schema"));

fn recorded(file: &str) -> String {
    let path = RECORDED.join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn project_with(schema: &str) -> Project {
    let project = Project::new();
    execute(&project, schema);
    project
}

fn execute(project: &Project, sql: &str) {
    let mut connection = RqliteConnection::establish(&project.node().url()).expect("connects");
    connection.batch_execute(sql).expect(sql);
}

/// Says where they differ instead of showing them.
fn same(recorded: &str, printed: &str, case: &str) {
    let difference = SimpleDiff::from_str(recorded, printed, "recorded", "printed");
    assert!(printed == recorded, "{case}\n{difference}");
}

/// Every case with this schema.
fn same_as_on_sqlite(schema: &str) {
    let project = project_with(&recorded(&format!("{schema}.sql")));
    let cases = recorded("cases");
    let cases = cases.lines().filter(|line| !line.starts_with('#'));
    let mut compared = 0;
    for case in cases {
        let parts: Vec<_> = case.split('|').map(str::trim).collect();
        let &[name, of, arguments] = parts.as_slice() else {
            panic!("three parts: {case}");
        };
        if of != schema {
            continue;
        }
        let mut arguments: Vec<_> = arguments.split_whitespace().collect();
        arguments.insert(0, "print-schema");
        let mut command = project.command(&arguments);
        command.current_dir(&*RECORDED);
        let printed = Run::of(&mut command).stdout();
        same(&recorded(&format!("{name}.rs")), &printed, case);
        compared += 1;
    }
    assert!(compared > 0, "no case of {schema}");
}

#[test]
fn relations_are_printed_as_on_sqlite() {
    same_as_on_sqlite("relations");
}

#[test]
fn tables_are_printed_as_on_sqlite() {
    same_as_on_sqlite("tables");
}

#[test]
fn types_are_printed_as_on_sqlite() {
    same_as_on_sqlite("types");
}

#[test]
fn rustfmt_is_not_needed() {
    for name in ["relations", "tables"] {
        let project = project_with(&recorded(&format!("{name}.sql")));
        let mut command = project.command(&["print-schema"]);
        command.env("PATH", "");
        let printed = Run::of(&mut command).stdout();
        same(&recorded(&format!("{name}.rs")), &printed, name);
    }
}

#[test]
fn the_rustfmt_toml_of_the_project_holds() {
    let project = project_with(
        "CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY);
        CREATE TABLE b (id INTEGER NOT NULL PRIMARY KEY)",
    );
    project.write("rustfmt.toml", "max_width = 50");
    let printed = project.run(&["print-schema"]).stdout();
    assert!(printed.ends_with("_query!(\n    a, b,\n);\n"), "{printed}");
}

const EXTENDED: &str = include_str!("generated/extended.rs");
const CUSTOM: &str = include_str!("generated/custom.rs");

#[test]
fn types_that_the_stock_tool_refuses() {
    let project = project_with(
        "CREATE TABLE wide (id UUID NOT NULL PRIMARY KEY, doc JSON, packed JSONB NOT NULL, price DECIMAL(10,2),
            at TIMESTAMPTZ, other TIMESTAMP WITH TIME ZONE, short DATETIME(3))",
    );
    let numeric = project.run(&["print-schema", "--decimal-is-numeric"]);
    same(EXTENDED, &numeric.stdout(), "extended");
    let double = EXTENDED.replace("Numeric", "Double");
    same(&double, &project.run(&["print-schema"]).stdout(), "double");
    project.write("diesel.toml", "[print_schema]\ndecimal_is_numeric = true");
    same(EXTENDED, &project.run(&["print-schema"]).stdout(), "file");
}

#[test]
fn custom_types_are_defined_in_the_file() {
    let project = project_with(
        "CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, mood MOOD NOT NULL, other MOOD, place GEOMETRY(1))",
    );
    let run = |arguments: &str| {
        let arguments = format!("print-schema {arguments}");
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        project.run(&arguments).stdout()
    };
    let derives =
        "--custom-type-derives Debug --custom-type-derives diesel::query_builder::QueryId";
    same(CUSTOM, &run(derives), "custom");
    let some = run("--except-custom-type-definitions Geo");
    assert!(some.contains("struct Mood"), "{some}");
    assert!(!some.contains("struct Geometry"), "{some}");
    let none = run("--no-generate-missing-sql-type-definitions --import-types crate::sql::*");
    assert!(!none.contains("pub mod"), "{none}");
    assert!(none.contains("    use crate::sql::*;\n\n"), "{none}");
    let documented = run("--with-docs");
    assert!(
        documented.contains("/// The `GEOMETRY(1)` SQL type\n"),
        "{documented}"
    );
}

#[test]
fn a_custom_type_is_written_and_read() {
    let project = project_with(
        "CREATE TABLE people (id INTEGER NOT NULL PRIMARY KEY, mood MOOD NOT NULL, other MOOD, place GEOMETRY(1))",
    );
    let mut connection = RqliteConnection::establish(&project.node().url()).expect("connects");
    let row = (people::mood.eq(Mood::Fine), people::other.eq(None::<Mood>));
    diesel::insert_into(people::table)
        .values(row)
        .execute(&mut connection)
        .expect("inserts");
    let moods = people::table
        .filter(people::mood.eq(Mood::Fine))
        .select((people::mood, people::other))
        .load::<(Mood, Option<Mood>)>(&mut connection);
    assert_eq!(moods.expect("loads"), [(Mood::Fine, None)]);
}

#[derive(AsExpression, Clone, Copy, Debug, FromSqlRow, PartialEq)]
#[diesel(sql_type = custom::sql_types::Mood)]
enum Mood {
    Fine,
}

impl ToSql<custom::sql_types::Mood, Rqlite> for Mood {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value("fine");
        Ok(IsNull::No)
    }
}

impl FromSql<custom::sql_types::Mood, Rqlite> for Mood {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        match value.read_text()? {
            "fine" => Ok(Mood::Fine),
            other => Err(format!("{other} is no mood").into()),
        }
    }
}

#[test]
fn a_schema_is_one_request() {
    let project = project_with(&recorded("relations.sql"));
    let mut connection = RqliteConnection::establish(&project.node().url()).expect("connects");
    let before = connection.http_requests();
    print_schema::generate(&mut connection, &Default::default()).expect("prints");
    assert_eq!(connection.http_requests() - before, 1);
}

#[test]
fn views_are_printed_where_asked_for() {
    let project = project_with(
        "CREATE TABLE posts (id INTEGER NOT NULL PRIMARY KEY, title TEXT NOT NULL, likes INTEGER NOT NULL);
        CREATE VIEW titles AS SELECT title, id FROM posts;
        CREATE VIEW \"all likes\" AS SELECT sum(likes) AS likes, count(*) AS posts, max(title) AS last FROM posts;
        CREATE VIEW broken AS SELECT * FROM gone",
    );
    let without = project.run(&["print-schema"]).stdout();
    assert!(
        without.contains("posts (id)") && !without.contains("titles"),
        "{without}"
    );
    let broken = project.run(&["print-schema", "--include-views"]);
    assert!(
        broken.stderr.contains("no such table: main.gone"),
        "{broken:?}"
    );
    execute(&project, "DROP VIEW broken");
    let with = project.run(&["print-schema", "--include-views"]).stdout();
    assert!(
        with.contains(
            "    titles (id) {\n        title -> Nullable<Text>,\n        id -> Nullable<Integer>,"
        ),
        "{with}"
    );
}

#[test]
fn what_can_not_be_printed_is_said() {
    let project = project_with("CREATE TABLE taken (rowid TEXT, oid TEXT, _rowid_ TEXT)");
    let taken = project.run(&["print-schema"]);
    assert_eq!(taken.code, Some(1));
    assert!(taken.stderr.starts_with(
        "Diesel only supports tables with primary keys. Table `taken` has no primary key"
    ));
    for (arguments, said) in [
        ("--schema other", "`other` can't be chosen"),
        ("-o (", "Invalid argument for table filtering regex"),
        (
            "-e taken --patch-file missing.patch",
            "patch file at missing.patch",
        ),
        ("-e taken --patch-file empty.patch", "Failed to apply patch"),
    ] {
        project.write("empty.patch", "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n");
        let arguments = format!("print-schema {arguments}");
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let run = project.run(&arguments);
        assert_eq!(run.code, Some(1), "{arguments:?}");
        assert!(run.stderr.contains(said), "{arguments:?}: {run:?}");
    }
}

#[test]
fn types_that_need_a_feature_are_named() {
    let project =
        project_with("CREATE TABLE t (id UUID NOT NULL PRIMARY KEY, body JSON, name TEXT)");
    let printed = project.run(&["print-schema"]);
    let note = "features of diesel-rqlite: `Json` needs `serde_json`, `Uuid` needs `uuid`\n";
    assert_eq!(printed.stderr, note, "{printed:?}");
    assert_eq!(
        project_with("CREATE TABLE t (id INTEGER PRIMARY KEY)")
            .run(&["print-schema"])
            .stderr,
        ""
    );
}
