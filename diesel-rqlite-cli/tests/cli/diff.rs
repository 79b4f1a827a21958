//! `migration generate --diff-schema`, where Diesel's own tool has no answer or one that does not work.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use super::support::{Project, Run};

const HEAD: &str = "// @generated automatically by Diesel CLI.\n";

fn project(sql: &str) -> Project {
    let project = Project::new();
    prepare(&project, sql);
    project
}

fn prepare(project: &Project, sql: &str) {
    project.write("migrations/.keep", "");
    execute(project, sql);
}

fn execute(project: &Project, sql: &str) {
    let mut connection = RqliteConnection::establish(&project.node().url()).expect("connects");
    connection.batch_execute(sql).expect(sql);
}

fn generate(project: &Project, schema: &str) -> Run {
    project.write("schema.rs", schema);
    project.run(&[
        "migration",
        "generate",
        "difference",
        "--version=1",
        "--diff-schema=schema.rs",
    ])
}

fn printed(project: &Project) -> String {
    project.run(&["print-schema"]).stdout()
}

/// What is done to get there, and back.
fn difference(project: &Project, schema: &str) -> (String, String) {
    generate(project, schema).stdout();
    let read = |file: &str| {
        let path = project.path("migrations/1_difference").join(file);
        let text = std::fs::read_to_string(path).expect("written");
        let (_head, rest) = text.split_once('\n').expect("a head");
        rest.to_owned()
    };
    (read("up.sql"), read("down.sql"))
}

/// The schema that is asked for is the one that is there after `up.sql`, and has no difference to itself; `down.sql`
/// leaves the one before. Returns these two.
fn there_and_back(project: &Project, schema: &str) -> (String, String) {
    let before = printed(project);
    let wanted = format!("{HEAD}\n{schema}");
    let written = difference(project, &wanted);
    project.run(&["migration", "run"]).stdout();
    assert_eq!(printed(project), wanted);
    project.run(&["migration", "revert"]).stdout();
    assert_eq!(printed(project), before);
    project.run(&["migration", "run"]).stdout();
    std::fs::remove_dir_all(project.path("migrations/1_difference")).expect("removes");
    let (up, down) = difference(project, &wanted);
    assert_eq!((up.trim(), down.trim()), ("", ""));
    written
}

#[test]
fn types_that_sqlite_has_not() {
    let project = project("CREATE TABLE old (id INTEGER NOT NULL PRIMARY KEY, n NUMERIC)");
    project.write("diesel.toml", "[print_schema]\ndecimal_is_numeric = true");
    there_and_back(
        &project,
        "diesel::table! {
    old (id) {
        id -> Integer,
        doc -> Nullable<Json>,
        at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    wide (id) {
        id -> Uuid,
        doc -> Json,
        packed -> Nullable<Jsonb>,
        price -> Numeric,
        at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(old, wide,);
",
    );
}

#[test]
fn types_of_the_project() {
    let project = project("CREATE TABLE old (id INTEGER NOT NULL PRIMARY KEY, place GEOMETRY(1))");
    let (up, down) = there_and_back(
        &project,
        "pub mod sql_types {
    #[derive(diesel::sql_types::SqlType)]
    pub struct MyMood;

    impl diesel::sql_types::HasSqlType<MyMood> for diesel_rqlite::Rqlite {
        fn metadata(_: &mut ()) -> diesel_rqlite::RqliteType {
            diesel_rqlite::RqliteType::Binary
        }
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::sql_types::MyMood;

    people (id) {
        id -> Integer,
        mood -> MyMood,
        other -> Nullable<MyMood>,
    }
}
",
    );
    assert!(up.contains("\t`mood` MY_MOOD NOT NULL,"), "{up}");
    assert!(down.contains("\t`place` GEOMETRY(1)\n"), "{down}");
}

#[test]
fn a_decimal_is_not_changed_by_how_it_was_printed() {
    let project = project("CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY, n DECIMAL(10, 2))");
    let schema =
        |sql_type| format!("table! {{ a {{ id -> Integer, n -> Nullable<{sql_type}> }} }}");
    for same in ["Double", "Numeric", "Decimal"] {
        assert_eq!(difference(&project, &schema(same)).0, "\n", "{same}");
        std::fs::remove_dir_all(project.path("migrations/1_difference")).expect("removes");
    }
    let (up, down) = difference(&project, &schema("Float"));
    assert!(up.contains("ADD COLUMN `n` FLOAT;"), "{up}");
    assert!(down.contains("ADD COLUMN `n` DOUBLE;"), "{down}");
}

#[test]
fn names_are_those_of_sql() {
    let project = project(
        "CREATE TABLE \"My Users\" (\"type\" TEXT NOT NULL PRIMARY KEY, Name TEXT);
        CREATE TABLE \"struct\" (id INTEGER NOT NULL PRIMARY KEY)",
    );
    there_and_back(
        &project,
        "diesel::table! {
    #[sql_name = \"My Users\"]
    My_Users (type_) {
        #[sql_name = \"type\"]
        type_ -> Text,
        Name -> Nullable<Text>,
        #[sql_name = \"a `b`\"]
        a_b_ -> Nullable<Text>,
    }
}

diesel::table! {
    #[sql_name = \"New pairs\"]
    New_pairs (fn_, Other) {
        #[sql_name = \"fn\"]
        fn_ -> Text,
        Other -> Integer,
        #[sql_name = \"self\"]
        self_ -> Text,
    }
}

diesel::table! {
    #[sql_name = \"struct\"]
    struct_ (id) {
        id -> Integer,
    }
}

diesel::joinable!(New_pairs -> My_Users (self_));

diesel::allow_tables_to_appear_in_same_query!(My_Users, New_pairs, struct_,);
",
    );
}

#[test]
fn foreign_keys_of_several_columns_come_back() {
    let project = project(
        "CREATE TABLE parents (a INTEGER NOT NULL, b TEXT NOT NULL, c TEXT, PRIMARY KEY (a, b), UNIQUE (b, c));
        CREATE TABLE children (id INTEGER NOT NULL PRIMARY KEY, x INTEGER, y TEXT, z TEXT,
            FOREIGN KEY (y, z) REFERENCES parents (b, c), FOREIGN KEY (x, y) REFERENCES parents)",
    );
    let (_, down) = difference(&project, "");
    assert!(
        down.contains(
            "\t`z` TEXT,\n\tFOREIGN KEY (`x`, `y`) REFERENCES `parents`(`a`, `b`),\n\
             \tFOREIGN KEY (`y`, `z`) REFERENCES `parents`(`b`, `c`)\n);"
        ),
        "{down}"
    );
    let before = printed(&project);
    project.run(&["migration", "run"]).stdout();
    assert_eq!(printed(&project), HEAD);
    project.run(&["migration", "revert"]).stdout();
    assert_eq!(printed(&project), before);
}

#[test]
fn what_was_created_is_taken_back_with_its_rows() {
    let project = Project::on(Rqlited::builder().foreign_keys());
    prepare(&project, "");
    let schema = "
        table! { b_child { id -> Integer, parent -> Integer } }
        table! { c_parent { id -> Integer } }
        table! { a_grandchild { id -> Integer, parent -> Integer } }
        joinable!(b_child -> c_parent (parent));
        joinable!(a_grandchild -> b_child (parent));";
    let (up, _) = difference(&project, schema);
    let place = |name| up.find(name).expect(name);
    assert!(place("E `c_parent`(") < place("E `b_child`("), "{up}");
    assert!(place("E `b_child`(") < place("E `a_grandchild`("), "{up}");
    project.run(&["migration", "run"]).stdout();
    execute(
        &project,
        "INSERT INTO c_parent VALUES (1); INSERT INTO b_child VALUES (1, 1); INSERT INTO a_grandchild VALUES (1, 1)",
    );
    project.run(&["migration", "revert"]).stdout();
    assert_eq!(printed(&project), HEAD);
}

#[test]
fn what_is_not_compared_is_left_alone() {
    let project = project(
        "CREATE TABLE posts (id INTEGER NOT NULL PRIMARY KEY);
        CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY);
        CREATE VIEW ids AS SELECT id FROM posts;
        CREATE VIEW other AS SELECT 1",
    );
    let views = "[print_schema]\ninclude_views = true\nfilter = { except_tables = ['^users$'] }";
    project.write("diesel.toml", views);
    let schema = "table! { ids { id -> BigInt, n -> Text } } table! { users { id -> BigInt } } table! { posts { id -> Integer } }";
    let (up, down) = difference(&project, schema);
    assert_eq!((up.trim(), down.trim()), ("", ""));
}

#[test]
fn a_column_that_must_have_a_value_needs_an_empty_table() {
    let project =
        project("CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY); INSERT INTO a VALUES (1)");
    difference(&project, "table! { a { id -> Integer, n -> Text } }");
    let run = project.run(&["migration", "run"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("Cannot add a NOT NULL column"),
        "{run:?}"
    );
}

#[test]
fn what_is_wrong_with_the_file_is_said_with_its_place() {
    let project = project("CREATE TABLE a (id INTEGER NOT NULL PRIMARY KEY, n TEXT)");
    let run = generate(
        &project,
        "table! {\n    a {\n        id -> Array<Integer>,\n    }\n}",
    );
    assert_eq!(run.code, Some(1));
    let file = project.path("schema.rs").canonicalize().expect("there");
    let said = format!(
        "Failed to parse schema: `Array` is no SQL type of rqlite here (line 3 of {})\n",
        file.display()
    );
    assert_eq!(run.stderr, said);
    let run = generate(&project, "table! { a (n) { id -> Integer, n -> Text } }");
    assert!(run.stderr.ends_with("(table `a`)\n"), "{run:?}");
    assert!(!project.path("migrations/1_difference").exists());
}
