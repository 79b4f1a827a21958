//! The clause RETURNING.

use diesel::QueryResult;
use diesel::query_builder::{AstPass, QueryFragment, ReturningClause};

use crate::backend::{Rqlite, RqliteReturningClause};

impl<Expr> QueryFragment<Rqlite, RqliteReturningClause> for ReturningClause<Expr>
where
    Expr: QueryFragment<Rqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        // In this clause, SQLite knows the columns of the written table only by their unqualified names.
        out.skip_from(true);
        out.push_sql(" RETURNING ");
        self.0.walk_ast(out.reborrow())
    }
}
