//! What can be wrong with a configuration.

use diesel::result::ConnectionError;

/// Why a URL is not understood. Names the option or the value, never the password.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ConfigError(#[from] Kind);

impl ConfigError {
    /// Whether the URL is one of another database, so that a program with several backends may try the next.
    pub fn is_foreign_scheme(&self) -> bool {
        matches!(self.0, Kind::ForeignScheme(_))
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Kind {
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
    #[error("option `{key}`: `{value}` is not {wanted}")]
    InvalidValue {
        key: String,
        value: String,
        wanted: &'static str,
    },
    #[error("option `freshness` is only for reads at level `none`")]
    FreshnessWithoutNone,
    #[error("option `ca_cert`: {file}: {error}")]
    Unreadable { file: String, error: std::io::Error },
}

impl From<ConfigError> for ConnectionError {
    fn from(error: ConfigError) -> Self {
        ConnectionError::InvalidConnectionUrl(error.to_string())
    }
}
