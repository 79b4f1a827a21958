//! Checks that transactions are serializable, by a history of random ones on real servers that crash meanwhile.
//!
//! ```text
//!  workload ──► transaction ──► servers ◄── faults
//!      │ what was read and appended, and how it ended          │ healed: the final state, of every node
//!      ▼                                                       ▼
//!  history ───────────────────────────► check ◄──────────── state
//!                                         │
//!                                         ▼ anomalies
//!                                       report
//! ```
//!
//! The main workload appends numbers that are never used twice to lists. The final lists then tell in which order
//! all appends came, and every read tells where it stands between them: that gives a graph of which transaction
//! must have come before which, and a cycle in it is a proof that no serial order exists. (The method is that of
//! Kingsbury and Alvaro's Elle.) Bank transfers, pairs of rows open to write skew, and ticket numbers check the same
//! from the side of a program: by invariants.
//!
//! [`run`](fn@run) does it all; [`check`](fn@check) alone is pure.

#![warn(missing_docs)]

pub mod arguments;
mod attempt;
mod check;
mod clock;
mod faults;
mod history;
mod options;
mod processes;
mod report;
mod run;
mod state;
mod transaction;
mod worker;
mod workload;

pub use self::check::{Anomaly, Kind, check};
pub use self::faults::{Fault, Injected};
pub use self::history::{Cause, History, Operation, Outcome, State, Transaction};
pub use self::options::{Options, USAGE};
pub use self::processes::{WORKER_ARGUMENT, work_as_process};
pub use self::report::{Counts, Report};
pub use self::run::run;
pub use self::transaction::Mode;

/// What ends a run early: servers that don't start, a worker that can't connect.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
