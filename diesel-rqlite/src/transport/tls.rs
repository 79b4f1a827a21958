//! TLS of both connections: trusted certificates, and the certificate of the client.
//!
//! [`client_tls`] makes the configuration of rustls from that of the connection. It reads no files,
//! except for the roots of the operating system, and connects nowhere. There are three ways to
//! decide which servers are trusted:
//!
//! * a configuration of rustls that the program made, which replaces everything here;
//! * certificates that the configuration names ([`OrExactly`]), instead of the roots;
//! * the roots ([`Roots`]).
//!
//! With roots, or with an authority that the configuration names, the name in a server's
//! certificate is checked. A certificate that the configuration contains itself is trusted for any
//! name.
//!
//! No error message contains any text of a certificate file or key file, since it may be a secret.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::result::ConnectionError;
use http::Uri;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::host_of;
use crate::config::tls::{Roots, Tls};

/// The TLS setup of connections.
#[derive(Clone, Debug)]
pub(super) struct ClientTls {
    /// The configuration for new connections.
    pub(super) config: Arc<ClientConfig>,
    /// The record that `config` writes to.
    pub(super) asked: Asked,
}

impl ClientTls {
    /// Extends an error message, see [`Asked::explain`].
    #[cfg(feature = "rustls")]
    pub(super) fn explain(&self, message: String) -> String {
        self.asked.explain(message)
    }
}

/// Records whether a node has asked for a certificate that this client does not have. The node
/// closes the connection then, which may cause any error.
///
/// Clones share the record. It is never reset, so that it applies to all nodes and to all later
/// errors. With a client certificate, or with the program's own configuration, nothing is recorded.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    /// Returns the text of an error, extended by the likely cause.
    pub(super) fn explain(&self, message: String) -> String {
        match self.0.load(Ordering::Relaxed) {
            true => format!(
                "{message} (the node asks for a client certificate, and the configuration has none: `client_cert`)"
            ),
            false => message,
        }
    }
}

/// A resolver without a certificate, which records that one was requested.
#[derive(Debug)]
struct Nothing(Asked);

impl ResolvesClientCert for Nothing {
    fn resolve(
        &self,
        _root_hints: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.0.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Returns the name that the certificate of a node must have. Fails if it can't be one.
pub(super) fn name_of(uri: &Uri) -> io::Result<ServerName<'static>> {
    let name = ServerName::try_from(host_of(uri).to_owned());
    name.map_err(|_| io::Error::other("the host is no name that a certificate can have"))
}

/// Makes the TLS setup of a configuration. Fails if a certificate or the key is not PEM or not
/// usable, or if the system has no roots.
pub(super) fn client_tls(tls: &Tls) -> Result<ClientTls, ConnectionError> {
    let asked = Asked::default();
    if let Some(custom) = &tls.custom {
        let mut config = ClientConfig::clone(custom);
        // These clients use HTTP/1.1.
        config.alpn_protocols.clear();
        return Ok(ClientTls {
            config: Arc::new(config),
            asked,
        });
    }
    let crypto = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&crypto))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad("TLS", error))?;
    // The certificates of the configuration replace the roots. They do not add to them.
    let builder = match &tls.ca_pem {
        None => builder.with_root_certificates(roots(tls.roots)?),
        Some(pem) => builder
            .dangerous()
            .with_custom_certificate_verifier(OrExactly::these(pem, crypto)?),
    };
    let config = match (&tls.certificate_pem, &tls.key_pem) {
        (Some(certificate), Some(key)) => {
            let certificates = certificates("client certificate", certificate)?;
            let key = PrivateKeyDer::from_pem_slice(key);
            let key = key.map_err(|_| bad("client key", "no private key in the PEM"))?;
            let config = builder.with_client_auth_cert(certificates, key);
            config.map_err(|error| bad("client certificate", error))?
        }
        _ => builder.with_client_cert_resolver(Arc::new(Nothing(asked.clone()))),
    };
    Ok(ClientTls {
        config: Arc::new(config),
        asked,
    })
}

/// Returns an error that names the setting and the reason.
fn bad(what: &str, reason: impl std::fmt::Display) -> ConnectionError {
    ConnectionError::BadConnection(format!("{what}: {reason}"))
}

/// Parses PEM. Fails if it contains no certificate. `what` names the setting in the error.
fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConnectionError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(bad(what, "no certificate in the PEM")),
        Ok(found) => Ok(found),
        // The error does not describe the text, which may be a secret.
        Err(_) => Err(bad(what, "not PEM")),
    }
}

/// Returns the roots. Of the system's roots, those that can't be parsed are skipped; it is an error
/// if none is left.
fn roots(roots: Roots) -> Result<RootCertStore, ConnectionError> {
    match roots {
        Roots::Web => Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()),
        #[cfg(feature = "native-roots")]
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            match (roots.is_empty(), found.errors.first()) {
                (false, _) => Ok(roots),
                (true, Some(error)) => Err(bad("the system's certificates", error)),
                (true, None) => Err(bad("the system's certificates", "there are none")),
            }
        }
    }
}

/// A verifier that trusts certificates signed by an authority among these, and a server that
/// presents exactly one of these: it must have the key, or the handshake fails. WebPKI refuses the
/// latter if the certificate is that of an authority (`CaUsedAsEndEntity`), as certificates of
/// `openssl req -x509` are.
#[derive(Debug)]
struct OrExactly {
    /// The certificates, each of which a server may present itself.
    certificates: Vec<CertificateDer<'static>>,
    /// The verifier for certificates that are signed by one of them.
    authorities: Arc<WebPkiServerVerifier>,
}

impl OrExactly {
    /// Fails if the PEM contains no certificate, or one that can't be an authority's.
    fn these(pem: &[u8], crypto: Arc<CryptoProvider>) -> Result<Arc<Self>, ConnectionError> {
        const WHAT: &str = "CA certificates";
        let certificates = certificates(WHAT, pem)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let added = roots.add(certificate.clone());
            added.map_err(|error| bad(WHAT, error))?;
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crypto);
        let authorities = authorities.build().map_err(|error| bad(WHAT, error))?;
        Ok(Arc::new(OrExactly {
            certificates,
            authorities,
        }))
    }
}

impl ServerCertVerifier for OrExactly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Neither the name nor the validity period is checked here: the configuration trusts this
        // very certificate.
        let mut certificates = self.certificates.iter();
        if certificates.any(|known| known.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        self.authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}
