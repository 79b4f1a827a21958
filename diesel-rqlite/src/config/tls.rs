//! The TLS part of the configuration: trusted certificates, and the certificate of the client.

use std::fmt;

#[cfg(any(feature = "rustls", feature = "async"))]
use std::sync::Arc;

/// The roots that are trusted if the configuration gives no certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Mozilla's roots, as of the release of this crate's dependencies.
    #[default]
    Web,
    /// The roots of the operating system.
    #[cfg(feature = "native-roots")]
    System,
}

/// The TLS settings of a configuration.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Certificates that are trusted instead of the roots.
    pub(crate) ca_pem: Option<Vec<u8>>,
    pub(crate) roots: Roots,
    /// The certificate that this client presents, and its key.
    pub(crate) certificate_pem: Option<Vec<u8>>,
    pub(crate) key_pem: Option<Vec<u8>>,
    /// Replaces all of the above.
    #[cfg(any(feature = "rustls", feature = "async"))]
    pub(crate) custom: Option<Arc<rustls::ClientConfig>>,
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(any(feature = "rustls", feature = "async"))]
        let same = match (&self.custom, &other.custom) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        #[cfg(not(any(feature = "rustls", feature = "async")))]
        let same = true;
        same && self.ca_pem == other.ca_pem
            && self.roots == other.roots
            && self.certificate_pem == other.certificate_pem
            && self.key_pem == other.key_pem
    }
}

impl fmt::Debug for Tls {
    /// Shows the settings without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Tls");
        text.field("roots", &self.roots)
            .field("has_ca", &self.ca_pem.is_some())
            .field("has_client_certificate", &self.certificate_pem.is_some())
            .finish_non_exhaustive()
    }
}
