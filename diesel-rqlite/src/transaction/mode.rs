//! The options of a transaction.
//!
//! They are fixed when the outermost transaction begins. The connection takes them from its configuration or from a
//! transaction builder; inner transactions have those of the outermost one.

use crate::lock::Locking;
use crate::word::words;

/// The behavior of a transaction before its commit.
///
/// In every mode, the commit is one request that is applied as a whole or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionMode {
    /// The closure sees its own writes, real counts, generated ids and RETURNING rows. The commit applies only if
    /// everything the closure was shown is still true. Otherwise it is a
    /// [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure).
    ///
    /// * The count of `INSERT … VALUES` is derived from its text, without a request. If it violates a constraint, that
    ///   is the error of the next statement that asks the server, of the end of a nested transaction around it, or of
    ///   the commit. To catch it where it happens, as on SQLite, put the INSERT into a nested transaction.
    /// * An UPDATE or DELETE by primary key counts as one row, without a request, if the transaction has read that row,
    ///   or if the same statement found two other rows before. If that turns out wrong, the commit is a
    ///   `SerializationFailure`, and the next transaction of the connection asks for all its counts.
    /// * The server runs any other write and undoes it, to learn its count.
    #[default]
    Interactive,
    /// Like Interactive, but the server runs every write at once and undoes it. The write reports its own error, and
    /// the closure may catch that and go on, as on SQLite. Each write costs a request, whose size grows with the number
    /// of writes before it.
    Eager,
    /// Before the commit, only reads are sent. They see committed data: they do not see the transaction's own writes,
    /// and that data may have changed at the commit. Only a lock makes such a transaction serializable.
    ///
    /// * `execute` returns the number of rows of an `INSERT … VALUES` (as if no trigger skipped any), and 0 for any
    ///   other write, whose count is not known before the commit.
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

/// The options of one transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) mode: TransactionMode,
    pub(crate) locking: Locking,
    pub(crate) exactly_once: bool,
    pub(crate) read_only: bool,
    /// `false` only to see what goes wrong without guards.
    pub(crate) guards: bool,
    /// `true` if the lock is taken when the transaction begins, not with its first statement.
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
