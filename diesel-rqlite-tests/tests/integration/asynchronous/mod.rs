//! On the asynchronous connection: by the same programs, and by what only it can do.

mod adapter;
mod beside;
mod cancellation;
mod cluster_adapter;
mod coalesced_futures;
mod options;
mod pools;
#[cfg(target_os = "linux")]
mod sockets;
mod wrappers;

pub(crate) use self::adapter::{RqliteConnection, block_on, connect_by};

/// How many are opened for requests one after the other.
const HTTP_CONNECTIONS: usize = 1;

/// Whether diesel-async says of what types the columns of a query are.
const TELLS_TYPES: bool = false;
/// Whether a write that finds no other one is not waited for by those that share requests.
const SENDS_ALONE: bool = true;

crate::on_both_connections!();
