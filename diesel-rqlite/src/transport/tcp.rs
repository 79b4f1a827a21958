//! The socket of a blocking connection. It waits in slices, and checks between them whether to go
//! on waiting.
//!
//! # Waiting
//!
//! A blocking read can't be interrupted. So [`Socket`] reads and writes with a short timeout, a
//! slice. After each slice without progress, it asks the vigil of the request ([`Watched`]) whether
//! to give up, and checks the deadlines: that of ureq for the current phase, and that of the body
//! of the answer, which `Http` sets. A slice is [`LONG_SLICE`] while the vigil has nothing to
//! check, and [`INTERVAL`] afterwards. It never goes beyond a deadline.
//!
//! If the vigil gives up, the read or write fails with `TimedOut`, ureq closes the connection, and
//! [`Watched::end`] returns the reason.
//!
//! # Holding bytes back
//!
//! ureq passes the head and the body of a request separately. The socket holds them back and writes
//! them together, when it has [`MANY`] bytes, or when ureq waits for an answer. So a small request
//! is one packet. From the first byte of the request that the socket gets until everything is
//! written, `holds_back` is set: then the end of the request has not left the client, and the
//! request does not count as sent.
//!
//! TLS also sends bytes of its own: an alert because an answer is broken, or new keys. They are held
//! back as well, and say nothing about the request, which may have been sent long before. So only
//! bytes that the socket gets inside of [`Watched::passing_on`] set `holds_back`.
//!
//! # A node that hangs up
//!
//! If the node closes the connection while the request is being written, the rest of the request is
//! discarded, and `holds_back` stays set. The socket still reads, since the node may have sent an
//! answer that explains why: for example that the body is too long. If there is none, the error of
//! the write is returned. Such a connection is not reused.
//!
//! # A write that fails
//!
//! After any other error of a write, some of the bytes may have been sent. The layers above may not
//! notice the error, and pass the same bytes on again. So the socket keeps the error, and returns it
//! from every later call. Nothing is written a second time.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::time::Duration as Limit;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

use ureq::{Error, Timeout};

use crate::mutex::locked;
use crate::protocol::watch::INTERVAL;
use crate::session::Vigil;

/// The time that one of several addresses has alone, before the next one is tried in parallel (RFC
/// 8305).
pub(super) const HEAD_START: Duration = Duration::from_millis(250);
/// The number of bytes from which nothing is held back.
const MANY: usize = 16 * 1024;
/// The slice of waiting while no check is due.
const LONG_SLICE: Duration = Duration::from_secs(1);

/// The vigil over the request in flight. Clones share it: the client has one, and so has each of
/// its sockets.
///
/// The client calls [`begin`](Self::begin), then [`await_body`](Self::await_body) for each part of
/// the body, then [`end`](Self::end). Without `begin`, there is no vigil: that is how the agents for
/// probes, uploads and downloads wait. Without `await_body`, the body has no time limit.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched(Arc<Mutex<Watching>>);

#[derive(Debug, Default)]
struct Watching {
    /// The vigil, from the beginning of a request to the end of its answer.
    vigil: Option<Vigil>,
    /// The reason why the vigil gave the request up.
    given_up: Option<String>,
    /// The deadline of the answer's body, or of its next piece.
    body_ends: Option<Instant>,
    /// Set if the HTTP client has passed on the beginning of the request, on a connection that
    /// is ready for it.
    has_begun: bool,
    /// Set while the HTTP client passes on a part of the request. What the socket gets at other
    /// times is TLS's own.
    passes_on: bool,
    /// Set if part of the request was accepted, but not sent yet. It stays set if that part is
    /// never sent.
    holds_back: bool,
}

impl Watched {
    /// Begins the vigil of a request. Forgets the previous request, whose answer must not be read
    /// any further.
    pub(super) fn begin(&self, vigil: Vigil) {
        *locked(&self.0) = Watching {
            vigil: Some(vigil),
            ..Watching::default()
        };
    }

    /// Records that the head of the answer has arrived. The body, or its next piece, must arrive
    /// within this time. Called again for each piece.
    pub(super) fn await_body(&self, limit: Duration) {
        let mut watching = locked(&self.0);
        let now = Instant::now();
        watching.body_ends = now.checked_add(limit);
        if let Some(vigil) = &mut watching.vigil {
            // The time in which nobody waited for the body does not count.
            vigil.heard();
        }
    }

    /// Ends the vigil, and forgets the request. Returns why the request was given up, if it was.
    pub(super) fn end(&self) -> Option<String> {
        std::mem::take(&mut *locked(&self.0)).given_up
    }

    /// Forgets what was sent of the request, which is about to be sent once more. The vigil goes on.
    pub(super) fn starts_over(&self) {
        let mut watching = locked(&self.0);
        *watching = Watching {
            vigil: watching.vigil.take(),
            ..Watching::default()
        };
    }

    /// Passes on a part of the request to the layers below.
    pub(super) fn passing_on<T>(&self, pass_on: impl FnOnce() -> T) -> T {
        {
            let mut watching = locked(&self.0);
            watching.has_begun = true;
            watching.passes_on = true;
        }
        let outcome = pass_on();
        locked(&self.0).passes_on = false;
        outcome
    }

    /// Returns whether the HTTP client has passed on a part of the request. TLS's own messages are
    /// none.
    pub(super) fn has_begun(&self) -> bool {
        locked(&self.0).has_begun
    }

    /// Returns whether a part of the request, and so its end, has not been sent.
    pub(super) fn holds_back(&self) -> bool {
        locked(&self.0).holds_back
    }

    /// Records that the socket has got bytes. It holds a part of the request back from now on,
    /// unless the bytes are TLS's own.
    fn got_some(&self) {
        let mut watching = locked(&self.0);
        watching.holds_back |= watching.passes_on;
    }

    /// Records that the socket has written all that it has got.
    fn wrote_all(&self) {
        locked(&self.0).holds_back = false;
    }

    /// Returns whether the vigil gave the request up.
    pub(super) fn is_given_up(&self) -> bool {
        locked(&self.0).given_up.is_some()
    }

    /// Tells the vigil that the socket has written or read bytes. What TLS says by itself is no
    /// answer of the node, since TLS may end in front of the node.
    fn moved(&self) {
        let mut watching = locked(&self.0);
        // The handshake comes before the request.
        if watching.has_begun
            && let Some(vigil) = &mut watching.vigil
        {
            vigil.passed_on();
        }
    }

    /// Tells the vigil that a part of the answer has arrived.
    pub(super) fn heard(&self) {
        if let Some(vigil) = &mut locked(&self.0).vigil {
            vigil.heard();
        }
    }

    /// Asks the vigil whether to go on waiting. If not, remembers the reason for [`end`](Self::end)
    /// and returns an error that ends the wait. The error itself says nothing.
    fn check(&self) -> io::Result<()> {
        let mut watching = locked(&self.0);
        let given_up = watching.vigil.as_mut().and_then(Vigil::check);
        match given_up {
            Some(reason) => {
                watching.given_up = Some(reason);
                Err(io::ErrorKind::TimedOut.into())
            }
            None => Ok(()),
        }
    }

    /// Returns how long to wait before the next check, or `None` if the time for the body is over.
    fn slice(&self, now: Instant) -> Option<Duration> {
        let watching = locked(&self.0);
        let slice = match &watching.vigil {
            Some(vigil) if vigil.next_check(now) <= now => INTERVAL,
            _ => LONG_SLICE,
        };
        match watching
            .body_ends
            .map(|ends| ends.saturating_duration_since(now))
        {
            Some(Duration::ZERO) => None,
            Some(left) => Some(slice.min(left)),
            None => Some(slice),
        }
    }
}

/// The connector that makes sockets, all with the same vigil.
#[derive(Debug)]
pub(super) struct Tcp(pub(super) Watched);

impl Connector<()> for Tcp {
    type Out = Socket;

    /// Connects to one of the addresses of a node, within the time that ureq leaves for it, and
    /// within [`LONG_SLICE`] if ureq sets no limit. The vigil is not asked meanwhile.
    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _chained: Option<()>,
    ) -> Result<Option<Socket>, Error> {
        let limit = details.timeout.not_zero().map(|limit| *limit);
        let limit = limit.unwrap_or(LONG_SLICE);
        let stream = race(&details.addrs, limit).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Error::Timeout(details.timeout.reason),
            _ => Error::Io(error),
        })?;
        stream.set_nodelay(true)?;
        let config = details.config;
        Ok(Some(Socket {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            held_back: Vec::new(),
            hung_up: None,
            failed: None,
            read_timeout: None,
            write_timeout: None,
            watched: self.0.clone(),
        }))
    }
}

/// Connects to the first of several addresses that answers.
///
/// Starts with the first address. The next one is tried when an attempt fails, or when none has
/// succeeded within [`HEAD_START`]; earlier attempts go on. Each attempt has its own thread, unless
/// there is a single address. A thread that is no longer needed ends with its attempt, at the limit
/// at the latest, and its connection is closed.
///
/// Returns the last error when all attempts have failed, and `TimedOut` when the time is over.
fn race(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    if let [address] = addresses {
        return TcpStream::connect_timeout(address, limit);
    }
    let ends = Instant::now() + limit;
    let (won, winner) = channel();
    let mut waiting = addresses.iter().copied();
    let (mut running, mut last) = (0_usize, io::ErrorKind::TimedOut.into());
    loop {
        let next = waiting.next();
        if let Some(address) = next {
            running += 1;
            let won = won.clone();
            let left = ends.saturating_duration_since(Instant::now());
            // `connect_timeout` refuses a timeout of zero.
            let left = left.max(Duration::from_millis(1));
            let connect = move || {
                // If another one was faster, nobody listens any more.
                let _ = won.send(TcpStream::connect_timeout(&address, left));
            };
            thread::Builder::new().spawn(connect)?;
        }
        if running == 0 {
            return Err(last);
        }
        let patience = match next {
            Some(_) => HEAD_START,
            None => ends.saturating_duration_since(Instant::now()),
        };
        match winner.recv_timeout(patience) {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                running -= 1;
                last = error;
            }
            // The head start is over: the next address is tried.
            Err(RecvTimeoutError::Timeout) if next.is_some() => {}
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// A connection without TLS, or the socket below TLS. With TLS, `held_back` contains encrypted
/// bytes.
pub(super) struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// Bytes to be written later: when there are many of them, or when an answer is awaited. Head
    /// and body of a small request are thus one packet.
    held_back: Vec<u8>,
    /// The reason why the rest of the request is not sent. There may nevertheless be an answer that
    /// explains it.
    hung_up: Option<io::Error>,
    /// The error of a write after which the connection must not be used any more.
    failed: Option<Error>,
    /// The timeouts that the socket has now. They are set only if they change, to save system
    /// calls.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    watched: Watched,
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Socket");
        text.field("peer", &self.stream.peer_addr().ok()).finish()
    }
}

/// Returns the end of a wait that begins now, or `None` if it never ends. Without any time left, that
/// is `now`. ureq's own sockets wait for a second then (`NextTimeout::not_zero`). TLS reads from the
/// socket until it has a whole record, so that each piece of one would get another second.
fn end_of(timeout: NextTimeout, now: Instant) -> Option<Instant> {
    match timeout.after {
        Limit::Exact(after) => now.checked_add(after),
        Limit::NotHappening => None,
    }
}

/// Returns whether a slice is over without any progress. Systems differ in the error that they
/// return then.
fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Returns whether the node has stopped listening.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Returns an error that says the same as this one of a socket.
fn same_as(error: &Error) -> Error {
    match error {
        Error::Timeout(reason) => Error::Timeout(*reason),
        Error::Io(error) => io::Error::new(error.kind(), error.to_string()).into(),
        error => io::Error::other(error.to_string()).into(),
    }
}

impl Socket {
    /// Returns how long to wait now, or an error if the time is over: that of ureq for the current
    /// phase, or that for the body of the answer.
    fn slice(
        &self,
        ends: Option<Instant>,
        timeout: NextTimeout,
        now: Instant,
    ) -> Result<Duration, Error> {
        let over = Error::Timeout(Timeout::RecvBody);
        let slice = self.watched.slice(now).ok_or(over)?;
        let Some(ends) = ends else { return Ok(slice) };
        match ends.saturating_duration_since(now) {
            Duration::ZERO => Err(Error::Timeout(timeout.reason)),
            left => Ok(slice.min(left)),
        }
    }

    /// Sends the bytes that were held back. Waits until the system has taken all of them.
    ///
    /// Fails at the deadline, if the vigil gives up, or if the connection breaks. Every later call
    /// fails, too. It succeeds if the node has stopped listening, since there may be an answer: then
    /// `hung_up` is set, and `holds_back` stays set.
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let outcome = self.write_all(timeout);
        outcome.inspect_err(|error| self.failed = Some(same_as(error)))
    }

    /// Returns the error of the write that failed, if one has.
    fn check(&self) -> Result<(), Error> {
        self.failed
            .as_ref()
            .map_or(Ok(()), |error| Err(same_as(error)))
    }

    fn write_all(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let mut now = Instant::now();
        let ends = end_of(timeout, now);
        let mut written = 0;
        while written < self.held_back.len() {
            let slice = self.slice(ends, timeout, now)?;
            match self.write(written, slice) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(count) => {
                    written += count;
                    self.watched.moved();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_pause(&error) => self.watched.check()?,
                Err(error) if is_end(&error) => {
                    self.hung_up = Some(error);
                    self.held_back.clear();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            now = Instant::now();
        }
        self.held_back.clear();
        self.watched.wrote_all();
        Ok(())
    }

    /// Writes some of the bytes that were held back, after the first `written`. Waits for one
    /// slice.
    fn write(&mut self, written: usize, slice: Duration) -> io::Result<usize> {
        if self.write_timeout != Some(slice) {
            self.stream.set_write_timeout(Some(slice))?;
            self.write_timeout = Some(slice);
        }
        (&self.stream).write(&self.held_back[written..])
    }

    /// Returns the error of the write that failed because the node had stopped listening.
    fn reason_to_hang_up(&self) -> io::Error {
        let kind = self.hung_up.as_ref().map(io::Error::kind);
        kind.unwrap_or(io::ErrorKind::BrokenPipe).into()
    }

    /// Reads into the free part of ureq's input buffer. Waits for one slice.
    fn read(&mut self, slice: Duration) -> io::Result<usize> {
        if self.read_timeout != Some(slice) {
            self.stream.set_read_timeout(Some(slice))?;
            self.read_timeout = Some(slice);
        }
        (&self.stream).read(self.buffers.input_append_buf())
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    /// Takes bytes of ureq's output buffer. They are held back until there are [`MANY`] of them, or
    /// until input is awaited. If the node has hung up, they are discarded.
    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.check()?;
        if amount > 0 {
            self.watched.got_some();
        }
        if self.hung_up.is_some() {
            return Ok(());
        }
        self.held_back
            .extend_from_slice(&self.buffers.output()[..amount]);
        match self.held_back.len() < MANY {
            true => Ok(()),
            false => self.flush(timeout),
        }
    }

    /// Sends what was held back, and waits for input. Returns `false` if the node has closed the
    /// connection.
    ///
    /// Each arrival of bytes, and each write that the system accepts, restarts the patience of the
    /// vigil. They do not move the deadlines.
    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.check()?;
        if self.hung_up.is_none() {
            self.flush(timeout)?;
        }
        let timeout = timeout.for_read();
        let mut now = Instant::now();
        let ends = end_of(timeout, now);
        loop {
            let slice = self.slice(ends, timeout, now)?;
            match self.read(slice) {
                Ok(0) if self.hung_up.is_some() => return Err(self.reason_to_hang_up().into()),
                Ok(count) => {
                    self.buffers.input_appended(count);
                    self.watched.moved();
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_pause(&error) => self.watched.check()?,
                Err(error) if is_end(&error) && self.hung_up.is_some() => {
                    return Err(self.reason_to_hang_up().into());
                }
                Err(error) => return Err(error.into()),
            }
            now = Instant::now();
        }
    }

    /// Returns whether an idle connection can be used for another request: the node has neither
    /// closed it nor sent anything that nobody asked for. That may have been read already.
    fn is_open(&mut self) -> bool {
        let is_silent = self.buffers.input().is_empty()
            && peek(&self.stream).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        is_silent && self.hung_up.is_none() && self.failed.is_none()
    }
}

/// Looks for a byte that has arrived, without waiting for one. This is done before each
/// request on a kept connection.
#[cfg(unix)]
pub(super) fn peek(stream: impl std::os::fd::AsFd) -> io::Result<()> {
    use rustix::net::{RecvFlags, recv};
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    Ok(recv(stream, &mut [0], flags).map(|_| ())?)
}

/// The same for systems where only a socket as a whole may be told not to wait.
#[cfg(not(unix))]
fn peek(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]).map(|_| ());
    stream.set_nonblocking(false)?;
    peeked
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use diesel_rqlite_tests::Link;

    use super::*;

    #[test]
    fn address_that_answers_no_packet_is_passed_over() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let alive = listener.local_addr().expect("is bound");
        let hole = Link::start(&alive.to_string());
        hole.cut();
        let dead = hole.address().parse().expect("is an address");
        let limit = Duration::from_secs(60);
        let began = Instant::now();
        let stream = race(&[dead, dead, alive], limit).expect("connects");
        assert_eq!(stream.peer_addr().ok(), Some(alive));
        assert!(began.elapsed() < limit / 2, "{:?}", began.elapsed());
        for all in [&[dead][..], &[dead, dead]] {
            let error = race(all, HEAD_START * 2).expect_err("nobody answers");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[test]
    fn address_that_refuses_is_passed_over() {
        let bind = || TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let listener = bind();
        let alive = listener.local_addr().expect("is bound");
        let closed = bind();
        let dead = closed.local_addr().expect("is bound");
        drop(closed);
        let limit = Duration::from_secs(10);
        let stream = race(&[dead, alive], limit).expect("connects");
        assert_eq!(stream.peer_addr().ok(), Some(alive));
        assert!(race(&[dead], limit).is_err());
        assert!(race(&[], limit).is_err());
    }

    fn socket(stream: TcpStream) -> Socket {
        Socket {
            stream,
            buffers: LazyBuffers::new(1024, 64 * 1024),
            held_back: Vec::new(),
            hung_up: None,
            failed: None,
            read_timeout: None,
            write_timeout: None,
            watched: Watched::default(),
        }
    }

    fn within(after: Duration) -> NextTimeout {
        NextTimeout {
            after: after.into(),
            reason: Timeout::SendBody,
            ..NextTimeout::default()
        }
    }

    #[test]
    fn nothing_is_written_twice_after_a_write_that_failed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound");
        let mut socket = socket(TcpStream::connect(address).expect("connects"));
        let (mut peer, _) = listener.accept().expect("accepts");
        // Numbers, until the system takes no more of them.
        let mut numbers = (0_u32..).flat_map(u32::to_be_bytes);
        let error = loop {
            let output = socket.buffers().output();
            let piece: Vec<u8> = numbers.by_ref().take(output.len()).collect();
            output.copy_from_slice(&piece);
            let limit = within(Duration::from_millis(100));
            if let Err(error) = socket.transmit_output(piece.len(), limit) {
                break error;
            }
        };
        let is_over = |error: &Error| matches!(error, Error::Timeout(Timeout::SendBody));
        assert!(is_over(&error), "{error}");
        // Now there is room. TLS would pass the same bytes on again.
        let reading = thread::spawn(move || {
            let mut bytes = Vec::new();
            let limit = Some(Duration::from_secs(20));
            peer.set_read_timeout(limit).expect("is no zero");
            peer.read_to_end(&mut bytes).expect("ends");
            bytes
        });
        let limit = within(Duration::from_secs(10));
        for _ in 0..2 {
            let again = socket.transmit_output(1000, limit);
            assert!(again.is_err_and(|error| is_over(&error)));
            let answer = socket.await_input(limit);
            assert!(answer.is_err_and(|error| is_over(&error)));
        }
        assert!(!socket.is_open());
        drop(socket);
        let bytes = reading.join().expect("reads");
        let numbers = (0_u32..).flat_map(u32::to_be_bytes);
        assert!(bytes.iter().copied().eq(numbers.take(bytes.len())));
    }

    #[test]
    fn time_that_is_over_is_not_waited_for() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let address = listener.local_addr().expect("is bound");
        let mut socket = socket(TcpStream::connect(address).expect("connects"));
        let (mut peer, _) = listener.accept().expect("accepts");
        peer.write_all(b"x").expect("is open");
        let awaited = socket.await_input(within(Duration::ZERO));
        assert!(matches!(awaited, Err(Error::Timeout(Timeout::SendBody))));
        let awaited = socket.await_input(within(Duration::from_secs(20)));
        assert!(matches!(awaited, Ok(true)), "{awaited:?}");
        assert!(!socket.is_open(), "it has read what nobody asked for");
    }

    #[test]
    fn only_what_http_passes_on_is_a_part_of_the_request() {
        let watched = Watched::default();
        let state = || (watched.has_begun(), watched.holds_back());
        // The handshake of TLS.
        watched.got_some();
        watched.wrote_all();
        assert_eq!(state(), (false, false));
        watched.passing_on(|| watched.got_some());
        assert_eq!(state(), (true, true));
        // An alert, beside a part of the request.
        watched.got_some();
        assert_eq!(state(), (true, true));
        watched.wrote_all();
        assert_eq!(state(), (true, false));
        // An alert, after the request.
        watched.got_some();
        assert_eq!(state(), (true, false));
        watched.passing_on(|| watched.got_some());
        watched.starts_over();
        assert_eq!(state(), (false, false));
    }
}
