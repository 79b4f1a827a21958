//! A TLS proxy for a server that was built without TLS, such as those of the Python packages.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::tls::Certificate;

/// Accepts TLS connections and forwards their contents. Stops when dropped.
#[derive(Debug)]
pub(crate) struct TlsFront {
    pub(crate) port: u16,
    ended: Arc<AtomicBool>,
}

impl TlsFront {
    pub(crate) fn start(certificate: &Certificate, upstream: String) -> io::Result<Self> {
        let config = Arc::new(config(certificate)?);
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (config, upstream) = (Arc::clone(&config), upstream.clone());
                // If a connection fails, the client reports it.
                thread::spawn(move || serve(client, config, &upstream));
            }
        });
        Ok(TlsFront { port, ended })
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn config(certificate: &Certificate) -> io::Result<ServerConfig> {
    let chain =
        CertificateDer::from_pem_slice(certificate.pem.as_bytes()).map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::from_pem_slice(&fs::read(&certificate.key)?).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![chain], key)
        })
        .map_err(io::Error::other)
}

fn serve(client: TcpStream, config: Arc<ServerConfig>, upstream: &str) -> io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    let tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let tls = Arc::new(Mutex::new(tls));
    let (back, from, to) = (Arc::clone(&tls), server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = encrypt(&back, &from, &to);
        let _ = to.shutdown(Shutdown::Both);
    });
    let outcome = decrypt(&tls, &client, &server);
    let _ = server.shutdown(Shutdown::Both);
    outcome
}

fn encrypt(
    tls: &Mutex<ServerConnection>,
    mut from: &TcpStream,
    mut to: &TcpStream,
) -> io::Result<()> {
    let mut plain = [0; 4096];
    loop {
        let length = from.read(&mut plain)?;
        if length == 0 {
            return Ok(());
        }
        let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
        tls.writer().write_all(&plain[..length])?;
        while tls.wants_write() {
            tls.write_tls(&mut to)?;
        }
    }
}

fn decrypt(
    tls: &Mutex<ServerConnection>,
    mut from: &TcpStream,
    mut to: &TcpStream,
) -> io::Result<()> {
    let mut encrypted = [0; 4096];
    loop {
        // The lock is not held while this waits.
        let length = from.read(&mut encrypted)?;
        if length == 0 {
            return Ok(());
        }
        let mut rest = &encrypted[..length];
        let mut plain = Vec::new();
        let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            let state = tls.process_new_packets();
            while tls.wants_write() {
                tls.write_tls(&mut from)?;
            }
            let ready = state.map_err(io::Error::other)?.plaintext_bytes_to_read();
            let start = plain.len();
            plain.resize(start + ready, 0);
            tls.reader().read_exact(&mut plain[start..])?;
        }
        drop(tls);
        to.write_all(&plain)?;
    }
}
