//! LIMIT and OFFSET. SQLite accepts no OFFSET without a LIMIT; `LIMIT -1` means no limit.

use diesel::QueryResult;
use diesel::query_builder::{
    AstPass, BoxedLimitOffsetClause, IntoBoxedClause, LimitClause, LimitOffsetClause,
    NoLimitClause, NoOffsetClause, OffsetClause, QueryFragment,
};

use crate::backend::Rqlite;

const NO_LIMIT: &str = " LIMIT -1 ";

impl QueryFragment<Rqlite> for LimitOffsetClause<NoLimitClause, NoOffsetClause> {
    fn walk_ast<'b>(&'b self, _out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        Ok(())
    }
}

impl<L> QueryFragment<Rqlite> for LimitOffsetClause<LimitClause<L>, NoOffsetClause>
where
    LimitClause<L>: QueryFragment<Rqlite>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        self.limit_clause.walk_ast(out)
    }
}

impl<O> QueryFragment<Rqlite> for LimitOffsetClause<NoLimitClause, OffsetClause<O>>
where
    OffsetClause<O>: QueryFragment<Rqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        out.push_sql(NO_LIMIT);
        self.offset_clause.walk_ast(out)
    }
}

impl<L, O> QueryFragment<Rqlite> for LimitOffsetClause<LimitClause<L>, OffsetClause<O>>
where
    LimitClause<L>: QueryFragment<Rqlite>,
    OffsetClause<O>: QueryFragment<Rqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        self.limit_clause.walk_ast(out.reborrow())?;
        self.offset_clause.walk_ast(out)
    }
}

impl QueryFragment<Rqlite> for BoxedLimitOffsetClause<'_, Rqlite> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        match (&self.limit, &self.offset) {
            (Some(limit), _) => limit.walk_ast(out.reborrow())?,
            (None, Some(_)) => out.push_sql(NO_LIMIT),
            (None, None) => {}
        }
        match &self.offset {
            Some(offset) => offset.walk_ast(out),
            None => Ok(()),
        }
    }
}

impl<'a> IntoBoxedClause<'a, Rqlite> for LimitOffsetClause<NoLimitClause, NoOffsetClause> {
    type BoxedClause = BoxedLimitOffsetClause<'a, Rqlite>;

    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause {
            limit: None,
            offset: None,
        }
    }
}

impl<'a, L> IntoBoxedClause<'a, Rqlite> for LimitOffsetClause<LimitClause<L>, NoOffsetClause>
where
    L: QueryFragment<Rqlite> + Send + 'a,
{
    type BoxedClause = BoxedLimitOffsetClause<'a, Rqlite>;

    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause {
            limit: Some(Box::new(self.limit_clause)),
            offset: None,
        }
    }
}

impl<'a, O> IntoBoxedClause<'a, Rqlite> for LimitOffsetClause<NoLimitClause, OffsetClause<O>>
where
    O: QueryFragment<Rqlite> + Send + 'a,
{
    type BoxedClause = BoxedLimitOffsetClause<'a, Rqlite>;

    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause {
            limit: None,
            offset: Some(Box::new(self.offset_clause)),
        }
    }
}

impl<'a, L, O> IntoBoxedClause<'a, Rqlite> for LimitOffsetClause<LimitClause<L>, OffsetClause<O>>
where
    L: QueryFragment<Rqlite> + Send + 'a,
    O: QueryFragment<Rqlite> + Send + 'a,
{
    type BoxedClause = BoxedLimitOffsetClause<'a, Rqlite>;

    fn into_boxed(self) -> Self::BoxedClause {
        BoxedLimitOffsetClause {
            limit: Some(Box::new(self.limit_clause)),
            offset: Some(Box::new(self.offset_clause)),
        }
    }
}
