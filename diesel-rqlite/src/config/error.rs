//! Errors of a configuration.

use diesel::result::ConnectionError;

use crate::word::UnknownWord;

/// The error of an invalid configuration. It names the option, but never its value, which may be a
/// password in the wrong place.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ConfigError(#[from] Kind);

impl ConfigError {
    /// Returns whether the URL belongs to another database, so that a program with several backends
    /// may try the next one.
    pub fn is_foreign_scheme(&self) -> bool {
        matches!(self.0, Kind::ForeignScheme(_))
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Kind {
    #[error(
        "a host is a name or an address: no user, port, path, blank, and none of `@ / ? #`; what is there is not shown, \
         since it may hold a password"
    )]
    Host,
    #[error(
        "the URL has an `@` behind its host; in a password `@ / ? #` are written %40 %2F %3F %23"
    )]
    AtSign,
    #[error("a user has no `:` in HTTP basic authentication")]
    ColonInUser,
    #[error(
        "a client certificate needs its key, and a key its certificate: `client_cert` and `client_key`"
    )]
    HalfOfClientCertificate,
    #[error("a provider of credentials that has to wait needs an asynchronous connection")]
    AsyncProvider,
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    #[error("scheme `{0}` is not one of rqlite, rqlites, http, https; a URL is rqlite://host:4001")]
    ForeignScheme(String),
    #[error("the URL names no host")]
    NoHost,
    #[error("the URL has a fragment (`#…`); a `#` in a password is written %23")]
    Fragment,
    #[error("user or password are not percent-encoded UTF-8")]
    Credentials,
    #[error("unknown option `{0}`")]
    UnknownOption(String),
    #[error("option `{key}` is not {wanted}")]
    InvalidValue { key: String, wanted: &'static str },
    #[error("option `{key}`: {error}")]
    UnknownWord { key: String, error: UnknownWord },
    #[error("option `freshness` is only for reads at level `none`")]
    FreshnessWithoutNone,
    #[error(
        "option `coalesce_writes` is not for a `db_timeout`, which the server counts for a request as a whole"
    )]
    CoalescedInTime,
    #[error("option `{key}`: {file}: {error}")]
    Unreadable {
        key: String,
        file: String,
        error: std::io::Error,
    },
}

impl From<ConfigError> for ConnectionError {
    fn from(error: ConfigError) -> Self {
        ConnectionError::InvalidConnectionUrl(error.to_string())
    }
}
