//! The backend: its SQL dialect and its types. This module is a table without logic.

use diesel::backend::{
    Backend, DieselReserveSpecialization, SqlDialect, TrustedBackend, sql_dialect,
};
use diesel::sql_types::{self, HasSqlType, TypeMetadata};

use crate::bind_collector::RqliteBindCollector;
use crate::query_builder::RqliteQueryBuilder;
use crate::value::RqliteValue;

/// The rqlite backend: SQLite's dialect and types, without SQLite's library.
///
/// Implement [`ToSql`](diesel::serialize::ToSql) and [`FromSql`](diesel::deserialize::FromSql) for it
/// as you would for Diesel's `Sqlite`.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq)]
pub struct Rqlite;

/// The storage form of a value, by the SQL type of its expression.
///
/// The variants are those of Diesel's `SqliteType`.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum RqliteType {
    /// A BLOB.
    Binary,
    /// TEXT, also for dates and times.
    Text,
    /// REAL, used as an `f32`.
    Float,
    /// REAL.
    Double,
    /// INTEGER or REAL if that is exact, otherwise TEXT.
    Numeric,
    /// INTEGER, used as an `i16`.
    SmallInt,
    /// INTEGER, used as an `i32`.
    Integer,
    /// INTEGER.
    Long,
}

impl Backend for Rqlite {
    type QueryBuilder = RqliteQueryBuilder;
    type RawValue<'a> = RqliteValue<'a>;
    type BindCollector<'a> = RqliteBindCollector<'a>;
}

impl TypeMetadata for Rqlite {
    type TypeMetadata = RqliteType;
    type MetadataLookup = ();
}

impl SqlDialect for Rqlite {
    type ReturningClause = RqliteReturningClause;
    type OnConflictClause = RqliteOnConflictClause;
    type InsertWithDefaultKeyword =
        sql_dialect::default_keyword_for_insert::DoesNotSupportDefaultKeyword;
    type BatchInsertSupport = RqliteBatchInsert;
    type ConcatClause = sql_dialect::concat_clause::ConcatWithPipesClause;
    type DefaultValueClauseForInsert = sql_dialect::default_value_clause::AnsiDefaultValueClause;
    type EmptyFromClauseSyntax = sql_dialect::from_clause_syntax::AnsiSqlFromClauseSyntax;
    type SelectStatementSyntax = sql_dialect::select_statement_syntax::AnsiSqlSelectStatement;
    type ExistsSyntax = sql_dialect::exists_syntax::AnsiSqlExistsSyntax;
    type ArrayComparison = sql_dialect::array_comparison::AnsiSqlArrayComparison;
    type AliasSyntax = sql_dialect::alias_syntax::AsAliasSyntax;
    type WindowFrameClauseGroupSupport =
        sql_dialect::window_frame_clause_group_support::IsoGroupWindowFrameUnit;
    type WindowFrameExclusionSupport =
        sql_dialect::window_frame_exclusion_support::FrameExclusionSupport;
    type AggregateFunctionExpressions =
        sql_dialect::aggregate_function_expressions::PostgresLikeAggregateFunctionExpressions;
    type BuiltInWindowFunctionRequireOrder =
        sql_dialect::built_in_window_function_require_order::NoOrderRequired;
}

impl DieselReserveSpecialization for Rqlite {}
impl TrustedBackend for Rqlite {}

/// Marks `RETURNING` as rendered for rqlite.
#[derive(Clone, Copy, Debug)]
pub struct RqliteReturningClause;

impl sql_dialect::returning_clause::SupportsReturningClause for RqliteReturningClause {}

/// Marks `ON CONFLICT` as supported in SQLite's (and PostgreSQL's) form.
#[derive(Clone, Copy, Debug)]
pub struct RqliteOnConflictClause;

impl sql_dialect::on_conflict_clause::SupportsOnConflictClause for RqliteOnConflictClause {}
impl sql_dialect::on_conflict_clause::SupportsOnConflictClauseWhere for RqliteOnConflictClause {}
impl sql_dialect::on_conflict_clause::PgLikeOnConflictClause for RqliteOnConflictClause {}

/// Marks batch inserts as rendered for rqlite: they are one request, even for rows that leave out different columns.
#[derive(Clone, Copy, Debug)]
pub struct RqliteBatchInsert;

macro_rules! stored_as {
    ($($sql_type:ident => $metadata:ident,)*) => {$(
        impl HasSqlType<sql_types::$sql_type> for Rqlite {
            fn metadata(_: &mut ()) -> RqliteType {
                RqliteType::$metadata
            }
        }
    )*};
}

stored_as! {
    Bool => Integer,
    SmallInt => SmallInt,
    Integer => Integer,
    BigInt => Long,
    Float => Float,
    Double => Double,
    Numeric => Numeric,
    Text => Text,
    Binary => Binary,
    Date => Text,
    Time => Text,
    Timestamp => Text,
}

#[cfg(feature = "postgres_backend")]
stored_as! {
    Json => Text,
    Jsonb => Binary,
    Timestamptz => Text,
    // The value is read by its storage class: text, or the 16 bytes themselves.
    Uuid => Binary,
}
