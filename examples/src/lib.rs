//! What the examples share: the servers they need, tables that are gone at the end, and locks by name.

#![warn(missing_docs)]

mod lock;
mod server;
mod tables;

pub use self::lock::LockKind;
pub use self::server::Server;
pub use self::tables::Tables;

/// What ends an example early.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
