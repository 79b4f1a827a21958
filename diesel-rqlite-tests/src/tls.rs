//! Certificates for a server on loopback, each made for one test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};

/// A self-signed certificate for `localhost` and `127.0.0.1`.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) pem: String,
}

impl Certificate {
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        Self::write(directory, made.cert.pem(), &made.signing_key)
    }

    /// Makes a certificate as `openssl req -x509 -subj /CN=node` does: it is that of an authority, and has no name
    /// that a client knows.
    pub(crate) fn create_as_authority(directory: &Path) -> io::Result<Self> {
        let (params, key) = authority("node").map_err(io::Error::other)?;
        let made = params.self_signed(&key).map_err(io::Error::other)?;
        Self::write(directory, made.pem(), &key)
    }

    fn write(directory: &Path, pem: String, key: &KeyPair) -> io::Result<Self> {
        let certificate = Certificate {
            cert: directory.join("cert.pem"),
            key: directory.join("key.pem"),
            pem,
        };
        fs::write(&certificate.cert, &certificate.pem)?;
        fs::write(&certificate.key, key.serialize_pem())?;
        Ok(certificate)
    }
}

fn authority(name: &str) -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok((params, KeyPair::generate()?))
}

/// A client certificate, its key, and the authority that signed it, all in PEM.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
    pub(crate) authority: String,
}

impl ClientCertificate {
    /// Creates a certificate, signed by an authority that signs nothing else.
    ///
    /// # Panics
    ///
    /// If the machine can't create one.
    pub fn create() -> Self {
        Self::try_create().expect("a certificate can be made")
    }

    fn try_create() -> Result<Self, rcgen::Error> {
        let (params, key) = authority("clients")?;
        let authority = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::new(vec!["client".to_owned()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        Ok(ClientCertificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            authority: authority.pem(),
        })
    }
}
