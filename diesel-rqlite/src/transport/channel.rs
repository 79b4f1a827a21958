//! A connection of the asynchronous client, which carries one request at a time.
//!
//! There is no task in the background: the task that waits for an answer reads it from the socket. A
//! task for each connection would cost two wake-ups for each request, and each of them would wake
//! another thread in a multi-threaded runtime.
//!
//! # Flow of a request
//!
//! 1. The caller has a [`Channel`] for itself, from the pool.
//! 2. It calls [`Channel::write`] until all bytes were taken, and then [`Channel::flush`].
//! 3. It calls [`Channel::head`] until that returns a head that is not informational.
//! 4. It calls [`Channel::read`] until the body has ended.
//!
//! The caller sets the time limits. The future of a call may be dropped: nothing was taken or lost
//! then, and the call can be made again. A channel that is dropped closes its connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::ReadBuf;

use super::http1::{Body, Head, broken_off, is_hang_up};
use super::stream::{Stream, peek};
use super::{Node, PIECE};

/// The room for input that a connection begins with, in bytes.
const ROOM: usize = 8 * 1024;

/// A connection to a node.
pub(super) struct Channel {
    pub(super) node: Node,
    stream: Box<dyn Stream>,
    input: Input,
    /// Set if the connection has answered before. The node may have closed it since then.
    pub(super) is_reused: bool,
    /// Set if the connection can't carry another request.
    is_spent: bool,
}

/// Bytes that have arrived, and were not taken yet: those from `start` to `end`.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    fn arrived(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Returns the place for more bytes. If the last ones needed all of it, it is larger now.
    fn room(&mut self) -> &mut [u8] {
        let was_full = self.end == self.bytes.len();
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let length = self.bytes.len();
        // What was not taken is shorter than the longest head, which is not longer than that.
        if was_full && length < PIECE {
            self.bytes.resize((8 * length).max(ROOM), 0);
        }
        &mut self.bytes[self.end..]
    }
}

impl Channel {
    pub(super) fn new(node: Node, stream: Box<dyn Stream>) -> Self {
        Channel {
            node,
            stream,
            input: Input::default(),
            is_reused: false,
            is_spent: false,
        }
    }

    /// Sends some bytes of a request, at least one, and returns how many. Returns 0 if the node answers
    /// although it has not got all of them: the caller should look at [`head`](Self::head) first.
    ///
    /// If this fails, the last byte was not sent.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|context| self.poll_write(context, bytes)).await
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *self.stream).poll_write(context, bytes);
        if let Poll::Ready(written) = written {
            return Poll::Ready(match written? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                count => Ok(count),
            });
        }
        ready!(self.poll_speaks(context))?;
        Poll::Ready(Ok(0))
    }

    /// Sends what TLS has taken and holds back. Returns `false` if the node answers before that.
    pub(super) async fn flush(&mut self) -> io::Result<bool> {
        poll_fn(|context| {
            if let Poll::Ready(flushed) = Pin::new(&mut *self.stream).poll_flush(context) {
                return Poll::Ready(flushed.map(|()| true));
            }
            ready!(self.poll_speaks(context))?;
            Poll::Ready(Ok(false))
        })
        .await
    }

    /// Waits until the node says something, although it has not got everything. Fails if it closes the
    /// connection.
    fn poll_speaks(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Several heads may have arrived together.
        if self.input.arrived().is_empty() && ready!(self.poll_input(context))? == 0 {
            return Poll::Ready(Err(broken_off()));
        }
        Poll::Ready(Ok(()))
    }

    /// Waits for the next head, which may be informational.
    pub(super) async fn head(&mut self) -> io::Result<Head> {
        poll_fn(|context| self.poll_head(context)).await
    }

    fn poll_head(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Head>> {
        loop {
            let arrived = self.input.arrived();
            if !arrived.is_empty()
                && let Some((head, length)) = Head::parse(arrived)?
            {
                self.input.start += length;
                self.is_spent |= head.must_close;
                return Poll::Ready(Ok(head));
            }
            if ready!(self.poll_input(context))? == 0 {
                return Poll::Ready(Err(broken_off()));
            }
        }
    }

    /// Sends bytes without a time limit. Returns the head of the answer if that comes before all of them
    /// were sent, for example to explain why the node has hung up.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<Option<Head>> {
        match self.try_to_send(bytes).await {
            Err(error) if is_hang_up(&error) => {
                self.spend();
                self.answer().await.map(Some).map_err(|_| error)
            }
            outcome => outcome,
        }
    }

    async fn try_to_send(&mut self, mut bytes: &[u8]) -> io::Result<Option<Head>> {
        loop {
            let speaks = if bytes.is_empty() {
                if self.flush().await? {
                    return Ok(None);
                }
                true
            } else {
                let count = self.write(bytes).await?;
                bytes = &bytes[count..];
                count == 0
            };
            if speaks {
                let head = self.head().await?;
                if !head.is_informational() {
                    self.spend();
                    return Ok(Some(head));
                }
            }
        }
    }

    /// Waits for the head of the answer, without a time limit.
    pub(super) async fn answer(&mut self) -> io::Result<Head> {
        loop {
            let head = self.head().await?;
            if !head.is_informational() {
                return Ok(head);
            }
        }
    }

    /// Appends content of a body, and returns its length. Returns 0 if the body has ended.
    pub(super) async fn read(&mut self, body: &mut Body, bytes: &mut Vec<u8>) -> io::Result<usize> {
        poll_fn(|context| self.poll_read(context, body, bytes)).await
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        body: &mut Body,
        bytes: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let before = bytes.len();
        loop {
            self.input.start += body.take(self.input.arrived(), bytes)?;
            if bytes.len() > before || body.has_ended() {
                return Poll::Ready(Ok(bytes.len() - before));
            }
            let abruptly = match ready!(self.poll_input(context)) {
                Ok(0) => false,
                Ok(_) => continue,
                Err(error) if is_hang_up(&error) => true,
                Err(error) => return Poll::Ready(Err(error)),
            };
            self.is_spent = true;
            *body = body.closed(abruptly)?;
        }
    }

    /// Waits for bytes. Returns 0 if the node has closed the connection.
    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(self.input.room());
        ready!(Pin::new(&mut *self.stream).poll_read(context, &mut room))?;
        let count = room.filled().len();
        self.input.end += count;
        Poll::Ready(Ok(count))
    }

    /// Records that the node was not sent all of its request, and will take what follows for the rest.
    pub(super) fn spend(&mut self) {
        self.is_spent = true;
    }

    /// Returns whether the connection, whose last answer has ended, can carry another request: nothing
    /// has arrived that nobody asked for, and the node has not closed it.
    ///
    /// The stream is asked, since TLS may have messages of its own to read, and the runtime of the
    /// connection may be gone. Then the socket itself is, since a runtime learns of events only when it
    /// polls for them. A runtime without its own threads does not poll between two calls.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.is_at_rest()
            && self.poll_input(&mut context).is_pending()
            && peek(self.stream.socket())
                .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Returns whether the answer has ended the way an answer should before the next request.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.is_spent && self.input.arrived().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// The time that a test may take.
    const LIMIT: Duration = Duration::from_secs(20);
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[1,2]";

    /// Returns a connection, and the node's end of it.
    async fn connection() -> (Channel, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound");
        let stream = tokio::net::TcpStream::connect(address).await;
        let stream = stream.expect("connects");
        let (node, _) = listener.accept().expect("accepts");
        let uri = format!("http://{address}").parse().expect("is a URI");
        (Channel::new(Node::of(&uri), Box::new(stream)), node)
    }

    async fn read(channel: &mut Channel, mut head: Head) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while channel.read(&mut head.body, &mut bytes).await? > 0 {}
        Ok(bytes)
    }

    #[tokio::test]
    async fn connection_can_be_used_until_the_node_says_more() {
        let test = async {
            let (mut channel, mut node) = connection().await;
            for _ in 0..3 {
                let early = channel.send(b"request").await.expect("is open");
                assert!(early.is_none());
                let mut request = [0; 7];
                node.read_exact(&mut request).expect("is open");
                node.write_all(ANSWER).expect("is open");
                let head = channel.answer().await.expect("answers");
                assert_eq!(
                    read(&mut channel, head).await.expect("is complete"),
                    b"[1,2]"
                );
                assert!(channel.is_at_rest() && channel.is_usable());
            }
            node.write_all(b"H").expect("is open");
            node.shutdown(Shutdown::Both).expect("is open");
            let mut waiting = 0;
            while channel.is_usable() {
                tokio::task::yield_now().await;
                waiting += 1;
                assert!(waiting < 1_000_000, "it is noticed");
            }
        };
        timeout(LIMIT, test).await.expect("in time");
    }

    #[tokio::test]
    async fn answer_that_is_cut_off_is_lost() {
        let test = async {
            for at in 0..ANSWER.len() {
                let (mut channel, mut node) = connection().await;
                node.write_all(&ANSWER[..at]).expect("is open");
                drop(node);
                let answer = match channel.answer().await {
                    Ok(head) => read(&mut channel, head).await,
                    Err(error) => Err(error),
                };
                let error = answer.expect_err("is cut off");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{at}");
            }
        };
        timeout(LIMIT, test).await.expect("in time");
    }

    /// The node answers, and does not read on.
    #[tokio::test]
    async fn answer_may_come_before_all_was_sent() {
        let test = async {
            let (mut channel, mut node) = connection().await;
            let hints = b"HTTP/1.1 103 Early Hints\r\n\r\n";
            node.write_all(&[&hints[..], ANSWER].concat())
                .expect("is open");
            let request = vec![b'x'; 32 << 20];
            let early = channel.send(&request).await.expect("is open");
            let body = read(&mut channel, early.expect("comes before")).await;
            assert_eq!(body.expect("is complete"), b"[1,2]");
            assert!(!channel.is_at_rest(), "the node still expects the rest");
        };
        timeout(LIMIT, test).await.expect("in time");
    }

    #[tokio::test]
    async fn call_that_is_dropped_can_be_made_again() {
        let test = async {
            let (mut channel, mut node) = connection().await;
            let mut body = Body::Length(5);
            let mut bytes = Vec::new();
            for (number, byte) in ANSWER.iter().enumerate() {
                let mut context = Context::from_waker(Waker::noop());
                let is_pending = match number {
                    0..38 => channel.poll_head(&mut context).is_pending(),
                    _ => channel
                        .poll_read(&mut context, &mut body, &mut bytes)
                        .is_pending(),
                };
                assert!(is_pending, "{number}");
                node.write_all(&[*byte]).expect("is open");
                if number == 37 {
                    let head = channel.head().await.expect("answers");
                    assert_eq!(head.body, body);
                } else if number > 37 {
                    channel.read(&mut body, &mut bytes).await.expect("is open");
                } else {
                    channel.stream.socket().readable().await.expect("is open");
                }
            }
            assert_eq!((&*bytes, body), (&b"[1,2]"[..], Body::Ended));
        };
        timeout(LIMIT, test).await.expect("in time");
    }
}
