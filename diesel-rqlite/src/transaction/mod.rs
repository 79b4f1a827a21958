//! A transaction on the client: what it sends, and what the answers mean. This module does no I/O. `DESIGN.md` explains
//! how it works, and why it is serializable.
//!
//! The parts, and who uses them:
//!
//! * [`Transaction`] is the state of one connection. The session asks it for requests, and tells it what the answers
//!   were.
//! * `journal` lists what happened: rows that were shown, and writes that wait. `parts` puts its entries into the order
//!   of a request, and remembers what each statement is for.
//! * `claim` is the lock, as far as the database has to do with it.
//! * `requests` makes the two requests, a [`Peek`] and a [`Commit`], and decides what their answers mean.
//! * `failure` says what a failure does to the transaction, and whether it can go on.
//! * `past` is what the last transactions leave for the next one.
//! * `known` holds what the client may conclude without a request, such as the count of an UPDATE of a row that was
//!   read.
//! * `exactly_once` has the statements that give a commit a number.
//!
//! A transaction runs like this. `open` opens it, without a request. Each read, and each write that has to be asked
//! for, becomes a peek by `Transaction::peek`; after `Transaction::peeked` has accepted its answer, the session adds
//! what was shown by `show` or `write`. Other writes are added at once. At the end the session calls `begin_commit`,
//! sends `Transaction::commit_request`, passes the outcome to `Transaction::verdict`, and calls `finish`, whatever the
//! verdict is.
//!
//! Invariants:
//!
//! * The journal holds, in order, everything that the closure was shown and that can be compared. `DESIGN.md` lists
//!   what is left out.
//! * After a failure that leaves the journal wrong, the transaction is broken: `check_usable` fails until it is rolled
//!   back to before the failure. The session's reads, writes and commit check that first.
//! * `marks` has one element for each open transaction and SAVEPOINT, and agrees with the depth in `status`.
//! * From `begin_commit` on, a failure no longer marks the transaction as interrupted: its writes may be applied.
//! * Nothing outside of this module changes a field. The journal can be asked from outside, and not changed.
//!
//! This module decides nothing about nodes and retries, see `protocol::call`, and waits for no lock, see
//! `session::row_lock`.

mod claim;
pub(crate) mod exactly_once;
mod failure;
mod journal;
mod known;
mod mode;
mod parts;
mod past;
mod requests;

use std::time::SystemTime;

use diesel::QueryResult;
use diesel::connection::{TransactionDepthChange, TransactionManagerStatus};
use diesel::result::Error;

use crate::protocol::response::StatementResult;
use crate::statement::{Did, InFront, Statement};

pub(crate) use self::claim::Claim;
use self::failure::{Broken, MOST_GUARDS};
use self::journal::Journal;
pub(crate) use self::journal::{Count, Guard, Migration, Write};
pub(crate) use self::known::{PrimaryKeys, RowKey, row_of};
pub(crate) use self::mode::Options;
pub use self::mode::TransactionMode;
pub(crate) use self::parts::Part;
use self::past::Past;
pub(crate) use self::requests::{CREATE_TABLES, Commit, Peek, Verdict};

/// The transaction of one connection, open or not.
///
/// Diesel's transaction manager keeps its state in this type. Programs have no use for it.
///
/// It outlives the transactions: `close` resets what belongs to one of them, while `past`, `did`, `serial` and the
/// flags about the last transaction stay.
#[derive(Default)]
pub struct Transaction {
    status: TransactionManagerStatus,
    /// The options of the open transaction, or of the last one.
    options: Options,
    journal: Journal,
    /// The open transactions, the outermost first.
    marks: Vec<Mark>,
    /// Set after a failure, until the transaction is rolled back to before it.
    broken: Option<Broken>,
    /// The number of outermost transactions so far.
    serial: u64,
    /// The value of `now` until the end of the transaction.
    now: Option<SystemTime>,
    claim: Claim,
    past: Past,
    /// Set if the last transaction failed because something it was shown is no longer true.
    conflicted: bool,
    /// Set if the last transaction failed because a read, or its lock, had no answer. Nothing of it was applied.
    interrupted: bool,
    /// Set if a commit with writes has been sent, and may have been applied.
    committing: bool,
    /// The error of a statement that has rolled back everything, as `OR ROLLBACK` does. The transaction is still open
    /// for the program.
    ended: Option<String>,
    /// The last effects of this connection, in a transaction that is over, or outside of any.
    did: Did,
    /// Set once writes outside of a transaction have been sent.
    has_written: bool,
    /// The length of the journal after the last rollback inside of the transaction that undid writes. `None` if there
    /// was none, or if a row was inserted since.
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

    /// Returns the state of Diesel's transaction manager, which Diesel reads and may set to an error.
    pub(crate) fn manager_status(&mut self) -> &mut TransactionManagerStatus {
        &mut self.status
    }

    /// Returns the mode of the open transaction.
    pub(crate) fn mode(&self) -> TransactionMode {
        self.options.mode
    }

    /// Returns whether rows that are shown are compared at the commit.
    pub(crate) fn compares_rows(&self) -> bool {
        self.options.guards
    }

    /// Returns whether the commit gets a number, by which the outcome of a lost one is found out.
    pub(crate) fn is_numbered(&self) -> bool {
        self.options.exactly_once
    }

    /// Returns whether no lock of any kind keeps other transactions out.
    #[cfg(feature = "tracing")]
    pub(crate) fn is_without_lock(&self) -> bool {
        self.options.locking == crate::lock::Locking::None
    }

    /// Returns what happened since the transaction began.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns the time of the transaction: `clock` at its first use. Outside of a transaction, it is `clock` each
    /// time.
    pub(crate) fn now_or(&mut self, clock: impl FnOnce() -> SystemTime) -> SystemTime {
        match self.is_open() {
            true => *self.now.get_or_insert_with(clock),
            false => clock(),
        }
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
    /// The caller has checked that the transaction is writable. A write that records a migration counts as such
    /// only in an outermost transaction: inside another one, the migration may not be all of it.
    pub(crate) fn write(&mut self, mut write: Write) {
        let is_alone = self.depth() == 1 && !self.journal.sets_up_migrations();
        write.migration = write.migration.filter(|part| match part {
            Migration::SetUp => true,
            Migration::Recorded(_) => is_alone,
        });
        if write.statement.writes_new_rows() && write.statement.known_rows().is_some() {
            self.undone = None;
        }
        self.journal.write(write);
    }

    /// Adds an INSERT that failed, and has to fail at the commit as well: one of [`Write::failed`].
    pub(crate) fn write_was_shown_to_fail(&mut self, write: Write) {
        self.journal.failed(write);
    }

    /// Adds rows that were shown: the guard over them, and the row that was found by its primary key.
    ///
    /// A guard that would exceed [`MOST_GUARDS`] is left out, and the transaction can't go on, see
    /// [`check_guarded`](Self::check_guarded). Without that guard, a transaction that ends now is still right.
    pub(crate) fn show(&mut self, guard: Option<Guard>, row: Option<RowKey>) {
        if let Some(row) = row {
            self.journal.known().set(row, true);
        }
        let Some(guard) = guard else {
            return;
        };
        if self.journal.guard_bytes() + guard.statement.size() > MOST_GUARDS {
            self.journal.unguarded = Some(guard.sql);
        } else {
            self.journal.show(guard);
        }
    }

    /// Returns the number of rows that a write will affect, if the client can tell by the text, or by what it knows of
    /// `row`, the one that the write is about. Returns `None` if a server has to be asked.
    ///
    /// The commit compares the number. So a wrong one is a conflict, after which the client tells less.
    pub(crate) fn predict(
        &mut self,
        statement: &Statement<'_>,
        row: Option<&RowKey>,
    ) -> Option<usize> {
        let sql = &statement.sql;
        if !self.past.may_assume(sql) {
            return None;
        }
        let by_text = statement.known_rows();
        by_text.or_else(|| {
            self.journal
                .known()
                .finds_its_row(sql, row?)
                .map(usize::from)
        })
    }

    /// Notes what an UPDATE, a DELETE or another write that is no INSERT tells about the rows that exist. It is called
    /// before the write is added. `row` is the only row that the write is about, if that is known.
    ///
    /// * An UPDATE or DELETE of one row by its key tells whether that row exists from now on. It does after an UPDATE
    ///   that found it; a DELETE sets no columns. How often this text finds its row is counted if a server told so.
    /// * After any other write, each known row may be gone, so all of them are forgotten.
    pub(crate) fn learn_from(&mut self, write: &Write, row: Option<RowKey>) {
        let statement = &write.statement;
        let known = self.journal.known();
        match (statement.by_key(), row) {
            (Some(by_key), Some(row)) if !by_key.sets_key() => {
                if let Count::Observed(rows) = write.count {
                    known.tried(&statement.sql, rows == 1);
                }
                let found = matches!(write.count, Count::Observed(1) | Count::Predicted(1));
                known.set(row, found && !by_key.sets.is_empty());
            }
            _ => known.forget(),
        }
    }

    /// Opens the outermost transaction, with its options and its lock. Fails as [`begin`](Self::begin) does.
    pub(crate) fn open(
        &mut self,
        options: Options,
        claim: Claim,
        name: Option<String>,
    ) -> QueryResult<()> {
        self.begin(name)?;
        self.options = options;
        self.claim = claim;
        Ok(())
    }

    /// Returns what the transaction has to do with its lock in the database.
    pub(crate) fn claim(&self) -> &Claim {
        &self.claim
    }

    pub(crate) fn claim_mut(&mut self) -> &mut Claim {
        &mut self.claim
    }

    /// Takes over the lock of another session's transaction, to give it back.
    pub(crate) fn adopt(&mut self, claim: Claim) {
        self.claim = claim;
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
    /// Sends nothing: the commit has been sent before, with this outcome, or has failed. Everything is reset even if
    /// the result is an error.
    pub(crate) fn finish<T>(&mut self, outcome: &QueryResult<T>) -> QueryResult<()> {
        if outcome.is_ok() {
            self.past.went_well();
        }
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

    /// Returns what the writes that wait do to `last_insert_rowid()` and `changes()`. Outside of a transaction none
    /// waits.
    pub(crate) fn in_front(&self) -> InFront {
        match self.is_open() {
            true => self.journal.in_front(self.undone),
            false => InFront::default(),
        }
    }

    /// Returns what this connection did last, not counting writes that wait.
    pub(crate) fn did(&self) -> &Did {
        &self.did
    }

    /// Notes what writes outside of a transaction did. Those of a transaction are noted with the answer to its commit.
    pub(crate) fn ran_alone<'s>(
        &mut self,
        results: impl Iterator<Item = (&'s Statement<'s>, &'s StatementResult)>,
    ) {
        for (statement, result) in results {
            self.did.wrote(statement, result);
        }
    }

    /// Notes that nobody knows what this connection did last: the answer to a write was lost, or concurrent queries
    /// of the connection wrote, too.
    pub(crate) fn lose_track(&mut self) {
        self.did = Did::unknown();
    }

    /// Returns whether it is known what this connection did last.
    #[cfg(test)]
    pub(crate) fn keeps_track(&self) -> bool {
        self.did != Did::unknown()
    }

    /// Notes that writes outside of a transaction are about to be sent. Until they have an outcome, nobody knows what
    /// this connection did last. Returns what it did before.
    pub(crate) fn forget_effects(&mut self) -> Did {
        self.has_written = true;
        std::mem::replace(&mut self.did, Did::unknown())
    }

    /// Takes back [`forget_effects`](Self::forget_effects), once it is known whether the writes were applied.
    pub(crate) fn remember_effects(&mut self, known: Did) {
        self.did = known;
    }

    /// Returns whether writes outside of a transaction have been sent, with whatever outcome.
    #[cfg(feature = "async")]
    pub(crate) fn has_written(&self) -> bool {
        self.has_written
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

    /// Resets everything that belongs to one transaction. The claim is dropped, so the lock must have been given
    /// back before.
    fn close(&mut self) {
        self.marks.clear();
        self.journal = Journal::default();
        self.broken = None;
        self.now = None;
        self.claim = Claim::None;
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
}

#[cfg(test)]
mod tests;
