//! [Diesel](diesel) on [rqlite](https://rqlite.io), the SQLite that Raft makes fault-tolerant.
//!
//! ```no_run
//! use diesel::prelude::*;
//! use diesel_rqlite::RqliteConnection;
//!
//! diesel::table! {
//!     posts {
//!         id -> Integer,
//!         title -> Text,
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut conn = RqliteConnection::establish("rqlite://localhost:4001")?;
//! diesel::insert_into(posts::table)
//!     .values(posts::title.eq("Raft for the rest of us"))
//!     .execute(&mut conn)?;
//! let titles: Vec<String> = posts::table.select(posts::title).load(&mut conn)?;
//! # Ok(())
//! # }
//! ```
//!
//! The dialect and the types are those of Diesel's SQLite backend; SQLite's library is not needed.
//! [`RqliteConfig`] says how to connect.
//!
//! # How a query travels
//!
//! ```text
//!  AST ──► SQL + binds ──► Statement ──► Exchange ──► POST ──► Answer ──► Row ──► FromSql ──► your type
//!      query_builder       statement     protocol::  transport  protocol::  row,    types
//!      bind_collector        sql         call                   response    value
//!                      transaction: pending statements and guards, one request at commit
//! ```
//!
//! # What a transaction means here
//!
//! rqlite has no transaction that spans requests; it has requests that are applied as a whole or not at all. Inside
//! [`transaction`](diesel::Connection::transaction) the closure sees its own writes, real counts, generated ids and
//! RETURNING rows. Its commit is one such request, applied only if everything the closure was shown is still true;
//! otherwise it is a [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure). See
//! [`TransactionMode`] for the modes, [`build_transaction`](RqliteConnection::build_transaction) for retries and
//! other options, [`Lock`] for transactions that wait for each other, and the [`transactions`] page for all of it.
//!
//! # Values made by the server
//!
//! rqlite replicates statements, and each node runs them. `random()`, `CURRENT_TIMESTAMP` or
//! `datetime('now')` in an INSERT, UPDATE or DELETE would store another value on every node; this crate
//! replaces them by values made on the client, one for all rows of the statement. A column's DEFAULT is given
//! so where an INSERT with VALUES leaves it out and the connection knows the schema. In a trigger it can't be: do not use
//! them there. What no value of the client can stand for is refused in a write:
//! the modifiers `localtime` and `utc`, which ask for the time zone of each node, and what a node tells of itself
//! (`sqlite_version()`).
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
//! | `tracing` | | warnings about transactions that may not do what is expected |
//! | `redis` | | `ValkeyLock` and `RedisLock`, with TLS |
//!
//! Diesel has the SQL types `Uuid`, `Json`, `Jsonb` and `Timestamptz` only with a backend: `uuid`, `serde_json`,
//! `timestamptz` and `jiff` switch on its `postgres_backend`, which is pure Rust.

#![warn(missing_docs)]

mod administration;
mod backend;
mod bind_collector;
mod config;
mod connection;
#[cfg(feature = "diesel-dynamic-schema")]
mod dynamic_schema;
mod error;
mod expression;
#[cfg(test)]
mod fuzz;
mod lock;
mod migration;
#[cfg(all(doctest, feature = "serde_json"))]
mod must_not_compile;
mod mutex;
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

pub use self::administration::ClusterError;
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
pub use diesel_rqlite_sql::ReplicaHazard;

#[doc = include_str!("../docs/transactions.md")]
pub mod transactions {}

#[doc = include_str!("../docs/steering.md")]
pub mod steering {}

/// The README's programs compile.
#[cfg(all(doctest, feature = "deadpool"))]
#[doc = include_str!("../../README.md")]
struct Readme;
