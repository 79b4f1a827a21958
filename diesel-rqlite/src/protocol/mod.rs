//! rqlite's HTTP API, without an HTTP client, a clock or a runtime.
//!
//! [`request`] says what is sent, [`call`] which node is asked next and when to give up, [`response`] what
//! an answer means, [`rows`] what it holds, [`message`] what its words mean, [`failure`] why there is none. None of them
//! does I/O, so that every connection shares them.

pub(crate) mod call;
pub(crate) mod encoding;
pub(crate) mod failure;
pub(crate) mod message;
pub(crate) mod nodes;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod rows;
