//! What a transaction is asked to be.

use crate::lock::Locking;
use crate::word::words;

/// What a transaction does before its commit.
///
/// Whatever the mode, the commit is one request that is applied as a whole or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionMode {
    /// The closure sees its own writes, real counts, generated ids and RETURNING rows. The commit applies only if
    /// everything the closure was shown is still true; otherwise it is a
    /// [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure).
    ///
    /// * `INSERT … VALUES` is counted by its text, without a request. A constraint that it violates is the error of
    ///   the next statement that asks the server, of the end of a nested transaction around it, or of the commit. Put it
    ///   into a nested transaction to catch it, as on SQLite.
    /// * An UPDATE or DELETE by primary key is counted as one row, without a request, where the transaction has
    ///   read that row, or where the same statement found two other rows before. If that turns out wrong, the commit
    ///   is a `SerializationFailure`, and the next transaction of the connection asks for all its counts.
    /// * Any other write is run at the server, and undone, to learn its count.
    #[default]
    Interactive,
    /// As Interactive, and every write is run at the server, and undone, at once: its error is its own, and the
    /// closure may catch it and go on, as on SQLite. Each write costs a request, which grows with the number of
    /// writes before it.
    Eager,
    /// Nothing is sent before the commit but reads, and these see committed data only: not the transaction's own
    /// writes, and not at the commit what the closure saw. Only a lock makes such a transaction serializable.
    ///
    /// * `execute` returns the number of rows of an `INSERT … VALUES` (as if no trigger skipped any), and 0 for
    ///   any other write: its count is not known before the commit.
    /// * A constraint violation is the error of the commit, which then applies nothing, or of the end of a nested
    ///   transaction, which asks the server.
    /// * A write with RETURNING is an error.
    Deferred,
}

words!("a transaction mode", TransactionMode {
    Interactive = "interactive",
    Eager = "eager",
    Deferred = "deferred",
});

/// What applies to one transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) mode: TransactionMode,
    pub(crate) locking: Locking,
    pub(crate) exactly_once: bool,
    pub(crate) read_only: bool,
    /// Off only to see what goes wrong without them.
    pub(crate) guards: bool,
    /// The lock is taken when the transaction begins, not with its first statement.
    pub(crate) immediate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            mode: TransactionMode::default(),
            locking: Locking::None,
            exactly_once: false,
            read_only: false,
            guards: true,
            immediate: false,
        }
    }
}
