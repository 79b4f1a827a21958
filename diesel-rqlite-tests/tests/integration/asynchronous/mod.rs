//! On the asynchronous connection: by the same programs, and by what only it can do.

mod adapter;

pub(crate) use self::adapter::{RqliteConnection, connect_by};

crate::on_both_connections!();
