//! On the asynchronous connection: by the same programs, and by what only it can do.

mod adapter;
mod cancellation;

pub(crate) use self::adapter::{RqliteConnection, block_on, connect_by};

/// Whether the connection is told the types of a query's columns.
const KNOWS_TYPES: bool = false;

crate::on_both_connections!();
