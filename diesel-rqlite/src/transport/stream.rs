//! The streams of asynchronous connections: TCP, and TLS on top of it if the URI requires it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::host_of;
use super::tcp::HEAD_START;
use super::tls::name_of;

/// A connection to a node, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Returns the socket.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Opens streams. Clones are equal.
#[derive(Clone)]
pub(super) struct Connector {
    tls: TlsConnector,
    /// The time for the lookup of a name, for connecting and for the handshake of TLS together.
    limit: Duration,
}

impl Connector {
    pub(super) fn new(config: Arc<ClientConfig>, limit: Duration) -> Self {
        let tls = TlsConnector::from(config);
        Connector { tls, limit }
    }

    /// Connects to a node, with TLS if the URI says `https`. The error is of the kind `TimedOut` if that
    /// takes too long.
    pub(super) async fn connect(&self, uri: &Uri) -> io::Result<Box<dyn Stream>> {
        let connected = timeout(self.limit, self.try_to_connect(uri)).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn try_to_connect(&self, uri: &Uri) -> io::Result<Box<dyn Stream>> {
        let has_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let stream = connect(uri, if has_tls { 443 } else { 80 }).await?;
        if !has_tls {
            return Ok(Box::new(stream));
        }
        let name = name_of(uri)?;
        Ok(Box::new(self.tls.connect(name, stream).await?))
    }
}

/// Looks up a name, and connects to the first of its addresses that answers.
async fn connect(uri: &Uri, default_port: u16) -> io::Result<TcpStream> {
    let port = uri.port_u16().unwrap_or(default_port);
    let addresses = lookup_host((host_of(uri), port)).await?;
    let stream = race(addresses.collect()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Looks for a byte that has arrived, without waiting for one, and without the runtime.
#[cfg(unix)]
pub(super) fn peek(stream: &TcpStream) -> io::Result<()> {
    super::tcp::peek(stream)
}

/// The same for Windows, by a second handle of the socket. The runtime has made the socket one that
/// never waits.
#[cfg(windows)]
pub(super) fn peek(stream: &TcpStream) -> io::Result<()> {
    use std::os::windows::io::AsSocket;
    let stream = std::net::TcpStream::from(stream.as_socket().try_clone_to_owned()?);
    stream.peek(&mut [0]).map(|_| ())
}

/// Connects to the first of several addresses that answers.
///
/// Starts with the first address. The next one is tried when an attempt fails, or when none has
/// succeeded within [`HEAD_START`]; earlier attempts go on. Returns the last error when all have
/// failed. There is no time limit. When one has succeeded, or the future is dropped, the others are
/// aborted.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            running.spawn(TcpStream::connect(address));
        }
        // When no address is left, only the running attempts can succeed.
        let joined = match next {
            Some(_) => timeout(HEAD_START, running.join_next()).await,
            None => Ok(running.join_next().await),
        };
        match joined {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = io::Error::other(error),
            Ok(None) if next.is_none() => return Err(last),
            // The head start is over: the next address is tried.
            Ok(None) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use diesel_rqlite_tests::Link;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn address_that_answers_no_packet_is_passed_over() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("binds");
        let alive = listener.local_addr().expect("is bound");
        let hole = Link::start(&alive.to_string());
        hole.cut();
        let dead = hole.address().parse().expect("is an address");
        // The operating system gives up only after minutes.
        let stream = timeout(Duration::from_secs(30), race(vec![dead, dead, alive])).await;
        let stream = stream.expect("in time").expect("connects");
        assert_eq!(stream.peer_addr().ok(), Some(alive));
        let nobody = timeout(HEAD_START * 2, race(vec![dead, dead])).await;
        assert!(nobody.is_err(), "{nobody:?}");
    }

    #[tokio::test]
    async fn address_that_refuses_is_passed_over() {
        let bind = || TcpListener::bind(("127.0.0.1", 0));
        let listener = bind().await.expect("binds");
        let alive = listener.local_addr().expect("is bound");
        let closed = bind().await.expect("binds");
        let dead = closed.local_addr().expect("is bound");
        drop(closed);
        let stream = timeout(Duration::from_secs(10), race(vec![dead, alive])).await;
        let stream = stream.expect("in time").expect("connects");
        assert_eq!(stream.peer_addr().ok(), Some(alive));
        assert!(race(Vec::new()).await.is_err());
    }
}
