//! Diesel's migrations: `MigrationHarness` works on an [`RqliteConnection`] as on any other.
//!
//! A migration and the row that records it are one atomic request. That request first looks whether the row is there
//! already: of several processes that run the same migration at the same time, one applies it, and for the others it
//! is done. No lock is needed for this, so none can be left behind.
//!
//! That is so where the transaction is the migration and nothing else. In one of the caller's own, other writes would be
//! lost; it fails instead. So does the later of two migrations outside of transactions, and of two in the mode `Eager`,
//! which sees at once that its statements fail.

use diesel::QueryResult;
use diesel::RunQueryDsl;
use diesel::migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection};

use crate::bind_collector::Bind;
use crate::connection::RqliteConnection;
use crate::sql::cells::GUARD;
use crate::statement::Statement;

impl MigrationConnection for RqliteConnection {
    fn setup(&mut self) -> QueryResult<usize> {
        diesel::sql_query(CREATE_MIGRATIONS_TABLE).execute(self)
    }
}

const RECORD: &str =
    r#"INSERT INTO "__diesel_schema_migrations" ("version", "run_on") VALUES (?, "#;

/// Diesel leaves the time of a migration to the column's default, which each node would evaluate for itself.
/// Named in the statement, the client's time is stored.
pub(crate) fn with_run_on(sql: String) -> String {
    const DIESELS: &str = r#"INSERT INTO "__diesel_schema_migrations" ("version") VALUES (?)"#;
    match sql == DIESELS {
        true => format!("{RECORD}CURRENT_TIMESTAMP)"),
        false => sql,
    }
}

/// The version, if a statement records that a migration has been applied.
pub(crate) fn recorded(statement: &Statement<'_>) -> Option<String> {
    if !statement.sql.starts_with(RECORD) {
        return None;
    }
    match statement.bound(0)? {
        Bind::Text(version) => Some(version.into_owned()),
        _ => None,
    }
}

/// Whether a statement makes Diesel's table of migrations.
pub(crate) fn is_setup(sql: &str) -> bool {
    sql == CREATE_MIGRATIONS_TABLE.trim().trim_end_matches(';')
}

/// Fails if the migration has been applied.
pub(crate) fn is_pending(version: &str) -> Statement<'static> {
    let sql = format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM \"__diesel_schema_migrations\" WHERE \"version\" = ?) \
         THEN json_extract('{{}}','{GUARD}migration') ELSE 1 END"
    );
    Statement::with_binds(sql, vec![Bind::Text(version.to_owned().into())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::one;

    #[test]
    fn diesels_statements_are_known() {
        let setup = one(CREATE_MIGRATIONS_TABLE).expect("parses");
        assert!(is_setup(setup.text()));
        let version = vec![Bind::Text("1".into())];
        let record = with_run_on(
            r#"INSERT INTO "__diesel_schema_migrations" ("version") VALUES (?)"#.to_owned(),
        );
        let record = Statement::with_binds(record, version.clone());
        assert_eq!(recorded(&record).as_deref(), Some("1"));
        let other = Statement::with_binds("INSERT INTO t (a) VALUES (?)", version);
        assert_eq!(recorded(&other), None);
    }
}
