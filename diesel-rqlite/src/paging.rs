//! Reads a large table page by page.

use diesel::dsl::{Asc, Filter, Gt, Limit, Order};
use diesel::expression::AsExpression;
use diesel::expression_methods::ExpressionMethods;
use diesel::query_dsl::methods::{FilterDsl, LimitDsl, OrderDsl};
use diesel::query_dsl::{LoadQuery, RunQueryDsl};
use diesel::sql_types::SqlType;
use diesel::{Expression, QueryResult};

/// Reads the rows of a query page by page, by a key.
///
/// Each page is a separate request that begins after the key of the last row. Unlike with `OFFSET`, a late page costs
/// the server no more than the first, and rows that are inserted or deleted meanwhile do not shift the others. Each
/// page shows the table as it is at that time. A row whose key is changed meanwhile may be seen twice or not at all.
///
/// The key must be unique: otherwise rows that share the key of the last row of a page are skipped. It must also have
/// an index. A primary key meets both conditions. The query must not have an order or a limit of its own.
///
/// To read all rows as of one moment, use [`load_iter`](diesel::RunQueryDsl::load_iter). It is one request whose
/// answer is read while it arrives, but the server holds the whole answer in memory.
///
/// ```no_run
/// use diesel::prelude::*;
/// use diesel_rqlite::{Pages, RqliteConnection};
///
/// diesel::table! {
///     posts {
///         id -> Integer,
///         title -> Text,
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut conn = RqliteConnection::establish("rqlite://localhost")?;
/// let drafts = posts::table.filter(posts::title.like("Draft%"));
/// let mut pages = Pages::new(drafts, posts::id, 1000);
/// while let Some(page) = pages.next(&mut conn, |post: &(i32, String)| post.0)? {
///     for (id, title) in page {
///         println!("{id}: {title}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pages<Q, K, V> {
    query: Q,
    key: K,
    size: i64,
    place: Place<V>,
}

/// The position up to which the pages have been read.
#[derive(Clone, Copy, Debug)]
enum Place<V> {
    Begin,
    Behind(V),
    End,
}

/// The query of the first page, and that of the following pages.
type First<Q, K> = Limit<Order<Q, Asc<K>>>;
type Next<Q, K, V> = Limit<Order<Filter<Q, Gt<K, V>>, Asc<K>>>;

impl<Q, K, V> Pages<Q, K, V> {
    /// Reads the rows of this query in the order of this column, `size` rows per page.
    ///
    /// A `size` of 0 counts as 1, because an empty page would be the last one.
    pub fn new(query: Q, key: K, size: u32) -> Self {
        Pages {
            query,
            key,
            size: i64::from(size.max(1)),
            place: Place::Begin,
        }
    }

    /// Starts after this key, to continue from an earlier page.
    #[must_use]
    pub fn behind(self, key: V) -> Self {
        Pages {
            place: Place::Behind(key),
            ..self
        }
    }

    /// Records the rows of a page, and whether it is the last page.
    fn loaded<T>(&mut self, rows: Vec<T>, key_of: impl FnOnce(&T) -> V) -> Option<Vec<T>> {
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= self.size);
        self.place = match rows.last() {
            Some(last) if is_full => Place::Behind(key_of(last)),
            _ => Place::End,
        };
        (!rows.is_empty()).then_some(rows)
    }
}

impl<Q, K, V> Pages<Q, K, V>
where
    Q: Clone + OrderDsl<Asc<K>> + FilterDsl<Gt<K, V>>,
    Order<Q, Asc<K>>: LimitDsl,
    Filter<Q, Gt<K, V>>: OrderDsl<Asc<K>>,
    Order<Filter<Q, Gt<K, V>>, Asc<K>>: LimitDsl,
    K: Clone + ExpressionMethods + Expression,
    K::SqlType: SqlType,
    V: Clone + AsExpression<K::SqlType>,
{
    fn first(&self) -> First<Q, K> {
        let query = self.query.clone().order(self.key.clone().asc());
        query.limit(self.size)
    }

    fn next_behind(&self, key: V) -> Next<Q, K, V> {
        let query = self.query.clone().filter(self.key.clone().gt(key));
        query.order(self.key.clone().asc()).limit(self.size)
    }

    /// Returns the next page, or `None` if there are no more rows. `key_of` returns the key of a row.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`load`](diesel::RunQueryDsl::load). The same page can be requested again.
    pub fn next<'q, C, T>(
        &mut self,
        conn: &mut C,
        key_of: impl FnOnce(&T) -> V,
    ) -> QueryResult<Option<Vec<T>>>
    where
        First<Q, K>: LoadQuery<'q, C, T> + RunQueryDsl<C>,
        Next<Q, K, V>: LoadQuery<'q, C, T> + RunQueryDsl<C>,
    {
        let rows = match &self.place {
            Place::Begin => self.first().load(conn)?,
            Place::Behind(key) => self.next_behind(key.clone()).load(conn)?,
            Place::End => return Ok(None),
        };
        Ok(self.loaded(rows, key_of))
    }

    /// Returns the next page, for diesel-async.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`load`](diesel_async::RunQueryDsl::load). The same page can be requested again.
    #[cfg(feature = "async")]
    pub async fn next_async<'q, C, T>(
        &mut self,
        conn: &mut C,
        key_of: impl FnOnce(&T) -> V,
    ) -> QueryResult<Option<Vec<T>>>
    where
        C: diesel_async::AsyncConnectionCore,
        T: Send,
        First<Q, K>: diesel_async::methods::LoadQuery<'q, C, T> + diesel_async::RunQueryDsl<C> + 'q,
        Next<Q, K, V>:
            diesel_async::methods::LoadQuery<'q, C, T> + diesel_async::RunQueryDsl<C> + 'q,
    {
        let rows = match &self.place {
            Place::Begin => diesel_async::RunQueryDsl::load(self.first(), conn).await?,
            Place::Behind(key) => {
                let query = self.next_behind(key.clone());
                diesel_async::RunQueryDsl::load(query, conn).await?
            }
            Place::End => return Ok(None),
        };
        Ok(self.loaded(rows, key_of))
    }
}
