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
        Self::named("RQLITE_URL", || {
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
        Self::named("VALKEY_URL", || {
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
        Self::named("REDIS_URL", || {
            let server = RedisServer::builder().try_start()?;
            Ok((server.url(), Box::new(server)))
        })
    }

    fn named(
        variable: &str,
        start: impl FnOnce() -> Result<(String, Box<dyn Any + Send + Sync>), String>,
    ) -> Result<Self, Failure> {
        let given = env::var(variable).ok().filter(|url| !url.is_empty());
        if let Some(url) = given {
            return Ok(Self::at(url));
        }
        let (url, own) = start()?;
        let own = Some(own);
        Ok(Server { url, own })
    }

    /// The one at this URL.
    pub fn at(url: String) -> Self {
        Server { url, own: None }
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
