//! Sends one request to one node, nothing else.

#[cfg(feature = "async")]
pub(crate) mod asynchronous;
pub(crate) mod blocking;
pub(crate) mod node;
#[cfg(feature = "async")]
mod pool;
mod tcp;
