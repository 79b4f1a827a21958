//! `database drop`, of everything that a database may hold.

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use super::support::Project;

const SCHEMA: &str = r#"
CREATE TABLE a_parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
CREATE TABLE b_child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES a_parent (id));
CREATE TABLE "odd ""name" (id TEXT PRIMARY KEY) WITHOUT ROWID, STRICT;
CREATE VIRTUAL TABLE texts USING fts5(body);
CREATE VIRTUAL TABLE places USING rtree(id, low, high);
CREATE VIEW names AS SELECT name FROM a_parent;
CREATE VIEW "view of a view" AS SELECT name FROM names;
CREATE TRIGGER named INSTEAD OF INSERT ON names BEGIN
  INSERT INTO a_parent (name) VALUES (new.name);
END;
CREATE INDEX by_parent ON b_child (parent);
INSERT INTO names VALUES ('a');
INSERT INTO b_child VALUES (1, 1);
INSERT INTO texts VALUES ('raft');
ANALYZE;
"#;

#[test]
fn nothing_is_left() {
    let project = Project::on(Rqlited::builder().foreign_keys());
    let mut connection = RqliteConnection::establish(&project.node().url()).expect("connects");
    let objects = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let objects = || project.run(&["query", "--json", objects]).stdout();
    let empty = objects();
    // Twice: nothing is in the way of making it anew.
    for _ in 0..2 {
        connection.batch_execute(SCHEMA).expect("creates");
        assert_ne!(objects(), empty);
        project.run(&["database", "drop"]).stdout();
        assert_eq!(objects(), empty);
    }
    project.run(&["database", "drop"]).stdout();
}
