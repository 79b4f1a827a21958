//! Certificates for a server on loopback, made for one test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A certificate for `localhost` and `127.0.0.1`, signed by nobody else.
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
        let certificate = Certificate {
            cert: directory.join("cert.pem"),
            key: directory.join("key.pem"),
            pem: made.cert.pem(),
        };
        fs::write(&certificate.cert, &certificate.pem)?;
        fs::write(&certificate.key, made.signing_key.serialize_pem())?;
        Ok(certificate)
    }
}
