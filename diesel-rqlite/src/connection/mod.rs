//! The connections. They implement Diesel's traits by requests to rqlite.

#[cfg(feature = "async")]
mod asynchronous;
mod blocking;
mod builder;
mod cluster;
mod core;
mod cursor;
mod holding;
mod opening;
mod options;
mod queue;
mod shared;

use diesel::QueryResult;
use diesel::expression::QueryMetadata;
use diesel::query_builder::{QueryBuilder, QueryFragment};

use crate::backend::{Rqlite, RqliteType};
use crate::bind_collector::{Bind, RqliteBindCollector};
use crate::migration;
use crate::protocol::options::QueryOptions;
use crate::query_builder::RqliteQueryBuilder;

#[cfg(feature = "async")]
pub use self::asynchronous::{AsyncRqliteConnection, AsyncRqliteTransactionManager};
pub use self::blocking::{RqliteConnection, RqliteTransactionManager};
#[cfg(feature = "async")]
pub use self::builder::AsyncFunc;
pub use self::builder::{RunAgain, RunOnce, TransactionBuilder};
#[cfg(feature = "async")]
pub use self::cluster::{AsyncRqliteBackup, AsyncRqliteCluster};
pub use self::cluster::{RqliteBackup, RqliteCluster};
pub(crate) use self::core::{Core, HasCore, Scope, Text};
pub use self::cursor::RqliteCursor;
#[cfg(feature = "async")]
pub use self::cursor::RqliteStream;
pub(crate) use self::options::Steered;
pub use self::queue::{QueueOutcome, SequenceNumber, WriteQueue};

fn render<T: QueryFragment<Rqlite>>(source: &T) -> QueryResult<String> {
    let mut builder = RqliteQueryBuilder::new();
    source.to_sql(&mut builder, &Rqlite)?;
    Ok(migration::with_run_on(builder.finish()))
}

/// Collects the values of a query, and its options if it has its own.
fn collect_binds<T: QueryFragment<Rqlite>>(
    source: &T,
) -> QueryResult<(Vec<Bind<'_>>, Option<Box<QueryOptions>>)> {
    let mut collector = RqliteBindCollector::default();
    source.collect_binds(&mut collector, &mut (), &Rqlite)?;
    Ok((collector.binds, collector.options))
}

/// Returns the types of a query's columns, or `None` for raw SQL, which has no types.
fn types_of<T>() -> Option<Vec<RqliteType>>
where
    Rqlite: QueryMetadata<T>,
{
    let mut types = Vec::new();
    Rqlite::row_metadata(&mut (), &mut types);
    types.into_iter().collect()
}

/// A query as text and values, which outlives its AST.
struct Rendered {
    text: Text,
    binds: Vec<Bind<'static>>,
    options: Option<Box<QueryOptions>>,
}

impl Rendered {
    fn of<T: QueryFragment<Rqlite>>(source: &T, text: Text) -> QueryResult<Self> {
        let (binds, options) = collect_binds(source)?;
        Ok(Rendered {
            options,
            text,
            binds: binds.into_iter().map(Bind::into_owned).collect(),
        })
    }
}
