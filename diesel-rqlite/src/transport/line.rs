//! Kept connections of the blocking client, and one request on each at a time.
//!
//! ureq's agent takes twice the time for a small request that HTTP needs. So the requests of a
//! session are not run by it. This module drives `ureq_proto`, the part of ureq that knows HTTP/1.1
//! and does no I/O, over the same connectors that the agents use.
//!
//! # Flow of a request
//!
//! [`Lines::exchange`] takes a kept connection or opens one, sends the request, and waits for the
//! head of the answer. It returns a [`Body`], which reads the rest of the answer, and then keeps the
//! connection. If anything fails, or if the body is dropped before its end, the connection is
//! closed.
//!
//! # Rules
//!
//! * A request is sent once, and any status is an answer. Redirects are not followed.
//! * A connection is kept if the answer has ended, nothing has arrived behind it, and the node does
//!   not want to close it. Before it is used again, all its layers are asked whether it is still
//!   open, and whether anything has arrived that nobody asked for.
//! * Nothing is sent without TLS to a node whose URI requires it. Without the feature `rustls`, such a
//!   node can't be reached.
//! * One connection is kept for each node, [`IDLE`] altogether, for [`LONGEST_IDLE`].
//!
//! # Time limits
//!
//! Looking up the name and connecting have `connect_timeout` each. Sending the head, waiting until
//! the node accepts the request (if it has to), sending the body, and waiting for the head of the
//! answer have the limit of the request each. The time for the body of the answer is measured by the
//! socket.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use ureq::config::Config;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::time::Instant as Moment;
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};
use ureq_proto::BodyMode;
use ureq_proto::client::state::{
    Await100, RecvBody, RecvResponse, SendBody as SendingBody, SendRequest,
};
use ureq_proto::client::{
    Await100Result, Call, RecvBodyResult, RecvResponseResult, SendRequestResult,
};

use super::blocking::Wire;
use crate::mutex::locked;

/// The number of idle connections of a client: one to the leader, and one to a node for reads.
pub(super) const IDLE: usize = 2;
/// The time after which an idle connection is not used any more.
const LONGEST_IDLE: Duration = Duration::from_secs(15);

/// The connections of a client that are idle, and the means to open others. Clones share them.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    connector: Box<dyn Connector<(), Out = Wire>>,
    resolver: Box<dyn Resolver>,
    /// The settings that connectors ask for.
    config: Config,
    connect_timeout: Duration,
    idle: Mutex<Vec<Line>>,
}

/// A connection to a node.
struct Line {
    wire: Wire,
    node: Node,
    /// The time of the last answer.
    used: Instant,
}

/// Connections to equal nodes are interchangeable.
type Node = (Option<Scheme>, Option<Authority>);

impl fmt::Debug for Lines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = formatter.debug_struct("Lines");
        text.field("idle", &locked(&self.0.idle).len()).finish()
    }
}

impl Lines {
    pub(super) fn new(
        connector: impl Connector<(), Out = Wire>,
        resolver: impl Resolver,
        config: Config,
        connect_timeout: Duration,
    ) -> Self {
        Lines(Arc::new(Shared {
            connector: Box::new(connector),
            resolver: Box::new(resolver),
            config,
            connect_timeout,
            idle: Mutex::default(),
        }))
    }

    /// Sends a request, and waits for the head of its answer. The request has a header with the
    /// length of its body. `limit` applies to each phase, see the module.
    pub(super) fn exchange(
        &self,
        request: Request<()>,
        body: &mut impl Read,
        limit: Duration,
    ) -> Result<(Response<()>, Body), Error> {
        let mut line = self.line_to(request.uri())?;
        let mut call = Call::new(request)?;
        // rqlite reads the body of a DELETE.
        call.force_send_body();
        let call = line.send_head(call.proceed(), limit)?;
        let call = match call {
            SendRequestResult::Await100(call) => match line.await_100(call, limit)? {
                Await100Result::SendBody(call) => line.send_body(call, body, limit)?,
                Await100Result::RecvResponse(call) => call,
            },
            SendRequestResult::SendBody(call) => line.send_body(call, body, limit)?,
            SendRequestResult::RecvResponse(call) => call,
        };
        let (response, next) =
            line.receive_head(call, limit, self.0.config.max_response_header_size())?;
        let body = match next {
            RecvResponseResult::RecvBody(call) => Body::new(call, line, self.clone()),
            RecvResponseResult::Redirect(call) => self.ended(line, call.must_close_connection()),
            RecvResponseResult::Cleanup(call) => self.ended(line, call.must_close_connection()),
        };
        Ok((response, body))
    }

    /// Returns the body of an answer without one.
    fn ended(&self, line: Line, must_close: bool) -> Body {
        self.keep(line, must_close);
        Body(None)
    }

    /// Returns a kept connection to a node if there is one that is still open, or else a new one.
    fn line_to(&self, uri: &Uri) -> Result<Line, Error> {
        let node = (uri.scheme().cloned(), uri.authority().cloned());
        if let Some(line) = self.kept(&node) {
            return Ok(line);
        }
        let wire = self.connect(uri)?;
        Ok(Line {
            wire,
            node,
            used: Instant::now(),
        })
    }

    fn kept(&self, node: &Node) -> Option<Line> {
        let mut line = {
            let mut idle = locked(&self.0.idle);
            let place = idle.iter().position(|line| line.node == *node)?;
            idle.remove(place)
        };
        let is_young = line.used.elapsed() < LONGEST_IDLE;
        (is_young && line.wire.is_open()).then_some(line)
    }

    /// Opens a connection, with TLS if the URI requires it. Fails if it does and there is no TLS.
    fn connect(&self, uri: &Uri) -> Result<Wire, Error> {
        let Shared {
            connector,
            resolver,
            config,
            ..
        } = &*self.0;
        let limit = |reason| NextTimeout {
            after: self.0.connect_timeout.into(),
            reason,
            ..NextTimeout::default()
        };
        let addrs = resolver.resolve(uri, config, limit(Timeout::Resolve))?;
        let now = || Moment::Exact(Instant::now());
        let wire = connector.connect(
            &ConnectionDetails {
                uri,
                addrs,
                config,
                request_level: false,
                resolver: &**resolver,
                now: now(),
                timeout: limit(Timeout::Connect),
                current_time: Arc::new(now),
                // These are for proxies, and for agents that are shut down.
                run_connector: Arc::new(|_| Err(Error::ConnectionFailed)),
                register_shutdown: Arc::new(|_| Ok(())),
            },
            None,
        )?;
        let wire = wire.ok_or(Error::ConnectionFailed)?;
        if uri.scheme() == Some(&Scheme::HTTPS) && !wire.is_tls() {
            return Err(Error::TlsRequired);
        }
        Ok(wire)
    }

    /// Keeps a connection whose answer has ended, unless it can't be used again.
    fn keep(&self, mut line: Line, must_close: bool) {
        // Nobody asked for what has arrived behind the answer.
        if must_close || !line.wire.buffers().input().is_empty() {
            return;
        }
        line.used = Instant::now();
        let mut idle = locked(&self.0.idle);
        idle.retain(|other| other.node != line.node);
        idle.truncate(IDLE - 1);
        idle.insert(0, line);
    }
}

/// A part of an exchange that has a time limit.
struct Phase {
    /// `None` if the limit is too far away for a clock.
    ends: Option<Instant>,
    reason: Timeout,
}

impl Phase {
    fn begin(limit: Duration, reason: Timeout) -> Self {
        let ends = Instant::now().checked_add(limit);
        Phase { ends, reason }
    }

    /// Returns the time that is left. Fails if there is none.
    fn left(&self) -> Result<NextTimeout, Error> {
        let mut timeout = NextTimeout {
            reason: self.reason,
            ..NextTimeout::default()
        };
        if let Some(ends) = self.ends {
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Timeout(self.reason));
            }
            timeout.after = left.into();
        }
        Ok(timeout)
    }
}

impl Line {
    fn send_head(
        &mut self,
        mut call: Call<SendRequest>,
        limit: Duration,
    ) -> Result<SendRequestResult, Error> {
        let phase = Phase::begin(limit, Timeout::SendRequest);
        while !call.can_proceed() {
            let amount = call.write(self.wire.buffers().output())?;
            self.wire.transmit_output(amount, phase.left()?)?;
        }
        call.proceed()?.ok_or_else(stuck)
    }

    /// Waits until the node accepts the request, or answers it without its body.
    fn await_100(
        &mut self,
        mut call: Call<Await100>,
        limit: Duration,
    ) -> Result<Await100Result, Error> {
        let phase = Phase::begin(limit, Timeout::Await100);
        loop {
            let buffers = self.wire.buffers();
            let amount = call.try_read_100(buffers.input())?;
            buffers.input_consume(amount);
            if !call.can_keep_await_100() {
                return Ok(call.proceed()?);
            }
            // An informational answer may be followed by others that are there already.
            if amount == 0 && !self.wire.await_input(phase.left()?)? {
                return Err(disconnected());
            }
        }
    }

    fn send_body(
        &mut self,
        mut call: Call<SendingBody>,
        body: &mut impl Read,
        limit: Duration,
    ) -> Result<Call<RecvResponse>, Error> {
        let phase = Phase::begin(limit, Timeout::SendBody);
        while !call.can_proceed() {
            // What is read counts as taken. So it must not be read if there is no time to send it.
            let left = phase.left()?;
            let amount = body.read(self.wire.buffers().output())?;
            call.consume_direct_write(amount)?;
            self.wire.transmit_output(amount, left)?;
        }
        call.proceed().ok_or_else(stuck)
    }

    /// Waits for the head of the answer. Fails if it is longer than `longest` bytes.
    fn receive_head(
        &mut self,
        mut call: Call<RecvResponse>,
        limit: Duration,
        longest: usize,
    ) -> Result<(Response<()>, RecvResponseResult), Error> {
        let phase = Phase::begin(limit, Timeout::RecvResponse);
        loop {
            let buffers = self.wire.buffers();
            let arrived = buffers.input().len();
            let (amount, response) = call.try_response(buffers.input(), false)?;
            buffers.input_consume(amount);
            let length = if response.is_some() { amount } else { arrived };
            if length > longest {
                return Err(Error::LargeResponseHeader(length, longest));
            }
            if let Some(response) = response {
                return Ok((response, call.proceed().ok_or_else(stuck)?));
            }
            // An informational answer may be followed by others that are there already.
            if amount == 0 && !self.wire.await_input(phase.left()?)? {
                return Err(disconnected());
            }
        }
    }
}

/// The body of an answer. At its end, the connection is kept. `None` after that.
pub(super) struct Body(Option<Arriving>);

/// A body that arrives on its connection.
struct Arriving {
    call: Call<RecvBody>,
    line: Line,
    lines: Lines,
    /// Set if the node has closed the connection. Some of the body may still be there.
    has_hung_up: bool,
}

impl Body {
    fn new(call: Call<RecvBody>, line: Line, lines: Lines) -> Self {
        Body(Some(Arriving {
            call,
            line,
            lines,
            has_hung_up: false,
        }))
    }

    /// Returns the length of the body, if its head tells it. Valid before the first read.
    pub(super) fn length(&self) -> Option<u64> {
        match self.0.as_ref()?.call.body_mode() {
            BodyMode::LengthDelimited(length) => Some(length),
            _ => None,
        }
    }

    /// Reads some bytes. Returns 0 at the end. Waits if none have arrived.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let Some(arriving) = &mut self.0 else {
            return Ok(0);
        };
        let amount = arriving.read(buffer)?;
        if amount == 0
            && let Some(arriving) = self.0.take()
        {
            arriving.end()?;
        }
        Ok(amount)
    }
}

impl Arriving {
    /// Reads some bytes. Returns 0 if no more can come.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while !self.is_complete() {
            let wire = &mut self.line.wire;
            // What is there may be too little, such as half of a chunk's length.
            if !self.has_hung_up && !wire.buffers().can_use_input() {
                self.has_hung_up = !is_open(wire.await_input(NextTimeout::default()))?;
            }
            let (taken, amount) = self.call.read(wire.buffers().input(), buffer)?;
            wire.buffers().input_consume(taken);
            if amount > 0 {
                return Ok(amount);
            }
            if taken == 0 && self.has_hung_up {
                break;
            }
        }
        Ok(0)
    }

    /// Returns whether all of the body was read. Where no length is told, the node closes the
    /// connection after it.
    fn is_complete(&self) -> bool {
        let ends_by_closing = matches!(self.call.body_mode(), BodyMode::CloseDelimited);
        self.call.can_proceed() && !ends_by_closing
    }

    /// Keeps the connection. Fails if the body is not complete.
    fn end(self) -> Result<(), Error> {
        // The end of a body in chunks may lack its last line.
        if !self.call.can_proceed() && self.call.is_ended_chunked() {
            return Ok(());
        }
        let must_close = match self.call.proceed().ok_or_else(disconnected)? {
            RecvBodyResult::Redirect(call) => call.must_close_connection(),
            RecvBodyResult::Cleanup(call) => call.must_close_connection(),
        };
        self.lines.keep(self.line, must_close || self.has_hung_up);
        Ok(())
    }
}

/// Returns whether a connection is still open, from the outcome of waiting for input. An aborted one
/// is closed, and so is one on which the node stopped listening while it was sent the request.
/// Whether the body is complete is decided by the body.
fn is_open(outcome: Result<bool, Error>) -> Result<bool, Error> {
    match outcome {
        Err(Error::Io(error))
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::BrokenPipe
            ) =>
        {
            Ok(false)
        }
        outcome => outcome,
    }
}

/// The error of a connection that ends before its answer does.
fn disconnected() -> Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "Peer disconnected").into()
}

/// The error of a protocol that should go on, and does not.
fn stuck() -> Error {
    io::Error::other("the exchange does not go on").into()
}
