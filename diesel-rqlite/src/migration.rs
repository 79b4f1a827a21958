//! Diesel's migrations. `MigrationHarness` works on an [`RqliteConnection`](crate::RqliteConnection) as on any other
//! connection.
//!
//! A migration and the row that records it are one atomic request. That request first checks whether the row exists.
//! If several processes run the same migration at the same time, one of them applies it, and for the others it is
//! already done. No lock is needed for this, so none can be left over.
//!
//! This applies if the transaction contains the migration and nothing else. In a transaction of the caller, other
//! writes would be lost, so the migration fails instead. The later of two concurrent migrations also fails if they
//! run outside of transactions, or in the mode `Eager`, which detects at once that its statements fail.

use diesel::migration::CREATE_MIGRATIONS_TABLE;

use crate::bind_collector::Bind;
use crate::sql::cells::GUARD;
use crate::statement::Statement;
use crate::transaction::Migration;

const RECORD: &str =
    r#"INSERT INTO "__diesel_schema_migrations" ("version", "run_on") VALUES (?, "#;

/// Adds the client's time to the statement that records a migration. Diesel leaves this time to the column's default,
/// which each node would evaluate itself.
pub(crate) fn with_run_on(sql: String) -> String {
    const DIESELS: &str = r#"INSERT INTO "__diesel_schema_migrations" ("version") VALUES (?)"#;
    match sql == DIESELS {
        true => format!("{RECORD}CURRENT_TIMESTAMP)"),
        false => sql,
    }
}

/// Returns the role of a statement in migrations.
pub(crate) fn part(statement: &Statement<'_>) -> Option<Migration> {
    match is_setup(&statement.sql) {
        true => Some(Migration::SetUp),
        false => recorded(statement).map(Migration::Recorded),
    }
}

/// Returns the version, if a statement records that a migration has been applied.
fn recorded(statement: &Statement<'_>) -> Option<String> {
    if !statement.sql.starts_with(RECORD) {
        return None;
    }
    match statement.bound(0)? {
        Bind::Text(version) => Some(version.into_owned()),
        _ => None,
    }
}

/// Returns whether a statement creates Diesel's table of migrations.
fn is_setup(sql: &str) -> bool {
    sql == CREATE_MIGRATIONS_TABLE.trim().trim_end_matches(';')
}

/// Returns a statement that fails if the migration has been applied.
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
