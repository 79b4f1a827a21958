//! Transactions that differ from the configuration of their connection.

#[cfg(feature = "async")]
use std::future::Future;
use std::thread;
use std::time::Duration;

use diesel::connection::Connection;
use diesel::result::Error;

#[cfg(feature = "async")]
use super::asynchronous::{AsyncRqliteConnection, run as run_async};
use super::{HasCore, RqliteConnection};
use crate::backoff;
use crate::lock::{Locking, TransactionLock};
use crate::random::jittered;
use crate::transaction::{Options, TransactionMode};

/// A builder of one transaction: see [`RqliteConnection::build_transaction`].
///
/// After [`retries`](Self::retries) the closure may run several times. It must then be `FnMut`, or
/// `Clone` on an asynchronous connection.
#[derive(Debug)]
#[must_use = "nothing happens before `run`"]
pub struct TransactionBuilder<'a, C, R = RunOnce> {
    connection: &'a mut C,
    options: Options,
    retries: R,
}

/// The closure runs once.
#[derive(Debug)]
pub struct RunOnce;

/// The closure runs again after a conflict or an unanswered read, up to a number of times.
#[derive(Debug)]
pub struct RunAgain {
    left: u32,
    /// The number of attempts that were run again.
    pauses: u32,
}

impl RunAgain {
    /// Returns how long to wait before the next attempt, or `None` if there is none.
    fn after<T, E>(
        &mut self,
        outcome: &Result<T, E>,
        connection: &mut impl HasCore,
    ) -> Option<Duration> {
        const FIRST: Duration = Duration::from_millis(2);
        const LONGEST: Duration = Duration::from_millis(250);
        if outcome.is_ok() || self.left == 0 || !connection.core().may_be_run_again() {
            return None;
        }
        self.left -= 1;
        let pause = backoff::pause(FIRST, self.pauses, LONGEST);
        self.pauses += 1;
        Some(jittered(pause))
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
    /// The errors of [`Connection::transaction`], and `AlreadyInTransaction` inside another
    /// transaction.
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
    /// Runs the transaction, and runs it again after a conflict. The pauses between attempts grow,
    /// and are of random length.
    ///
    /// # Errors
    ///
    /// The errors of the last attempt.
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
    /// The errors of [`AsyncConnection::transaction`](diesel_async::AsyncConnection::transaction),
    /// and `AlreadyInTransaction` inside another transaction.
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
    /// Runs the transaction, and runs it again after a conflict. The pauses between attempts grow,
    /// and are of random length. Each attempt gets a clone of the closure.
    ///
    /// # Errors
    ///
    /// The errors of the last attempt.
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

/// A closure whose future is `Send`. diesel-async has the same trait, and does not export it.
///
/// It is implemented for all such closures. Do not implement it yourself.
#[cfg(feature = "async")]
pub trait AsyncFunc<T, R>:
    AsyncFnOnce(T) -> R + FnOnce(T) -> <Self as AsyncFunc<T, R>>::Fut
{
    /// The future that the closure returns.
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
    /// Uses [`TransactionMode::Interactive`].
    pub fn interactive(self) -> Self {
        self.mode(TransactionMode::Interactive)
    }

    /// Uses [`TransactionMode::Eager`].
    pub fn eager(self) -> Self {
        self.mode(TransactionMode::Eager)
    }

    /// Uses [`TransactionMode::Deferred`].
    pub fn deferred(self) -> Self {
        self.mode(TransactionMode::Deferred)
    }

    /// Uses this mode.
    pub fn mode(mut self, mode: TransactionMode) -> Self {
        self.options.mode = mode;
        self
    }

    /// Takes this lock.
    pub fn lock(mut self, lock: &impl TransactionLock) -> Self {
        self.options.locking = lock.locking();
        self
    }

    /// Does not take the lock of the configuration.
    pub fn without_lock(mut self) -> Self {
        self.options.locking = Locking::None;
        self
    }

    /// Takes the lock before the closure runs, even if it would otherwise be taken with the first
    /// statement.
    pub fn immediate(mut self) -> Self {
        self.options.immediate = true;
        self
    }

    /// Makes the transaction read-only. A write fails with an error of the kind
    /// [`ReadOnlyTransaction`](diesel::result::DatabaseErrorKind::ReadOnlyTransaction).
    pub fn read_only(mut self) -> Self {
        self.options.read_only = true;
        self
    }

    /// Allows writes, which is the default.
    pub fn read_write(mut self) -> Self {
        self.options.read_only = false;
        self
    }

    /// Settles a commit whose answer is lost: the connection finds out whether it was applied, and
    /// sends it again if not. This costs one row in the table `__diesel_rqlite_commits` for each
    /// connection, and one request for that row before the connection's first commit.
    ///
    /// Without it, such a commit fails with an error of the kind
    /// [`ClosedConnection`](diesel::result::DatabaseErrorKind::ClosedConnection), and its outcome
    /// is unknown.
    pub fn exactly_once(mut self) -> Self {
        self.options.exactly_once = true;
        self
    }

    /// Runs the closure again, up to `retries` more times. It does so if the closure or its commit
    /// fails with a
    /// [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure), or if one
    /// of its reads had no answer. A commit without an answer may have been applied, and is not
    /// repeated.
    pub fn retries(self, retries: u32) -> TransactionBuilder<'a, C, RunAgain> {
        TransactionBuilder {
            connection: self.connection,
            options: self.options,
            retries: RunAgain {
                left: retries,
                pauses: 0,
            },
        }
    }
}
