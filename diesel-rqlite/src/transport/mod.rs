//! The transport, which sends one request to one node.
//!
//! There are two HTTP clients. `blocking` uses ureq's connectors, and serves `RqliteConnection`.
//! `asynchronous` uses tokio, and serves `AsyncRqliteConnection`. `http1` knows HTTP for both, and does no
//! I/O. Both implement the trait [`Client`](crate::session::Client), through which the session uses
//! them, and the traits [`Fetch`](crate::administration::Fetch) and
//! [`Carry`](crate::administration::Carry), through which the administration sends and receives bodies of
//! any length.
//!
//! # Division of work
//!
//! A client decides nothing about nodes. It sends the request it is given to the address in the
//! request's URI, and returns the answer unchanged, including redirects and errors.
//! `protocol::call` chooses the node, follows redirects, and decides whether to send again.
//! `protocol::watch` decides whether an answer is still worth waiting for. A client only asks it,
//! by a [`Vigil`](crate::session::Vigil): it reports when a connection takes bytes and when bytes
//! arrive, and checks at short intervals whether to give up.
//!
//! A client sends a request a second time on its own only if the first copy can't have been
//! understood by a node: if a kept connection had been closed, or a cached address is out of date.
//!
//! # Errors
//!
//! A request without an answer ends with a [`SendError`](crate::protocol::call::SendError):
//!
//! * `sent` is `false` only if the last byte of the request never left the client: that of the body,
//!   or, without one, that of the head. A node can't parse such a request, so that it may be sent
//!   again even if it is a write. If in doubt, `sent` is `true`.
//! * `timed_out` is `true` if repeating the request is pointless: its whole time is over, or its
//!   answer is longer than `max_answer`. It is `false` if the vigil gave up, since another node may
//!   answer.
//!
//! # Time limits
//!
//! | Phase | `blocking` | `asynchronous` |
//! | --- | --- | --- |
//! | Name lookup | `connect_timeout` | part of connecting |
//! | TCP and TLS | `connect_timeout` | `connect_timeout`, with the lookup |
//! | Sending | `request_timeout` for the head, for the node's acceptance, and for the body | `request_timeout` |
//! | Head of the answer | `request_timeout` | `request_timeout`, since the body was sent |
//! | First bytes of the body | `request_timeout` for all of them | `request_timeout` for all of them |
//! | Later bytes | `request_timeout` before each read | `request_timeout` before each read |
//! | A probe | 1 s (`PROBE`) for everything | 1 s (`PROBE`) for everything |
//!
//! The vigil may end any of these phases earlier, except in a probe. Uploads and downloads (`node`,
//! `carrying`) have no vigil, and their bodies have no time limit, unless they are answers that are
//! read as a whole.
//!
//! # Modules
//!
//! * `http1` reads answers as they arrive.
//! * `line` has the connections of the blocking client, and `tcp` their sockets. `tls_socket` adds
//!   TLS to those, and `concealed` hides the credentials from ureq's log.
//! * `channel` is a connection of the asynchronous client, and `stream` what it reads and writes. `pool`
//!   keeps idle ones.
//! * `tls` makes the TLS configuration of both.
//! * `node` and `carrying` are the uploads and downloads of the two clients.

use http::Uri;
use http::uri::{Authority, Scheme};

#[cfg(feature = "async")]
pub(crate) mod asynchronous;
pub(crate) mod blocking;
#[cfg(feature = "async")]
pub(crate) mod carrying;
#[cfg(feature = "async")]
mod channel;
mod concealed;
mod http1;
mod line;
pub(crate) mod node;
#[cfg(feature = "async")]
mod pool;
#[cfg(feature = "async")]
mod stream;
mod tcp;
#[cfg(any(feature = "rustls", feature = "async"))]
mod tls;
#[cfg(feature = "rustls")]
mod tls_socket;

/// The scheme, host and port of a node. Connections to equal ones are interchangeable.
#[derive(PartialEq)]
struct Node(Option<Scheme>, Option<Authority>);

impl Node {
    fn of(uri: &Uri) -> Self {
        Node(uri.scheme().cloned(), uri.authority().cloned())
    }
}

/// Returns the name or address of a node. The URI has IPv6 addresses in brackets, and neither lookups nor
/// certificates have them.
#[cfg(any(feature = "rustls", feature = "async"))]
fn host_of(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The usual length of the head of a request, in bytes.
const HEAD: usize = 512;
/// The number of bytes of a body that are read at a time.
const PIECE: usize = 64 * 1024;

/// Returns the error of an answer that exceeds the limit and was not read completely.
fn too_long(limit: u64) -> String {
    format!("the answer is longer than {limit} bytes, see `max_answer`")
}
