//! A transaction on the client: what it sends, and what the answers mean. This module does no I/O. `DESIGN.md` explains
//! how it works, and why it is serializable.
//!
//! The parts, and who uses them:
//!
//! * [`Transaction`] is the state of one connection. The session asks it for requests, and tells it what the answers
//!   were.
//! * `journal` lists what happened: rows that were shown, and writes that wait. `parts` puts its entries into the order
//!   of a request, and remembers what each statement is for.
//! * `requests` makes the two requests, a [`Peek`] and a [`Commit`], and decides what their answers mean.
//! * `known` holds what the client may conclude without a request, such as the count of an UPDATE of a row that was
//!   read.
//! * `exactly_once` has the statements that give a commit a number.
//!
//! A transaction runs like this. `begin` opens it, without a request. Each read, and each write that has to be asked
//! for, becomes a peek by `Transaction::peek`; after `Transaction::peeked` has accepted its answer, the session adds
//! what was shown to the journal. Other writes go into the journal at once. At the end the session sends
//! `Transaction::commit_request`, passes the outcome to `Transaction::verdict`, and calls `finish`, whatever the verdict is.
//!
//! Invariants:
//!
//! * The journal holds, in order, everything that the closure was shown and that can be compared. `DESIGN.md` lists
//!   what is left out.
//! * After a failure that leaves the journal wrong, the transaction is broken: `check_usable` fails until it is rolled
//!   back to before the failure. The session's reads, writes and commit check that first.
//! * `marks` has one element for each open transaction and SAVEPOINT, and agrees with the depth in `status`.
//!
//! This module decides nothing about nodes and retries, see `protocol::call`, and waits for no lock, see
//! `session::row_lock`.

pub(crate) mod exactly_once;
mod journal;
mod known;
mod mode;
mod parts;
mod requests;

use std::collections::HashSet;
use std::time::SystemTime;

use diesel::QueryResult;
use diesel::connection::{TransactionDepthChange, TransactionManagerStatus};
use diesel::result::{DatabaseErrorKind, Error};

use crate::error;
use crate::lock::rqlite::Lease;
use crate::lock::{Fence, LockError};
use crate::statement::{Did, InFront};

pub(crate) use self::journal::{Count, Guard, Journal, Migration, Write};
pub(crate) use self::known::{PrimaryKeys, RowKey, row_of};
pub(crate) use self::mode::Options;
pub use self::mode::TransactionMode;
pub(crate) use self::parts::Part;
pub(crate) use self::requests::{CREATE_TABLES, Commit, Peek, Verdict};

/// The transaction of one connection, open or not.
///
/// Diesel's transaction manager keeps its state in this type. Programs have no use for it.
///
/// It outlives the transactions: `close` resets what belongs to one of them, while `past`, `did`, `serial` and the
/// flags about the last transaction stay.
#[derive(Default)]
pub struct Transaction {
    pub(crate) status: TransactionManagerStatus,
    /// The options of the open transaction, or of the last one.
    pub(crate) options: Options,
    pub(crate) journal: Journal,
    /// The open transactions, the outermost first.
    marks: Vec<Mark>,
    /// Set after a failure, until the transaction is rolled back to before it.
    broken: Option<Broken>,
    /// The number of outermost transactions so far.
    serial: u64,
    /// The value of `now` until the end of the transaction.
    pub(crate) now: Option<SystemTime>,
    /// The lock that is a row in rqlite.
    pub(crate) lease: Option<Lease>,
    /// The lock held elsewhere, with its name.
    pub(crate) fence: Option<(String, Fence)>,
    /// Set if a former holder of the lock is already kept out, and not only from the commit on.
    pub(crate) is_fence_raised: bool,
    pub(crate) past: Past,
    /// Set if the last transaction failed because something it was shown is no longer true.
    pub(crate) conflicted: bool,
    /// Set if the last transaction failed because a read, or its lock, had no answer. Nothing of it was applied.
    pub(crate) interrupted: bool,
    /// Set if a commit with writes has been sent, and may have been applied.
    pub(crate) committing: bool,
    /// The message of a statement that said ROLLBACK. Nothing of the transaction is left, but it has not been ended
    /// yet.
    ended: Option<String>,
    /// The last effects of this connection, in a transaction that is over, or outside of any.
    pub(crate) did: Did,
    /// The length of the journal when writes that no server ran were rolled back inside of the transaction. `None` if a
    /// row was inserted since.
    undone: Option<usize>,
}

/// The start of an open transaction.
///
/// It is the place to which a rollback takes the journal back.
#[derive(Debug)]
struct Mark {
    /// The length of the journal at that time.
    at: usize,
    /// The name, for a SAVEPOINT that was given as SQL.
    name: Option<String>,
}

/// The state after a failure. The transaction can only be rolled back to before the entry that failed.
#[derive(Debug)]
struct Broken {
    /// `None` if something that was shown is no longer true. Then the whole transaction must be rolled back.
    entry: Option<usize>,
    message: String,
}

/// The knowledge that the last transactions of this connection leave for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// The last one failed because something had changed. Rows from a node that lags behind would fail again.
    pub(crate) conflict: bool,
    /// The client told a wrong count. The next transaction asks a server for all counts.
    pub(crate) predicted_wrongly: bool,
    /// The texts of the writes for which the client told a wrong count. A server is always asked for them.
    wrong: HashSet<String>,
}

impl Past {
    /// Programs have fewer statements than this, unless they put values into the text.
    const MOST: usize = 1000;

    /// Returns whether the client may tell the count of a write itself.
    pub(crate) fn may_assume(&self, sql: &str) -> bool {
        !self.predicted_wrongly && !self.wrong.contains(sql)
    }

    /// Notes that the client told a wrong count for a write of this text. It tells no counts until a transaction was
    /// committed, and none for this text after that, unless so many texts were wrong that the list was cleared.
    fn was_wrong_about(&mut self, sql: &str) {
        self.predicted_wrongly = true;
        if self.wrong.len() >= Self::MOST {
            self.wrong.clear();
        }
        self.wrong.insert(sql.to_owned());
    }

    /// Notes that a transaction was committed.
    pub(crate) fn went_well(&mut self) {
        self.conflict = false;
        self.predicted_wrongly = false;
    }
}

impl std::fmt::Debug for Transaction {
    /// Leaves out the statements, whose values may be secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Transaction")
            .field("depth", &self.depth())
            .field("mode", &self.options.mode)
            .field("entries", &self.journal.len())
            .finish_non_exhaustive()
    }
}

impl Transaction {
    /// Returns the number of transactions that are open, one inside the other.
    pub(crate) fn depth(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Returns a number that distinguishes the outermost transactions of a connection.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Undoes a query of several statements that failed in the middle, or that was cancelled there.
    ///
    /// `before` is the length of the journal when the query began. Does nothing in a broken transaction, which is
    /// rolled back anyway, or if the query has added nothing. May be called twice.
    pub(crate) fn undo_query(&mut self, before: usize) {
        if self.check_usable().is_ok() && before < self.journal.len() {
            self.journal.undo_query(before);
        }
    }

    /// Returns whether the innermost transaction has writes that no server has run.
    pub(crate) fn has_unseen_writes_inside(&self) -> bool {
        let mark = self.marks.last().map_or(0, |mark| mark.at);
        self.check_usable().is_ok() && self.journal.has_unseen_writes(mark)
    }

    /// Adds a write that waits for the commit.
    ///
    /// The caller has checked that the transaction is usable and writable.
    pub(crate) fn write(&mut self, write: Write) {
        if write.statement.writes_new_rows() && write.statement.known_rows().is_some() {
            self.undone = None;
        }
        self.journal.write(write);
    }

    /// Opens the outermost transaction, or one inside another.
    ///
    /// `name` is that of a SAVEPOINT given as SQL. Sends nothing. Fails only if Diesel's transaction manager is in an
    /// error state.
    pub(crate) fn begin(&mut self, name: Option<String>) -> QueryResult<()> {
        self.change(TransactionDepthChange::IncreaseDepth)?;
        if self.marks.is_empty() {
            self.serial += 1;
        }
        let at = self.journal.len();
        self.marks.push(Mark { at, name });
        Ok(())
    }

    /// Rolls back the innermost transaction.
    ///
    /// If it is the outermost one, the transaction is over. An inner one leaves what was shown in the journal, to be
    /// compared at the commit. Fails if no transaction is open. The lock has to be given back before.
    pub(crate) fn roll_back(&mut self) -> QueryResult<()> {
        let mark = self.end()?;
        self.undo_to(mark.at);
        if self.marks.is_empty() {
            if self.undone.is_some() {
                self.did = Did::unknown();
            }
            self.close();
        }
        Ok(())
    }

    /// Commits the innermost transaction, which is inside another one.
    ///
    /// Its entries become those of the transaction around it. If the transaction can't go on, rolls back the inner one
    /// instead, and returns the reason as an error.
    pub(crate) fn release_inner(&mut self) -> QueryResult<()> {
        match self.check_usable() {
            Ok(()) => self.end().map(|_| ()),
            Err(error) => {
                self.roll_back()?;
                Err(error)
            }
        }
    }

    /// Ends the outermost transaction, and forgets its contents.
    ///
    /// Sends nothing: the commit has been sent before, or has failed. Everything is reset even if the result is an
    /// error.
    pub(crate) fn finish(&mut self) -> QueryResult<()> {
        let ended = self.end();
        self.close();
        ended.map(|_| ())
    }

    /// Returns the depth, counted from 1, at which the SAVEPOINT of this name was opened.
    ///
    /// If several have the name, it is the innermost of them, as on SQLite.
    pub(crate) fn depth_of(&self, name: &str) -> Option<usize> {
        let named = |mark: &Mark| {
            let known = mark.name.as_deref();
            known.is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        self.marks.iter().rposition(named).map(|place| place + 1)
    }

    /// Returns the depth of the innermost transaction that is no SAVEPOINT given as SQL.
    pub(crate) fn depth_without_savepoints(&self) -> Option<usize> {
        let place = self.marks.iter().rposition(|mark| mark.name.is_none());
        place.map(|place| place + 1)
    }

    /// Runs `ROLLBACK TO`: undoes what came after the innermost savepoint, which stays open.
    ///
    /// Does nothing if no transaction is open.
    pub(crate) fn roll_back_to_mark(&mut self) {
        if let Some(mark) = self.marks.last() {
            let at = mark.at;
            self.undo_to(at);
        }
    }

    /// Returns what the writes so far do to `last_insert_rowid()` and `changes()`.
    pub(crate) fn in_front(&self) -> InFront {
        self.journal.in_front(self.undone)
    }

    /// Takes the journal back to this length, except for what was shown since. If the write that broke the transaction
    /// is among what is undone, the transaction can go on, and the fact that the write failed is kept.
    fn undo_to(&mut self, mark: usize) {
        let has_writes = self.journal.has_writes_from(mark);
        let past_it = |broken: &mut Broken| broken.entry.is_some_and(|entry| mark <= entry);
        if let Some(Broken {
            entry: Some(entry),
            message,
        }) = self.broken.take_if(past_it)
        {
            self.journal.take_failed(entry, &message);
        }
        self.journal.roll_back(mark);
        if has_writes {
            self.undone = Some(self.journal.len());
        }
    }

    /// Resets everything that belongs to one transaction. The lease is dropped, so it must have been given back before.
    fn close(&mut self) {
        self.marks.clear();
        self.journal = Journal::default();
        self.broken = None;
        self.now = None;
        self.lease = None;
        self.fence = None;
        self.is_fence_raised = false;
        self.undone = None;
        self.ended = None;
    }

    /// Removes the innermost mark. Fails if no transaction is open.
    fn end(&mut self) -> QueryResult<Mark> {
        self.change(TransactionDepthChange::DecreaseDepth)?;
        self.marks.pop().ok_or(Error::NotInTransaction)
    }

    /// Tells Diesel the new depth. Fails if the transaction manager is in an error state.
    fn change(&mut self, change: TransactionDepthChange) -> QueryResult<()> {
        match &mut self.status {
            TransactionManagerStatus::Valid(status) => status.change_transaction_depth(change),
            TransactionManagerStatus::InError => Err(Error::BrokenTransactionManager),
        }
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
    fn failed(&mut self, entry: usize, message: &str, place: error::Place) -> Error {
        self.broken = Some(Broken {
            entry: Some(entry),
            message: message.to_owned(),
        });
        error::error_at(message, place)
    }

    /// Fails if the transaction is read-only.
    pub(crate) fn check_writable(&self) -> QueryResult<()> {
        if self.is_open() && self.options.read_only {
            return Err(error::of_kind(
                DatabaseErrorKind::ReadOnlyTransaction,
                "a write in a transaction that was built with `read_only`",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
