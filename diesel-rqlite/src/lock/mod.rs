//! Locks that transactions take.
//!
//! [`Connection::transaction`](diesel::Connection::transaction) takes the lock of its connection
//! before it sends anything. It releases the lock once the outcome is known: after a commit, a
//! rollback, an error or a panic. Transactions are correct without any lock, since a commit applies
//! only if the data that its closure read is unchanged. With a lock, transactions wait for each
//! other instead of failing and running again.

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
/// Implement it for your own mutex. Each [`acquire`](Self::acquire) is a separate acquisition and
/// waits for all others, including those made through the same value.
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
    /// Returns the name of the lock, which appears in errors.
    fn name(&self) -> &str;

    /// Waits until the lock is free and acquires it, for at most the lock's own limit.
    ///
    /// # Errors
    ///
    /// [`LockError`] if the lock was not acquired.
    fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError>;

    /// Returns the asynchronous side of the same lock, which transactions of an
    /// [`AsyncRqliteConnection`](crate::AsyncRqliteConnection) take. Without it, these transactions
    /// can't begin.
    #[cfg(feature = "async")]
    fn as_async(&self) -> Option<&dyn AsyncLock> {
        None
    }
}

/// A lock that is held. Dropping the guard releases the lock, without reporting errors.
pub trait LockGuard: Send {
    /// Returns the fence of this acquisition, for a lock that can be lost while it is held. The
    /// commit checks it in the database. In the mode [`Deferred`](crate::TransactionMode::Deferred)
    /// the first read checks it as well, by a separate request.
    fn fence(&self) -> Option<Fence> {
        None
    }

    /// Checks that the lock is still held, as far as is known without sending a request. It is
    /// called right before the commit.
    ///
    /// # Errors
    ///
    /// [`LockError`] if the lock was lost.
    fn check(&self) -> Result<(), LockError> {
        Ok(())
    }

    /// Releases the lock.
    ///
    /// # Errors
    ///
    /// [`LockError`] if that failed. A lock with a lease then stays held until the lease ends.
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

/// A lock that can be passed to a transaction. It is implemented for any [`Lock`] that can be
/// cloned (such as an `Arc` of one), and for [`RqliteLock`], which needs the transaction's own
/// connection to work.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a lock that a transaction can take",
    label = "neither `RqliteLock` nor a `Lock` that is `Clone + 'static`",
    note = "implement `diesel_rqlite::Lock` for it, and `Clone`; or put it into an `Arc`"
)]
pub trait TransactionLock: sealed::Locks {}

impl<L: Lock + Clone + 'static> TransactionLock for L {}

impl TransactionLock for RqliteLock {}

/// The sealed part of [`TransactionLock`].
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

/// The lock of a transaction. It is public only because a sealed trait uses it, and is not
/// exported.
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

/// A number that orders the acquisitions of a lock: a later one has a higher number.
///
/// The database refuses a commit if it has seen a higher number before, or the same number with
/// another owner. The latter happens if two stores of a lock count the same after a fail-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The number of this acquisition.
    pub number: i64,
    /// The random token of this acquisition.
    pub owner: String,
}

/// The error of a lock that is not held.
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
    /// Makes the error for a lock that somebody else held all the time.
    pub fn timeout(name: impl Into<String>, waited: std::time::Duration) -> Self {
        LockError {
            name: name.into(),
            kind: Kind::Timeout(waited),
        }
    }

    /// Makes the error for a lock that was held and then lost.
    pub fn lost(name: impl Into<String>, reason: impl Into<String>) -> Self {
        LockError {
            name: name.into(),
            kind: Kind::Lost(reason.into()),
        }
    }

    /// Makes the error for a lock whose server can't be asked. The reason must not contain a
    /// password.
    pub fn unavailable(name: impl Into<String>, reason: impl Into<String>) -> Self {
        LockError {
            name: name.into(),
            kind: Kind::Unavailable(reason.into()),
        }
    }

    /// Returns whether the wait for the lock timed out.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, Kind::Timeout(_))
    }

    /// Returns whether the lock was held and then lost.
    pub fn is_lost(&self) -> bool {
        matches!(self.kind, Kind::Lost(_))
    }

    /// Converts this into the error of a transaction.
    pub(crate) fn of_transaction(&self) -> Error {
        match self.is_lost() {
            true => error::conflict(self.to_string(), None),
            false => error::of_kind(DatabaseErrorKind::UnableToSendCommand, self.to_string()),
        }
    }
}
