//! Locks in Redis and Valkey.

#[cfg(feature = "async")]
mod asynchronous;
mod lease;
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::lease::{Held, Lease};
use self::store::{Caller, Store};
#[cfg(feature = "async")]
use super::{AsyncLock, AsyncLockGuard, LockFuture};
use super::{Lock, LockError, LockGuard, ThreadLock};
#[cfg(feature = "async")]
use crate::runtime::Tokio;
use crate::runtime::{Blocking, block_on};

const PREFIX: &str = "diesel-rqlite:";

/// The limits of the retry interval.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));
/// The limits of the lease. A shorter lease would end in transit, and no transaction takes longer
/// than the upper limit.
const LEASES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(24 * 60 * 60));

/// Defines the two public locks, which are the same: Valkey and Redis use the same protocol.
macro_rules! lock {
    ($lock:ident, $server:literal, $scheme:literal, $other:literal) => {
        #[doc = concat!("A lock between processes, held in ", $server, ".")]
        ///
        #[doc = concat!("The URL is `", $scheme, "://[user][:password]@host[:port][/database]`, with TLS `", $scheme, "s://`. ")]
        #[doc = concat!("The schemes of ", $other, " are understood, too. ")]
        /// The web's root certificates are trusted; see [`with_client`](Self::with_client) for
        /// others.
        ///
        /// The holder has a lease, which is renewed in the background as long as it holds the lock.
        /// The lease may end nevertheless: because the process was stopped, the server was
        /// unreachable, or the server lost its data (replication and snapshots are asynchronous).
        /// The lock is lost then. The [fence](crate::LockGuard::fence) protects against that. It
        /// increases with every acquisition, even after the server lost its data, unless the
        /// server's clock was set back as well.
        ///
        /// Threads of one process that use the same value, or clones of it, acquire the lock in
        /// their order of arrival. There is no order between others.
        ///
        /// ```no_run
        #[doc = concat!("use diesel_rqlite::{Lock, ", stringify!($lock), "};")]
        ///
        #[doc = concat!("let lock = ", stringify!($lock), "::new(\"", $scheme, "://localhost\", \"accounts\")?;")]
        /// let held = lock.acquire()?;
        /// // Nobody else is here.
        /// held.release()?;
        /// # Ok::<(), diesel_rqlite::LockError>(())
        /// ```
        ///
        /// While it is held there are two keys, `diesel-rqlite:{name}` and `diesel-rqlite:{name}:fence`, in the
        /// same slot of a cluster; the second one stays. A user needs permission for these keys and for `EVAL`,
        /// `GET`, `SET`, `DEL`, `PEXPIRE`, `PTTL` and `TIME`.
        #[derive(Clone)]
        pub struct $lock(ServerLock);

        impl $lock {
            /// Makes a lock on one server. Does not connect yet.
            ///
            /// # Errors
            ///
            /// [`LockError`] if the URL is not one of these.
            pub fn new(url: &str, name: impl Into<String>) -> Result<Self, LockError> {
                let name = name.into();
                let store = Store::single(url).map_err(|reason| LockError::unavailable(&name, reason))?;
                Ok($lock(ServerLock::new(store, name)))
            }

            /// Makes a lock in a cluster, given some of its nodes. User, password and TLS must be
            /// the same for all. Does not connect yet.
            ///
            /// # Errors
            ///
            /// [`LockError`] if there is no URL, or an invalid one.
            pub fn cluster<'a>(
                urls: impl IntoIterator<Item = &'a str>,
                name: impl Into<String>,
            ) -> Result<Self, LockError> {
                let name = name.into();
                let store = Store::cluster(urls).map_err(|reason| LockError::unavailable(&name, reason))?;
                Ok($lock(ServerLock::new(store, name)))
            }

            /// Makes a lock on the server of this client, for your own certificates or a Unix
            /// socket.
            pub fn with_client(client: ::redis::Client, name: impl Into<String>) -> Self {
                $lock(ServerLock::new(Store::from_client(client), name.into()))
            }

            /// Makes a lock in the cluster of this client.
            ///
            /// The client retries by itself. If it has no answer in time, it is left running in the
            /// background. Build it with few
            /// [`retries`](::redis::cluster::ClusterClientBuilder::retries).
            pub fn with_cluster_client(
                client: ::redis::cluster::ClusterClient,
                name: impl Into<String>,
            ) -> Self {
                $lock(ServerLock::new(Store::from_cluster_client(client), name.into()))
            }

            /// Sets the prefix of the keys, `diesel-rqlite:` by default. It must not contain
            /// braces, which have a meaning in a cluster.
            #[must_use]
            pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
                self.0.prefix = prefix.into();
                self
            }

            /// Sets how long the lock stays held when this process dies: 10 seconds by default,
            /// from 10 milliseconds to a day. The lease is renewed after every third of it, so it
            /// should be much longer than a round trip.
            #[must_use]
            pub fn lease(mut self, lease: Duration) -> Self {
                self.0.lease = lease.clamp(LEASES.0, LEASES.1);
                self
            }

            /// Sets how long to wait for the lock, 30 seconds by default. The lock is requested at
            /// least once, and the last request may take half a second more.
            #[must_use]
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.0.timeout = timeout;
                self
            }

            /// Sets how often to request the lock while another process holds it: 50 milliseconds
            /// by default, from a millisecond to a minute. The actual interval is random, between
            /// half of it and one and a half times of it.
            #[must_use]
            pub fn retry_interval(mut self, interval: Duration) -> Self {
                self.0.retry_interval = interval.clamp(INTERVALS.0, INTERVALS.1);
                self
            }
        }

        impl Lock for $lock {
            fn name(&self) -> &str {
                &self.0.name
            }

            fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError> {
                Ok(Box::new(block_on(self.0.acquire::<Blocking>())?))
            }

            #[cfg(feature = "async")]
            fn as_async(&self) -> Option<&dyn AsyncLock> {
                Some(self)
            }
        }

        #[cfg(feature = "async")]
        impl AsyncLock for $lock {
            fn acquire_async(&self) -> LockFuture<'_, Box<dyn AsyncLockGuard>> {
                Box::pin(async { Ok(Box::new(self.0.acquire::<Tokio>().await?) as _) })
            }
        }

        impl fmt::Debug for $lock {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.describe(f.debug_struct(stringify!($lock)))
            }
        }
    };
}

lock!(
    ValkeyLock,
    "[Valkey](https://valkey.io) 7.2 or newer",
    "valkey",
    "Redis"
);
lock!(
    RedisLock,
    "[Redis](https://redis.io) 5 or newer",
    "redis",
    "Valkey"
);

#[derive(Clone)]
struct ServerLock {
    name: String,
    prefix: String,
    lease: Duration,
    timeout: Duration,
    retry_interval: Duration,
    store: Arc<Store>,
    /// The queue for the threads of this process. Waiting here costs nothing, and only the first
    /// thread asks the server.
    queue: ThreadLock,
}

impl ServerLock {
    fn new(store: Store, name: String) -> Self {
        ServerLock {
            queue: ThreadLock::unshared(&name),
            name,
            prefix: PREFIX.to_owned(),
            lease: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retry_interval: Duration::from_millis(50),
            store: Arc::new(store),
        }
    }

    async fn acquire<R: Caller>(&self) -> Result<Held<R>, LockError> {
        let began = Instant::now();
        let turn = R::enter(&self.queue.clone().timeout(self.timeout)).await;
        // The first thread in the queue may have found a more specific reason than "held".
        let turn = turn.map_err(|timeout| match self.store.trouble() {
            Some(reason) => LockError::unavailable(&self.name, reason),
            None => timeout,
        })?;
        let lease = Lease::new(
            Arc::clone(&self.store),
            self.name.clone(),
            self.keys(),
            self.lease,
        )?;
        let acquired = lease.acquire(turn, began, self.timeout, self.retry_interval);
        acquired.await
    }

    /// Returns the keys of the lock and its fence. The text in braces, up to the first closing
    /// brace, determines the slot.
    fn keys(&self) -> [String; 2] {
        let tag = match self.name.as_str() {
            "" => "%".to_owned(),
            name => name.replace('%', "%25").replace('}', "%7D"),
        };
        let lock = format!("{}{{{tag}}}", self.prefix);
        let fence = format!("{lock}:fence");
        [lock, fence]
    }

    /// Describes the lock without user and password.
    fn describe(&self, mut text: fmt::DebugStruct<'_, '_>) -> fmt::Result {
        text.field("name", &self.name)
            .field("server", &self.store.address())
            .field("prefix", &self.prefix)
            .field("lease", &self.lease)
            .field("timeout", &self.timeout)
            .field("retry_interval", &self.retry_interval)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(name: &str) -> ValkeyLock {
        ValkeyLock::new("valkey://user:hunter2@localhost:1/3", name).expect("a URL")
    }

    #[test]
    fn keys_of_a_lock_are_in_one_slot_and_no_other_lock_has_them() {
        assert_eq!(
            lock("accounts").prefix("bank:").0.keys(),
            ["bank:{accounts}", "bank:{accounts}:fence"]
        );
        for name in ["", "}", "}x{", "a}b", "{a}"] {
            let [lock, fence] = lock(name).0.keys();
            let tag = |key: &str| {
                let (_, rest) = key.split_once('{').expect("opens");
                rest.split_once('}').expect("closes").0.to_owned()
            };
            assert!(!tag(&lock).is_empty(), "{name}");
            assert_eq!(tag(&lock), tag(&fence), "{name}");
        }
        assert_ne!(lock("").0.keys(), lock("%").0.keys());
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", lock("accounts"));
        assert!(
            shown.contains("localhost:1") && !shown.contains("hunter2"),
            "{shown}"
        );
        for url in [
            "ftp://u:hunter2@localhost",
            "redis://u:hunter2@localhost/x",
            "hunter2",
            "redis://u:hunter2@[::1",
        ] {
            let error = RedisLock::new(url, "accounts").expect_err(url);
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{error:?}"
            );
            let error = RedisLock::cluster([url], "accounts").expect_err(url);
            assert!(
                !format!("{error} {error:?}").contains("hunter2"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn both_locks_know_the_schemes_of_both_servers() {
        for url in [
            "redis://h",
            "valkey://h:1/2",
            "redis://:p@h",
            "valkey://u:p@h",
        ] {
            ValkeyLock::new(url, "x").expect(url);
            RedisLock::new(url, "x").expect(url);
            ValkeyLock::cluster([url], "x").expect(url);
        }
        for url in ["rediss://h", "valkeys://h"] {
            ValkeyLock::new(url, "x").expect(url);
            RedisLock::new(url, "x").expect(url);
        }
    }

    #[test]
    fn locks_go_between_threads() {
        fn between_threads<T: Send + Sync>() {}
        between_threads::<RedisLock>();
        between_threads::<ValkeyLock>();
        between_threads::<Held<Blocking>>();
    }
}
