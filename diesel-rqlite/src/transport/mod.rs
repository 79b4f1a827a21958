//! Sends one request to one node, nothing else.

#[cfg(feature = "async")]
pub(crate) mod asynchronous;
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

/// Why an answer was not read to its end.
fn too_long(limit: u64) -> String {
    format!("the answer is longer than {limit} bytes, see `max_answer`")
}
