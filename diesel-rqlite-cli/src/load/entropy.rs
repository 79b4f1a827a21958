//! The source of values that replace those that each node would compute itself.

use std::time::SystemTime;

use diesel_rqlite_sql::{Entropy, SqlError};

/// The machine's clock and randomness.
pub(super) struct System;

impl Entropy for System {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn random(&mut self) -> Result<u64, SqlError> {
        getrandom::u64().map_err(|_| SqlError::NoRandomness)
    }
}
