//! On the asynchronous connection: by the same programs, and by what only it can do.

mod adapter;
mod beside;
mod cancellation;
mod pools;
#[cfg(target_os = "linux")]
mod sockets;
mod wrappers;

pub(crate) use self::adapter::{RqliteConnection, block_on, connect_by};

/// How many are opened for requests one after the other. Where the first is free a moment too late hyper opens another;
/// there were 80 requests.
const HTTP_CONNECTIONS: usize = 8;

crate::on_both_connections!();
