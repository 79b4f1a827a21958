//! Requests to one node that are not SQL, with streamed bodies, over hyper. Each has its own
//! connection, which is driven by the task that waits for it.
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
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::asynchronous::{AsyncHttp, Connections, Stream, chain, to_path};
use super::{PIECE, pool};
use crate::administration::{Carry, Fetch, Patience, Text};
use crate::protocol::backup::Whole;
use crate::protocol::call::SendError;
use crate::protocol::head::{AGENT, host_of};
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

/// The body of a request: empty, or a file that is read while it is sent. `None` also after the end
/// of the file. Its length is not known, so that hyper sends it in chunks.
pub(super) struct Content(Option<Upload>);

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(upload) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let piece = ready!(upload.poll_piece(context));
        Poll::Ready(match piece {
            Ok(piece) if piece.is_empty() => {
                self.0 = None;
                None
            }
            piece => Some(piece.map(Frame::data)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// The body of an answer, as it arrives. If this is dropped before the end, its connection is
/// closed. After the end it is closed as well, since there are no others that could use it.
pub(crate) struct Download {
    /// The connection, which is driven while somebody reads.
    open: pool::Open<Stream, Content>,
    body: Incoming,
    /// Bytes that have arrived but were not read yet.
    left: Bytes,
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

    /// Returns the next bytes. They are empty at the end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            if !self.left.is_empty() {
                return Poll::Ready(Ok(std::mem::take(&mut self.left)));
            }
            let Download { open, body, .. } = self;
            let frame =
                open.poll_driving(context, |context| Pin::new(&mut *body).poll_frame(context));
            match ready!(frame) {
                None => return Poll::Ready(Ok(Bytes::new())),
                // Trailers are skipped.
                Some(Ok(frame)) => self.left = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(chain(&error)))),
            }
        }
    }
}

impl AsyncRead for Download {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut piece = ready!(self.poll_piece(context))?;
        let count = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece.split_to(count));
        self.left = piece;
        Poll::Ready(Ok(()))
    }
}

impl Rest for Download {
    /// Appends the bytes that have arrived, or waits for some. Returns 0 at the end.
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        let ends = self.ends;
        let piece = poll_fn(|context| self.poll_piece(context));
        let piece = match ends {
            Some(ends) => timeout_at(ends, piece).await,
            None => Ok(piece.await),
        };
        let failed = |timed_out, message| SendError {
            sent: true,
            timed_out,
            message,
        };
        let piece = piece.map_err(|_| failed(true, "timeout: receive body".to_owned()))?;
        let piece = piece.map_err(|error| failed(false, error.to_string()))?;
        bytes.extend_from_slice(&piece);
        Ok(piece.len())
    }
}

impl Fetch for AsyncHttp {
    type Download = Download;

    async fn fetch(
        &self,
        request: http::Request<()>,
        patience: Patience,
    ) -> Result<http::Response<Download>, SendError> {
        // A pool without connections: only its connector is used.
        let connections = self.pool.for_others();
        let exchange = exchange(&connections, request.map(|()| Content(None)));
        let (timed_out, answer) = match timeout(patience.head, exchange).await {
            Ok(answer) => (false, answer),
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
        // The upload moves into the connection. A clone of the check tells later whether its end
        // was sent.
        let whole = request.body().whole.clone();
        let connections = self.pool.for_others();
        let request = request.map(|upload| Content(Some(upload)));
        let answer = exchange(&connections, request).await;
        let answer = answer.map(|answer| answer.map(|download| download.within(Some(body))));
        answer.map_err(|message| SendError {
            sent: whole.has_ended(),
            timed_out: false,
            message: self.asked.explain(message),
        })
    }
}

/// Sends a request on a new connection, and waits for the head of its answer. Sets no time limit,
/// apart from that of the connector. The error is a text without the node.
async fn exchange(
    connections: &Connections<Content>,
    mut request: http::Request<Content>,
) -> Result<http::Response<Download>, String> {
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if let Some(host) = host_of(request.uri()) {
        request.headers_mut().insert(HOST, host);
    }
    let open = connections.connect(request.uri()).await;
    let mut open = open.map_err(|error| chain(&*error))?;
    to_path(&mut request);
    let response = open.send(request).await;
    let response = response.map_err(|no_answer| chain(&no_answer.error))?;
    Ok(response.map(|body| Download {
        open,
        body,
        left: Bytes::new(),
        ends: None,
    }))
}
