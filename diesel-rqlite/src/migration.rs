//! Diesel's migrations: `MigrationHarness` works on an [`RqliteConnection`] as on any other.
//!
//! A migration and the row that records it are one atomic request.

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};

use crate::connection::RqliteConnection;

impl MigrationConnection for RqliteConnection {
    fn setup(&mut self) -> QueryResult<usize> {
        diesel::sql_query(CREATE_MIGRATIONS_TABLE).execute(self)
    }
}

/// Diesel leaves the time of a migration to the column's default, which each node would evaluate for itself.
/// Named in the statement, the client's time is stored.
pub(crate) fn with_run_on(sql: String) -> String {
    const DIESELS: &str = r#"INSERT INTO "__diesel_schema_migrations" ("version") VALUES (?)"#;
    const OURS: &str = r#"INSERT INTO "__diesel_schema_migrations" ("version", "run_on") VALUES (?, CURRENT_TIMESTAMP)"#;
    if sql == DIESELS { OURS.to_owned() } else { sql }
}
