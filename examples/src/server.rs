//! Servers, either somebody's or our own.

use std::any::Any;
use std::env;

use diesel_rqlite_tests::{RedisServer, Rqlited, ValkeyServer};

use crate::Failure;

/// The server that an environment variable names; without it one that runs as long as this value lives.
pub struct Server {
    url: String,
    own: Option<Box<dyn Any + Send + Sync>>,
}

impl Server {
    /// The rqlite at `RQLITE_URL`.
    ///
    /// # Errors
    ///
    /// When none can be started.
    pub fn rqlite() -> Result<Self, Failure> {
        Self::rqlite_or(None)
    }

    /// The same; where the variable is not set, the one that is configured elsewhere.
    ///
    /// # Errors
    ///
    /// When none can be started.
    pub fn rqlite_or(configured: Option<String>) -> Result<Self, Failure> {
        Self::named("RQLITE_URL", configured, || {
            let node = Rqlited::builder().try_start()?;
            Ok((node.url(), Box::new(node)))
        })
    }

    /// The Valkey at `VALKEY_URL`.
    ///
    /// # Errors
    ///
    /// When none can be started.
    pub fn valkey() -> Result<Self, Failure> {
        Self::named("VALKEY_URL", None, || {
            let server = ValkeyServer::builder().try_start()?;
            Ok((server.url(), Box::new(server)))
        })
    }

    /// The Redis at `REDIS_URL`.
    ///
    /// # Errors
    ///
    /// When none can be started.
    pub fn redis() -> Result<Self, Failure> {
        Self::named("REDIS_URL", None, || {
            let server = RedisServer::builder().try_start()?;
            Ok((server.url(), Box::new(server)))
        })
    }

    fn named(
        variable: &str,
        configured: Option<String>,
        start: impl FnOnce() -> Result<(String, Box<dyn Any + Send + Sync>), String>,
    ) -> Result<Self, Failure> {
        let given = env::var(variable).ok().filter(|url| !url.is_empty());
        let (url, own) = match given.or(configured) {
            Some(url) => (url, None),
            None => start().map(|(url, own)| (url, Some(own)))?,
        };
        Ok(Server { url, own })
    }

    /// Whether it was started here.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}
