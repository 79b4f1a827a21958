//! The credentials of a connection, and providers of them.

use std::error::Error;
use std::fmt;
#[cfg(feature = "async")]
use std::future::Future;
#[cfg(feature = "async")]
use std::pin::Pin;
use std::sync::Arc;

type BoxError = Box<dyn Error + Send + Sync>;

/// User and password for HTTP basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Credentials {
    /// Makes credentials from a user and a password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials {
            user: user.into(),
            password: password.into(),
        }
    }
}

impl fmt::Debug for Credentials {
    /// Shows the user without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Credentials");
        text.field("user", &self.user).finish_non_exhaustive()
    }
}

/// The future that the provider of
/// [`RqliteConfig::credentials_from_async`](crate::RqliteConfig::credentials_from_async) returns.
#[cfg(feature = "async")]
pub type CredentialsFuture = Pin<Box<dyn Future<Output = Result<Credentials, BoxError>> + Send>>;

/// A provider of credentials that change while the program runs.
#[derive(Clone)]
pub(crate) enum Provider {
    Now(Arc<dyn Fn() -> Result<Credentials, BoxError> + Send + Sync>),
    #[cfg(feature = "async")]
    Later(Arc<dyn Fn() -> CredentialsFuture + Send + Sync>),
}

impl Provider {
    pub(crate) async fn ask(&self) -> Result<Credentials, BoxError> {
        match self {
            Provider::Now(ask) => ask(),
            #[cfg(feature = "async")]
            Provider::Later(ask) => ask().await,
        }
    }

    pub(super) fn is_async(&self) -> bool {
        match self {
            Provider::Now(_) => false,
            #[cfg(feature = "async")]
            Provider::Later(_) => true,
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Provider")
    }
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Provider::Now(one), Provider::Now(other)) => Arc::ptr_eq(one, other),
            #[cfg(feature = "async")]
            (Provider::Later(one), Provider::Later(other)) => Arc::ptr_eq(one, other),
            #[cfg(feature = "async")]
            _ => false,
        }
    }
}
