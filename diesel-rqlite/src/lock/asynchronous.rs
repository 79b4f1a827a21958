//! Asynchronous locks.

use std::future::Future;
use std::pin::Pin;

use super::{Fence, Lock, LockError};

/// The future that an [`AsyncLock`] returns.
pub type LockFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LockError>> + Send + 'a>>;

/// The asynchronous side of a [`Lock`]: the same lock, for which a task waits instead of a thread.
///
/// [`ThreadLock`](crate::ThreadLock), `ValkeyLock` and `RedisLock` implement it, so that blocking
/// and asynchronous connections exclude each other. For your own lock, implement this trait and
/// [`Lock::as_async`].
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
    /// Waits until the lock is free and acquires it, for at most the lock's own limit.
    ///
    /// Dropping the future cancels the wait. If the lock is granted nevertheless, it must not stay
    /// held; a lease must release it at the latest.
    ///
    /// # Errors
    ///
    /// [`LockError`] if the lock was not acquired.
    fn acquire_async(&self) -> LockFuture<'_, Box<dyn AsyncLockGuard>>;
}

/// A lock that a task holds. Dropping the guard releases the lock in the background, without
/// reporting errors. This happens when the future of a transaction is dropped.
pub trait AsyncLockGuard: Send {
    /// Returns the fence of this acquisition: see [`LockGuard::fence`](crate::LockGuard::fence).
    fn fence(&self) -> Option<Fence> {
        None
    }

    /// Checks that the lock is still held: see [`LockGuard::check`](crate::LockGuard::check).
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
    fn release_async(self: Box<Self>) -> LockFuture<'static, ()>;
}
