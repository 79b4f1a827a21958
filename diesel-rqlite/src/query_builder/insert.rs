//! INSERT: SQLite's variants, columns with defaults, and batches.

use diesel::QueryResult;
use diesel::backend::sql_dialect::default_keyword_for_insert::DoesNotSupportDefaultKeyword;
use diesel::expression::{AppearsOnTable, Expression};
use diesel::insertable::{
    CanInsertInSingleQuery, ColumnInsertValue, DefaultableColumnInsertValue, InsertValues,
};
use diesel::internal::table_macro::NoFromClause;
use diesel::query_builder::{
    AstPass, BatchInsert, InsertOrIgnore, QueryFragment, Replace, ValuesClause,
};
use diesel::query_source::{Column, Table};

use super::batch;
use crate::backend::{Rqlite, RqliteBatchInsert};

impl QueryFragment<Rqlite> for InsertOrIgnore {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        out.push_sql("INSERT OR IGNORE");
        Ok(())
    }
}

impl QueryFragment<Rqlite> for Replace {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        out.push_sql("REPLACE");
        Ok(())
    }
}

impl<Col, Expr> InsertValues<Rqlite, Col::Table>
    for DefaultableColumnInsertValue<ColumnInsertValue<Col, Expr>>
where
    Col: Column,
    Expr: Expression<SqlType = Col::SqlType> + AppearsOnTable<NoFromClause>,
    Self: QueryFragment<Rqlite>,
{
    fn column_names(&self, mut out: AstPass<'_, '_, Rqlite>) -> QueryResult<()> {
        if let Self::Expression(..) = self {
            out.push_identifier(Col::NAME)?;
        }
        Ok(())
    }
}

impl<Col, Expr> QueryFragment<Rqlite, DoesNotSupportDefaultKeyword>
    for DefaultableColumnInsertValue<ColumnInsertValue<Col, Expr>>
where
    Expr: QueryFragment<Rqlite>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        match self {
            Self::Expression(value) => value.walk_ast(out),
            Self::Default => Ok(()),
        }
    }
}

impl<V, Tab, QId, const STABLE_QUERY_ID: bool> CanInsertInSingleQuery<Rqlite>
    for BatchInsert<Vec<ValuesClause<V, Tab>>, Tab, QId, STABLE_QUERY_ID>
{
    fn rows_to_insert(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

impl<V, Tab, QId, const STABLE_QUERY_ID: bool> QueryFragment<Rqlite, RqliteBatchInsert>
    for BatchInsert<Vec<ValuesClause<V, Tab>>, Tab, QId, STABLE_QUERY_ID>
where
    Tab: Table,
    V: QueryFragment<Rqlite> + InsertValues<Rqlite, Tab>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        // The named columns depend on the values, whatever the query id says.
        out.unsafe_to_cache_prepared();
        out.push_sql(batch::ROWS);
        for row in &self.values {
            if row.values.is_noop(out.backend())? {
                out.push_sql(batch::DEFAULT_ROW);
                continue;
            }
            out.push_sql(batch::COLUMNS);
            row.values.column_names(out.reborrow())?;
            out.push_sql(batch::VALUES);
            row.values.walk_ast(out.reborrow())?;
            out.push_sql(batch::ROW_END);
        }
        out.push_sql(batch::ROWS_END);
        Ok(())
    }
}
