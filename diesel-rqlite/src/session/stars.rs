//! `RETURNING *` in raw SQL.
//!
//! The rows of a write can't be read again, so each column is asked for by its name in an exact form. The names are
//! those of the schema at that moment, which costs one more request. If another client changes the columns between the
//! two requests, the write fails because of a missing name, or lacks the new column.

use diesel::QueryResult;
use diesel_rqlite_sql::Parsed;

use super::{Client, Session};
use crate::bind_collector::Bind;
use crate::protocol::rows::Value;
use crate::statement::{Query, Statement};

/// The columns of a table. It includes generated columns, but not hidden ones of virtual tables.
const COLUMNS: &str = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid";

impl<C: Client> Session<C> {
    /// Replaces the `*` after RETURNING by the names of the columns. Returns the query as it is, without a request, if
    /// there is none. A statement whose table has no columns, because it does not exist, keeps its `*`.
    pub(super) async fn with_columns<'q>(&mut self, query: Query<'q>) -> QueryResult<Query<'q>> {
        if !query.found().iter().any(Parsed::returns_star) {
            return Ok(query);
        }
        let mut found = Vec::with_capacity(query.found().len());
        for parsed in query.found() {
            let named = match parsed.table_name().filter(|_| parsed.returns_star()) {
                Some(table) => parsed.with_returned(&Box::pin(self.columns_of_table(table)).await?),
                None => None,
            };
            found.push(named.unwrap_or_else(|| parsed.clone()));
        }
        Ok(query.with(found))
    }

    /// Returns the columns of a table, as the transaction sees it. They are empty if there is no such table.
    async fn columns_of_table(&mut self, table: String) -> QueryResult<Vec<String>> {
        let query = Statement::with_binds(COLUMNS, vec![Bind::Text(table.into())]);
        let rows = self.ask_as_seen(&query).await?;
        let names = (0..rows.len()).filter_map(|row| match rows.value(row, 0) {
            Some(Value::Text(name)) => Some(name.to_owned()),
            _ => None,
        });
        Ok(names.collect())
    }
}
