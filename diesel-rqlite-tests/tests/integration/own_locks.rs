//! Locks a program could have of its own, for threads and for tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diesel_rqlite::{AsyncLock, AsyncLockGuard, Fence, Lock, LockError, LockFuture, LockGuard};

/// A lock that is had once. It counts how often it was asked for.
#[derive(Clone, Default)]
pub(crate) struct Once(pub(crate) Arc<AtomicUsize>);

impl Once {
    fn granted(&self) -> Result<Held, LockError> {
        match self.0.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(Held::default()),
            _ => Err(LockError::timeout("once", Duration::ZERO)),
        }
    }
}

/// A lock elsewhere, which gives out the numbers it is told to.
#[derive(Clone)]
pub(crate) struct Numbered {
    pub(crate) number: i64,
    pub(crate) owner: &'static str,
    pub(crate) lost: bool,
}

impl Numbered {
    fn granted(&self) -> Result<Held, LockError> {
        Ok(Held {
            fence: Some(Fence {
                number: self.number,
                owner: self.owner.to_owned(),
            }),
            lost: self.lost,
        })
    }
}

#[derive(Default)]
struct Held {
    fence: Option<Fence>,
    lost: bool,
}

impl Held {
    fn still(&self) -> Result<(), LockError> {
        match self.lost {
            true => Err(LockError::lost("elsewhere", "its lease ended")),
            false => Ok(()),
        }
    }
}

macro_rules! locks {
    ($($lock:ident: $name:literal),*) => {$(
        impl Lock for $lock {
            fn name(&self) -> &str {
                $name
            }

            fn acquire(&self) -> Result<Box<dyn LockGuard>, LockError> {
                Ok(Box::new(self.granted()?))
            }

            fn as_async(&self) -> Option<&dyn AsyncLock> {
                Some(self)
            }
        }

        impl AsyncLock for $lock {
            fn acquire_async(&self) -> LockFuture<'_, Box<dyn AsyncLockGuard>> {
                Box::pin(async { Ok(Box::new(self.granted()?) as _) })
            }
        }
    )*};
}

locks!(Once: "once", Numbered: "elsewhere");

impl LockGuard for Held {
    fn fence(&self) -> Option<Fence> {
        self.fence.clone()
    }

    fn check(&self) -> Result<(), LockError> {
        self.still()
    }

    fn release(self: Box<Self>) -> Result<(), LockError> {
        Ok(())
    }
}

impl AsyncLockGuard for Held {
    fn fence(&self) -> Option<Fence> {
        self.fence.clone()
    }

    fn check(&self) -> Result<(), LockError> {
        self.still()
    }

    fn release_async(self: Box<Self>) -> LockFuture<'static, ()> {
        Box::pin(async { Ok(()) })
    }
}
