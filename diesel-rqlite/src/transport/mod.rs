//! The transport, which sends one request to one node.

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

/// The user agent of these clients.
const USER_AGENT: &str = concat!("diesel-rqlite/", env!("CARGO_PKG_VERSION"));
/// The number of bytes of a body that are read at a time.
const PIECE: usize = 64 * 1024;

/// Returns the error of an answer that exceeds the limit and was not read completely.
fn too_long(limit: u64) -> String {
    format!("the answer is longer than {limit} bytes, see `max_answer`")
}
