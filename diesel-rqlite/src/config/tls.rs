//! Whom to trust, and who this client is.

use std::fmt;

#[cfg(any(feature = "rustls", feature = "async"))]
use std::sync::Arc;

/// Which roots are trusted where the configuration gives no certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Mozilla's, as they were when this crate's dependencies were released.
    #[default]
    Web,
    /// The machine's own.
    #[cfg(feature = "native-roots")]
    System,
}

/// All that a configuration says about TLS.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Trusted instead of the roots.
    pub(crate) ca_pem: Option<Vec<u8>>,
    pub(crate) roots: Roots,
    /// The certificate that this client shows, and its key.
    pub(crate) certificate_pem: Option<Vec<u8>>,
    pub(crate) key_pem: Option<Vec<u8>>,
    /// Instead of all of the above.
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
    /// Without the key.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Tls");
        text.field("roots", &self.roots)
            .field("has_ca", &self.ca_pem.is_some())
            .field("has_client_certificate", &self.certificate_pem.is_some())
            .finish_non_exhaustive()
    }
}
