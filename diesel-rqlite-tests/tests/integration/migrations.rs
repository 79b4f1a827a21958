//! Diesel's migrations.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_migrations::{
    EmbeddedMigrations, FileBasedMigrations, MigrationHarness, embed_migrations,
};
use tempfile::TempDir;

use super::database::Database;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

#[test]
fn migrations_run_once_and_revert() {
    let mut db = Database::new();
    let run = db.run_pending_migrations(MIGRATIONS).expect("runs").len();
    assert!(run > 0);
    assert_eq!(
        db.run_pending_migrations(MIGRATIONS).expect("runs").len(),
        0
    );
    assert_eq!(db.applied_migrations().expect("lists").len(), run);
    assert_eq!(
        db.count("__diesel_schema_migrations WHERE length(run_on) = 19"),
        i64::try_from(run).expect("fits")
    );
    assert_eq!(
        db.revert_all_migrations(MIGRATIONS).expect("reverts").len(),
        run
    );
    let left = "sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'";
    assert_eq!(db.count(left), 0);
}

#[test]
fn time_of_a_migration_is_not_left_to_the_nodes() {
    // Each node would evaluate the default of the column for itself.
    let mut db = Database::with(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT 'default')",
    );
    let run = db.run_pending_migrations(MIGRATIONS).expect("runs").len();
    assert!(run > 0);
    assert_eq!(
        db.count("__diesel_schema_migrations WHERE run_on = 'default'"),
        0
    );
}

#[test]
fn failing_migration_leaves_nothing() {
    struct Broken;
    impl diesel::migration::MigrationSource<diesel_rqlite::Rqlite> for Broken {
        fn migrations(
            &self,
        ) -> diesel::migration::Result<
            Vec<Box<dyn diesel::migration::Migration<diesel_rqlite::Rqlite>>>,
        > {
            Ok(vec![Box::new(Broken)])
        }
    }
    impl diesel::migration::Migration<diesel_rqlite::Rqlite> for Broken {
        fn run(
            &self,
            conn: &mut dyn diesel::connection::BoxableConnection<diesel_rqlite::Rqlite>,
        ) -> diesel::migration::Result<()> {
            Ok(conn.batch_execute("CREATE TABLE half (a); INSERT INTO nowhere VALUES (1);")?)
        }
        fn revert(
            &self,
            _: &mut dyn diesel::connection::BoxableConnection<diesel_rqlite::Rqlite>,
        ) -> diesel::migration::Result<()> {
            Ok(())
        }
        fn metadata(&self) -> &dyn diesel::migration::MigrationMetadata {
            &Always
        }
        fn name(&self) -> &dyn diesel::migration::MigrationName {
            &Named
        }
    }
    struct Always;
    impl diesel::migration::MigrationMetadata for Always {
        fn run_in_transaction(&self) -> bool {
            true
        }
    }
    struct Named;
    impl std::fmt::Display for Named {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("1_broken")
        }
    }
    impl diesel::migration::MigrationName for Named {
        fn version(&self) -> diesel::migration::MigrationVersion<'_> {
            "1".into()
        }
    }
    let mut db = Database::new();
    let error = db
        .run_pending_migrations(Broken)
        .expect_err("fails")
        .to_string();
    assert!(error.contains("no such table: nowhere"), "{error}");
    assert_eq!(db.count("sqlite_master WHERE name = 'half'"), 0);
    assert_eq!(db.applied_migrations().expect("lists").len(), 0);
}

/// Migrations in files.
struct Files(TempDir);

impl Files {
    fn new(migrations: &[(&str, &str)]) -> Self {
        let files = Files(tempfile::tempdir().expect("a directory"));
        for (name, up) in migrations {
            files.write(name, "up.sql", up);
            files.write(name, "down.sql", "SELECT 1;");
        }
        files
    }

    /// Outside of a transaction.
    fn alone(name: &str, up: &str) -> Self {
        let files = Files::new(&[(name, up)]);
        files.write(name, "metadata.toml", "run_in_transaction = false\n");
        files
    }

    fn write(&self, name: &str, file: &str, text: &str) {
        let directory = self.0.path().join(name);
        std::fs::create_dir_all(&directory).expect("creates");
        std::fs::write(directory.join(file), text).expect("writes");
    }

    fn source(&self) -> FileBasedMigrations {
        FileBasedMigrations::from_path(self.0.path()).expect("migrations")
    }
}

fn failure_of(migrations: &Files, db: &mut Database) -> String {
    let error = db.run_pending_migrations(migrations.source());
    error.expect_err("fails").to_string()
}

#[test]
fn migration_that_another_process_has_applied_meanwhile_is_done() {
    let files = Files::new(&[
        ("1_a", "CREATE TABLE a (b INTEGER); INSERT INTO a VALUES (1);"),
        ("2_b", "INSERT INTO a VALUES (2);"),
        ("3_c", "INSERT INTO a VALUES (3);"),
    ]);
    let mut db = Database::new();
    let mut other = db.another();
    let pending = other.pending_migrations(files.source()).expect("lists");
    db.run_next_migration(files.source()).expect("runs");
    db.run_next_migration(files.source()).expect("runs");
    assert_eq!(other.run_migrations(&pending).expect("runs").len(), 3);
    assert_eq!(db.one("SELECT sum(b) AS value FROM a"), 6);
    assert_eq!(db.count("__diesel_schema_migrations"), 3);
}

diesel::table! {
    #[sql_name = "__diesel_schema_migrations"]
    schema_migrations (version) { version -> Text, }
}

#[test]
fn only_a_migration_by_itself_is_done_by_others() {
    // In a transaction with other writes these would be lost.
    let files = Files::new(&[("1_a", "CREATE TABLE IF NOT EXISTS a (b INTEGER);")]);
    let mut db = Database::with("CREATE TABLE mine (a INTEGER)");
    let mut other = db.another();
    let pending = other.pending_migrations(files.source()).expect("lists");
    db.run_pending_migrations(files.source()).expect("runs");
    let outcome = other.transaction(|conn| {
        conn.batch_execute("INSERT INTO mine VALUES (1)")?;
        conn.run_migrations(&pending).map(|_| ())
    });
    assert!(outcome.is_err());
    let outcome = other.transaction(|conn| {
        conn.batch_execute("INSERT INTO mine VALUES (1)")?;
        conn.run_pending_migrations(files.source()).map(|_| ())
    });
    outcome.expect("nothing is pending");
    assert_eq!(db.count("mine"), 1);
    // Nor where a program records a version itself.
    for writes in [true, false] {
        let outcome = other.transaction(|conn| {
            if writes {
                diesel::sql_query("INSERT INTO mine VALUES (2)").execute(conn)?;
            }
            let record = diesel::insert_into(schema_migrations::table).values(schema_migrations::version.eq("1"));
            record.execute(conn)
        });
        crate::support::assert_kind!(outcome, UniqueViolation);
    }
    assert_eq!(db.count("mine"), 1);
}

#[test]
fn eight_programs_that_start_at_once_apply_each_migration_once() {
    let migrations: Vec<_> = (1..=5)
        .map(|number| {
            (
                format!("{number}_m"),
                format!("CREATE TABLE t{number} (a INTEGER);\nINSERT INTO t{number} VALUES (1);"),
            )
        })
        .collect();
    let migrations: Vec<_> = migrations.iter().map(|(name, up)| (&**name, &**up)).collect();
    let files = Files::new(&migrations);
    let mut db = Database::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8)
            .map(|_| {
                let mut connection = db.another();
                let source = files.source();
                scope.spawn(move || connection.run_pending_migrations(source).map(|_| ()).is_ok())
            })
            .collect();
        for run in runs {
            assert!(run.join().expect("no panic"));
        }
    });
    assert_eq!(db.count("__diesel_schema_migrations"), 5);
    assert_eq!(db.count("t1, t2, t3, t4, t5"), 1);
}

#[test]
fn failing_statement_is_named() {
    let mut db = Database::new();
    let files = Files::new(&[(
        "2026-01-01-000000_a",
        "-- a trigger\nCREATE TABLE t (a);\n\nCREATE TRIGGER g AFTER INSERT ON t BEGIN\n  \
         SELECT CASE WHEN 1 THEN CASE 2 WHEN 3 THEN ';' END END;\nEND;\nINSERT INTO nowhere VALUES (1);\n",
    )]);
    assert_eq!(
        failure_of(&files, &mut db),
        "no such table: nowhere (migration 20260101000000, statement 3, line 7)"
    );
    let files = Files::new(&[("1_a", "CREATE TABLE t (a); INSERT INTO nowhere VALUES (1);")]);
    assert_eq!(
        failure_of(&files, &mut db),
        "no such table: nowhere (migration 1, statement 2, line 1)"
    );
    let files = Files::alone("1_a", "CREATE TABLE t (a);\nINSERT INTO nowhere VALUES (1);\n");
    assert_eq!(
        failure_of(&files, &mut db),
        "Failed to run 1_a with: no such table: nowhere (statement 2, line 2)"
    );
    assert_eq!(db.count("sqlite_master WHERE name = 't'"), 0);
}

#[test]
fn what_rqlite_does_not_take_is_explained() {
    let mut db = Database::new();
    for (up, explained) in [
        (
            "SELECT 1;\nPRAGMA writable_schema = ON;",
            "PRAGMA writable_schema can't be sent to rqlite: it would set up one connection of one node, for all \
             clients, until it restarts (statement 2, line 2)",
        ),
        (
            "SELECT 1;\nATTACH 'a' AS a;",
            "ATTACH can't be sent to rqlite: it would change one node's connection for all clients, and not the \
             other nodes (statement 2, line 2)",
        ),
        (
            "SELECT 1;\nVACUUM;",
            "VACUUM can't be sent to rqlite: it can't run in a transaction; a migration with it says \
             `run_in_transaction = false` in its metadata.toml (statement 2, line 2)",
        ),
        (
            "SELECT 1;\nSELECT 'a;",
            "the SQL text has an unclosed ' (statement 2, line 2)",
        ),
    ] {
        let files = Files::new(&[("1_a", up)]);
        let said = failure_of(&files, &mut db);
        assert_eq!(said, format!("Failed to run 1_a with: {explained}"));
    }
}

#[test]
fn vacuum_runs_outside_of_a_transaction() {
    let mut db = Database::new();
    let up = "CREATE TABLE t (a);\nINSERT INTO t VALUES (1);\nVACUUM;\nINSERT INTO t VALUES (2);\n";
    let files = Files::alone("1_a", up);
    db.run_pending_migrations(files.source()).expect("runs");
    assert_eq!(db.count("t"), 2);
    assert_eq!(db.count("__diesel_schema_migrations"), 1);
}

#[test]
fn migration_is_one_request() {
    let mut db = Database::new();
    let up: String = (0..20).map(|number| format!("CREATE TABLE t{number} (a);\n")).collect();
    let files = Files::new(&[("1_a", &up), ("2_b", "SELECT 1;")]);
    let pending = db.pending_migrations(files.source()).expect("lists");
    let (outcome, requests) = db.requests(|conn| conn.run_migrations(&pending).map(|_| ()));
    outcome.expect("runs");
    assert_eq!(requests, 2);
}
