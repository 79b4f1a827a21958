//! The lock that all workers take, and its server.

use std::sync::Arc;
use std::time::Duration;

use diesel_rqlite::{Lock, LockError, RedisLock, RqliteLock, ThreadLock, ValkeyLock};
use diesel_rqlite_tests::{RedisServer, ValkeyCluster, ValkeyServer};
use serde::{Deserialize, Serialize};

const NAME: &str = "bank";

/// How soon a lock that has become free is noticed.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    None,
    Thread,
    Rqlite,
    Redis,
    Valkey,
    ValkeyCluster,
}

impl Kind {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Kind::None,
            "thread" => Kind::Thread,
            "rqlite" => Kind::Rqlite,
            "redis" => Kind::Redis,
            "valkey" => Kind::Valkey,
            "valkey-cluster" => Kind::ValkeyCluster,
            _ => return None,
        })
    }

    /// Whether it has a server of its own.
    pub(crate) fn is_elsewhere(self) -> bool {
        matches!(self, Kind::Redis | Kind::Valkey | Kind::ValkeyCluster)
    }
}

/// The server of the lock, where it needs one.
pub(crate) enum Site {
    None,
    Redis(RedisServer),
    Valkey(ValkeyServer),
    ValkeyCluster(ValkeyCluster),
}

impl Site {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::None | Kind::Thread | Kind::Rqlite => Site::None,
            Kind::Redis => Site::Redis(RedisServer::start()),
            Kind::Valkey => Site::Valkey(ValkeyServer::start()),
            Kind::ValkeyCluster => Site::ValkeyCluster(ValkeyCluster::start()),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Site::None => String::new(),
            Site::Redis(server) => server.url(),
            Site::Valkey(server) => server.url(),
            Site::ValkeyCluster(cluster) => cluster.node(0).url(),
        }
    }

    /// What a fail-over to a replica that lags behind does.
    pub(crate) fn lose_data(&self) {
        match self {
            Site::None => {}
            Site::Redis(server) => {
                server.command(&["FLUSHALL"]);
            }
            Site::Valkey(server) => {
                server.command(&["FLUSHALL"]);
            }
            Site::ValkeyCluster(cluster) => {
                for place in 0..3 {
                    cluster.node(place).command(&["FLUSHALL"]);
                }
            }
        }
    }
}

/// What a worker needs to know to take the lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    pub(crate) lease: Duration,
}

/// The lock of a worker.
pub(crate) enum Chosen {
    None,
    Rqlite(RqliteLock),
    Outside(Arc<dyn Lock>),
}

impl Access {
    pub(crate) fn lock(&self) -> Result<Chosen, LockError> {
        let (url, lease) = (self.url.as_str(), self.lease);
        let valkey = |lock: ValkeyLock| {
            Chosen::Outside(Arc::new(lock.lease(lease).retry_interval(RETRY_INTERVAL)))
        };
        Ok(match self.kind {
            Kind::None => Chosen::None,
            Kind::Thread => Chosen::Outside(Arc::new(ThreadLock::new(NAME))),
            Kind::Rqlite => {
                let lock = RqliteLock::new(NAME).lease(lease);
                Chosen::Rqlite(lock.retry_interval(RETRY_INTERVAL))
            }
            Kind::Redis => {
                let lock = RedisLock::new(url, NAME)?.lease(lease);
                Chosen::Outside(Arc::new(lock.retry_interval(RETRY_INTERVAL)))
            }
            Kind::Valkey => valkey(ValkeyLock::new(url, NAME)?),
            Kind::ValkeyCluster => valkey(ValkeyLock::cluster([url], NAME)?),
        })
    }
}
