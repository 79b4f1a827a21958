//! Tables that are dropped while foreign keys are enforced.
//!
//! SQLite deletes the rows of a table before it drops it, and applies the actions of foreign keys to the rows of other
//! tables. A program that rebuilds a table by copying it, dropping it and renaming the copy loses those rows without an
//! error.
//!
//! `session::foreign_keys` calls this module, and only if the node enforces foreign keys and the connection has not
//! switched them off. [`Batch::with_guarded_drops`] then puts a check before each `DROP TABLE`. Check and drop run in
//! one transaction, so that no row can be added in between. A check fails by the error of a guard, whose text names the
//! table that would lose rows; `error` explains it to the user.

use std::collections::HashSet;

use diesel_rqlite_sql::DroppedTable;

use super::{Batch, Check, Statement};
use crate::protocol::message::{DROPS, GUARD};

impl Batch<'_> {
    pub(crate) fn drops_tables(&self) -> bool {
        let mut statements = self.statements.iter();
        statements.any(|statement| statement.drops.is_some())
    }

    /// Puts a check before each `DROP TABLE`. Tables that the same script drops as well may lose their rows.
    ///
    /// The result is atomic if it has a check: a drop must not run after its check has failed. A check gets the
    /// position of its `DROP TABLE`, so that an error points there. A second call would add the checks again.
    #[must_use]
    pub(crate) fn with_guarded_drops(self) -> Self {
        let dropped: HashSet<_> = self
            .statements
            .iter()
            .filter_map(|statement| Some(statement.drops.as_ref()?.name.to_ascii_lowercase()))
            .collect();
        let mut guarded = Vec::with_capacity(self.statements.len() + dropped.len());
        for statement in self.statements {
            if let Some(table) = &statement.drops {
                let mut check = Statement::raw(check(table, &dropped));
                check.check = Some(Check::OfNext);
                check.position = statement.position;
                guarded.push(check);
            }
            guarded.push(statement);
        }
        Batch {
            atomic: guarded.len() > 1,
            statements: guarded,
        }
    }
}

/// Returns the statement that fails if dropping the table would change rows of another one. Its result is the same on
/// all nodes.
///
/// It looks for a table other than those that are dropped, with a foreign key to the dropped table whose action on
/// DELETE changes rows: CASCADE, SET NULL or SET DEFAULT. The other actions let the drop itself fail. An empty table
/// may be dropped.
fn check(table: &DroppedTable, dropped: &HashSet<String>) -> String {
    let name = literal(&table.name);
    let has_rows = match table.if_exists {
        // The table may not exist, and then its name could not stand after FROM. `dbstat` finds its pages by name.
        true => format!(
            "EXISTS (SELECT 1 FROM sqlite_master e, dbstat d WHERE e.type='table' AND e.name={name} COLLATE NOCASE AND \
             d.name=e.name AND d.ncell>0)"
        ),
        false => format!("EXISTS (SELECT 1 FROM {})", table.written),
    };
    let mut others: Vec<_> = dropped.iter().map(|name| literal(name)).collect();
    others.sort();
    format!(
        "SELECT CASE WHEN {has_rows} THEN (SELECT json_extract('{{}}','{GUARD}{DROPS}' || m.name) FROM sqlite_master m, \
         pragma_foreign_key_list(m.name) f WHERE m.type='table' AND lower(m.name) NOT IN ({}) AND \
         f.\"table\"={name} COLLATE NOCASE AND f.on_delete IN ('CASCADE','SET NULL','SET DEFAULT') LIMIT 1) END",
        others.join(",")
    )
}

fn literal(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}
