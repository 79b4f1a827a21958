//! `INSERT … SELECT … ON CONFLICT`, which Diesel's own types allow only for its own backends.

use diesel::QueryResult;
use diesel::expression::{Expression, NonAggregate, SelectableExpression};
use diesel::insertable::{CanInsertInSingleQuery, Insertable};
use diesel::query_builder::{
    AsQuery, AstPass, BatchInsert, Query, QueryBuilder, QueryFragment, UndecoratedInsertRecord,
};
use diesel::query_source::Table;
use diesel_rqlite_sql::{TokenKind, tokens, unescaped};

use super::RqliteQueryBuilder;
use crate::backend::{Rqlite, RqliteBatchInsert};
use crate::error;

/// Makes a query the rows of an INSERT that may have a conflict clause.
///
/// Without a conflict clause, Diesel's own `insert_into(t).values(query).into_columns(columns)` does the same.
///
/// ```
/// use diesel::prelude::*;
/// use diesel::upsert::excluded;
/// use diesel_rqlite::{Rqlite, RqliteInsertSelectDsl};
///
/// diesel::table! { posts { id -> Integer, title -> Text, } }
/// diesel::table! { archive { id -> Integer, title -> Text, } }
///
/// # fn main() {
/// let upsert = diesel::insert_into(archive::table)
///     .values(posts::table.into_rows_of((archive::id, archive::title)))
///     .on_conflict(archive::id)
///     .do_update()
///     .set(archive::title.eq(excluded(archive::title)));
/// assert_eq!(
///     diesel::debug_query::<Rqlite, _>(&upsert).to_string(),
///     "INSERT INTO \"archive\" (\"id\", \"title\") SELECT * FROM (SELECT \"posts\".\"id\", \"posts\".\"title\" FROM \
///      \"posts\") WHERE 1 ON CONFLICT (\"id\") DO UPDATE SET \"title\" = excluded.\"title\" -- binds: []"
/// );
/// # }
/// ```
pub trait RqliteInsertSelectDsl: AsQuery + Sized {
    /// Makes this query the rows for these columns of the target table.
    fn into_rows_of<C>(self, columns: C) -> SelectedRows<Self::Query, C>
    where
        C: Expression<SqlType = Self::SqlType> + NonAggregate,
    {
        SelectedRows {
            query: self.as_query(),
            columns,
        }
    }
}

impl<T: AsQuery> RqliteInsertSelectDsl for T {}

/// The result of [`into_rows_of`](RqliteInsertSelectDsl::into_rows_of).
#[derive(Clone, Copy, Debug)]
pub struct SelectedRows<Q, C> {
    query: Q,
    columns: C,
}

/// The selected rows, as a part of the statement.
#[derive(Clone, Copy, Debug)]
pub struct SelectedValues<Q, C>(SelectedRows<Q, C>);

/// A batch of one query. Diesel allows a conflict clause after single rows and after batches.
type Batch<Q, C, Tab> = <[Single<Q, C>; 1] as Insertable<Tab>>::Values;

/// The one element of that batch.
#[derive(Clone, Copy, Debug)]
pub struct Single<Q, C>(SelectedRows<Q, C>);

impl<Q, C, Tab> Insertable<Tab> for Single<Q, C>
where
    C: SelectableExpression<Tab>,
{
    type Values = SelectedValues<Q, C>;

    fn values(self) -> Self::Values {
        SelectedValues(self.0)
    }
}

impl<Q, C, Tab> Insertable<Tab> for SelectedRows<Q, C>
where
    C: SelectableExpression<Tab>,
{
    type Values = Batch<Q, C, Tab>;

    fn values(self) -> Self::Values {
        [Single(self)].values()
    }
}

impl<Q, C, Tab> UndecoratedInsertRecord<Tab> for SelectedValues<Q, C> where
    C: SelectableExpression<Tab>
{
}

impl<Q, C, Tab, QId, const STABLE_QUERY_ID: bool> CanInsertInSingleQuery<Rqlite>
    for BatchInsert<Vec<SelectedValues<Q, C>>, Tab, QId, STABLE_QUERY_ID>
{
    fn rows_to_insert(&self) -> Option<usize> {
        None
    }
}

impl<Q, C, Tab, QId, const STABLE_QUERY_ID: bool> QueryFragment<Rqlite, RqliteBatchInsert>
    for BatchInsert<Vec<SelectedValues<Q, C>>, Tab, QId, STABLE_QUERY_ID>
where
    Tab: Table,
    C: QueryFragment<Rqlite>,
    Q: Query + QueryFragment<Rqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        for SelectedValues(rows) in &self.values {
            out.push_sql("(");
            for (place, column) in names(&rows.columns)?.iter().enumerate() {
                out.push_sql(if place == 0 { "" } else { ", " });
                out.push_identifier(column)?;
            }
            // SQLite parses an ON that follows a table as that of a join. After WHERE it can't.
            out.push_sql(") SELECT * FROM (");
            rows.query.walk_ast(out.reborrow())?;
            out.push_sql(") WHERE 1");
        }
        Ok(())
    }
}

/// Returns the names of the columns. As expressions, the columns are qualified by their table's name.
fn names(columns: &impl QueryFragment<Rqlite>) -> QueryResult<Vec<String>> {
    let mut builder = RqliteQueryBuilder::new();
    columns.to_sql(&mut builder, &Rqlite)?;
    let sql = builder.finish();
    let mut names: Vec<String> = Vec::new();
    let mut begins = true;
    let tokens = tokens(&sql).map_err(error::not_sent)?;
    for token in tokens {
        let name = || unescaped(&sql[token.range()]);
        match token.kind {
            TokenKind::Comma => begins = true,
            TokenKind::Quoted if begins => {
                names.push(name());
                begins = false;
            }
            TokenKind::Quoted => {
                names.pop();
                names.push(name());
            }
            _ => {}
        }
    }
    Ok(names)
}
