//! Parsing URLs.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

use super::error::{ConfigError, Kind};
use super::host::Host;
use super::{Credentials, RqliteConfig};

const DEFAULT_PORT: u16 = 4001;

impl FromStr for RqliteConfig {
    type Err = ConfigError;

    fn from_str(url: &str) -> Result<Self, ConfigError> {
        // Errors do not contain the text, which may hold a password.
        let url = Url::parse(url).map_err(Kind::Url)?;
        let (tls, default_port) = match url.scheme() {
            "rqlite" => (false, DEFAULT_PORT),
            "rqlites" => (true, DEFAULT_PORT),
            "http" => (false, 80),
            "https" => (true, 443),
            scheme => return Err(Kind::ForeignScheme(scheme.to_owned()).into()),
        };
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(Kind::NoHost)?;
        if url.fragment().is_some() {
            return Err(Kind::Fragment.into());
        }
        // Otherwise a password with a `/` or a `?` in it would be parsed as a path, and shown as
        // such.
        if url.path().contains('@') || url.query().is_some_and(|query| query.contains('@')) {
            return Err(Kind::AtSign.into());
        }
        let mut config = Self::new("", url.port().unwrap_or(default_port));
        config.nodes[0].host = Host::of_url(host);
        config.nodes[0].tls = tls;
        config.nodes[0].prefix = url.path().trim_end_matches('/').to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            let user = decoded(url.username())?;
            let password = decoded(url.password().unwrap_or_default())?;
            config.credentials = Some(Credentials::new(user, password));
        }
        for (key, value) in url.query_pairs() {
            config = config.option(&key, &value)?;
        }
        config.check()?;
        Ok(config)
    }
}

/// Returns a URL that may be shown: without its password and without the lock's.
pub(crate) fn redacted(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut url) => {
            if url.password().is_some() && url.set_password(Some("***")).is_err() {
                return String::new();
            }
            if url.query_pairs().any(|(_, value)| value.contains("://")) {
                redact_query(&mut url);
            }
            url.into()
        }
        Err(_) => String::new(),
    }
}

/// Redacts the options of a URL. They may contain the URL of another server.
fn redact_query(url: &mut Url) {
    let options: Vec<_> = url.query_pairs().into_owned().collect();
    let mut query = url.query_pairs_mut();
    query.clear();
    for (key, value) in options {
        let value = match value.contains("://") {
            true => redacted(&value),
            false => value,
        };
        query.append_pair(&key, &value);
    }
}

fn decoded(text: &str) -> Result<String, ConfigError> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded.map_err(|_| Kind::Credentials)?.into_owned())
}

pub(super) fn host_and_port(node: &str) -> Option<(&str, u16)> {
    match node.rsplit_once(':') {
        // An IPv6 address without a port ends in `]`.
        Some((host, port)) if !port.ends_with(']') => {
            (!host.is_empty()).then_some((host, port.parse().ok()?))
        }
        _ => (!node.is_empty()).then_some((node, DEFAULT_PORT)),
    }
}
