//! Kept connections of the blocking client, and one request on each at a time.
//!
//! ureq's agent takes several times the time for a small request that HTTP needs. So the requests of
//! a session are not run by it. This module sends them over the same connectors that the agents use,
//! and `http1` reads the answers.
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
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::uri::Scheme;
use http::{Response, StatusCode, Uri};
use ureq::config::Config;
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::time::Instant as Moment;
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

use super::blocking::Wire;
use super::http1::{self, Head, broken_off, is_hang_up};
use super::{HEAD, Node, PIECE};
use crate::mutex::locked;
use crate::protocol::head::Request;

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

    /// Sends a request, and waits for the head of its answer. Takes what is sent of the body from the
    /// beginning of `left`. `limit` applies to each phase, see the module.
    pub(super) fn exchange(
        &self,
        request: &Request,
        left: &mut &[u8],
        limit: Duration,
    ) -> Result<(Response<()>, Body), Error> {
        let mut line = self.line_to(request.uri())?;
        let mut head = Vec::with_capacity(HEAD);
        request.write_head(&mut head);
        line.send(&mut &*head, limit, Timeout::SendRequest)?;
        if request.must_be_accepted
            && let Some(mut refusal) = line.await_acceptance(limit)?
        {
            // The node still expects the body on this connection.
            refusal.must_close = true;
            return Ok(self.answer(line, refusal));
        }
        line.send(left, limit, Timeout::SendBody)?;
        let head = line.receive_head(limit)?;
        Ok(self.answer(line, head))
    }

    /// Returns an answer whose head has arrived.
    fn answer(&self, line: Line, head: Head) -> (Response<()>, Body) {
        let arriving = Arriving {
            body: head.body,
            must_close: head.must_close,
            line,
            lines: self.clone(),
        };
        (head.response, Body(Some(arriving)))
    }

    /// Returns a kept connection to a node if there is one that is still open, or else a new one.
    fn line_to(&self, uri: &Uri) -> Result<Line, Error> {
        let node = Node::of(uri);
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
    /// Sends bytes, and takes them from the beginning of `left`.
    fn send(&mut self, left: &mut &[u8], limit: Duration, reason: Timeout) -> Result<(), Error> {
        let phase = Phase::begin(limit, reason);
        while !left.is_empty() {
            // What is taken counts as sent. So it must not be taken if there is no time to send it.
            let time = phase.left()?;
            let amount = left.read(self.wire.buffers().output())?;
            self.wire.transmit_output(amount, time)?;
        }
        Ok(())
    }

    /// Waits until the node accepts the request, which returns `None`, or answers it without its body.
    fn await_acceptance(&mut self, limit: Duration) -> Result<Option<Head>, Error> {
        let phase = Phase::begin(limit, Timeout::Await100);
        loop {
            let head = self.receive_any_head(&phase)?;
            if head.response.status() == StatusCode::CONTINUE {
                return Ok(None);
            }
            if !head.is_informational() {
                return Ok(Some(head));
            }
        }
    }

    /// Waits for the head of the answer.
    fn receive_head(&mut self, limit: Duration) -> Result<Head, Error> {
        let phase = Phase::begin(limit, Timeout::RecvResponse);
        loop {
            let head = self.receive_any_head(&phase)?;
            if !head.is_informational() {
                return Ok(head);
            }
        }
    }

    /// Waits for the next head, which may be informational. Several may be there already.
    fn receive_any_head(&mut self, phase: &Phase) -> Result<Head, Error> {
        loop {
            let buffers = self.wire.buffers();
            if !buffers.input().is_empty()
                && let Some((head, length)) = Head::parse(buffers.input())?
            {
                buffers.input_consume(length);
                return Ok(head);
            }
            if !self.wire.await_input(phase.left()?)? {
                return Err(broken_off().into());
            }
        }
    }
}

/// The body of an answer. At its end, the connection is kept. `None` after that.
pub(super) struct Body(Option<Arriving>);

/// A body that arrives on its connection.
struct Arriving {
    body: http1::Body,
    must_close: bool,
    line: Line,
    lines: Lines,
}

impl Body {
    /// Returns the length of the body, if its head tells it. Valid before the first read.
    pub(super) fn length(&self) -> Option<u64> {
        self.0.as_ref()?.body.length()
    }

    /// Appends the bytes that have arrived. Returns 0 at the end. Waits if none have arrived.
    pub(super) fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, Error> {
        let Some(arriving) = &mut self.0 else {
            return Ok(0);
        };
        let amount = arriving.read(bytes)?;
        if arriving.body.has_ended()
            && let Some(arriving) = self.0.take()
        {
            arriving.lines.keep(arriving.line, arriving.must_close);
        }
        Ok(amount)
    }
}

impl Arriving {
    /// Appends some bytes, up to [`PIECE`]. Returns 0 if no more can come.
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize, Error> {
        let before = bytes.len();
        loop {
            let buffers = self.line.wire.buffers();
            let piece = buffers.input().len().min(PIECE);
            let taken = self.body.take(&buffers.input()[..piece], bytes)?;
            buffers.input_consume(taken);
            if bytes.len() > before || self.body.has_ended() {
                return Ok(bytes.len() - before);
            }
            let abruptly = match self.line.wire.await_input(NextTimeout::default()) {
                Ok(true) => continue,
                Ok(false) => false,
                Err(Error::Io(error)) if is_hang_up(&error) => true,
                Err(error) => return Err(error),
            };
            // The connection can't carry another answer.
            self.must_close = true;
            self.body = self.body.closed(abruptly)?;
            return Ok(0);
        }
    }
}
