//! TLS on top of the socket of a blocking connection.
//!
//! `TlsConnector` comes after `Tcp` in the chain of connectors. It completes the handshake before
//! it returns, so that the time to connect includes it. All waiting takes place in the socket
//! below, which also asks the vigil. `TlsSocket` only passes on the timeout that ureq gives it.
//!
//! Bytes that rustls has encrypted are held back by the socket below as others are, until an answer
//! is awaited. So the socket's `holds_back` tells whether the end of a request was sent, with TLS
//! as without. What rustls sends by itself does not change it, see `tcp`.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::tls::name_of;

/// The connector that adds TLS to a connection if the URL requires it.
#[derive(Debug)]
pub(super) struct TlsConnector(pub(super) Arc<ClientConfig>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsSocket>;

    /// Adds TLS if the URL requires it, and completes the handshake. Fails if the host can't be the
    /// name in a certificate, if the node is not trusted, or if the time to connect is over.
    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let name = name_of(details.uri)?;
        let conn = ClientConnection::new(Arc::clone(&self.0), name);
        let mut conn = conn.map_err(std::io::Error::other)?;
        let mut sock = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        sock.set_timeout(left(details));
        conn.complete_io(&mut sock)?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(TlsSocket {
            buffers,
            stream: StreamOwned { conn, sock },
        })))
    }
}

/// Returns the remaining time to connect, after connecting the socket. `details.timeout` is the
/// time that was left before that.
fn left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(limit), Instant::Exact(began), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        let elapsed = now.saturating_duration_since(began);
        timeout.after = Duration::Exact(limit.saturating_sub(elapsed));
    }
    timeout
}

/// A connection with TLS. `buffers` contain what ureq writes and reads; those of the socket below
/// contain the encrypted bytes.
pub(super) struct TlsSocket {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("TlsSocket");
        text.field("below", &self.stream.sock.inner()).finish()
    }
}

impl Transport for TlsSocket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Returns whether an idle connection can be used for another request. What has arrived behind
    /// an answer may be anywhere: encrypted in the socket or its buffer, or decrypted. rustls does not
    /// want to read if it has decrypted bytes, or if the node has said that no more come.
    fn is_open(&mut self) -> bool {
        let has_none = self.buffers.input().is_empty() && self.stream.conn.wants_read();
        has_none && self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
