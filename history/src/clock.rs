//! One clock for all processes of the machine, which never goes back.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment, the same for every process.
pub(crate) fn now() -> u64 {
    // It exists on every system the servers run on.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
