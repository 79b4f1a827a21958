//! One acquisition of a lock: it is requested until it is granted, then renewed, and finally
//! released.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::store::{ACQUIRE, Call, Caller, Failure, RELEASE, RENEW, Store};
use crate::lock::renewal::{Renew, Renewal, Renewed};
use crate::lock::thread::Held as Turn;
#[cfg(feature = "async")]
use crate::lock::{AsyncLockGuard, LockFuture};
use crate::lock::{Fence, LockError, LockGuard};
use crate::random::{jittered, token};
#[cfg(feature = "async")]
use crate::runtime::Tokio;
use crate::runtime::{Blocking, block_on};

/// The longest wait for one answer, however long the lease.
const LONGEST_CALL: Duration = Duration::from_secs(2);

/// The time for the last request, even if the timeout of the lock is over: a lock may be requested
/// without waiting.
const LAST_CALL: Duration = Duration::from_millis(500);

/// The data that all requests of an acquisition share.
pub(super) struct Lease<R> {
    store: Arc<Store>,
    name: String,
    keys: [String; 2],
    token: String,
    lease: Duration,
    runtime: PhantomData<R>,
}

// A derived implementation would require `R: Clone`.
impl<R> Clone for Lease<R> {
    fn clone(&self) -> Self {
        Lease {
            store: Arc::clone(&self.store),
            name: self.name.clone(),
            keys: self.keys.clone(),
            token: self.token.clone(),
            ..*self
        }
    }
}

impl<R: Caller> Lease<R> {
    pub(super) fn new(
        store: Arc<Store>,
        name: String,
        keys: [String; 2],
        lease: Duration,
    ) -> Result<Self, LockError> {
        let token = token().map_err(|error| LockError::unavailable(&name, error.to_string()))?;
        Ok(Lease {
            store,
            name,
            keys,
            token,
            lease,
            runtime: PhantomData,
        })
    }

    /// Acquires the lock. `began` is when the wait began, including the wait for the `turn` to ask
    /// for it.
    pub(super) async fn acquire(
        self,
        turn: Turn,
        began: Instant,
        timeout: Duration,
        retry_interval: Duration,
    ) -> Result<Held<R>, LockError> {
        let mut claim = Claim {
            lease: self,
            turn: Some(turn),
            may_be_held: false,
        };
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            let since = Instant::now();
            let wait = match claim.ask(left.max(LAST_CALL)).await {
                Ok(Asked::Granted(number)) => return claim.keep(since, number),
                // The wait is at most the remaining lease of the other holder.
                Ok(Asked::Held(_)) if left.is_zero() => {
                    return Err(LockError::timeout(&claim.lease.name, timeout));
                }
                Ok(Asked::Held(ends)) => jittered(retry_interval).min(ends),
                Err(Failure::Passing(_)) if !left.is_zero() => jittered(retry_interval),
                Err(failure) => return Err(claim.lease.unavailable(failure)),
            };
            let left = timeout.saturating_sub(began.elapsed());
            R::wait(wait.min(left)).await;
        }
    }

    async fn ask(&self, limit: Duration) -> Result<Asked, Failure> {
        let call = Call {
            script: ACQUIRE,
            keys: &self.keys,
            arguments: &[&self.token, &self.lease.as_millis().to_string()],
        };
        let answer = R::call(&self.store, call, self.patience().min(limit)).await?;
        match answer.numbers[..] {
            [1, fence] => Ok(Asked::Granted(fence)),
            // Without an expiry (somebody else made the key), only the retry interval counts.
            [0, ends] => Ok(Asked::Held(match u64::try_from(ends) {
                Ok(ends) => Duration::from_millis(ends.saturating_add(1)),
                Err(_) => Duration::MAX,
            })),
            _ => Err(self.store.senseless()),
        }
    }

    async fn release(&self) -> Result<(), LockError> {
        let call = Call {
            script: RELEASE,
            keys: &self.keys[..1],
            arguments: &[&self.token],
        };
        let answer = R::call(&self.store, call, self.patience()).await;
        let answer = answer.map_err(|failure| self.unavailable(failure))?;
        match answer.numbers[..] {
            [1] => Ok(()),
            // The first request may have released it.
            [_] if answer.sent_again => Ok(()),
            [number] => Err(LockError::lost(&self.name, gone(number))),
            _ => Err(self.unavailable(self.store.senseless())),
        }
    }

    /// Returns how long to wait for an answer. A renewal that fails must leave time for the next
    /// one.
    fn patience(&self) -> Duration {
        (self.lease / 3).min(LONGEST_CALL)
    }

    fn unavailable(&self, failure: Failure) -> LockError {
        let (Failure::Passing(reason) | Failure::Lasting(reason)) = failure;
        LockError::unavailable(&self.name, reason)
    }
}

enum Asked {
    /// The fence.
    Granted(i64),
    /// The remaining time of the other holder's lease.
    Held(Duration),
}

/// Returns the reason for a failed renewal or release, which did not find our token.
fn gone(number: i64) -> &'static str {
    if number == 0 {
        "its lease ended, or the server lost its data"
    } else {
        "its lease ended, and another holds it"
    }
}

impl<R: Caller> Renew for Lease<R> {
    async fn renew(&mut self) -> Renewed {
        let call = Call {
            script: RENEW,
            keys: &self.keys[..1],
            arguments: &[&self.token, &self.lease.as_millis().to_string()],
        };
        match R::call(&self.store, call, self.patience()).await {
            Ok(answer) => match answer.numbers[..] {
                [1] => Renewed::Yes,
                [number] => Renewed::Lost(gone(number).to_owned()),
                _ => Renewed::Unknown,
            },
            Err(_) => Renewed::Unknown,
        }
    }
}

/// An acquisition from its first request to its release.
struct Claim<R: Caller> {
    lease: Lease<R>,
    /// The place in the process's queue. It is given up after the lock is released.
    turn: Option<Turn>,
    may_be_held: bool,
}

impl<R: Caller> Claim<R> {
    async fn ask(&mut self, limit: Duration) -> Result<Asked, Failure> {
        self.may_be_held = true;
        let asked = self.lease.ask(limit).await;
        // Without an answer no release is sent, since the server does not respond. A lease that was
        // granted ends by itself.
        self.may_be_held = matches!(asked, Ok(Asked::Granted(_)));
        asked
    }

    fn keep(self, since: Instant, number: i64) -> Result<Held<R>, LockError> {
        // Without a renewal the lock is released at once, since the claim is dropped.
        let renewal = Renewal::start::<R>(since, self.lease.lease, self.lease.clone());
        let renewal = renewal.map_err(|error| {
            let reason = format!("nothing to renew it in the background: {error}");
            LockError::unavailable(&self.lease.name, reason)
        })?;
        Ok(Held {
            fence: Fence {
                number,
                owner: self.lease.token.clone(),
            },
            renewal,
            claim: self,
        })
    }

    async fn release(&mut self) -> Result<(), LockError> {
        let released = self.lease.release().await;
        self.may_be_held = false;
        released
    }
}

impl<R: Caller> Drop for Claim<R> {
    /// Releases the lock in the background. Errors can't be reported. If the release fails, the
    /// lease ends by itself.
    fn drop(&mut self) {
        if self.may_be_held {
            let (lease, turn) = (self.lease.clone(), self.turn.take());
            R::spawn(async move {
                let _ = lease.release().await;
                drop(turn);
            });
        }
    }
}

/// A lock that is held.
pub(super) struct Held<R: Caller> {
    fence: Fence,
    renewal: Renewal,
    claim: Claim<R>,
}

impl<R: Caller> Held<R> {
    fn check(&self) -> Result<(), LockError> {
        match self.renewal.lost() {
            Some(reason) => Err(LockError::lost(&self.claim.lease.name, reason)),
            None => Ok(()),
        }
    }

    async fn give_back(self) -> Result<(), LockError> {
        let Held {
            renewal, mut claim, ..
        } = self;
        drop(renewal);
        claim.release().await
    }
}

impl LockGuard for Held<Blocking> {
    fn fence(&self) -> Option<Fence> {
        Some(self.fence.clone())
    }

    fn check(&self) -> Result<(), LockError> {
        self.check()
    }

    fn release(self: Box<Self>) -> Result<(), LockError> {
        block_on(self.give_back())
    }
}

#[cfg(feature = "async")]
impl AsyncLockGuard for Held<Tokio> {
    fn fence(&self) -> Option<Fence> {
        Some(self.fence.clone())
    }

    fn check(&self) -> Result<(), LockError> {
        self.check()
    }

    fn release_async(self: Box<Self>) -> LockFuture<'static, ()> {
        Box::pin(self.give_back())
    }
}
