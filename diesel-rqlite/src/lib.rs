//! [Diesel](diesel) for [rqlite](https://rqlite.io), the distributed database that replicates SQLite by Raft.
//!
//! This crate is a Diesel backend with a blocking and an asynchronous connection. Its dialect and types are those of
//! Diesel's SQLite backend, and it does not link SQLite's C library.
//!
//! # Getting started
//!
//! Start an rqlite node and add the crates to a program:
//!
//! ```sh
//! docker run -d -p 4001:4001 rqlite/rqlite
//! cargo add diesel --no-default-features --features 32-column-tables
//! cargo add diesel-rqlite
//! ```
//!
//! ```no_run
//! use diesel::connection::SimpleConnection;
//! use diesel::prelude::*;
//! use diesel_rqlite::RqliteConnection;
//!
//! diesel::table! {
//!     posts { id -> Integer, title -> Text, }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let mut conn = RqliteConnection::establish("rqlite://localhost:4001")?;
//!     conn.batch_execute("CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL)")?;
//!     diesel::insert_into(posts::table)
//!         .values(posts::title.eq("Raft for the rest of us"))
//!         .execute(&mut conn)?;
//!     let titles: Vec<String> = posts::table.select(posts::title).load(&mut conn)?;
//!     println!("{titles:?}");
//!     Ok(())
//! }
//! ```
//!
//! # Where to go next
//!
//! * [`RqliteConfig`]: all options of a URL, and the builder.
//! * [`RqliteConnection`], and [`AsyncRqliteConnection`] for [diesel-async](https://docs.rs/diesel-async).
//! * [`build_transaction`](RqliteConnection::build_transaction): retries, modes, locks. The page
//!   [Transactions](guide::transactions) explains what a transaction means on rqlite.
//! * [`conn.cluster()`](RqliteConnection::cluster): nodes, status, backups.
//! * The [guide]: transactions, clusters, porting from SQLite, operating, performance.
//! * Migrations run by [diesel_migrations](https://docs.rs/diesel_migrations) or by the command line tool,
//!   `cargo install diesel-rqlite-cli`.
//!
//! # Transactions
//!
//! rqlite applies each request as a whole or not at all, but no transaction of rqlite spans requests. This crate builds
//! one on top. Inside [`transaction`](diesel::Connection::transaction) the closure sees its own writes, real counts,
//! generated ids and RETURNING rows. The commit is one request. It applies only if everything the closure was shown is
//! still true; otherwise it fails with a
//! [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure), and the transaction can be run
//! again.
//!
//! # Values made by the server
//!
//! rqlite replicates statements, and each node runs them. `random()`, `CURRENT_TIMESTAMP` or `datetime('now')` in a write
//! would store another value on every node. This crate replaces them with values made on the client, one for all rows of
//! the statement. It does the same for a column's DEFAULT where an INSERT with VALUES leaves the column out and the
//! connection knows the schema. It can't do so in a trigger: do not use them there. A write is refused if no client-side
//! value can stand in, as for the modifiers `localtime` and `utc` and for `sqlite_version()`.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `rustls` | yes | TLS |
//! | `chrono` | | `NaiveDate`, `NaiveTime`, `NaiveDateTime` |
//! | `time` | | `Date`, `Time`, `PrimitiveDateTime` |
//! | `jiff` | | `Timestamp`, `DateTime`, `Date`, `Time` of jiff 0.2 in rows, the wrappers of `jiff-diesel` everywhere |
//! | `timestamptz` | | `DateTime<Utc>`, `DateTime<FixedOffset>`, `OffsetDateTime` as `Timestamptz`, stored in UTC |
//! | `numeric` | | `BigDecimal`: exact, unless the column turns it into a REAL |
//! | `serde_json` | | `serde_json::Value` as `Json` (text) and `Jsonb` (SQLite's binary form) |
//! | `uuid` | | `Uuid`, stored as text |
//! | `diesel-dynamic-schema` | | rows and columns that are known only when the program runs |
//! | `async` | | [`AsyncRqliteConnection`] for diesel-async, on tokio, with TLS |
//! | `bb8`, `deadpool`, `mobc` | | pools of asynchronous connections; they switch on `async` |
//! | `native-roots` | | `roots=system`: the certificates that the machine trusts |
//! | `r2d2` | | pools of connections |
//! | `tracing` | | spans of operations and requests, slow queries, warnings about transactions that may not do what is expected |
//! | `metrics` | | counters and histograms through the crate `metrics` |
//! | `redis` | | `ValkeyLock` and `RedisLock`, with TLS |
//!
//! # Types
//!
//! | SQL type in `table!` | Rust types |
//! |---|---|
//! | `SmallInt`, `Integer`, `BigInt`, `Bool` | `i16`, `i32`, `i64`, `bool` |
//! | `Float`, `Double` | `f32`, `f64`; NaN is stored as NULL, as on SQLite |
//! | `Text`, `Binary` | `String`, `&str`, `Cow<str>`, `Vec<u8>`, `&[u8]` |
//! | `Date`, `Time`, `Timestamp` | those of chrono, time and jiff, or `String` to read what is stored |
//! | `Timestamptz`, `Numeric`, `Json`, `Jsonb`, `Uuid` | those of the features above |
//!
//! Diesel has the SQL types `Uuid`, `Json`, `Jsonb` and `Timestamptz` only with a backend: `uuid`, `serde_json`,
//! `timestamptz` and `jiff` switch on its `postgres_backend`, which is pure Rust.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs)]

mod administration;
mod backend;
mod backoff;
mod bind_collector;
mod config;
mod connection;
#[cfg(feature = "diesel-dynamic-schema")]
mod dynamic_schema;
mod error;
mod expression;
#[cfg(test)]
mod fuzz;
pub mod guide;
mod hex;
mod lock;
mod migration;
#[cfg(all(doctest, feature = "serde_json"))]
mod must_not_compile;
mod mutex;
mod observe;
#[cfg(test)]
mod order;
mod paging;
mod protocol;
mod query_builder;
mod random;
mod row;
mod runtime;
mod session;
mod sql;
mod statement;
mod transaction;
mod transport;
mod types;
mod value;
mod word;

pub use self::administration::{ClusterError, LoadSqlError, LoadSqlReason, LoadedSql};
pub use self::backend::{
    Rqlite, RqliteBatchInsert, RqliteOnConflictClause, RqliteReturningClause, RqliteType,
};
pub use self::bind_collector::{RqliteBindCollector, RqliteBindData, RqliteBindValue};
#[cfg(feature = "async")]
pub use self::config::CredentialsFuture;
pub use self::config::{ConfigError, Credentials, RqliteConfig};
#[cfg(feature = "async")]
pub use self::connection::{
    AsyncFunc, AsyncRqliteBackup, AsyncRqliteCluster, AsyncRqliteConnection,
    AsyncRqliteTransactionManager, RqliteStream,
};
pub use self::connection::{
    QueueOutcome, RqliteBackup, RqliteCluster, RqliteConnection, RqliteCursor,
    RqliteTransactionManager, RunAgain, RunOnce, SequenceNumber, TransactionBuilder, WriteQueue,
};
#[cfg(feature = "postgres_backend")]
pub use self::expression::json_functions;
pub use self::expression::{Parens, RqliteExpressionMethods};
#[cfg(feature = "async")]
pub use self::lock::{AsyncLock, AsyncLockGuard, LockFuture};
pub use self::lock::{Fence, Lock, LockError, LockGuard, RqliteLock, ThreadLock, TransactionLock};
#[cfg(feature = "redis")]
pub use self::lock::{RedisLock, ValkeyLock};
#[cfg(feature = "metrics")]
pub use self::observe::describe_metrics;
pub use self::observe::{Errors, SlowQuery, Statistics};
pub use self::paging::Pages;
pub use self::protocol::backup::BackupOptions;
pub use self::protocol::cluster::Forwarding;
pub use self::protocol::condition::{NodeStatus, RaftState, Readiness, ReadyOptions};
pub use self::protocol::member::{ClusterNode, ClusterNodes, NodeRole};
pub use self::protocol::options::QueryOptions;
pub use self::protocol::request::ReadConsistency;
pub use self::query_builder::{
    Explain, ExplainQueryPlan, Opcode, QueryPlan, QueryPlanStep, QueryWithOptions,
    RqliteInsertSelectDsl, RqliteQueryBuilder, RqliteQueryDsl, SelectedRows, WithOptions,
};
pub use self::row::{RqliteField, RqliteRow};
pub use self::transaction::{Transaction, TransactionMode};
pub use self::transport::node::{NodeAnswer, NodeHttp};
pub use self::value::RqliteValue;
pub use self::word::UnknownWord;
pub use diesel_rqlite_sql::ReplicaHazard;
