//! What the examples share: the servers they need, tables that are gone at the end, locks by name, and a service without
//! its framework.

#![warn(missing_docs)]

mod lock;
mod server;
pub mod service;
mod tables;

pub use self::lock::LockKind;
pub use self::server::Server;
pub use self::tables::Tables;

/// What ends an example early.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
