//! A transaction on the client. Pure: what it is to send, and what an answer to that means. `DESIGN.md` explains how it
//! works, and why it is serializable.

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
/// Diesel asks for it as the state of the transaction manager; there is nothing to do with it outside.
#[derive(Default)]
pub struct Transaction {
    pub(crate) status: TransactionManagerStatus,
    pub(crate) options: Options,
    pub(crate) journal: Journal,
    /// The transactions that are open, the outermost first.
    marks: Vec<Mark>,
    broken: Option<Broken>,
    /// Counts the outermost transactions.
    serial: u64,
    /// What `now` means until the end.
    pub(crate) now: Option<SystemTime>,
    /// The lock in rqlite itself.
    pub(crate) lease: Option<Lease>,
    /// The lock elsewhere, by its name.
    pub(crate) fence: Option<(String, Fence)>,
    /// Whoever lost the lock to this transaction is kept out already, not only from its commit on.
    pub(crate) is_fence_raised: bool,
    pub(crate) past: Past,
    /// The last one failed since something it was shown is no longer so.
    pub(crate) conflicted: bool,
    /// The last one failed since what it read, or its lock, had no answer; nothing of it was applied.
    pub(crate) interrupted: bool,
    /// A commit with writes has been sent, and may have been applied.
    pub(crate) committing: bool,
    /// A statement said ROLLBACK, with this message: nothing of the transaction is left, but it has not been ended yet.
    ended: Option<String>,
    /// What this connection did last, in a transaction that is over, or outside of any.
    pub(crate) did: Did,
    /// Where it stood when writes were rolled back inside of it that no server ran, if no row was inserted since.
    undone: Option<usize>,
}

/// Where an open transaction began.
#[derive(Debug)]
struct Mark {
    at: usize,
    /// Of a SAVEPOINT that was given as SQL.
    name: Option<String>,
}

/// Nothing more can be done but to roll back to before the entry that failed.
#[derive(Debug)]
struct Broken {
    /// `None`: what was shown is no longer true, so that all of it must be rolled back.
    entry: Option<usize>,
    message: String,
}

/// What the last transaction of this connection teaches the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// It failed since something had changed. Rows from a node that lags behind would fail again.
    pub(crate) conflict: bool,
    /// It told a count of its own, which was wrong. All counts are to be asked for.
    pub(crate) assumed_wrongly: bool,
    /// The writes whose counts were told wrongly, by their text: they are always asked for.
    wrong: HashSet<String>,
}

impl Past {
    /// Nobody has so many statements; a program that puts values into their text may.
    const MOST: usize = 1000;

    pub(crate) fn may_assume(&self, sql: &str) -> bool {
        !self.assumed_wrongly && !self.wrong.contains(sql)
    }

    fn was_wrong_about(&mut self, sql: &str) {
        self.assumed_wrongly = true;
        if self.wrong.len() >= Self::MOST {
            self.wrong.clear();
        }
        self.wrong.insert(sql.to_owned());
    }

    /// A transaction was committed.
    pub(crate) fn went_well(&mut self) {
        self.conflict = false;
        self.assumed_wrongly = false;
    }
}

impl std::fmt::Debug for Transaction {
    /// Without the statements, whose values may be secret.
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
    /// How many transactions are open, one inside the other.
    pub(crate) fn depth(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Tells the outermost transactions of a connection apart.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// A query of several statements failed in the middle, or nobody waits for the rest: nothing of it stays.
    pub(crate) fn undo_query(&mut self, before: usize) {
        if self.check_usable().is_ok() && before < self.journal.len() {
            self.journal.undo_query(before);
        }
    }

    /// Whether the innermost transaction has writes that no server has run.
    pub(crate) fn has_unseen_writes_inside(&self) -> bool {
        let mark = self.marks.last().map_or(0, |mark| mark.at);
        self.check_usable().is_ok() && self.journal.has_unseen_writes(mark)
    }

    /// Takes a write that waits for the commit.
    pub(crate) fn write(&mut self, write: Write) {
        if write.statement.writes_new_rows() && write.statement.known_rows().is_some() {
            self.undone = None;
        }
        self.journal.write(write);
    }

    /// Opens the outermost transaction, or one inside another.
    pub(crate) fn begin(&mut self, name: Option<String>) -> QueryResult<()> {
        self.change(TransactionDepthChange::IncreaseDepth)?;
        if self.marks.is_empty() {
            self.serial += 1;
        }
        let at = self.journal.len();
        self.marks.push(Mark { at, name });
        Ok(())
    }

    /// Forgets what was done since the innermost transaction began.
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

    /// Ends the innermost transaction, which stands inside another one.
    pub(crate) fn commit_inner(&mut self) -> QueryResult<()> {
        match self.check_usable() {
            Ok(()) => self.end().map(|_| ()),
            Err(error) => {
                self.roll_back()?;
                Err(error)
            }
        }
    }

    /// Ends the outermost transaction; what it was is forgotten.
    pub(crate) fn finish(&mut self) -> QueryResult<()> {
        let ended = self.end();
        self.close();
        ended.map(|_| ())
    }

    /// The depth at which the SAVEPOINT of this name was opened, counted from 1.
    pub(crate) fn depth_of(&self, name: &str) -> Option<usize> {
        let named = |mark: &Mark| {
            let known = mark.name.as_deref();
            known.is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        self.marks.iter().rposition(named).map(|place| place + 1)
    }

    /// The depth of the innermost transaction that is no SAVEPOINT given as SQL.
    pub(crate) fn depth_without_savepoints(&self) -> Option<usize> {
        let place = self.marks.iter().rposition(|mark| mark.name.is_none());
        place.map(|place| place + 1)
    }

    /// `ROLLBACK TO`: undoes what came after the savepoint that is now innermost, which stays open.
    pub(crate) fn roll_back_to_mark(&mut self) {
        if let Some(mark) = self.marks.last() {
            let at = mark.at;
            self.undo_to(at);
        }
    }

    /// What its writes so far do to what a connection did last.
    pub(crate) fn in_front(&self) -> InFront {
        self.journal.in_front(self.undone)
    }

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

    fn end(&mut self) -> QueryResult<Mark> {
        self.change(TransactionDepthChange::DecreaseDepth)?;
        self.marks.pop().ok_or(Error::NotInTransaction)
    }

    fn change(&mut self, change: TransactionDepthChange) -> QueryResult<()> {
        match &mut self.status {
            TransactionManagerStatus::Valid(status) => status.change_transaction_depth(change),
            TransactionManagerStatus::InError => Err(Error::BrokenTransactionManager),
        }
    }

    /// An error, if an earlier statement left the transaction in a state in which it can't go on.
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

    /// A statement failed that rolls back everything, also what is around the innermost transaction.
    pub(crate) fn ended_by_statement(&mut self, message: &str) {
        self.ended = Some(message.to_owned());
    }

    /// Something that was shown is no longer so.
    pub(crate) fn conflict(&mut self, message: String, details: Option<String>) -> Error {
        self.past.conflict = true;
        self.conflicted = true;
        self.broken = Some(Broken {
            entry: None,
            message: message.clone(),
        });
        error::conflict(message, details)
    }

    /// The lock is no longer held.
    pub(crate) fn lose_lock(&mut self, lost: &LockError) {
        self.conflict(lost.to_string(), None);
    }

    /// A write that no server had seen before fails.
    fn failed(&mut self, entry: usize, message: &str, place: error::Place) -> Error {
        self.broken = Some(Broken {
            entry: Some(entry),
            message: message.to_owned(),
        });
        error::error_at(message, place)
    }

    /// Refuses what a read-only transaction must not do.
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
