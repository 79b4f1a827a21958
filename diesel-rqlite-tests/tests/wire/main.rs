//! What comes over the wire, and what stands in a URL, is not to be trusted: false servers, planted secrets, wrong clocks.

#[allow(dead_code)]
#[path = "../integration/database.rs"]
mod database;
#[allow(dead_code)]
#[path = "../integration/proxy.rs"]
mod proxy;
#[allow(dead_code)]
#[path = "../integration/support.rs"]
mod support;

mod acceptance;
mod addresses;
mod answers;
mod any;
mod broken_tls;
mod durations;
mod framing;
mod limits;
mod options;
mod proof;
mod secrets;
mod server;
mod tls;

use diesel_rqlite::RqliteConnection;
