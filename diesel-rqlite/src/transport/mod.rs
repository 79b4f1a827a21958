//! Sends one request to one node, nothing else.

#[cfg(feature = "async")]
pub(crate) mod asynchronous;
#[cfg(feature = "async")]
mod bell;
pub(crate) mod blocking;
#[cfg(feature = "async")]
pub(crate) mod carrying;
mod concealed;
pub(crate) mod node;
#[cfg(feature = "async")]
mod pool;
mod tcp;
#[cfg(any(feature = "rustls", feature = "async"))]
mod tls;
#[cfg(feature = "rustls")]
mod tls_socket;

/// How these clients call themselves.
const USER_AGENT: &str = concat!("diesel-rqlite/", env!("CARGO_PKG_VERSION"));
/// How much of a body is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// Why an answer was not read to its end.
fn too_long(limit: u64) -> String {
    format!("the answer is longer than {limit} bytes, see `max_answer`")
}
