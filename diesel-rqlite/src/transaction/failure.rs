//! What a failure does to a transaction, and whether it can go on.
//!
//! * A conflict, or the loss of the lock, ends it. Only a rollback of all of it helps, and it may be run again.
//! * A write that fails, and that no server had run before, breaks it until it is rolled back to before that write.
//! * A statement may roll back everything itself, as `OR ROLLBACK` does.
//! * A request that could have changed nothing, and has no answer, interrupts it: it may be run again.
//! * A read beyond [`MOST_GUARDS`] leaves it as it is, and it can only end.
//!
//! The session checks [`Transaction::check_usable`] or [`Transaction::check_writable`] before each statement. How the
//! last transaction ended is known until the next one begins.

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};

use super::Transaction;
use crate::error;
use crate::lock::LockError;
use crate::protocol::failure::{Failure, Why};
use crate::protocol::request::Stake;

/// The most bytes that the guards of a transaction may have. They are part of its commit, and of the Raft log. A read that
/// would exceed it is shown without a guard, after which the transaction can do nothing more, see
/// [`Transaction::check_guarded`].
pub(super) const MOST_GUARDS: usize = 16 << 20;

/// The state after a failure. The transaction can only be rolled back to before the entry that failed.
#[derive(Debug)]
pub(super) struct Broken {
    /// `None` if something that was shown is no longer true. Then the whole transaction must be rolled back.
    pub(super) entry: Option<usize>,
    pub(super) message: String,
}

impl Transaction {
    /// Forgets how the last transaction ended.
    ///
    /// It is called when the next one is to begin, even if it does not come to that, because it can't get its lock:
    /// that is no conflict.
    pub(crate) fn forget_the_last(&mut self) {
        self.conflicted = false;
        self.interrupted = false;
        self.committing = false;
    }

    /// Notes that the commit begins. What follows is no failure of a read any more: the writes may be applied.
    pub(crate) fn begin_commit(&mut self) {
        self.committing = true;
        self.interrupted = false;
    }

    /// Notes that a request of this connection failed.
    ///
    /// If it has no answer and could have changed nothing, the open transaction is interrupted: nothing of it is
    /// applied, so that it may be run again. That does not hold once its commit is under way.
    pub(crate) fn request_failed(&mut self, failure: &Failure) {
        let is_lost = failure.why == Why::Unknown && failure.stake == Stake::Nothing;
        self.interrupted |= is_lost && self.is_open() && !self.committing;
    }

    /// Returns whether something that the last transaction was shown is no longer true, or its lock was lost.
    pub(crate) fn has_conflicted(&self) -> bool {
        self.conflicted
    }

    /// Returns whether the last transaction may be run again: it has conflicted, or one of its reads had no answer.
    /// Nothing of it was applied.
    pub(crate) fn may_be_run_again(&self) -> bool {
        self.conflicted || self.interrupted
    }

    /// Returns whether the transaction before this one has conflicted. Then rows from a node that lags behind, and
    /// guards by a key that may be out of date, would fail again.
    pub(crate) fn follows_conflict(&self) -> bool {
        self.past.conflict
    }

    /// Fails if an earlier statement left the transaction in a state in which it can't go on.
    ///
    /// The error is a `SerializationFailure` if something that was shown is no longer true. Otherwise the transaction
    /// can go on after a rollback to before the write that failed, except if a statement has ended all of it.
    pub(crate) fn check_usable(&self) -> QueryResult<()> {
        if let Some(message) = &self.ended {
            return Err(error::aborted(message));
        }
        match &self.broken {
            None => Ok(()),
            Some(Broken {
                entry: None,
                message,
            }) => Err(error::conflict(message.clone(), None)),
            Some(Broken { message, .. }) => Err(error::aborted(message)),
        }
    }

    /// Fails if the transaction has read too much to do anything more. It may still be rolled back, or be committed if
    /// nothing is left to write or to compare.
    pub(crate) fn check_guarded(&self) -> QueryResult<()> {
        match &self.journal.unguarded {
            None => Ok(()),
            Some(sql) => {
                let message = format!(
                    "the transaction has read more than {} MiB, which its commit would have to compare; read less, read \
                     before it begins, or use a lock and the mode Deferred: {sql}",
                    MOST_GUARDS >> 20,
                );
                Err(Error::QueryBuilderError(message.into()))
            }
        }
    }

    /// Fails if the transaction can't go on, is read-only, or has read too much.
    pub(crate) fn check_writable(&self) -> QueryResult<()> {
        self.check_usable()?;
        self.check_not_read_only()?;
        self.check_guarded()
    }

    fn check_not_read_only(&self) -> QueryResult<()> {
        if self.is_open() && self.options.read_only {
            return Err(error::of_kind(
                DatabaseErrorKind::ReadOnlyTransaction,
                "a write in a transaction that was built with `read_only`",
            ));
        }
        Ok(())
    }

    /// Notes that a failed statement rolled back everything, including the transactions around the innermost one.
    pub(crate) fn ended_by_statement(&mut self, message: &str) {
        self.ended = Some(message.to_owned());
    }

    /// Notes that something that was shown is no longer true. Returns the error.
    ///
    /// The transaction is broken from then on, and only a rollback of all of it helps. The flags that it sets make the
    /// next transaction read from the leader even at level `none`, and compare whole queries instead of rows by their
    /// keys.
    pub(crate) fn conflict(&mut self, message: String, details: Option<String>) -> Error {
        self.past.conflict = true;
        self.conflicted = true;
        self.broken = Some(Broken {
            entry: None,
            message: message.clone(),
        });
        error::conflict(message, details)
    }

    /// Notes that the lock is no longer held.
    pub(crate) fn lose_lock(&mut self, lost: &LockError) {
        self.conflict(lost.to_string(), None);
    }

    /// Notes that a write failed that no server had run before. Returns the error.
    ///
    /// `entry` is the place of the write in the journal. A rollback to there or before makes the transaction usable
    /// again.
    pub(super) fn failed(&mut self, entry: usize, message: &str, place: error::Place) -> Error {
        self.broken = Some(Broken {
            entry: Some(entry),
            message: message.to_owned(),
        });
        error::error_at(message, place)
    }
}
