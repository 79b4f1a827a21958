//! Requests to one node that are not SQL, with streamed bodies, for the asynchronous client. Each has
//! its own connection.
//!
//! This is the asynchronous counterpart of `node`, for `administration`: a request is sent once,
//! redirects are not followed, any status is an answer, there is no vigil, and `max_answer` does
//! not apply.
//!
//! # Time limits
//!
//! Connecting has `connect_timeout`. A request without an upload has one more limit, for connecting,
//! sending and the head of the answer together. The body of an answer that `administration` reads as
//! a whole has a limit, too, counted since the head. Uploads, the heads of their answers, and backups
//! have no time limit.
//!
//! # Dropped futures
//!
//! The connection is part of the future that sends the request, and later of the [`Download`].
//! Dropping either closes the connection. A download is then incomplete. An upload is sent in
//! chunks: unless its end was reached, the last chunk is missing, so that the node knows that the
//! file is not complete. If the end was reached, the node may load the file.
//!
//! # Uploads
//!
//! [`Upload`] checks the file while it is read. If it is damaged or can't be read, the body fails,
//! the connection is closed, and the last chunk is never sent. An upload counts as sent if its end
//! was read and the file was complete.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, TRANSFER_ENCODING, USER_AGENT};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::PIECE;
use super::asynchronous::{AsyncHttp, chain};
use super::channel::Channel;
use super::http1::{Body, Head, too_early};
use super::pool::Pool;
use crate::administration::{Carry, Fetch, Patience, Text};
use crate::protocol::backup::Whole;
use crate::protocol::call::SendError;
use crate::protocol::head::{AGENT, write_head};
use crate::session::Rest;

/// A SQLite file that is inspected while it is read. The file is not read ahead: a piece is read
/// when the connection can take it.
pub(crate) struct Upload {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    /// The check, which the caller shares, to learn how the upload ended.
    whole: Whole,
}

impl Upload {
    pub(crate) fn new(reader: impl AsyncRead + Send + 'static, whole: Whole) -> Self {
        let reader = Box::pin(reader);
        Upload { reader, whole }
    }

    /// Returns the next piece of the file, of up to [`PIECE`] bytes. It is empty at the end. Fails
    /// if the file can't be read, or is damaged.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut piece = vec![0; PIECE];
        let mut buffer = ReadBuf::new(&mut piece);
        let read = ready!(self.reader.as_mut().poll_read(context, &mut buffer));
        let count = buffer.filled().len();
        piece.truncate(count);
        let outcome = match read {
            Ok(()) => self.whole.saw(&piece),
            Err(error) => Err(self.whole.failed(error)),
        };
        Poll::Ready(outcome.map(|()| piece.into()))
    }
}

/// A text that is read while it is sent.
pub(crate) struct TextOf<'t, R>(pub(crate) Pin<&'t mut R>);

impl<R: AsyncRead + Send> Text for TextOf<'_, R> {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let before = bytes.len();
        bytes.resize(before + PIECE, 0);
        let read = poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut bytes[before..]);
            ready!(self.0.as_mut().poll_read(context, &mut buffer))?;
            Poll::Ready(Ok(buffer.filled().len()))
        });
        let read = read.await;
        bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }
}

/// The body of an answer, as it arrives. If this is dropped before the end, its connection is
/// closed. After the end it is closed as well, since there are no others that could use it.
pub(crate) struct Download {
    channel: Channel,
    body: Body,
    /// Bytes that have arrived, of which the first `given` were read.
    arrived: Vec<u8>,
    given: usize,
    /// The end of the time for all of it, if that is limited.
    ends: Option<Instant>,
}

impl fmt::Debug for Download {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Download")
    }
}

impl Download {
    /// Returns this body, all of which must arrive within this time from now on.
    fn within(self, limit: Option<Duration>) -> Self {
        let ends = limit.and_then(|limit| Instant::now().checked_add(limit));
        Download { ends, ..self }
    }

    /// Waits until there are bytes that were not read. Returns them, or none at the end.
    fn poll_bytes(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.given == self.arrived.len() {
            self.arrived.clear();
            self.given = 0;
            let Download {
                channel,
                body,
                arrived,
                ..
            } = self;
            ready!(channel.poll_read(context, body, arrived))?;
        }
        Poll::Ready(Ok(&self.arrived[self.given..]))
    }
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = ready!(self.poll_bytes(context))?;
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        self.given += count;
        Poll::Ready(Ok(()))
    }
}

impl Rest for Download {
    /// Appends the bytes that have arrived, or waits for some. Returns 0 at the end.
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        let ends = self.ends;
        let before = bytes.len();
        let read = poll_fn(|context| {
            bytes.extend_from_slice(ready!(self.poll_bytes(context))?);
            self.given = self.arrived.len();
            Poll::Ready(Ok(()))
        });
        let read: Result<io::Result<()>, _> = match ends {
            Some(ends) => timeout_at(ends, read).await,
            None => Ok(read.await),
        };
        let failed = |timed_out, message| SendError {
            sent: true,
            timed_out,
            message,
        };
        let read = read.map_err(|_| failed(true, "timeout: receive body".to_owned()))?;
        read.map_err(|error| failed(false, chain(&error)))?;
        Ok(bytes.len() - before)
    }
}

impl Fetch for AsyncHttp {
    type Download = Download;

    async fn fetch(
        &self,
        request: http::Request<()>,
        patience: Patience,
    ) -> Result<http::Response<Download>, SendError> {
        let exchange = exchange(&self.pool, request, None);
        let (timed_out, answer) = match timeout(patience.head, exchange).await {
            Ok(answer) => (false, answer.map_err(|error| chain(&error))),
            Err(_) => (true, Err("timeout: receive response".to_owned())),
        };
        let answer = answer.map(|answer| {
            let limit = patience.of_body(answer.status());
            answer.map(|download| download.within(limit))
        });
        answer.map_err(|message| SendError {
            sent: true,
            timed_out,
            message: self.asked.explain(message),
        })
    }
}

impl Carry<Upload> for AsyncHttp {
    async fn carry(
        &self,
        request: http::Request<Upload>,
        body: Duration,
    ) -> Result<http::Response<Download>, SendError> {
        let (head, mut upload) = request.into_parts();
        let request = http::Request::from_parts(head, ());
        let answer = exchange(&self.pool, request, Some(&mut upload)).await;
        let answer = answer.map(|answer| answer.map(|download| download.within(Some(body))));
        answer.map_err(|error| SendError {
            sent: upload.whole.has_ended(),
            timed_out: false,
            message: self.asked.explain(chain(&error)),
        })
    }
}

/// Sends a request on a new connection, and waits for the head of its answer. Sets no time limit,
/// apart from that of the connector.
async fn exchange(
    pool: &Pool,
    mut request: http::Request<()>,
    upload: Option<&mut Upload>,
) -> io::Result<http::Response<Download>> {
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if upload.is_some() {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let mut channel = pool.connect(request.uri()).await?;
    let head = match send(&mut channel, &request, upload).await? {
        Some(early) if early.response.status().is_success() => return Err(too_early()),
        Some(early) => early,
        None => channel.answer().await?,
    };
    Ok(head.response.map(|()| Download {
        channel,
        body: head.body,
        arrived: Vec::new(),
        given: 0,
        ends: None,
    }))
}

/// Sends a request, and its file in chunks. Returns the head of its answer if that comes before all
/// was sent.
async fn send(
    channel: &mut Channel,
    request: &http::Request<()>,
    mut upload: Option<&mut Upload>,
) -> io::Result<Option<Head>> {
    let mut bytes = Vec::new();
    write_head(request, &mut bytes);
    loop {
        if let Some(early) = channel.send(&bytes).await? {
            return Ok(Some(early));
        }
        let Some(file) = upload.as_mut() else {
            return Ok(None);
        };
        let piece = poll_fn(|context| file.poll_piece(context)).await?;
        bytes.clear();
        write!(bytes, "{:x}\r\n", piece.len())?;
        bytes.extend_from_slice(&piece);
        bytes.extend_from_slice(b"\r\n");
        // An empty chunk is the last one.
        if piece.is_empty() {
            upload = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::RqliteConfig;
    use crate::session::Client;

    /// A file that can't be read.
    struct Unreadable(io::ErrorKind);

    impl AsyncRead for Unreadable {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    /// The node waits for the rest, and the error looks like one of its connection.
    #[tokio::test]
    async fn file_that_can_not_be_read_ends_its_upload() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let node = format!("http://{}", listener.local_addr().expect("is bound"));
        let config: RqliteConfig = node.parse().expect("is a URL");
        let http = AsyncHttp::open(&config).expect("opens");
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
            let upload = Upload::new(Unreadable(kind), Whole::default());
            let request = http::Request::post(format!("{node}/db/load"));
            let request = request.body(upload).expect("is one");
            let limit = Duration::from_secs(20);
            let answer = timeout(limit, http.carry(request, limit)).await;
            let error = answer.expect("in time").map(|_| ()).expect_err("fails");
            assert!(!error.sent, "{error:?}");
        }
    }
}
