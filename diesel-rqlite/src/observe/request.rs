//! The HTTP requests of a session.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Method, StatusCode};

use super::metric::NodeKey;
use super::spans::{Span, Within};
use super::statistics::Count;
use super::{Observer, metric};
use crate::protocol::call::SendError;
use crate::protocol::head::Request;
use crate::protocol::response::server_time;
use crate::protocol::survey::is_redirect;

/// A node, named as OpenTelemetry names servers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) address: Arc<str>,
    pub(super) port: u16,
    /// The part of the URI that names it.
    origin: (Option<Scheme>, Option<Authority>),
    /// The key of the metric for successful requests.
    pub(super) well: NodeKey,
}

impl Node {
    fn of(uri: &http::Uri) -> Self {
        let port = port_of(uri);
        let address = uri.host().unwrap_or_default();
        Node {
            address: address.into(),
            port,
            origin: (uri.scheme().cloned(), uri.authority().cloned()),
            well: NodeKey::new(address, port),
        }
    }

    fn is(&self, uri: &http::Uri) -> bool {
        let (scheme, authority) = &self.origin;
        uri.scheme() == scheme.as_ref() && uri.authority() == authority.as_ref()
    }
}

fn port_of(uri: &http::Uri) -> u16 {
    let default = match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    };
    uri.port_u16().unwrap_or(default)
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.address, self.port)
    }
}

/// The number and the cost of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Effort {
    pub(super) requests: u64,
    pub(super) retries: u64,
    pub(super) redirects: u64,
    pub(super) fail_overs: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) server_time: Option<Duration>,
    /// The status of the last answer.
    pub(super) status: Option<StatusCode>,
}

impl Effort {
    pub(super) fn since(&self, before: &Effort) -> Effort {
        let server_time = self.server_time.map(|time| {
            let before = before.server_time.unwrap_or_default();
            time.saturating_sub(before)
        });
        let requests = self.requests - before.requests;
        Effort {
            requests,
            retries: self.retries - before.retries,
            redirects: self.redirects - before.redirects,
            fail_overs: self.fail_overs - before.fail_overs,
            sent: self.sent - before.sent,
            received: self.received - before.received,
            server_time: server_time.filter(|_| requests > 0),
            status: self.status.filter(|_| requests > 0),
        }
    }
}

/// The requests that are sent until there is an answer.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    sent: u64,
    redirected: bool,
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Sent {
    span: Span,
    method: Method,
    began: Instant,
}

impl Sent {
    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        self.span.within(future)
    }
}

impl Observer {
    /// Records that a request is sent. `level` is the level of a read.
    pub(crate) fn sending(
        &mut self,
        request: &Request,
        attempts: &mut Attempts,
        level: Option<&'static str>,
    ) -> Sent {
        let goes_on = self.turned_to(request.uri());
        self.effort.requests += 1;
        self.tally.count(Count::Requests, 1);
        if attempts.sent > 0 {
            self.again(attempts.redirected, goes_on);
        }
        let bytes = request.body().len() as u64;
        self.effort.sent += bytes;
        self.tally.count(Count::BytesSent, bytes);
        let sent = Sent {
            span: Span::request(request, self.node.as_ref(), attempts.sent, level),
            method: request.method().clone(),
            began: Instant::now(),
        };
        attempts.sent += 1;
        sent
    }

    /// Records the node of a request. Returns whether it differs from the last one.
    fn turned_to(&mut self, uri: &http::Uri) -> bool {
        if self.node.as_ref().is_some_and(|node| node.is(uri)) {
            return false;
        }
        self.node = Some(Node::of(uri));
        true
    }

    fn again(&mut self, redirected: bool, goes_on: bool) {
        if redirected {
            self.effort.redirects += 1;
            return self.tally.count(Count::Redirects, 1);
        }
        self.effort.retries += 1;
        self.tally.count(Count::Retries, 1);
        if goes_on {
            self.effort.fail_overs += 1;
            self.tally.count(Count::FailOvers, 1);
        }
    }

    /// Records the outcome of a request.
    pub(crate) fn received(
        &mut self,
        sent: Sent,
        attempts: &mut Attempts,
        outcome: &Result<http::Response<Bytes>, SendError>,
    ) {
        let status = outcome.as_ref().ok().map(http::Response::status);
        attempts.redirected = status.is_some_and(is_redirect);
        self.effort.status = status;
        if let Ok(response) = outcome {
            let bytes = response.body().len() as u64;
            self.effort.received += bytes;
            self.tally.count(Count::BytesReceived, bytes);
            let time = self.options.slow.and_then(|_| server_time(response.body()));
            if let Some(time) = time {
                *self.effort.server_time.get_or_insert_default() += time;
            }
        }
        if let Some(node) = &self.node {
            let error = error_of(outcome);
            metric::request(node, &sent.method, status, error, sent.began.elapsed());
        }
        sent.span.answered(outcome, error_of(outcome));
    }
}

/// Returns the kind of failure if there was no answer. An answer, even one with an error status, has none.
fn error_of(outcome: &Result<http::Response<Bytes>, SendError>) -> Option<&'static str> {
    match outcome {
        Ok(_) => None,
        Err(error) if error.timed_out => Some("timeout"),
        Err(error) if error.sent => Some("no_answer"),
        Err(_) => Some("not_sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Together};
    use super::*;

    fn observer() -> Observer {
        Observer::new(&Together::default(), Options::default())
    }

    fn request(base: &str) -> Request {
        Request::post(&format!("{base}/db/query?level=weak"), "[]")
    }

    fn answer(status: u16) -> Result<http::Response<Bytes>, SendError> {
        let response = http::Response::builder().status(status);
        Ok(response.body(Bytes::from_static(b"{}")).expect("valid"))
    }

    fn lost(sent: bool) -> Result<http::Response<Bytes>, SendError> {
        Err(SendError {
            sent,
            timed_out: false,
            message: String::new(),
        })
    }

    #[test]
    fn redirects_retries_and_fail_overs_are_told_apart() {
        let mut observer = observer();
        let mut attempts = Attempts::default();
        for (base, outcome) in [
            ("http://a:1", answer(301)),
            ("http://b:1", lost(true)),
            ("http://b:1", lost(false)),
            ("http://c:1", answer(200)),
        ] {
            let sent = observer.sending(&request(base), &mut attempts, None);
            observer.received(sent, &mut attempts, &outcome);
        }
        // A new exchange with another node counts as none of these.
        let sent = observer.sending(&request("http://a:1"), &mut Attempts::default(), None);
        observer.received(sent, &mut Attempts::default(), &answer(200));
        let seen = observer.statistics();
        assert_eq!(
            (seen.requests, seen.redirects, seen.retries, seen.fail_overs),
            (5, 1, 2, 1)
        );
        assert_eq!((seen.bytes_sent, seen.bytes_received), (10, 6));
        assert_eq!(observer.effort.status, Some(StatusCode::OK));
    }

    #[test]
    fn node_without_a_port_is_the_same_again() {
        for base in ["https://h", "http://h", "http://[::1]:5"] {
            let (mut observer, mut attempts) = (observer(), Attempts::default());
            for _ in 0..2 {
                let sent = observer.sending(&request(base), &mut attempts, None);
                observer.received(sent, &mut attempts, &lost(false));
            }
            let seen = observer.statistics();
            assert_eq!((seen.retries, seen.fail_overs), (1, 0), "{base}");
        }
    }

    #[test]
    fn nodes_are_named_without_what_is_around_them() {
        for (uri, wanted) in [
            ("http://user:secret@h:4001/prefix/db/query", "h:4001"),
            ("https://h/db/query", "h:443"),
            ("http://[::1]:5/", "[::1]:5"),
        ] {
            let node = Node::of(&uri.parse().expect("a URI"));
            assert_eq!(node.to_string(), wanted);
        }
    }
}
