//! Transactions that are not as their connection's configuration says.

use std::thread;
use std::time::Duration;

use diesel::connection::Connection;
use diesel::result::Error;

use super::{Options, TransactionMode};
use crate::connection::RqliteConnection;
use crate::lock::{Locking, TransactionLock};
use crate::session::jittered;

/// Builds one transaction: see [`RqliteConnection::build_transaction`].
///
/// Made by [`retries`](Self::retries) it runs its closure again, which then has to be `FnMut`.
#[derive(Debug)]
#[must_use = "nothing happens before `run`"]
pub struct TransactionBuilder<'a, R = RunOnce> {
    connection: &'a mut RqliteConnection,
    options: Options,
    retries: R,
}

/// The closure is run once.
#[derive(Debug)]
pub struct RunOnce;

/// The closure is run again after a conflict, so many times.
#[derive(Debug)]
pub struct RunAgain(u32);

impl<'a> TransactionBuilder<'a> {
    pub(crate) fn new(connection: &'a mut RqliteConnection, options: Options) -> Self {
        TransactionBuilder {
            connection,
            options,
            retries: RunOnce,
        }
    }

    /// Runs the transaction.
    ///
    /// # Errors
    ///
    /// Those of [`Connection::transaction`]; `AlreadyInTransaction` inside of another one.
    pub fn run<T, E, F>(self, f: F) -> Result<T, E>
    where
        F: FnOnce(&mut RqliteConnection) -> Result<T, E>,
        E: From<Error>,
    {
        if self.connection.is_in_transaction() {
            return Err(Error::AlreadyInTransaction.into());
        }
        self.connection.set_next_options(self.options);
        self.connection.transaction(f)
    }
}

impl TransactionBuilder<'_, RunAgain> {
    /// Runs the transaction, and again after a conflict, with growing pauses of random length.
    ///
    /// # Errors
    ///
    /// Those of the last attempt.
    pub fn run<T, E, F>(self, mut f: F) -> Result<T, E>
    where
        F: FnMut(&mut RqliteConnection) -> Result<T, E>,
        E: From<Error>,
    {
        const LONGEST: Duration = Duration::from_millis(250);
        if self.connection.is_in_transaction() {
            return Err(Error::AlreadyInTransaction.into());
        }
        let mut pause = Duration::from_millis(2);
        let mut left = self.retries.0;
        loop {
            self.connection.set_next_options(self.options.clone());
            let outcome = self.connection.transaction(&mut f);
            if outcome.is_ok() || left == 0 || !self.connection.has_conflicted() {
                return outcome;
            }
            left -= 1;
            thread::sleep(jittered(pause));
            pause = LONGEST.min(pause * 2);
        }
    }
}

impl<'a, R> TransactionBuilder<'a, R> {
    /// In [`TransactionMode::Interactive`].
    pub fn interactive(self) -> Self {
        self.mode(TransactionMode::Interactive)
    }

    /// In [`TransactionMode::Eager`].
    pub fn eager(self) -> Self {
        self.mode(TransactionMode::Eager)
    }

    /// In [`TransactionMode::Deferred`].
    pub fn deferred(self) -> Self {
        self.mode(TransactionMode::Deferred)
    }

    /// In this mode.
    pub fn mode(mut self, mode: TransactionMode) -> Self {
        self.options.mode = mode;
        self
    }

    /// Under this lock.
    pub fn lock(mut self, lock: &impl TransactionLock) -> Self {
        self.options.locking = lock.locking();
        self
    }

    /// Without the lock of the configuration.
    pub fn without_lock(mut self) -> Self {
        self.options.locking = Locking::None;
        self
    }

    /// The lock is taken before the closure runs, also one that would be taken with its first statement.
    pub fn immediate(mut self) -> Self {
        self.options.immediate = true;
        self
    }

    /// A write is an error of the kind
    /// [`ReadOnlyTransaction`](diesel::result::DatabaseErrorKind::ReadOnlyTransaction).
    pub fn read_only(mut self) -> Self {
        self.options.read_only = true;
        self
    }

    /// Writes are allowed: the default.
    pub fn read_write(mut self) -> Self {
        self.options.read_only = false;
        self
    }

    /// A commit whose answer is lost is asked after: it is found to be applied, or is sent again. Costs one row in
    /// the table `__diesel_rqlite_commits` for each connection.
    ///
    /// Without it, such a commit is an error of the kind
    /// [`ClosedConnection`](diesel::result::DatabaseErrorKind::ClosedConnection) whose outcome is unknown.
    pub fn exactly_once(mut self) -> Self {
        self.options.exactly_once = true;
        self
    }

    /// Runs the closure up to so many times more, whenever it or its commit ends in a
    /// [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure).
    pub fn retries(self, retries: u32) -> TransactionBuilder<'a, RunAgain> {
        TransactionBuilder {
            connection: self.connection,
            options: self.options,
            retries: RunAgain(retries),
        }
    }
}
