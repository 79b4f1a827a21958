//! Foreign keys on nodes that enforce them: no row is lost without an error.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use diesel_rqlite_tests::{Cluster, Rqlited};
use tempfile::TempDir;

use super::database::Database;
use crate::support::{assert_kind, database_error};

/// A parent with two rows, and a child of each.
const FAMILY: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT NOT NULL);
    CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id) ON DELETE CASCADE);
    CREATE TABLE n (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id) ON DELETE SET NULL);
    INSERT INTO p VALUES (1, 'one'), (2, 'two');
    INSERT INTO c VALUES (11, 1), (12, 2);
    INSERT INTO n VALUES (21, 1), (22, 2);";

/// As the documentation of SQLite has it.
const REBUILD: &str =
    "CREATE TABLE new_p (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT DEFAULT 'b');
    INSERT INTO new_p (id, a) SELECT id, a FROM p;
    DROP TABLE p;
    ALTER TABLE new_p RENAME TO p;";

fn family() -> Database {
    let mut db = Database::on(Rqlited::builder().foreign_keys());
    db.batch_execute(FAMILY).expect("creates");
    db
}

/// Whether all rows are there, and the parent is the new one.
fn is_rebuilt(db: &mut Database) -> bool {
    assert_eq!(db.count("c WHERE p_id IN (SELECT id FROM p)"), 2);
    assert_eq!(db.count("n WHERE p_id IN (SELECT id FROM p)"), 2);
    assert_eq!(db.count("p"), 2);
    db.count("pragma_table_info('p') WHERE name = 'b'") == 1
}

/// Whether a key that is none is refused.
fn enforces(db: &mut Database) -> bool {
    let node = db.another();
    [&mut **db, &mut { node }].into_iter().all(|connection| {
        let outcome = connection.batch_execute("INSERT INTO c VALUES (99, 99)");
        outcome.is_err()
    })
}

fn migration(up: &str, in_transaction: bool) -> (TempDir, FileBasedMigrations) {
    let directory = tempfile::tempdir().expect("a directory");
    let one = directory.path().join("1_rebuild");
    std::fs::create_dir(&one).expect("creates");
    std::fs::write(one.join("up.sql"), up).expect("writes");
    std::fs::write(one.join("down.sql"), "SELECT 1;").expect("writes");
    let metadata = format!("run_in_transaction = {in_transaction}\n");
    std::fs::write(one.join("metadata.toml"), metadata).expect("writes");
    let source = FileBasedMigrations::from_path(directory.path()).expect("migrations");
    (directory, source)
}

#[test]
fn table_that_others_refer_to_is_not_dropped_with_their_rows() {
    let mut db = family();
    let said = |outcome: QueryResult<()>| {
        let (_, information) = database_error(outcome);
        information.message().to_owned()
    };
    let alone = db.batch_execute(REBUILD);
    assert_kind!(alone, ForeignKeyViolation);
    let message = said(db.batch_execute(REBUILD));
    assert!(
        message.contains("`c`") || message.contains("`n`"),
        "{message}"
    );
    assert!(message.contains("PRAGMA foreign_keys = OFF"), "{message}");
    // SQLite ignores the PRAGMA inside of a transaction, and would delete the rows.
    let ignored = format!("PRAGMA foreign_keys = OFF;{REBUILD}PRAGMA foreign_keys = ON;");
    let inside = db.transaction(|connection| connection.batch_execute(&ignored));
    assert_kind!(inside, ForeignKeyViolation);
    let framed = db.batch_execute(&format!("BEGIN;{ignored}COMMIT;"));
    assert_kind!(framed, ForeignKeyViolation);
    let one = diesel::sql_query("DROP TABLE \"P\"").execute(&mut *db);
    assert_kind!(one, ForeignKeyViolation);
    let one = diesel::sql_query("DROP TABLE IF EXISTS main.p").execute(&mut *db);
    assert_kind!(one, ForeignKeyViolation);
    let (_directory, source) = migration(&ignored, true);
    let error = db.run_pending_migrations(source).expect_err("fails");
    assert!(
        error.to_string().contains("PRAGMA foreign_keys = OFF"),
        "{error}"
    );
    assert!(!is_rebuilt(&mut db));
}

#[test]
fn table_without_rows_of_others_behind_it_is_dropped() {
    let mut db = family();
    // All of them, in any order, as by a migration that is reverted.
    db.transaction(|connection| {
        connection.batch_execute("DROP TABLE p; DROP TABLE IF EXISTS c; DROP TABLE n;")?;
        QueryResult::<()>::Err(diesel::result::Error::RollbackTransaction)
    })
    .expect_err("rolled back");
    assert_eq!(db.batch_execute("DROP TABLE IF EXISTS nowhere"), Ok(()));
    assert_eq!(
        db.batch_execute("DELETE FROM p; DROP TABLE IF EXISTS \"P\""),
        Ok(())
    );
    assert_eq!(db.count("c"), 0);
    assert_eq!(
        db.batch_execute("CREATE TABLE p (id TEXT PRIMARY KEY) WITHOUT ROWID"),
        Ok(())
    );
    assert_eq!(db.batch_execute("DROP TABLE IF EXISTS p"), Ok(()));
    db.batch_execute(
        "CREATE TABLE p (id TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO p VALUES (1)",
    )
    .expect("creates");
    assert_kind!(
        db.batch_execute("DROP TABLE IF EXISTS p"),
        ForeignKeyViolation
    );
    assert_eq!(db.batch_execute("DELETE FROM p; DROP TABLE p"), Ok(()));
    assert_eq!(db.count("n WHERE p_id IS NULL"), 2);
    let mut db = family();
    assert_eq!(
        db.batch_execute("DROP TABLE p; DROP TABLE c; DROP TABLE n;"),
        Ok(())
    );
    let mut db = family();
    // A key without an action: SQLite itself says no, unless all is as it was at the end.
    db.batch_execute(
        "DROP TABLE c; DROP TABLE n; CREATE TABLE r (p_id REFERENCES p); INSERT INTO r VALUES (1)",
    )
    .expect("creates");
    assert_kind!(db.batch_execute(REBUILD), ForeignKeyViolation);
    let refilled = "PRAGMA defer_foreign_keys = ON; CREATE TABLE old AS SELECT * FROM p; DROP TABLE p;
        CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b TEXT); INSERT INTO p (id, a) SELECT id, a FROM old;
        DROP TABLE old;";
    assert_eq!(
        db.transaction(|connection| connection.batch_execute(refilled)),
        Ok(())
    );
    assert_eq!(db.count("r JOIN p ON p_id = p.id"), 1);
    // Where nothing is enforced, nothing is guarded, and nothing is asked but that.
    let mut db = Database::with(FAMILY);
    assert_eq!(db.batch_execute(REBUILD), Ok(()));
    assert!(is_rebuilt(&mut db));
    let (outcome, requests) = db.requests(|connection| connection.batch_execute("DROP TABLE p"));
    assert_eq!((outcome, requests), (Ok(()), 1));
}

#[test]
fn table_is_rebuilt_with_foreign_keys_off_in_one_request() {
    let scripts = [
        format!("PRAGMA foreign_keys = OFF; BEGIN;{REBUILD}COMMIT; PRAGMA foreign_keys = ON;"),
        format!("PRAGMA foreign_keys = OFF;{REBUILD}PRAGMA foreign_keys = ON;"),
    ];
    for script in scripts {
        let mut db = family();
        db.batch_execute("PRAGMA foreign_keys = ON").expect("is so");
        let (outcome, requests) = db.requests(|connection| connection.batch_execute(&script));
        assert_eq!((outcome, requests), (Ok(()), 1));
        assert!(is_rebuilt(&mut db));
        assert!(enforces(&mut db));
        assert_eq!(
            db.one("SELECT foreign_keys AS value FROM pragma_foreign_keys"),
            1
        );
    }
}

#[test]
fn migrations_run_behind_foreign_keys_off() {
    // As programs do it that set up a connection for their migrations.
    for (up, in_transaction) in [
        (REBUILD.to_owned(), true),
        (
            format!("PRAGMA foreign_keys = OFF;{REBUILD}PRAGMA foreign_keys = ON;"),
            true,
        ),
        (REBUILD.to_owned(), false),
    ] {
        let mut db = family();
        diesel::sql_query("PRAGMA foreign_keys = OFF")
            .execute(&mut *db)
            .expect("is off");
        let (_directory, source) = migration(&up, in_transaction);
        assert_eq!(db.run_pending_migrations(source).expect("runs").len(), 1);
        assert!(is_rebuilt(&mut db));
        assert_eq!(db.count("__diesel_schema_migrations"), 1);
        let mut other = db.another();
        assert!(
            other
                .batch_execute("INSERT INTO c VALUES (99, 99)")
                .is_err()
        );
        db.batch_execute("PRAGMA foreign_keys = ON").expect("is on");
        assert!(enforces(&mut db));
    }
    // In the migration itself, as the documentation of SQLite has it.
    let mut db = family();
    let up = format!("PRAGMA foreign_keys=OFF;\nBEGIN;{REBUILD}COMMIT;\nPRAGMA foreign_keys=ON;");
    let (_directory, source) = migration(&up, false);
    db.run_pending_migrations(source).expect("runs");
    assert!(is_rebuilt(&mut db));
    assert!(enforces(&mut db));
}

#[test]
fn migration_of_another_process_is_done_without_foreign_keys_too() {
    let mut db = family();
    let (_directory, source) = migration(REBUILD, true);
    let mut other = db.another();
    other
        .batch_execute("PRAGMA foreign_keys = OFF")
        .expect("is off");
    let pending = other.pending_migrations(source).expect("lists");
    let (_directory, source) = migration(REBUILD, true);
    db.batch_execute("PRAGMA foreign_keys = OFF")
        .expect("is off");
    db.run_pending_migrations(source).expect("runs");
    assert_eq!(other.run_migrations(&pending).expect("runs").len(), 1);
    assert!(is_rebuilt(&mut db));
}

#[test]
fn script_that_fails_leaves_nothing_and_foreign_keys_on() {
    let mut db = family();
    for (begin, end) in [("BEGIN;", "COMMIT;"), ("", "")] {
        let script = format!(
            "PRAGMA foreign_keys = OFF; {begin} DELETE FROM p; INSERT INTO nowhere VALUES (1); DELETE FROM c; {end}
             PRAGMA foreign_keys = ON;"
        );
        let (_, information) = database_error(db.batch_execute(&script));
        assert_eq!(information.message(), "no such table: nowhere");
        assert_eq!(information.details(), Some("statement 2 of 3"));
        assert!(!is_rebuilt(&mut db));
        assert!(enforces(&mut db));
    }
    assert!(db.batch_execute(&format!("{REBUILD}ROLLBACK")).is_err());
    assert!(!is_rebuilt(&mut db));
}

#[test]
fn what_fails_with_foreign_keys_off_names_its_statement() {
    let mut db = family();
    let details = |outcome: QueryResult<()>| {
        let (_, information) = database_error(outcome);
        let message = information.message().to_owned();
        (message, information.details().map(str::to_owned))
    };
    let script = "PRAGMA foreign_keys = OFF;\nINSERT INTO c VALUES (91, 91);\nINSERT INTO c VALUES (91, 92);\nSELECT 1;";
    let (message, details_) = details(db.batch_execute(script));
    assert!(
        message.contains("UNIQUE") && message.contains("(statement 3, line 3)"),
        "{message}"
    );
    assert_eq!(details_.as_deref(), Some("statement 3, line 3"));
    // The same as migrations, each one transaction, with a savepoint in it that is undone.
    db.batch_execute("PRAGMA foreign_keys = OFF")
        .expect("is off");
    let (_directory, source) = migration(
        "INSERT INTO c VALUES (91, 91);\n\nINSERT INTO c VALUES (91, 92);",
        true,
    );
    let error = db.run_pending_migrations(source).expect_err("fails");
    assert!(
        error
            .to_string()
            .contains("migration 1, statement 2, line 3"),
        "{error}"
    );
    let outcome = db.transaction(|connection| {
        let _ = connection.transaction(|connection| {
            connection
                .batch_execute("INSERT INTO c VALUES (93, 93); INSERT INTO c VALUES (94, 93)")?;
            Err::<(), _>(diesel::result::Error::RollbackTransaction)
        });
        connection.batch_execute("INSERT INTO c VALUES (95, 95)")?;
        connection.batch_execute("INSERT INTO c VALUES (95, 96)")
    });
    let (message, _) = details(outcome);
    assert!(
        message.contains("UNIQUE constraint failed: c.id"),
        "{message}"
    );
    assert_eq!(db.count("c"), 2);
    db.batch_execute("PRAGMA foreign_keys = ON").expect("is on");
    assert!(enforces(&mut db));
}

#[test]
fn what_needs_foreign_keys_says_so_behind_off() {
    let mut db = family();
    db.batch_execute("PRAGMA foreign_keys = OFF")
        .expect("is off");
    // Alone, as on SQLite.
    let inserted = diesel::sql_query("INSERT INTO c VALUES (77, 77), (78, 78)").execute(&mut *db);
    assert_eq!(inserted, Ok(2));
    assert_eq!(db.count("c WHERE p_id > 76"), 2);
    assert_eq!(db.batch_execute("VACUUM"), Ok(()));
    let read = db.transaction(|connection| diesel::sql_query("SELECT 1").execute(connection));
    assert!(
        format!("{read:?}").contains("PRAGMA foreign_keys = ON"),
        "{read:?}"
    );
    #[derive(QueryableByName, Debug, PartialEq)]
    struct Enforced {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        foreign_keys: i32,
    }
    let asked = |db: &mut Database| {
        let asked = diesel::sql_query("PRAGMA foreign_keys").get_result::<Enforced>(&mut **db);
        asked.expect("answers").foreign_keys
    };
    assert_eq!(asked(&mut db), 0);
    db.batch_execute("PRAGMA foreign_keys = ON").expect("is on");
    assert_eq!(asked(&mut db), 1);
    // The commit of a lock in rqlite and a numbered commit are parts of the same request.
    let mut other = db.another_with("lock=rqlite:rebuild&exactly_once=true");
    other
        .batch_execute("PRAGMA foreign_keys = OFF")
        .expect("is off");
    let outcome = other.transaction(|connection| connection.batch_execute(REBUILD));
    assert_eq!(outcome, Ok(()));
    db.batch_execute("DELETE FROM c WHERE p_id > 76")
        .expect("deletes");
    assert!(is_rebuilt(&mut db));
    assert!(enforces(&mut db));
}

#[test]
fn all_nodes_have_the_same_rows_behind_it() {
    let cluster = Cluster::builder().foreign_keys().start(3);
    let mut connection = super::database::connect(&cluster.url(0));
    connection.batch_execute(FAMILY).expect("creates");
    let script =
        format!("PRAGMA foreign_keys = OFF; BEGIN;{REBUILD}COMMIT; PRAGMA foreign_keys = ON;");
    connection.batch_execute(&script).expect("runs");
    // One more write, which every node applies behind it.
    connection
        .batch_execute("CREATE TABLE behind (a)")
        .expect("creates");
    for place in 0..3 {
        let url = format!("rqlite://{}?level=none", cluster.address(place));
        let mut node = super::database::connect(&url);
        let deadline = Instant::now() + Duration::from_secs(30);
        let sql = "SELECT count(*) AS value FROM behind, c";
        while diesel::sql_query(sql).execute(&mut node).is_err() {
            assert!(Instant::now() < deadline, "node {place} is behind");
        }
        let sql = "SELECT (SELECT count(*) FROM c WHERE p_id IN (SELECT id FROM p)) + (SELECT count(*) FROM n WHERE p_id \
                   IN (SELECT id FROM p)) + (SELECT count(*) FROM pragma_table_info('p') WHERE name = 'b') + (SELECT \
                   count(*) FROM pragma_foreign_keys WHERE foreign_keys) AS value";
        assert_eq!(super::database::one(&mut node, sql), 6, "node {place}");
    }
    let refused = connection.batch_execute("INSERT INTO c VALUES (99, 99)");
    assert_kind!(refused, ForeignKeyViolation);
}
