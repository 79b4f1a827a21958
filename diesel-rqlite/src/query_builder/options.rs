//! Queries that are explained, or that run with other options than those of the connection.

use diesel::QueryResult;
use diesel::query_builder::{AsQuery, AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::query_dsl::methods::LimitDsl;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::HasSqlType;

use super::explain::{Explain, ExplainQueryPlan};
use crate::backend::{Rqlite, RqliteType};
use crate::bind_collector::{Bind, RqliteBindValue};
use crate::protocol::options::QueryOptions;
use crate::protocol::request::ReadConsistency;

/// Methods that set the options of a single query, or explain it.
///
/// Import the trait where you use it: Diesel's prelude does not contain it. Call these methods last: after `filter`
/// and similar methods, and before `load`, `first`, `get_result` and `execute`.
///
/// ```no_run
/// use diesel::prelude::*;
/// use diesel_rqlite::{QueryOptions, ReadConsistency, RqliteConnection, RqliteQueryDsl};
///
/// diesel::table! { posts { id -> Integer, title -> Text, } }
///
/// # fn run(conn: &mut RqliteConnection) -> QueryResult<()> {
/// let titles = posts::table.select(posts::title).filter(posts::id.gt(7));
/// let stale: Vec<String> = titles.read_level(ReadConsistency::None).load(conn)?;
///
/// let patient = QueryOptions::new().name("tidy up").request_timeout(std::time::Duration::from_secs(300));
/// diesel::delete(posts::table).with_options(patient).execute(conn)?;
/// # Ok(())
/// # }
/// ```
pub trait RqliteQueryDsl: QueryFragment<Rqlite> + Sized {
    /// Runs the query with these options. If an option is given several times, the last one counts.
    ///
    /// `debug_query` shows the options after the values.
    fn with_options(self, options: QueryOptions) -> WithOptions<Self> {
        WithOptions {
            query: self,
            options,
        }
    }

    /// Reads at this level. This is short for [`with_options`](Self::with_options). A write has no level.
    fn read_level(self, level: ReadConsistency) -> WithOptions<Self> {
        self.with_options(QueryOptions::new().read_level(level))
    }

    /// Returns `EXPLAIN QUERY PLAN` of the query: how SQLite would find the rows. Load it as
    /// [`QueryPlanStep`](crate::QueryPlanStep)s. The query itself is not run, even if it is a write.
    ///
    /// ```no_run
    /// use diesel::prelude::*;
    /// use diesel_rqlite::{QueryPlan, QueryPlanStep, RqliteConnection, RqliteQueryDsl};
    ///
    /// diesel::table! { posts { id -> Integer, title -> Text, } }
    ///
    /// # fn run(conn: &mut RqliteConnection) -> QueryResult<()> {
    /// let update = diesel::update(posts::table.filter(posts::title.eq("old"))).set(posts::title.eq("new"));
    /// let plan: QueryPlan = update.explain_query_plan().load::<QueryPlanStep>(conn)?.into();
    /// println!("{plan}");
    /// // QUERY PLAN
    /// // `--SCAN posts
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The explained text is the one that `debug_query` shows. It does not include what this crate adds when it runs
    /// a query. A table by itself is not a query: use `posts::table.select(…)` or `posts::table.as_query()`. If a
    /// batch consists of several statements, explain one row.
    fn explain_query_plan(self) -> ExplainQueryPlan<Self> {
        ExplainQueryPlan::new(self)
    }

    /// Returns `EXPLAIN` of the query: the program that SQLite would run. Load it as [`Opcode`](crate::Opcode)s; see
    /// [`explain_query_plan`](Self::explain_query_plan).
    fn explain(self) -> Explain<Self> {
        Explain::new(self)
    }
}

impl<T: QueryFragment<Rqlite>> RqliteQueryDsl for T {}

/// A query or a write with its own options: see [`RqliteQueryDsl::with_options`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens before it is loaded or executed"]
pub struct WithOptions<Q> {
    query: Q,
    options: QueryOptions,
}

/// A query with its own options that returns rows.
#[derive(Clone, Debug)]
pub struct QueryWithOptions<Q>(WithOptions<Q>);

impl<Q: AsQuery> AsQuery for WithOptions<Q> {
    type SqlType = Q::SqlType;
    type Query = QueryWithOptions<Q::Query>;

    fn as_query(self) -> Self::Query {
        QueryWithOptions(WithOptions {
            query: self.query.as_query(),
            options: self.options,
        })
    }
}

impl<Q: Query> Query for QueryWithOptions<Q> {
    type SqlType = Q::SqlType;
}

impl<Q: LimitDsl> LimitDsl for WithOptions<Q> {
    type Output = WithOptions<Q::Output>;

    fn limit(self, limit: i64) -> Self::Output {
        WithOptions {
            query: self.query.limit(limit),
            options: self.options,
        }
    }
}

impl<Q, Conn> RunQueryDsl<Conn> for WithOptions<Q> {}
impl<Q, Conn> RunQueryDsl<Conn> for QueryWithOptions<Q> {}

impl<Q: QueryFragment<Rqlite>> QueryFragment<Rqlite> for WithOptions<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        if let Some(comment) = self.options.comment() {
            out.push_sql(&comment);
        }
        self.query.walk_ast(out.reborrow())?;
        // The options go among the values, where the connection finds them.
        out.push_bind_param_value_only::<Steering, _>(&self.options)
    }
}

impl<Q: QueryFragment<Rqlite>> QueryFragment<Rqlite> for QueryWithOptions<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Rqlite>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }
}

/// The same type with other options is a different query.
impl<Q> QueryId for WithOptions<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> QueryId for QueryWithOptions<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

/// The SQL type of options, which pass to the connection among the values.
struct Steering;

impl HasSqlType<Steering> for Rqlite {
    fn metadata(_: &mut ()) -> RqliteType {
        RqliteType::Text
    }
}

impl ToSql<Steering, Rqlite> for QueryOptions {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(RqliteBindValue {
            value: Bind::Null,
            options: Some(Box::new(self.clone())),
        });
        Ok(IsNull::No)
    }
}
