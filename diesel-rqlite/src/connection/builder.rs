//! Transactions that are not as their connection's configuration says.

#[cfg(feature = "async")]
use std::future::Future;
use std::thread;
use std::time::Duration;

use diesel::connection::Connection;
use diesel::result::Error;

#[cfg(feature = "async")]
use super::asynchronous::{AsyncRqliteConnection, run as run_async};
use super::{HasCore, RqliteConnection};
use crate::lock::{Locking, TransactionLock};
use crate::random::jittered;
use crate::transaction::{Options, TransactionMode};

/// Builds one transaction: see [`RqliteConnection::build_transaction`].
///
/// Made by [`retries`](Self::retries) it runs its closure again, which then has to be `FnMut`; on an asynchronous
/// connection, `Clone`.
#[derive(Debug)]
#[must_use = "nothing happens before `run`"]
pub struct TransactionBuilder<'a, C, R = RunOnce> {
    connection: &'a mut C,
    options: Options,
    retries: R,
}

/// The closure is run once.
#[derive(Debug)]
pub struct RunOnce;

/// The closure is run again after a conflict, or a read without an answer, so many times.
#[derive(Debug)]
pub struct RunAgain {
    left: u32,
    pause: Duration,
}

impl RunAgain {
    /// How long to wait before the next attempt; `None`: there is none.
    fn after<T, E>(
        &mut self,
        outcome: &Result<T, E>,
        connection: &mut impl HasCore,
    ) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_millis(250);
        if outcome.is_ok() || self.left == 0 || !connection.core().has_conflicted() {
            return None;
        }
        self.left -= 1;
        let pause = jittered(self.pause);
        self.pause = LONGEST.min(self.pause * 2);
        Some(pause)
    }
}

impl<'a, C> TransactionBuilder<'a, C> {
    pub(crate) fn new(connection: &'a mut C, options: Options) -> Self {
        TransactionBuilder {
            connection,
            options,
            retries: RunOnce,
        }
    }
}

impl TransactionBuilder<'_, RqliteConnection> {
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
        self.connection.core().prepare(self.options)?;
        self.connection.transaction(f)
    }
}

impl TransactionBuilder<'_, RqliteConnection, RunAgain> {
    /// Runs the transaction, and again after a conflict, with growing pauses of random length.
    ///
    /// # Errors
    ///
    /// Those of the last attempt.
    pub fn run<T, E, F>(mut self, mut f: F) -> Result<T, E>
    where
        F: FnMut(&mut RqliteConnection) -> Result<T, E>,
        E: From<Error>,
    {
        loop {
            self.connection.core().prepare(self.options.clone())?;
            let outcome = self.connection.transaction(&mut f);
            match self.retries.after(&outcome, self.connection) {
                Some(pause) => thread::sleep(pause),
                None => return outcome,
            }
        }
    }
}

#[cfg(feature = "async")]
impl TransactionBuilder<'_, AsyncRqliteConnection> {
    /// Runs the transaction.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncConnection::transaction`](diesel_async::AsyncConnection::transaction);
    /// `AlreadyInTransaction` inside of another one.
    pub async fn run<T, E, F>(self, f: F) -> Result<T, E>
    where
        for<'r> F: AsyncFnOnce(&'r mut AsyncRqliteConnection) -> Result<T, E>
            + AsyncFunc<&'r mut AsyncRqliteConnection, Result<T, E>, Fut: Send>
            + Send,
        E: From<Error> + Send,
        T: Send,
    {
        self.connection.core().prepare(self.options)?;
        run_async(self.connection, f).await
    }
}

#[cfg(feature = "async")]
impl TransactionBuilder<'_, AsyncRqliteConnection, RunAgain> {
    /// Runs the transaction, and again after a conflict, with growing pauses of random length. Each attempt gets a
    /// clone of the closure.
    ///
    /// # Errors
    ///
    /// Those of the last attempt.
    pub async fn run<T, E, F>(mut self, f: F) -> Result<T, E>
    where
        for<'r> F: AsyncFnOnce(&'r mut AsyncRqliteConnection) -> Result<T, E>
            + AsyncFunc<&'r mut AsyncRqliteConnection, Result<T, E>, Fut: Send>
            + Clone
            + Send,
        E: From<Error> + Send,
        T: Send,
    {
        loop {
            self.connection.core().prepare(self.options.clone())?;
            let outcome = run_async(self.connection, f.clone()).await;
            match self.retries.after(&outcome, self.connection) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return outcome,
            }
        }
    }
}

/// A closure whose future is `Send`: see diesel-async, which has the same one and does not export it.
///
/// Implemented for all of them, and not to be implemented by anyone else.
#[cfg(feature = "async")]
pub trait AsyncFunc<T, R>:
    AsyncFnOnce(T) -> R + FnOnce(T) -> <Self as AsyncFunc<T, R>>::Fut
{
    /// What it returns.
    type Fut: Future<Output = R>;
}

#[cfg(feature = "async")]
impl<F, T, Fut, R> AsyncFunc<T, R> for F
where
    F: AsyncFnOnce(T) -> R + FnOnce(T) -> Fut,
    Fut: Future<Output = R>,
{
    type Fut = Fut;
}

impl<'a, C, R> TransactionBuilder<'a, C, R> {
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
    /// the table `__diesel_rqlite_commits` for each connection, and one request for it, before its first commit.
    ///
    /// Without it, such a commit is an error of the kind
    /// [`ClosedConnection`](diesel::result::DatabaseErrorKind::ClosedConnection) whose outcome is unknown.
    pub fn exactly_once(mut self) -> Self {
        self.options.exactly_once = true;
        self
    }

    /// Runs the closure up to so many times more, whenever it or its commit ends in a
    /// [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure), or one of its reads had no
    /// answer. A commit without an answer may have been applied, and is not repeated.
    pub fn retries(self, retries: u32) -> TransactionBuilder<'a, C, RunAgain> {
        TransactionBuilder {
            connection: self.connection,
            options: self.options,
            retries: RunAgain {
                left: retries,
                pause: Duration::from_millis(2),
            },
        }
    }
}
