//! Locks by name.

use std::time::Duration;

use diesel_rqlite::{RedisLock, RqliteConfig, RqliteLock, ThreadLock, ValkeyLock};

use crate::{Failure, Server};

/// Which lock transactions take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// None: transactions that meet run again.
    None,
    /// Between threads or tasks of one process.
    Thread,
    /// A row in rqlite.
    Rqlite,
    /// In Redis.
    Redis,
    /// In Valkey.
    Valkey,
}

impl LockKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Thread,
        Self::Rqlite,
        Self::Redis,
        Self::Valkey,
    ];

    /// As on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Thread => "thread",
            Self::Rqlite => "rqlite",
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }

    /// The other way round.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The server that it needs besides rqlite.
    ///
    /// # Errors
    ///
    /// When none can be started.
    pub fn server(self) -> Result<Option<Server>, Failure> {
        match self {
            Self::None | Self::Thread | Self::Rqlite => Ok(None),
            Self::Redis => Server::redis().map(Some),
            Self::Valkey => Server::valkey().map(Some),
        }
    }

    /// Lets every transaction take it. Connections of one configuration share one lock, blocking or not.
    ///
    /// # Errors
    ///
    /// When it needs a server, and the URL is not that of one.
    pub fn configure(
        self,
        config: RqliteConfig,
        server: Option<&Server>,
        lease: Duration,
    ) -> Result<RqliteConfig, Failure> {
        const NAME: &str = "accounts";
        let url = server.map_or("", Server::url);
        Ok(match self {
            Self::None => config,
            // It ends with its process, and needs no lease.
            Self::Thread => config.lock(&ThreadLock::new(NAME)),
            Self::Rqlite => config.lock(&RqliteLock::new(NAME).lease(lease)),
            Self::Redis => config.lock(&RedisLock::new(url, NAME)?.lease(lease)),
            Self::Valkey => config.lock(&ValkeyLock::new(url, NAME)?.lease(lease)),
        })
    }
}
