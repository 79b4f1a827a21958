//! The option `lock`, which sets the lock that transactions take.

use super::error::ConfigError;
#[cfg(feature = "redis")]
use super::error::Kind;
#[cfg(feature = "redis")]
use super::option::duration;
use super::option::invalid;
use crate::lock::{Locking, Locks as _, RqliteLock, ThreadLock};
#[cfg(feature = "redis")]
use crate::lock::{RedisLock, ValkeyLock};

const KEY: &str = "lock";

/// Parses `rqlite:name`, `thread:name`, or the URL of a lock server. The value is not shown in
/// errors: it may hold a password.
pub(super) fn lock(value: &str) -> Result<Locking, ConfigError> {
    match value.split_once(':') {
        Some(("rqlite", name)) if !name.is_empty() => Ok(RqliteLock::new(name).locking()),
        Some(("thread", name)) if !name.is_empty() => Ok(ThreadLock::new(name).locking()),
        Some((scheme @ ("redis" | "rediss" | "valkey" | "valkeys"), rest))
            if rest.starts_with("//") =>
        {
            on_server(scheme, value)
        }
        _ => Err(invalid(
            KEY,
            "rqlite:name, thread:name, redis://host?name=name or valkey://host?name=name",
        )),
    }
}

#[cfg(not(feature = "redis"))]
fn on_server(_scheme: &str, _url: &str) -> Result<Locking, ConfigError> {
    Err(invalid(
        KEY,
        "rqlite:name or thread:name; a lock in Redis or Valkey needs the feature `redis` of diesel-rqlite",
    ))
}

/// Parses the URL of a lock server. The options after its `?` are those of the lock's builder.
#[cfg(feature = "redis")]
fn on_server(scheme: &str, text: &str) -> Result<Locking, ConfigError> {
    const WANTED: &str =
        "a URL scheme://[user][:password]@host[:port][/database]?name=name, percent-encoded";
    let mut url = ::url::Url::parse(text).map_err(|_| invalid(KEY, WANTED))?;
    if url.fragment().is_some() {
        return Err(invalid(KEY, WANTED));
    }
    let options: Vec<_> = url.query_pairs().into_owned().collect();
    url.set_query(None);
    let name = options.iter().find(|(key, _)| key == "name");
    let Some((_, name)) = name.filter(|(_, name)| !name.is_empty()) else {
        return Err(invalid(KEY, "a URL that names the lock: …?name=name"));
    };
    macro_rules! built {
        ($lock:ident) => {{
            let mut lock =
                $lock::new(url.as_str(), name.as_str()).map_err(|_| invalid(KEY, WANTED))?;
            for (key, value) in &options {
                let in_lock = format!("{KEY}: {key}");
                lock = match key.as_str() {
                    "name" => lock,
                    "prefix" => lock.prefix(value),
                    "lease" => lock.lease(duration(&in_lock, value)?),
                    "timeout" => lock.timeout(duration(&in_lock, value)?),
                    "retry_interval" => lock.retry_interval(duration(&in_lock, value)?),
                    _ => return Err(Kind::UnknownOption(in_lock).into()),
                };
            }
            Ok(lock.locking())
        }};
    }
    match scheme {
        "valkey" | "valkeys" => built!(ValkeyLock),
        _ => built!(RedisLock),
    }
}
