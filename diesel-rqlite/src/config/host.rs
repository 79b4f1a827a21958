//! Validation of hosts.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::protocol::survey::is_host_name;

/// A host in the form of a URL, with IPv6 addresses in brackets.
///
/// An invalid text is not kept. If it was `user:password@host`, it contains a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Is(String),
    IsNot,
}

impl Host {
    /// Parses a name or an address. An IPv6 address may be in brackets. Names are normalized to the
    /// form that DNS uses: lower case and ASCII.
    pub(super) fn of(text: &str) -> Self {
        let host = match text.parse::<std::net::Ipv6Addr>() {
            Ok(address) => url::Host::Ipv6(address),
            Err(_) => match url::Host::parse(text) {
                Ok(url::Host::Domain(name)) if !is_host_name(&name) => return Host::IsNot,
                Ok(host) => host,
                Err(_) => return Host::IsNot,
            },
        };
        Host::Is(host.to_string())
    }

    /// Parses the host of a URL whose scheme is not a web scheme. The URL parser leaves such a host
    /// unchanged.
    pub(super) fn of_url(text: &str) -> Self {
        match percent_decode_str(text).decode_utf8() {
            Ok(decoded) => Self::of(&decoded),
            Err(_) => Host::IsNot,
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        matches!(self, Host::Is(_))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Is(host) => formatter.write_str(host),
            Host::IsNot => formatter.write_str("…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_what_is_none() {
        for (text, wanted) in [
            ("localhost", "localhost"),
            ("Node-1.example.com", "node-1.example.com"),
            ("rqlite_1", "rqlite_1"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "[::1]"),
            ("[::1]", "[::1]"),
            ("bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Host::of(text), Host::Is(wanted.to_owned()), "{text}");
        }
        for text in [
            "", " ", "a b", "a\tb", "a\nb", "a\0b", "\u{7f}", "u:p@h", "@h", "h/", "h/p", "h?x",
            "h#x", "h:1", "[::1", "::1]", "[::1]:1", "1::2::3", "a%20b", "a\\b", "a|b", "<h>",
            "[h]", "::1%eth0", "a}",
        ] {
            assert_eq!(Host::of(text), Host::IsNot, "{text:?}");
        }
        assert_eq!(Host::of_url("b%C3%BCcher"), Host::of("bücher"));
        assert_eq!(Host::of_url("a%40b"), Host::IsNot);
        assert_eq!(Host::of_url("a%FF"), Host::IsNot);
    }
}
