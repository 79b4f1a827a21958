//! The lock of a connection's transaction, held from before its first statement until its outcome
//! is known.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::QueryResult;

use super::shared;
use crate::config::RqliteConfig;
use crate::lock::renewal::{Renew, Renewal, Renewed};
use crate::lock::rqlite::Lease;
use crate::lock::{Acquire, Guard, LockError, Locking};
use crate::mutex::locked;
use crate::protocol::response::{Answer, StatementResult};
use crate::random::token;
use crate::runtime::{Background, Runtime, Ticker};
use crate::session::{Client, Session};
use crate::statement::{self, Batch};
use crate::transaction::{Claim, Options, Transaction};

/// The time without any use after which a transaction's lock is released. It applies to
/// transactions whose end may go unnoticed.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// The lock that a connection holds, if any.
#[derive(Default)]
pub(crate) struct Holding {
    kept: Arc<Mutex<Kept>>,
    _watch: Option<Background>,
}

#[derive(Default)]
struct Kept {
    /// The name of the lock.
    name: String,
    outside: Option<Guard>,
    renewal: Option<Renewal>,
    used: Used,
    forgotten: bool,
}

/// The time of the last use of the transaction.
#[derive(Clone, Copy, Debug, Default)]
enum Used {
    #[default]
    Now,
    Until(Instant),
}

/// Marks the transaction as in use until it is dropped.
pub(crate) struct InUse(Arc<Mutex<Kept>>);

impl Drop for InUse {
    fn drop(&mut self) {
        locked(&self.0).used = Used::Until(Instant::now());
    }
}

/// Releases the lock of a transaction that has not been used for a while.
async fn watch(kept: Arc<Mutex<Kept>>, mut ticker: impl Ticker) {
    while ticker.tick(FORGOTTEN / 10).await {
        let mut kept = locked(&kept);
        if let Used::Until(last) = kept.used
            && last.elapsed() >= FORGOTTEN
        {
            kept.forgotten = true;
            kept.renewal = None;
            kept.outside = None;
            return;
        }
    }
}

impl Holding {
    /// Marks the transaction as in use for as long as the returned value lives.
    pub(crate) fn in_use(&self) -> InUse {
        locked(&self.kept).used = Used::Now;
        InUse(Arc::clone(&self.kept))
    }

    /// From now on, releases the lock when the transaction has not been used for a while. This is
    /// for a transaction that a pool's own `transaction` began. When that future is dropped, the
    /// connection is not told. It waits in the pool with the transaction open, perhaps for a long
    /// time.
    #[cfg_attr(not(feature = "async"), allow(dead_code))]
    pub(crate) fn watch<R: Runtime>(&mut self, transaction: &Transaction) {
        if locked(&self.kept).outside.is_some() || transaction.claim().lease().is_some() {
            // The time counts from now, no matter what the connection did before, and even if it
            // never does anything.
            locked(&self.kept).used = Used::Until(Instant::now());
            let kept = Arc::clone(&self.kept);
            // Without a runtime nothing runs in the background, and no lock is renewed either.
            self._watch = R::spawn_until_dropped(move |ticker| watch(kept, ticker)).ok();
        }
    }

    /// Takes a lock that is not in rqlite. A lock in rqlite is taken with the first statement. Returns what the
    /// transaction has to do with either.
    pub(crate) async fn begin<R: Acquire>(&mut self, options: &Options) -> QueryResult<Claim> {
        self.end().await;
        match &options.locking {
            Locking::None => Ok(Claim::None),
            Locking::Outside(lock) => {
                let guard = R::acquire(&**lock).await;
                let guard = guard.map_err(|error| error.of_transaction())?;
                let claim = Claim::elsewhere(lock.name(), guard.fence());
                let mut kept = locked(&self.kept);
                lock.name().clone_into(&mut kept.name);
                kept.outside = Some(guard);
                Ok(claim)
            }
            Locking::Rqlite(lock) => Ok(Claim::Row(Lease::new(lock.clone(), token()?))),
        }
    }

    /// Renews a lease that was acquired by an operation that began at `began`.
    pub(crate) fn keep_alive<C: Client>(
        &mut self,
        lease: &Lease,
        began: Instant,
        config: &RqliteConfig,
    ) {
        let mut kept = locked(&self.kept);
        if !lease.is_held() || kept.renewal.is_some() || kept.forgotten {
            return;
        }
        let signs = SignsOfLife::<C> {
            lease: lease.clone(),
            config: config.clone(),
            session: None,
        };
        // If nothing can run in the background, the lease simply expires, which the commit detects.
        if let Ok(renewal) = Renewal::start::<C::Runtime>(began, lease.lock.lease, signs) {
            lease.lock.name.clone_into(&mut kept.name);
            kept.renewal = Some(renewal);
        }
    }

    /// Returns an error if the lock is known to be lost. Nothing is sent.
    pub(crate) fn check(&self) -> Result<(), LockError> {
        let kept = locked(&self.kept);
        if kept.forgotten {
            let reason = "the transaction was not used for too long";
            return Err(LockError::lost(&kept.name, reason));
        }
        if let Some(guard) = &kept.outside {
            guard.check()?;
        }
        match kept.renewal.as_ref().and_then(Renewal::is_known_lost) {
            Some(reason) => Err(LockError::lost(&kept.name, reason)),
            None => Ok(()),
        }
    }

    /// Returns whether a lock is held that is not in rqlite.
    pub(crate) fn is_outside(&self) -> bool {
        locked(&self.kept).outside.is_some()
    }

    /// Releases the lock. If that fails, the lock stays held until its lease ends.
    pub(crate) async fn end(&mut self) {
        let guard = self.clear();
        if let Some(guard) = guard {
            let _ = guard.release().await;
        }
    }

    /// Releases the lock without waiting for it, as a guard does when it is dropped.
    pub(crate) fn abandon(&mut self) {
        drop(self.clear());
    }

    /// Resets everything that is held, and returns the guard of the lock, if any.
    fn clear(&mut self) -> Option<Guard> {
        self._watch = None;
        let mut kept = locked(&self.kept);
        kept.renewal = None;
        kept.forgotten = false;
        kept.outside.take()
    }
}

/// Renews a lock in rqlite. It uses its own connection, which is opened for the first renewal.
struct SignsOfLife<C: Client> {
    lease: Lease,
    config: RqliteConfig,
    session: Option<Session<C>>,
}

impl<C: Client> Renew for SignsOfLife<C> {
    async fn renew(&mut self) -> Renewed {
        if self.session.is_none() {
            self.session = Session::open(&self.config, shared::of(&self.config)).ok();
        }
        let Some(session) = &mut self.session else {
            return Renewed::Unknown;
        };
        let exchange = statement::execute(&Batch {
            statements: vec![self.lease.beat()],
            atomic: false,
        });
        let answer = session.send(&exchange).await.ok();
        let answer = answer.and_then(|body| Answer::parse(&body, &[]).ok());
        match answer.as_ref().map(|answer| &answer.results[..]) {
            Some(
                [
                    StatementResult::Executed {
                        rows_affected: 0, ..
                    },
                ],
            ) => Renewed::Lost("another transaction has taken it".to_owned()),
            Some([StatementResult::Executed { .. }]) => Renewed::Yes,
            _ => Renewed::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::RqliteLock;
    use crate::runtime::Blocking;

    #[test]
    fn a_transaction_is_not_forgotten_when_it_begins() {
        let mut holding = Holding::default();
        let before = Instant::now();
        let mut transaction = Transaction::default();
        let lease = Lease::new(RqliteLock::new("l"), token().expect("is random"));
        let opened = transaction.open(Options::default(), Claim::Row(lease), None);
        opened.expect("opens");
        // The time must count neither from the connection's last use nor from its creation.
        for used in [Some(before), None] {
            locked(&holding.kept).used = used.map_or(Used::Now, Used::Until);
            holding.watch::<Blocking>(&transaction);
            let used = locked(&holding.kept).used;
            assert!(
                matches!(used, Used::Until(time) if time > before),
                "{used:?}"
            );
        }
    }
}
