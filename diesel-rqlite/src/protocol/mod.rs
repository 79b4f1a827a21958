//! rqlite's HTTP API, without an HTTP client, a clock or a runtime.
//!
//! The requests: [`request`] describes what is sent, [`head`] has what precedes a body, and [`options`] the settings of a
//! single query. [`call`] decides which node is asked next and when to give up. [`watch`] decides how long to wait for an
//! answer.
//!
//! The cluster: [`cluster`] keeps the state of the nodes, and [`survey`] asks them for it.
//!
//! The answers: [`response`] parses an answer, [`pieces`] one that is still arriving, and [`expected`] one that begins
//! like a former one. [`rows`] reads and holds the rows of an answer, [`message`] interprets the texts in it, and
//! [`failure`] is the reason why there is none.
//!
//! The parts that are not SQL: [`member`] lists the nodes, [`condition`] reports the status of one of them, and
//! [`backup`] describes a backup.
//!
//! None of these modules does I/O, so that every connection shares them.

pub(crate) mod authorization;
pub(crate) mod backup;
pub(crate) mod call;
pub(crate) mod cluster;
pub(crate) mod condition;
pub(crate) mod encoding;
pub(crate) mod expected;
pub(crate) mod failure;
pub(crate) mod head;
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
