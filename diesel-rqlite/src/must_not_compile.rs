//! What rqlite can't do is an error of the compiler. Nearly all of it is refused by Diesel's SQLite backend, too.
//!
//! The beginning of each example, and what may stand there instead, compiles:
//!
//! ```
//! use diesel::prelude::*;
//! use diesel_rqlite::RqliteConnection;
//! diesel::table! { users { id -> Integer, name -> Text, } }
//! fn run(conn: &mut RqliteConnection) -> QueryResult<()> {
//!     let names = users::table.select(users::name);
//!     names.distinct().load::<String>(conn)?;
//!     names.filter(users::name.like("a%")).load::<String>(conn)?;
//!     names.intersect(names).load::<String>(conn)?;
//!     use diesel_rqlite::{Opcode, QueryPlanStep, ReadConsistency, RqliteQueryDsl};
//!     QueryDsl::filter(names, users::id.gt(1)).read_level(ReadConsistency::None).load::<String>(conn)?;
//!     diesel::select(diesel::dsl::exists(names)).read_level(ReadConsistency::None).get_result::<bool>(conn)?;
//!     names.explain_query_plan().load::<QueryPlanStep>(conn)?;
//!     names.explain().load::<Opcode>(conn)?;
//!     conn.execute_queued(&diesel::sql_query("DELETE FROM users"))?;
//!     diesel::insert_into(users::table).values(users::name.eq("a")).on_conflict(users::name).do_nothing().execute(conn)?;
//!     Ok(())
//! }
//! # fn main() {}
//! ```

macro_rules! must_not_compile {
    ($($(#[doc = $what:literal])* $name:ident: $code:literal;)*) => {$(
        $(#[doc = $what])*
        ///
        /// ```compile_fail,E0277
        /// use diesel::prelude::*;
        /// use diesel_rqlite::RqliteConnection;
        /// diesel::table! { users { id -> Integer, name -> Text, } }
        /// fn run(conn: &mut RqliteConnection) -> QueryResult<()> {
        ///     let names = users::table.select(users::name);
        #[doc = $code]
        ///     Ok(())
        /// }
        /// # fn main() {}
        /// ```
        struct $name;
    )*};
}

must_not_compile! {
    /// DISTINCT ON
    DistinctOn: "    names.distinct_on(users::name).load::<String>(conn)?;";
    /// FOR UPDATE: a read locks nothing. A transaction finds out at its commit.
    ForUpdate: "    names.for_update().load::<String>(conn)?;";
    /// FOR SHARE
    ForShare: "    names.for_share().load::<String>(conn)?;";
    /// INTERSECT ALL
    IntersectAll: "    names.intersect_all(names).load::<String>(conn)?;";
    /// EXCEPT ALL
    ExceptAll: "    names.except_all(names).load::<String>(conn)?;";
    /// ILIKE: LIKE does not tell `a` from `A` on SQLite.
    ILike: "    names.filter(diesel::PgTextExpressionMethods::ilike(users::name, \"a%\")).load::<String>(conn)?;";
    /// IS DISTINCT FROM: there is `is_not` of `RqliteExpressionMethods`.
    IsDistinctFrom: "    names.filter(diesel::PgExpressionMethods::is_distinct_from(users::name, \"a\")).load::<String>(conn)?;";
    /// A condition of a partial index behind ON CONFLICT
    FilterTarget: "    diesel::insert_into(users::table).values(users::name.eq(\"a\")).on_conflict(users::name)
        .filter_target(users::id.gt(1)).do_nothing().execute(conn)?;";
    /// Diesel's own ON CONFLICT behind INSERT … SELECT: there is `into_rows_of` of `RqliteInsertSelectDsl`.
    OnConflictOfSelect: "    diesel::insert_into(users::table).values(names.filter(users::id.gt(1))).into_columns(users::name)
        .on_conflict_do_nothing().execute(conn)?;";
    /// A text as a value of a date
    TextAsDate: "    diesel::select(diesel::IntoSql::into_sql::<diesel::sql_types::Date>(String::from(\"2024-02-29\"))).execute(conn)?;";
    /// A text compared with a number
    OtherType: "    names.filter(users::name.eq(1)).load::<String>(conn)?;";
    /// A text read as a number
    ReadAsOtherType: "    names.load::<i32>(conn)?;";
    /// A column of an SQL type that rqlite does not have
    NoSuchType: "    diesel::select(diesel::dsl::sql::<diesel::sql_types::Inet>(\"1\")).get_result::<String>(conn)?;";
    /// Anything but options behind a query's options
    FilterBehindOptions: "    use diesel_rqlite::{ReadConsistency, RqliteQueryDsl};
    QueryDsl::filter(names.read_level(ReadConsistency::None), users::id.gt(1)).load::<String>(conn)?;";
    /// Options of a subquery: they are those of a request.
    OptionsOfSubquery: "    use diesel_rqlite::{ReadConsistency, RqliteQueryDsl};
    diesel::select(diesel::dsl::exists(names.read_level(ReadConsistency::None))).get_result::<bool>(conn)?;";
    /// A plan as the rows of its query
    PlanAsRows: "    use diesel_rqlite::RqliteQueryDsl;
    names.explain_query_plan().load::<String>(conn)?;";
    /// A plan as a program
    PlanAsProgram: "    use diesel_rqlite::RqliteQueryDsl;
    names.explain_query_plan().load::<diesel_rqlite::Opcode>(conn)?;";
    /// A text as a queued write
    QueuedText: "    conn.execute_queued(\"DELETE FROM users\")?;";
    /// Bytes as an element of JSON
    BytesInJson: "    use diesel::sql_types::Binary;
    diesel::select(diesel_rqlite::json_functions::json_array_1::<Binary, _>(vec![1_u8])).execute(conn)?;";
}
