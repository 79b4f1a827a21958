//! The options behind the `?` of a URL.

use std::time::Duration;

use super::RqliteConfig;
use super::error::{ConfigError, Kind};
use super::url::host_and_port;
use crate::lock::{Locking, RqliteLock, ThreadLock, TransactionLock};
use crate::protocol::cluster::Forwarding;
use crate::protocol::request::ReadConsistency;
use crate::transaction::TransactionMode;

impl RqliteConfig {
    pub(super) fn option(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        match key {
            "level" => {
                self.level = ReadConsistency::from_name(value).ok_or_else(|| {
                    invalid(key, value, "none, weak, linearizable, strong or auto")
                })?;
            }
            "freshness" => self = self.freshness(duration(key, value)?),
            "freshness_strict" => self.freshness_strict = boolean(key, value)?,
            "nodes" => {
                for node in value.split(',') {
                    let (host, port) = host_and_port(node)
                        .ok_or_else(|| invalid(key, value, "host:port,host:port"))?;
                    self = self.node(host, port);
                }
            }
            "discovery" => self.discovery = boolean(key, value)?,
            "forwarding" => {
                self.forwarding = Forwarding::from_name(value)
                    .ok_or_else(|| invalid(key, value, "auto, always or never"))?;
            }
            "prefer" => {
                let (host, port) =
                    host_and_port(value).ok_or_else(|| invalid(key, value, "host:port"))?;
                self = self.prefer(host, port);
            }
            "db_timeout" => self = self.db_timeout(timeout(key, value)?),
            "connect_timeout" => self = self.connect_timeout(timeout(key, value)?),
            "request_timeout" => self = self.request_timeout(timeout(key, value)?),
            "leader_timeout" => self = self.leader_timeout(duration(key, value)?),
            "transaction" => {
                self.transaction.mode = TransactionMode::from_name(value)
                    .ok_or_else(|| invalid(key, value, "interactive, eager or deferred"))?;
            }
            "lock" => self.transaction.locking = lock(key, value)?,
            "exactly_once" => self.transaction.exactly_once = boolean(key, value)?,
            // Not documented: to see what goes wrong without them.
            #[cfg(feature = "guards-off-for-tests")]
            "guards" if value == "off" => self.transaction.guards = false,
            "ca_cert" => {
                let pem = std::fs::read(value).map_err(|error| Kind::Unreadable {
                    file: value.to_owned(),
                    error,
                })?;
                self.ca_pem = Some(pem);
            }
            _ => return Err(Kind::UnknownOption(key.to_owned()).into()),
        }
        Ok(self)
    }
}

/// `rqlite:name` or `thread:name`. A lock with more to say than its name is given to the builder.
fn lock(key: &str, value: &str) -> Result<Locking, ConfigError> {
    match value.split_once(':') {
        Some(("rqlite", name)) if !name.is_empty() => Ok(RqliteLock::new(name).locking()),
        Some(("thread", name)) if !name.is_empty() => Ok(ThreadLock::new(name).locking()),
        _ => Err(invalid(key, value, "rqlite:name or thread:name")),
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, ConfigError> {
    value
        .parse()
        .map_err(|_| invalid(key, value, "true or false"))
}

fn timeout(key: &str, value: &str) -> Result<Duration, ConfigError> {
    match duration(key, value)? {
        Duration::ZERO => Err(invalid(key, value, "more than nothing")),
        timeout => Ok(timeout),
    }
}

fn duration(key: &str, value: &str) -> Result<Duration, ConfigError> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let parsed = units.iter().find_map(|(unit, milliseconds)| {
        let number: u64 = value.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*milliseconds).map(Duration::from_millis)
    });
    parsed.ok_or_else(|| invalid(key, value, "a number with ms, s or m, such as 500ms"))
}

fn invalid(key: &str, value: &str, wanted: &'static str) -> ConfigError {
    // `user:password@host` where only a host belongs.
    let value = if value.contains('@') { "…" } else { value };
    Kind::InvalidValue {
        key: key.to_owned(),
        value: value.to_owned(),
        wanted,
    }
    .into()
}
