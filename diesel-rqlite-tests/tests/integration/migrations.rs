//! Diesel's migrations.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

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
