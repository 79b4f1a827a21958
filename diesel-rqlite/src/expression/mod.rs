//! SQLite's own operators and functions, which Diesel ties to its SQLite backend.

#[cfg(feature = "postgres_backend")]
mod json;

use diesel::QueryResult;
use diesel::expression::{
    AppearsOnTable, AsExpression, Expression, SelectableExpression, ValidGrouping,
};
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, SqlType};

use crate::backend::Rqlite;

#[cfg(feature = "postgres_backend")]
pub use self::json::functions as json_functions;

mod operators {
    #![allow(missing_docs, unreachable_pub)]

    use diesel::sql_types::Bool;

    use crate::backend::Rqlite;

    diesel::__diesel_infix_operator!(Is, " IS ", ConstantNullability Bool, backend: Rqlite);
    diesel::__diesel_infix_operator!(IsNot, " IS NOT ", ConstantNullability Bool, backend: Rqlite);
}

/// The methods of Diesel's `SqliteExpressionMethods`, for all expressions.
///
/// Import the trait where you use it: Diesel's prelude does not contain it.
pub trait RqliteExpressionMethods: Expression + Sized {
    /// `IS`: equality where NULL equals NULL. The result is never NULL.
    fn is<T>(self, other: T) -> Parens<operators::Is<Self, T::Expression>>
    where
        Self::SqlType: SqlType,
        T: AsExpression<Self::SqlType>,
    {
        Parens(operators::Is::new(self, other.as_expression()))
    }

    /// `IS NOT`: inequality where NULL equals NULL. The result is never NULL.
    #[allow(clippy::wrong_self_convention)]
    fn is_not<T>(self, other: T) -> Parens<operators::IsNot<Self, T::Expression>>
    where
        Self::SqlType: SqlType,
        T: AsExpression<Self::SqlType>,
    {
        Parens(operators::IsNot::new(self, other.as_expression()))
    }
}

impl<T: Expression> RqliteExpressionMethods for T {}

/// An expression in parentheses.
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
pub struct Parens<T>(T);

impl<T: Expression<SqlType = Bool>> Expression for Parens<T> {
    type SqlType = Bool;
}

impl<T: QueryFragment<Rqlite>> QueryFragment<Rqlite> for Parens<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        out.push_sql("(");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

impl<T, Source> SelectableExpression<Source> for Parens<T>
where
    T: SelectableExpression<Source>,
    Self: AppearsOnTable<Source>,
{
}

impl<T, Source> AppearsOnTable<Source> for Parens<T>
where
    T: AppearsOnTable<Source>,
    Self: Expression,
{
}
