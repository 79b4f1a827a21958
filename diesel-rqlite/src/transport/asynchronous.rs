//! HTTP over tokio. The connections of one configuration share their HTTP connections.
//!
//! # Flow of a request
//!
//! 1. `AsyncHttp::send` makes the bytes of the request, the `Outgoing`.
//! 2. `AsyncHttp::exchange` takes an idle connection from the pool, or opens one, sends the bytes on
//!    it, and waits for the head of the answer.
//! 3. `AsyncHttp::receive` reads the whole answer, or, if the status is 200, at least the `first`
//!    bytes. The rest is a `Remainder`, which the session reads while it decodes rows.
//! 4. When the end of the answer has been read, the connection returns to the pool.
//!
//! Every wait in this flow is a call of `within`. It ends with the awaited event, at a deadline, or
//! when the vigil gives up. `AsyncHttp::probe` is separate: it has no vigil and one time limit for
//! everything.
//!
//! # When a request counts as sent
//!
//! A request counts as sent when its last byte was taken by the system, or by TLS. Nobody can tell
//! whether a node got it from there. Before that moment no node can have parsed the request. If a
//! write fails, the last byte was not taken. A success that comes before that is no answer to the
//! request.
//!
//! Of a request with the header `Expect: 100-continue`, nothing but the head is sent until the node
//! has answered `100 Continue`.
//!
//! # Time limits
//!
//! Connecting has `connect_timeout`, which the connector measures. Sending has `request_timeout`, from
//! the moment at which there is a connection. When all was sent, the limit starts again, for the head
//! of the answer. It starts again with the head, for the first bytes of the body, and with each later
//! read. A request may have a timeout of its own, which then replaces `request_timeout` in all
//! of these places.
//!
//! # Dropped futures
//!
//! There is no task in the background. If the future that waits for an answer is dropped, or if a
//! `Remainder` is dropped before the end, the connection is dropped with it, which closes it. The
//! answer is lost, and if the request was sent, the node may still carry it out. A connection is never
//! put back into the pool in the middle of an answer.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use diesel::result::ConnectionError;
use http::StatusCode;
use tokio::time::{timeout, timeout_at};

use crate::config::RqliteConfig;
use crate::protocol::call::SendError;
use crate::protocol::cluster::PROBE;
use crate::protocol::head::{Request, write_head};
use crate::runtime::Tokio;
use crate::session::{Client, Received, Rest, Vigil};

use super::channel::Channel;
use super::http1::{Body, Head, is_hang_up, too_early};
use super::pool::Pool;
use super::stream::Connector;
use super::tls::{Asked, client_tls};
use super::{HEAD, PIECE, too_long};

/// An HTTP client. It does not follow redirects; `protocol::call` does.
///
/// A clone uses the same pool and the same counter. The limits are those of the configuration that
/// opened it.
#[derive(Clone)]
pub(crate) struct AsyncHttp {
    /// The connections, shared by all clients of the configuration.
    pub(super) pool: Pool,
    /// The record of whether a node asked for a client certificate, for error messages.
    pub(super) asked: Asked,
    /// The longest answer to accept, in bytes.
    max_answer: u64,
    /// The time to look up a name, connect and complete the TLS handshake.
    connect_timeout: Duration,
    /// The time to send a request, again to get the head of its answer, and again for each read of
    /// its body.
    request_timeout: Duration,
    /// The number of requests of all clones, including concurrent queries. Probes do not count, and
    /// a request that is sent again on a new connection counts once.
    requests: Arc<AtomicU64>,
}

/// The additional wait for the connector's own error after the time to connect is over. That error
/// is preferred to the one of `within`.
const GRACE: Duration = Duration::from_millis(100);
/// The longest answer to a probe: the description of the cluster by a node.
const LONGEST_VIEW: usize = 1 << 20;
/// The number of bytes of a body that are sent together with the head.
const TOGETHER: usize = 16 * 1024;
/// The room for the body of an answer that does not tell its length, in bytes.
const ROOM: usize = 4 * 1024;

/// The bytes of a request, and how many of them were taken by a connection.
struct Outgoing {
    /// The head, and the first bytes of the body, so that a small request is one packet.
    start: Vec<u8>,
    /// The rest of the body.
    rest: Bytes,
    /// The length of the head if the node must accept the request before it gets the body.
    held_at: Option<usize>,
    /// Set if the node has accepted the request.
    is_accepted: bool,
    /// The number of bytes that were taken.
    taken: usize,
}

impl Outgoing {
    fn new(request: &Request) -> Self {
        let mut rest = request.body().clone();
        let together = rest.len().min(TOGETHER);
        let mut start = Vec::with_capacity(HEAD + together);
        request.write_head(&mut start);
        // A node runs a request without a body when it has the head.
        let is_held = request.must_be_accepted && !rest.is_empty();
        let held_at = is_held.then_some(start.len());
        start.extend_from_slice(&rest.split_to(together));
        Outgoing {
            start,
            rest,
            held_at,
            is_accepted: false,
            taken: 0,
        }
    }

    /// Returns whether the rest of the request waits until the node accepts it.
    fn is_held(&self) -> bool {
        !self.is_accepted && self.held_at == Some(self.taken)
    }

    /// Returns the bytes to be sent next. They are empty if the request is held, or was sent.
    fn next(&self) -> &[u8] {
        let end = match self.held_at {
            Some(end) if !self.is_accepted => end,
            _ => self.start.len(),
        };
        match self.taken.checked_sub(end) {
            None => &self.start[self.taken..end],
            Some(_) if self.is_held() => &[],
            Some(taken) => &self.rest[taken..],
        }
    }

    /// Returns whether the last byte was taken, so that a node may have parsed the request.
    fn is_sent(&self) -> bool {
        self.taken == self.start.len() + self.rest.len()
    }

    /// Begins again, on another connection.
    fn start_over(&mut self) {
        self.is_accepted = false;
        self.taken = 0;
    }
}

/// Why there is no answer.
enum Lost {
    /// The connection could not be opened, or has failed.
    Broken(io::Error),
    /// The time for this is over.
    TimedOut(&'static str),
    /// The vigil gave up, for this reason.
    GivenUp(String),
    /// The answer is longer than `max_answer`.
    TooLong,
}

/// A deadline, and what should have happened by then.
type Deadline = (Instant, &'static str);

impl AsyncHttp {
    /// Returns the number of requests that have been sent.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends a request on a kept or a new connection, and waits for the head of its answer.
    ///
    /// A kept connection may have been closed by the node in the meantime. If it breaks before all of
    /// the request was taken, the request is sent again on a new connection. That happens once at
    /// most, since a new connection is not `is_reused`. Any other failure is returned.
    async fn exchange(
        &self,
        uri: &http::Uri,
        outgoing: &mut Outgoing,
        vigil: &mut Vigil,
        timeout: Duration,
    ) -> Result<(Head, Channel), Lost> {
        let mut channel = match self.pool.idle(uri) {
            Some(channel) => channel,
            None => Box::pin(self.connect(uri, vigil)).await?,
        };
        loop {
            match converse(&mut channel, outgoing, vigil, timeout).await {
                Ok(head) => return Ok((head, channel)),
                // The node closed the connection while it was idle.
                Err(Lost::Broken(_)) if channel.is_reused && !outgoing.is_sent() => {
                    outgoing.start_over();
                    channel = Box::pin(self.connect(uri, vigil)).await?;
                }
                Err(lost) => return Err(lost),
            }
        }
    }

    /// Reads the first bytes of an answer, or the whole answer if it is not rows.
    async fn receive(
        &self,
        (head, channel): (Head, Channel),
        mut vigil: Vigil,
        timeout: Duration,
        first: usize,
    ) -> Result<Received<Remainder>, Lost> {
        // Only an answer with rows is worth reading in parts. The others are short.
        let first = match head.response.status() {
            StatusCode::OK => first,
            _ => usize::MAX,
        };
        let expected = head
            .body
            .length()
            .and_then(|length| usize::try_from(length).ok());
        let mut bytes = Vec::with_capacity(expected.map_or(ROOM, |length| length.min(PIECE)));
        let mut answer = Answer {
            channel: Some(channel),
            body: head.body,
            left: self.max_answer,
        };
        let ends = (Instant::now() + timeout, "receive body");
        while bytes.len() < first && answer.read(&mut bytes, self, &mut vigil, ends).await? > 0 {}
        // Without a connection, the answer has been read to its last byte.
        let rest = answer.channel.is_some().then(|| {
            Box::new(Remainder {
                answer,
                vigil,
                http: AsyncHttp {
                    request_timeout: timeout,
                    ..self.clone()
                },
            })
        });
        Ok((head.response.map(|()| bytes.into()), rest))
    }

    /// Opens a connection for a request, while the vigil watches.
    async fn connect(&self, uri: &http::Uri, vigil: &mut Vigil) -> Result<Channel, Lost> {
        // The connector reports a timeout by itself.
        let ends = (Instant::now() + self.connect_timeout + GRACE, "connect");
        match within(pin!(self.pool.connect(uri)), vigil, ends).await {
            Err(Lost::Broken(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Lost::TimedOut("connect"))
            }
            outcome => outcome,
        }
    }

    /// Sends a small request. If a kept connection fails, it is sent once more on a new one.
    ///
    /// The request must be harmless to repeat: no check is made whether the first copy was sent.
    /// There is no vigil and no time limit here, so that the caller limits the time. Dropping the
    /// future closes the connection.
    async fn ask(&self, request: &http::Request<Bytes>) -> io::Result<http::Response<Bytes>> {
        let uri = request.uri();
        let mut kept = self.pool.idle(uri);
        loop {
            let mut channel = match kept.take() {
                Some(channel) => channel,
                None => self.pool.connect(uri).await?,
            };
            match ask(&mut channel, request).await {
                Ok(response) => {
                    self.pool.keep(channel);
                    return Ok(response);
                }
                Err(_) if channel.is_reused => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Converts the reason why there is no answer.
    fn error(&self, lost: Lost, sent: bool) -> SendError {
        // A new answer would also be too long.
        let timed_out = matches!(lost, Lost::TimedOut(_) | Lost::TooLong);
        let message = match lost {
            Lost::Broken(error) => chain(&error),
            Lost::TimedOut(what) => format!("timeout: {what}"),
            Lost::GivenUp(reason) => reason,
            Lost::TooLong => too_long(self.max_answer),
        };
        SendError {
            sent,
            timed_out,
            message: self.asked.explain(message),
        }
    }
}

/// Sends a request on a connection, and waits for the head of its answer. The connection can't be used
/// again after an error.
async fn converse(
    channel: &mut Channel,
    outgoing: &mut Outgoing,
    vigil: &mut Vigil,
    timeout: Duration,
) -> Result<Head, Lost> {
    // The vigil counts its time from here: there is a connection.
    vigil.passed_on();
    let ends = (Instant::now() + timeout, "send request");
    let sent = send(channel, outgoing, vigil, ends).await;
    let ends = (Instant::now() + timeout, "receive response");
    match sent {
        Ok(None) => head(channel, vigil, ends).await,
        // It can't be the answer to this request.
        Ok(Some(head)) if head.response.status().is_success() && !outgoing.is_sent() => {
            Err(Lost::Broken(too_early()))
        }
        Ok(Some(head)) => Ok(head),
        // There may be an answer that explains why the node has hung up. A connection that was kept
        // may have ended before this request.
        Err(Lost::Broken(error))
            if is_hang_up(&error) && (outgoing.is_sent() || !channel.is_reused) =>
        {
            channel.spend();
            let head = Box::pin(head(channel, vigil, ends)).await;
            head.map_err(|_| Lost::Broken(error))
        }
        Err(lost) => Err(lost),
    }
}

/// Sends a request. Returns the head of its answer if that comes before all was sent.
async fn send(
    channel: &mut Channel,
    outgoing: &mut Outgoing,
    vigil: &mut Vigil,
    ends: Deadline,
) -> Result<Option<Head>, Lost> {
    loop {
        let bytes = outgoing.next();
        if bytes.is_empty() {
            let flushed = within(pin!(channel.flush()), vigil, ends).await?;
            if flushed && !outgoing.is_held() {
                return Ok(None);
            }
        } else {
            let count = within(pin!(channel.write(bytes)), vigil, ends).await?;
            outgoing.taken += count;
            vigil.passed_on();
            if count > 0 {
                continue;
            }
        }
        // The node speaks before it has got everything, or is to do so.
        let head = within(pin!(channel.head()), vigil, ends).await?;
        if head.response.status() == StatusCode::CONTINUE {
            vigil.heard();
            outgoing.is_accepted = true;
        } else if head.is_informational() {
            // That comes from somebody in front of a node.
            vigil.passed_on();
        } else {
            vigil.heard();
            channel.spend();
            return Ok(Some(head));
        }
    }
}

/// Waits for the head of an answer.
async fn head(channel: &mut Channel, vigil: &mut Vigil, ends: Deadline) -> Result<Head, Lost> {
    loop {
        let head = within(pin!(channel.head()), vigil, ends).await?;
        // The node is alive.
        vigil.heard();
        if !head.is_informational() {
            return Ok(head);
        }
    }
}

/// Sends a small request on a connection, and reads its answer, without a time limit.
async fn ask(
    channel: &mut Channel,
    request: &http::Request<Bytes>,
) -> io::Result<http::Response<Bytes>> {
    let mut bytes = Vec::new();
    write_head(request, &mut bytes);
    bytes.extend_from_slice(request.body());
    let early = channel.send(&bytes).await?;
    let mut head = match early {
        Some(head) => head,
        None => channel.answer().await?,
    };
    bytes.clear();
    while channel.read(&mut head.body, &mut bytes).await? > 0 {
        if bytes.len() > LONGEST_VIEW {
            return Err(io::Error::other("the answer is too long"));
        }
    }
    Ok(head.response.map(|()| bytes.into()))
}

/// The body of an answer that is being read. If this is dropped before the end, its connection is
/// closed. After an error it must not be read any further.
struct Answer {
    /// The connection, or `None` if the answer was read completely.
    channel: Option<Channel>,
    body: Body,
    /// The number of bytes that it may still have, by `max_answer`.
    left: u64,
}

impl Answer {
    /// Appends the next bytes, and returns their number, which is 0 at the end. Waits until `ends` at
    /// most. Gives the connection back to the pool with the last bytes.
    async fn read(
        &mut self,
        bytes: &mut Vec<u8>,
        http: &AsyncHttp,
        vigil: &mut Vigil,
        ends: Deadline,
    ) -> Result<usize, Lost> {
        let Some(channel) = &mut self.channel else {
            return Ok(0);
        };
        let count = within(pin!(channel.read(&mut self.body, bytes)), vigil, ends).await?;
        vigil.heard();
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or(Lost::TooLong)?;
        if self.body.has_ended()
            && let Some(channel) = self.channel.take()
        {
            http.pool.keep(channel);
        }
        Ok(count)
    }
}

/// The rest of a long answer.
pub(crate) struct Remainder {
    answer: Answer,
    /// The vigil of the request, which goes on until the answer ends.
    vigil: Vigil,
    /// The client, for its pool and its limits. Its `request_timeout` is the one of this request.
    http: AsyncHttp,
}

impl Rest for Remainder {
    async fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, SendError> {
        let Remainder {
            answer,
            vigil,
            http,
        } = self;
        // The time in which nobody waited for it does not count.
        vigil.heard();
        let ends = (Instant::now() + http.request_timeout, "receive body");
        let read = answer.read(bytes, http, vigil, ends).await;
        read.map_err(|lost| http.error(lost, true))
    }
}

/// Waits for something that a connection does, until its time is over, or until waiting is pointless.
///
/// The future is polled once more before each check: if its event and the deadline coincide, the event
/// wins. It stays with the caller, since a future that is passed on by value takes its place twice.
async fn within<T>(
    mut future: Pin<&mut impl Future<Output = io::Result<T>>>,
    vigil: &mut Vigil,
    (end, what): Deadline,
) -> Result<T, Lost> {
    loop {
        let wake = end.min(vigil.next_tick());
        if let Ok(output) = timeout_at(wake.into(), future.as_mut()).await {
            return output.map_err(Lost::Broken);
        }
        if Instant::now() >= end {
            return Err(Lost::TimedOut(what));
        }
        if let Some(reason) = vigil.check() {
            return Err(Lost::GivenUp(reason));
        }
    }
}

impl fmt::Debug for AsyncHttp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("AsyncHttp");
        text.field("requests", &self.requests())
            .finish_non_exhaustive()
    }
}

impl Client for AsyncHttp {
    type Runtime = Tokio;
    type Rest = Remainder;

    fn open(config: &RqliteConfig) -> Result<Self, ConnectionError> {
        // The first client makes the pool. Later ones of the same configuration share it.
        let (pool, asked) = config.shared.get_or_try_init(|| pool(config))?;
        Ok(AsyncHttp {
            pool,
            asked,
            max_answer: config.max_answer,
            connect_timeout: config.connect_timeout,
            request_timeout: config.request_timeout,
            requests: Arc::default(),
        })
    }

    /// Counts the request.
    fn send(
        &mut self,
        request: Request,
        mut vigil: Vigil,
        first: usize,
    ) -> impl Future<Output = Result<Received<Remainder>, SendError>> + Send {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let timeout = request.timeout.unwrap_or(self.request_timeout);
        let mut outgoing = Outgoing::new(&request);
        async move {
            let head = self
                .exchange(request.uri(), &mut outgoing, &mut vigil, timeout)
                .await;
            let answered = match head {
                Ok(answer) => self.receive(answer, vigil, timeout, first).await,
                Err(lost) => Err(lost),
            };
            answered.map_err(|lost| self.error(lost, outgoing.is_sent()))
        }
    }

    async fn probe(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
        let answered = match timeout(PROBE, self.ask(&request)).await {
            Ok(answered) => answered.map_err(Lost::Broken),
            Err(_) => Err(Lost::TimedOut("no answer")),
        };
        // Nobody asks whether a probe was sent: it changes nothing.
        answered.map_err(|lost| self.error(lost, true))
    }
}

/// Makes the pool of a configuration, without any connection. Fails if the certificates or the key
/// of the configuration are not usable.
fn pool(config: &RqliteConfig) -> Result<(Pool, Asked), ConnectionError> {
    let tls = client_tls(&config.tls)?;
    let connector = Connector::new(tls.config, config.connect_timeout);
    Ok((Pool::new(connector), tls.asked))
}

/// Returns the text of an error and of its sources.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let reason = error.to_string();
        // Some texts already contain their sources.
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_sent_once_and_those_of_a_held_body_when_it_is_accepted() {
        let lengths = [0, 1, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER];
        let cases = lengths.map(|length| [(length, false), (length, true)]);
        for (length, is_held) in cases.into_iter().flatten() {
            let body: Vec<u8> = (0..=255).cycle().take(length).collect();
            let mut request = Request::post("http://h/p", body.clone());
            request.must_be_accepted = is_held;
            let mut head = Vec::new();
            request.write_head(&mut head);
            let mut outgoing = Outgoing::new(&request);
            for most in [1, 1000, usize::MAX] {
                let mut sent = Vec::new();
                while !outgoing.is_sent() {
                    let next = outgoing.next();
                    if next.is_empty() {
                        assert!(outgoing.is_held());
                        assert_eq!(sent, head);
                        outgoing.is_accepted = true;
                        continue;
                    }
                    let count = next.len().min(most);
                    sent.extend_from_slice(&next[..count]);
                    outgoing.taken += count;
                }
                assert!(outgoing.next().is_empty() && !outgoing.is_held());
                assert_eq!(
                    outgoing.is_accepted,
                    is_held && length > 0,
                    "it was waited for"
                );
                assert!(sent == [&head[..], &body].concat(), "{length}, {is_held}");
                outgoing.start_over();
            }
        }
    }
}
