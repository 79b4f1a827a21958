//! rqlite's HTTP API, without an HTTP client, a clock or a runtime.
//!
//! [`request`] says what is sent, [`call`] which node is asked next and when to give up, [`watch`] how long to wait for
//! an answer, [`options`] what one query may have otherwise, [`cluster`] what is known of the nodes, [`survey`] what they
//! are asked for that, [`response`] what an answer means, [`rows`] what it holds, [`message`] what its words mean,
//! [`failure`] why there is none. What is not SQL: [`member`] says which nodes there are, [`condition`] how one of them is,
//! [`backup`] what a backup is. None of them does I/O, so that every connection shares them.

pub(crate) mod authorization;
pub(crate) mod backup;
pub(crate) mod call;
pub(crate) mod cluster;
pub(crate) mod condition;
pub(crate) mod encoding;
pub(crate) mod failure;
pub(crate) mod member;
pub(crate) mod message;
pub(crate) mod nodes;
pub(crate) mod options;
pub(crate) mod pieces;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod rows;
pub(crate) mod survey;
pub(crate) mod watch;
