//! Acquiring and holding a lock that is not in rqlite.

use std::future::Future;

#[cfg(feature = "async")]
use super::AsyncLockGuard;
use super::{Fence, Lock, LockError, LockGuard};
#[cfg(feature = "async")]
use crate::runtime::Tokio;
use crate::runtime::{Blocking, Runtime};

/// A runtime that can acquire locks in its own way of waiting.
pub(crate) trait Acquire: Runtime {
    fn acquire(lock: &dyn Lock) -> impl Future<Output = Result<Guard, LockError>> + Send;
}

impl Acquire for Blocking {
    async fn acquire(lock: &dyn Lock) -> Result<Guard, LockError> {
        lock.acquire().map(Guard::Blocking)
    }
}

#[cfg(feature = "async")]
impl Acquire for Tokio {
    async fn acquire(lock: &dyn Lock) -> Result<Guard, LockError> {
        let Some(lock) = lock.as_async() else {
            let reason = "it has no asynchronous side: see `Lock::as_async`";
            return Err(LockError::unavailable(lock.name(), reason));
        };
        lock.acquire_async().await.map(Guard::Asynchronous)
    }
}

/// A lock that is held. It was acquired by the blocking or by the asynchronous side.
pub(crate) enum Guard {
    Blocking(Box<dyn LockGuard>),
    #[cfg(feature = "async")]
    Asynchronous(Box<dyn AsyncLockGuard>),
}

impl Guard {
    pub(crate) fn fence(&self) -> Option<Fence> {
        match self {
            Guard::Blocking(guard) => guard.fence(),
            #[cfg(feature = "async")]
            Guard::Asynchronous(guard) => guard.fence(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), LockError> {
        match self {
            Guard::Blocking(guard) => guard.check(),
            #[cfg(feature = "async")]
            Guard::Asynchronous(guard) => guard.check(),
        }
    }

    pub(crate) async fn release(self) -> Result<(), LockError> {
        match self {
            Guard::Blocking(guard) => guard.release(),
            #[cfg(feature = "async")]
            Guard::Asynchronous(guard) => guard.release_async().await,
        }
    }
}
