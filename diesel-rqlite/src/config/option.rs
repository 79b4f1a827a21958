//! Parsing the options after the `?` of a URL.

use std::str::FromStr;
use std::time::Duration;

use super::RqliteConfig;
use super::error::{ConfigError, Kind};
use super::lock::lock;
use super::tls::Roots;
use super::url::host_and_port;
use crate::word::UnknownWord;

impl RqliteConfig {
    pub(super) fn option(mut self, key: &str, value: &str) -> Result<Self, ConfigError> {
        match key {
            "level" => self.level = word(key, value)?,
            "freshness" => self = self.freshness(duration(key, value)?),
            "freshness_strict" => self.freshness_strict = boolean(key, value)?,
            "nodes" => {
                for node in value.split(',') {
                    let (host, port) =
                        host_and_port(node).ok_or_else(|| invalid(key, "host:port,host:port"))?;
                    self = self.node(host, port);
                }
            }
            "discovery" => self.discovery = boolean(key, value)?,
            "forwarding" => self.forwarding = word(key, value)?,
            "prefer" => {
                let (host, port) = host_and_port(value).ok_or_else(|| invalid(key, "host:port"))?;
                self = self.prefer(host, port);
            }
            "db_timeout" => self = self.db_timeout(duration(key, value)?),
            "connect_timeout" => self = self.connect_timeout(duration(key, value)?),
            "request_timeout" => self = self.request_timeout(duration(key, value)?),
            "leader_timeout" => self = self.leader_timeout(duration(key, value)?),
            "transaction" => self.transaction.mode = word(key, value)?,
            "lock" => self.transaction.locking = lock(value)?,
            "exactly_once" => self.transaction.exactly_once = boolean(key, value)?,
            // Not documented. It serves to see what goes wrong without guards.
            #[cfg(feature = "guards-off-for-tests")]
            "guards" if value == "off" => self.transaction.guards = false,
            "coalesce_writes" => self.coalesce_writes = boolean(key, value)?,
            "max_answer" => self.max_answer = size(key, value)?,
            "slow_query_threshold" => self = self.slow_query_threshold(duration(key, value)?),
            "trace_literals" => self = self.trace_literals(boolean(key, value)?),
            "trace_parameters" => self = self.trace_parameters(boolean(key, value)?),
            "ca_cert" => self.tls.ca_pem = Some(file(key, value)?),
            "client_cert" => self.tls.certificate_pem = Some(file(key, value)?),
            "client_key" => self.tls.key_pem = Some(file(key, value)?),
            "roots" => match value {
                "web" => self.tls.roots = Roots::Web,
                #[cfg(feature = "native-roots")]
                "system" => self.tls.roots = Roots::System,
                _ => {
                    return Err(invalid(
                        key,
                        "web, or system, which needs the feature `native-roots` of diesel-rqlite",
                    ));
                }
            },
            _ => return Err(Kind::UnknownOption(key.to_owned()).into()),
        }
        Ok(self)
    }
}

fn word<T: FromStr<Err = UnknownWord>>(key: &str, value: &str) -> Result<T, ConfigError> {
    let known = value.parse().map_err(|error| Kind::UnknownWord {
        key: key.to_owned(),
        error,
    });
    Ok(known?)
}

fn boolean(key: &str, value: &str) -> Result<bool, ConfigError> {
    value.parse().map_err(|_| invalid(key, "true or false"))
}

pub(super) fn duration(key: &str, value: &str) -> Result<Duration, ConfigError> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000)];
    let parsed = units.iter().find_map(|(unit, milliseconds)| {
        let number: u64 = value.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*milliseconds).map(Duration::from_millis)
    });
    parsed.ok_or_else(|| invalid(key, "a number with ms, s or m, such as 500ms"))
}

/// Returns the error for an invalid value. The value is not shown: it may be a password in the
/// wrong place.
pub(super) fn invalid(key: &str, wanted: &'static str) -> ConfigError {
    Kind::InvalidValue {
        key: key.to_owned(),
        wanted,
    }
    .into()
}

/// Reads a PEM file.
fn file(key: &str, path: &str) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|error| {
        let file = match looks_like_path(path) {
            true => path,
            false => "what is there is not the path of a file",
        };
        Kind::Unreadable {
            key: key.to_owned(),
            file: file.to_owned(),
            error,
        }
        .into()
    })
}

/// Returns whether a text may be shown as the path of a file. The contents of a file, such as a key
/// in PEM, must not be shown.
fn looks_like_path(text: &str) -> bool {
    const LONGEST: usize = 200;
    text.len() <= LONGEST && !text.contains("-----") && !text.contains(char::is_control)
}

/// Parses a number of bytes, optionally with `k`, `M` or `G`.
fn size(key: &str, value: &str) -> Result<u64, ConfigError> {
    let units = [("k", 10), ("M", 20), ("G", 30), ("", 0)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((value.strip_suffix(unit)?, *shift)))
        .unwrap_or((value, 0));
    let bytes = number.parse::<u64>().ok();
    let bytes = bytes.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| invalid(key, "a number of bytes, also with k, M or G, such as 64M"))
}
