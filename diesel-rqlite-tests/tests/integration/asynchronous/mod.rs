//! On the asynchronous connection: by the same programs, and by what only it can do.

mod adapter;
mod beside;
mod cancellation;
mod pools;
mod wrappers;

pub(crate) use self::adapter::{RqliteConnection, block_on, connect_by};

crate::on_both_connections!();
