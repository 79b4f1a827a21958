//! Sends one request to one node, nothing else.

pub(crate) mod blocking;
