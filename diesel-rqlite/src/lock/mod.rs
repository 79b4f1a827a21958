//! Who may run a transaction now.
//!
//! [`Connection::transaction`](diesel::Connection::transaction) takes the lock of its connection before it sends
//! anything, and gives it back once the outcome is known: after a commit, a rollback, an error or a panic.
//! Transactions are correct without any lock, since a commit applies only if what its closure saw is still
//! true; a lock makes them wait for each other instead of failing and running again.

#[cfg(feature = "async")]
mod asynchronous;
pub(crate) mod fence;
mod guard;
#[cfg(feature = "redis")]
mod redis;
pub(crate) mod renewal;
pub(crate) mod rqlite;
mod thread;

use std::fmt;
use std::sync::Arc;

use diesel::result::{DatabaseErrorKind, Error};

#[cfg(feature = "async")]
pub use self::asynchronous::{AsyncLock, AsyncLockGuard, LockFuture};
pub(crate) use self::guard::{Acquire, Guard};
#[cfg(feature = "redis")]
pub use self::redis::{RedisLock, ValkeyLock};
pub use self::rqlite::RqliteLock;
pub use self::thread::ThreadLock;
use crate::error;

/// A lock that transactions take.
///
/// Implement it for a mutex of your own. Each [`acquire`](Self::acquire) is an acquisition of its own and waits
/// for all others, those made through the same value included.
///
/// ```
/// use diesel_rqlite::{Lock, LockError, LockGuard};
///
/// /// Lets everyone in.
/// struct NoLock;
///
/// struct Held;
///
/// impl Lock for NoLock {
///     fn name(&self) -> &str {
///         "none"
///     }
///
///     fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError> {
///         Ok(Box::new(Held))
///     }
/// }
///
/// impl LockGuard for Held {
///     fn release(self: Box<Self>) -> Result<(), LockError> {
///         Ok(())
///     }
/// }
/// ```
pub trait Lock: Send + Sync {
    /// What is locked, to name it in errors.
    fn name(&self) -> &str;

    /// Waits until nobody else holds the lock, for no longer than the lock's own limit.
    ///
    /// # Errors
    ///
    /// [`LockError`], if it is not held when this returns.
    fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError>;

    /// The same lock for tasks: what transactions of an [`AsyncRqliteConnection`](crate::AsyncRqliteConnection) take.
    /// Without one they can't begin.
    #[cfg(feature = "async")]
    fn as_async(&self) -> Option<&dyn AsyncLock> {
        None
    }
}

/// A lock while it is held. Dropping it gives it back, without saying whether that worked.
pub trait LockGuard: Send {
    /// The number of this acquisition, for a lock that can be lost while it is held. The commit checks it in the
    /// database; in the mode [`Deferred`](crate::TransactionMode::Deferred) so does the first read, by a request of
    /// its own.
    fn fence(&self) -> Option<Fence> {
        None
    }

    /// Whether it is still held, as far as is known without asking anyone. Called right before the commit.
    ///
    /// # Errors
    ///
    /// [`LockError`], if the lock was lost.
    fn check(&self) -> Result<(), LockError> {
        Ok(())
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// [`LockError`], if that failed. A lock with a lease then stays held until the lease ends.
    fn release(self: Box<Self>) -> Result<(), LockError>;
}

impl<L: Lock + ?Sized> Lock for Arc<L> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError> {
        (**self).acquire()
    }

    #[cfg(feature = "async")]
    fn as_async(&self) -> Option<&dyn AsyncLock> {
        (**self).as_async()
    }
}

/// What a transaction may be given as its lock: any [`Lock`] that can be cloned (an `Arc` of it can), and
/// [`RqliteLock`], which needs the transaction's own connection to work.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a lock that a transaction can take",
    label = "neither `RqliteLock` nor a `Lock` that is `Clone + 'static`",
    note = "implement `diesel_rqlite::Lock` for it, and `Clone`; or put it into an `Arc`"
)]
pub trait TransactionLock: sealed::Locks {}

impl<L: Lock + Clone + 'static> TransactionLock for L {}

impl TransactionLock for RqliteLock {}

/// What only this crate may say of a lock.
mod sealed {
    use super::Locking;

    pub trait Locks {
        fn locking(&self) -> Locking;
    }
}

pub(crate) use self::sealed::Locks;

impl<L: Lock + Clone + 'static> Locks for L {
    fn locking(&self) -> Locking {
        Locking::Outside(Arc::new(self.clone()))
    }
}

impl Locks for RqliteLock {
    fn locking(&self) -> Locking {
        Locking::Rqlite(self.clone())
    }
}

/// The lock of a transaction. Public as a type in a sealed trait, and not exported.
#[derive(Clone, Default)]
pub enum Locking {
    #[default]
    None,
    Outside(Arc<dyn Lock>),
    Rqlite(RqliteLock),
}

impl PartialEq for Locking {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Locking::None, Locking::None) => true,
            (Locking::Outside(one), Locking::Outside(other)) => Arc::ptr_eq(one, other),
            (Locking::Rqlite(one), Locking::Rqlite(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Debug for Locking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Locking::None => formatter.write_str("None"),
            Locking::Outside(lock) => write!(formatter, "{:?}", lock.name()),
            Locking::Rqlite(lock) => lock.fmt(formatter),
        }
    }
}

/// Tells acquisitions of a lock apart: a later one has a higher number.
///
/// A commit is refused in the database if one with a higher number was there before, or one with the same
/// number and another owner (two stores of a lock may count the same after a fail-over).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Counts acquisitions.
    pub number: i64,
    /// The random token of this one.
    pub owner: String,
}

/// Why a lock is not held.
#[derive(Debug, thiserror::Error)]
#[error("lock `{name}`: {kind}")]
pub struct LockError {
    name: String,
    kind: Kind,
}

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("still held by another after {0:?}")]
    Timeout(std::time::Duration),
    #[error("lost: {0}")]
    Lost(String),
    #[error("{0}")]
    Unavailable(String),
}

impl LockError {
    /// Somebody else held it all the time.
    pub fn timeout(name: impl Into<String>, waited: std::time::Duration) -> Self {
        LockError {
            name: name.into(),
            kind: Kind::Timeout(waited),
        }
    }

    /// It was held, and is no longer.
    pub fn lost(name: impl Into<String>, reason: impl Into<String>) -> Self {
        LockError {
            name: name.into(),
            kind: Kind::Lost(reason.into()),
        }
    }

    /// Its server can't be asked. The reason must not hold a password.
    pub fn unavailable(name: impl Into<String>, reason: impl Into<String>) -> Self {
        LockError {
            name: name.into(),
            kind: Kind::Unavailable(reason.into()),
        }
    }

    /// Whether the wait for it ended without getting it.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, Kind::Timeout(_))
    }

    /// Whether it was held and lost.
    pub fn is_lost(&self) -> bool {
        matches!(self.kind, Kind::Lost(_))
    }

    /// As the error of a transaction.
    pub(crate) fn of_transaction(&self) -> Error {
        match self.is_lost() {
            true => error::conflict(self.to_string(), None),
            false => error::of_kind(DatabaseErrorKind::UnableToSendCommand, self.to_string()),
        }
    }
}
