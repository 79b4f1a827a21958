//! Locks that a task waits for.

use std::future::Future;
use std::pin::Pin;

use super::{Fence, Lock, LockError};

/// What an [`AsyncLock`] returns.
pub type LockFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LockError>> + Send + 'a>>;

/// The asynchronous side of a [`Lock`]: the same lock, waited for by a task and not by a thread.
///
/// [`ThreadLock`](crate::ThreadLock), `ValkeyLock` and `RedisLock` have one, so that blocking and asynchronous
/// connections exclude each other. For a lock of your own implement this, and [`Lock::as_async`].
///
/// ```
/// use diesel_rqlite::{AsyncLock, AsyncLockGuard, Lock, LockError, LockFuture, LockGuard};
///
/// /// Lets every task in.
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
///         Err(LockError::unavailable("none", "only for tasks"))
///     }
///
///     fn as_async(&self) -> Option<&dyn AsyncLock> {
///         Some(self)
///     }
/// }
///
/// impl AsyncLock for NoLock {
///     fn acquire_async(&self) -> LockFuture<'_, Box<dyn AsyncLockGuard>> {
///         Box::pin(async { Ok(Box::new(Held) as _) })
///     }
/// }
///
/// impl AsyncLockGuard for Held {
///     fn release_async(self: Box<Self>) -> LockFuture<'static, ()> {
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait AsyncLock: Lock {
    /// Waits until nobody else holds the lock, for no longer than the lock's own limit.
    ///
    /// Dropping the future gives up the wait. A lock that is granted all the same must not stay held: by a lease
    /// at the latest.
    ///
    /// # Errors
    ///
    /// [`LockError`], if it is not held when this is done.
    fn acquire_async(&self) -> LockFuture<'_, Box<dyn AsyncLockGuard>>;
}

/// A lock while a task holds it. Dropping it gives it back in the background, without saying whether that worked:
/// that is what happens where a transaction's future is dropped.
pub trait AsyncLockGuard: Send {
    /// As [`LockGuard::fence`](crate::LockGuard::fence).
    fn fence(&self) -> Option<Fence> {
        None
    }

    /// As [`LockGuard::check`](crate::LockGuard::check).
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
    fn release_async(self: Box<Self>) -> LockFuture<'static, ()>;
}
