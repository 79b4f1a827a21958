//! UNION, INTERSECT and EXCEPT, and the type names of CAST.

use diesel::QueryResult;
use diesel::expression::KnownCastSqlTypeName;
use diesel::query_builder::{
    All, AstPass, Distinct, Except, Intersect, ParenthesisWrapper, QueryFragment,
    SupportsCombinationClause, Union,
};
use diesel::sql_types;

use crate::backend::Rqlite;

impl<T: QueryFragment<Rqlite>> QueryFragment<Rqlite> for ParenthesisWrapper<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        // SQLite does not allow parentheses around the parts of a compound.
        out.push_sql("SELECT * FROM (");
        self.inner.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}

impl SupportsCombinationClause<Union, Distinct> for Rqlite {}
impl SupportsCombinationClause<Union, All> for Rqlite {}
impl SupportsCombinationClause<Intersect, Distinct> for Rqlite {}
impl SupportsCombinationClause<Except, Distinct> for Rqlite {}

macro_rules! cast_names {
    ($($sql_type:ident => $name:literal,)*) => {$(
        impl KnownCastSqlTypeName<Rqlite> for sql_types::$sql_type {
            const SQL_TYPE_NAME: &'static str = $name;
        }
    )*};
}

cast_names! {
    SmallInt => "integer",
    Integer => "integer",
    BigInt => "bigint",
    Float => "real",
    Double => "real",
    Text => "text",
    Binary => "blob",
}

#[cfg(feature = "postgres_backend")]
cast_names! {
    Json => "json",
    Jsonb => "jsonb",
}
