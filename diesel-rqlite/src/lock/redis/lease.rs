//! One acquisition: asks until it is granted, keeps it, gives it back.

use std::fmt::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::store::{ACQUIRE, Call, Failure, RELEASE, RENEW, Store};
use crate::lock::renewal::{Renewal, Renewed};
use crate::lock::thread::Held as Turn;
use crate::lock::{Fence, LockError, LockGuard};
use crate::session::jittered;

/// However long the lease: nobody waits longer for one answer.
const LONGEST_CALL: Duration = Duration::from_secs(2);

/// What the last request gets, even if the time to wait is over: a lock may be asked for without waiting.
const LAST_CALL: Duration = Duration::from_millis(500);

/// What is the same for all requests of an acquisition.
#[derive(Clone)]
pub(super) struct Lease {
    store: Arc<Store>,
    name: String,
    keys: [String; 2],
    token: String,
    lease: Duration,
}

impl Lease {
    pub(super) fn new(
        store: Arc<Store>,
        name: String,
        keys: [String; 2],
        lease: Duration,
    ) -> Result<Self, LockError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| LockError::unavailable(&name, format!("no random token: {error}")))?;
        let mut token = String::with_capacity(2 * random.len());
        for byte in random {
            let _ = write!(token, "{byte:02x}");
        }
        Ok(Lease {
            store,
            name,
            keys,
            token,
            lease,
        })
    }

    /// `began` is when the waiting did, for the lock or for the `turn` to ask for it.
    pub(super) fn acquire(
        self,
        turn: Turn,
        began: Instant,
        timeout: Duration,
        retry_interval: Duration,
    ) -> Result<Held, LockError> {
        loop {
            let left = timeout.saturating_sub(began.elapsed());
            let since = Instant::now();
            let wait = match self.ask(left.max(LAST_CALL)) {
                Ok(Asked::Granted(number)) => return self.keep(turn, since, number),
                // Not longer than the other's lease lasts if nobody renews it.
                Ok(Asked::Held(_)) if left.is_zero() => {
                    return Err(LockError::timeout(&self.name, timeout));
                }
                Ok(Asked::Held(ends)) => jittered(retry_interval).min(ends),
                Err(Failure::Passing(_)) if !left.is_zero() => jittered(retry_interval),
                Err(failure) => return Err(self.unavailable(failure)),
            };
            let left = timeout.saturating_sub(began.elapsed());
            thread::sleep(wait.min(left));
        }
    }

    fn ask(&self, limit: Duration) -> Result<Asked, Failure> {
        let call = Call {
            script: ACQUIRE,
            keys: &self.keys,
            arguments: &[&self.token, &self.lease.as_millis().to_string()],
        };
        let answer = self.store.call(call, self.patience().min(limit))?;
        match answer.numbers[..] {
            [1, fence] => Ok(Asked::Granted(fence)),
            // No end, if the key was made by somebody else: then the interval is what counts.
            [0, ends] => Ok(Asked::Held(match u64::try_from(ends) {
                Ok(ends) => Duration::from_millis(ends.saturating_add(1)),
                Err(_) => Duration::MAX,
            })),
            _ => Err(self.store.senseless()),
        }
    }

    fn keep(self, turn: Turn, since: Instant, number: i64) -> Result<Held, LockError> {
        let renewed = self.clone();
        let renewal = Renewal::start(since, self.lease, move || renewed.renew());
        // Without a renewal it is given back at once: dropping it does.
        let (renewal, failed) = match renewal {
            Ok(renewal) => (Some(renewal), None),
            Err(error) => (None, Some(error)),
        };
        let held = Held {
            fence: Fence {
                number,
                owner: self.token.clone(),
            },
            lease: self,
            renewal,
            released: false,
            _turn: turn,
        };
        match failed {
            None => Ok(held),
            Some(error) => Err(LockError::unavailable(
                &held.lease.name,
                format!("no thread to renew it: {error}"),
            )),
        }
    }

    fn renew(&self) -> Renewed {
        let call = Call {
            script: RENEW,
            keys: &self.keys[..1],
            arguments: &[&self.token, &self.lease.as_millis().to_string()],
        };
        match self.store.call(call, self.patience()) {
            Ok(answer) => match answer.numbers[..] {
                [1] => Renewed::Yes,
                [number] => Renewed::Lost(gone(number).to_owned()),
                _ => Renewed::Unknown,
            },
            Err(_) => Renewed::Unknown,
        }
    }

    fn release(&self) -> Result<(), LockError> {
        let call = Call {
            script: RELEASE,
            keys: &self.keys[..1],
            arguments: &[&self.token],
        };
        let answer = self.store.call(call, self.patience());
        let answer = answer.map_err(|failure| self.unavailable(failure))?;
        match answer.numbers[..] {
            [1] => Ok(()),
            // The first request may have done it.
            [_] if answer.sent_again => Ok(()),
            [number] => Err(LockError::lost(&self.name, gone(number))),
            _ => Err(self.unavailable(self.store.senseless())),
        }
    }

    /// How long to wait for an answer: a renewal that fails must leave time for the next.
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
    /// When the lease of the other ends.
    Held(Duration),
}

/// What renewing or releasing found instead of our token.
fn gone(number: i64) -> &'static str {
    if number == 0 {
        "its lease ended, or the server lost its data"
    } else {
        "its lease ended, and another holds it"
    }
}

/// The lock while it is held.
pub(super) struct Held {
    lease: Lease,
    fence: Fence,
    renewal: Option<Renewal>,
    released: bool,
    /// Ends after the lock is given back.
    _turn: Turn,
}

impl Held {
    fn give_back(&mut self) -> Result<(), LockError> {
        self.released = true;
        self.renewal = None;
        self.lease.release()
    }
}

impl LockGuard for Held {
    fn fence(&self) -> Option<Fence> {
        Some(self.fence.clone())
    }

    fn check(&self) -> Result<(), LockError> {
        match self.renewal.as_ref().and_then(Renewal::lost) {
            Some(reason) => Err(LockError::lost(&self.lease.name, reason)),
            None => Ok(()),
        }
    }

    fn release(mut self: Box<Self>) -> Result<(), LockError> {
        self.give_back()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.released {
            // Nobody is there to be told; the lease ends by itself.
            let _ = self.give_back();
        }
    }
}
