//! Tables are rebuilt on nodes that enforce foreign keys, and no row is lost without an error.

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use super::support::Project;

const REBUILD: &str = "CREATE TABLE new_p (id INTEGER PRIMARY KEY, a TEXT);
INSERT INTO new_p (id) SELECT id FROM p;
DROP TABLE p;
ALTER TABLE new_p RENAME TO p;
";

/// With a child that has this action, or none.
fn family(action: &str) -> Project {
    let project = Project::on(Rqlited::builder().foreign_keys());
    let mut connection = RqliteConnection::establish(&project.node().url()).expect("connects");
    let schema = format!(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p_id REFERENCES p {action}); \
         INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, 1), (2, 2);"
    );
    connection.batch_execute(&schema).expect("creates");
    project.write("migrations/1_a/down.sql", "SELECT 1;\n");
    project
}

fn rows(project: &Project) -> String {
    let sql = "SELECT count(*) AS n, (SELECT count(*) FROM pragma_table_info('p')) AS columns FROM c JOIN p ON p.id = p_id";
    project.run(&["query", "--json", sql]).stdout()
}

#[test]
fn migration_that_rebuilds_a_table_loses_no_row() {
    for action in ["ON DELETE CASCADE", "ON DELETE SET NULL", ""] {
        let project = family(action);
        let ignored = format!("PRAGMA foreign_keys = OFF;\n{REBUILD}PRAGMA foreign_keys = ON;\n");
        project.write("migrations/1_a/up.sql", &ignored);
        let run = project.run(&["migration", "run"]);
        assert_eq!(run.code, Some(1), "{run:?}");
        if !action.is_empty() {
            assert!(run.stderr.contains("`c`, which refers to it"), "{run:?}");
            assert!(run.stderr.contains("run_in_transaction = false"), "{run:?}");
        }
        assert_eq!(rows(&project), "[{\"n\":2,\"columns\":1}]\n");
        // As the error says.
        let script = format!(
            "PRAGMA foreign_keys = OFF;\nBEGIN;\n{REBUILD}COMMIT;\nPRAGMA foreign_keys = ON;\n"
        );
        project.write("migrations/1_a/up.sql", &script);
        project.write(
            "migrations/1_a/metadata.toml",
            "run_in_transaction = false\n",
        );
        let run = project.run(&["migration", "run"]);
        assert_eq!(run.stdout(), "Running migration 1_a\n");
        assert_eq!(rows(&project), "[{\"n\":2,\"columns\":2}]\n");
    }
}

#[test]
fn load_says_that_foreign_keys_are_not_enforced() {
    let dump =
        "CREATE TABLE p (id INTEGER PRIMARY KEY);\nCREATE TABLE c (p_id REFERENCES p (id));\n";
    let project = Project::new();
    project.write("dump.sql", dump);
    let loaded = project.run(&["load", "dump.sql"]);
    assert!(loaded.stderr.contains("1 foreign key"), "{loaded:?}");
    assert!(loaded.stderr.contains("-fk"), "{loaded:?}");
    let project = Project::on(Rqlited::builder().foreign_keys());
    project.write("dump.sql", dump);
    assert_eq!(project.run(&["load", "dump.sql"]).stderr, "");
}

#[test]
fn load_refuses_a_database_in_utf_16() {
    let project = Project::new();
    let database = include_bytes!("../../../diesel-rqlite-tests/tests/integration/utf16.db");
    std::fs::write(project.path("old.db"), database).expect("writes");
    let refused = project.run(&["load", "old.db"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("UTF-16"), "{refused:?}");
}
