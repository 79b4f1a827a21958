//! The lock of a connection's transaction, from before its first statement until its outcome is known.

use std::time::Instant;

use diesel::QueryResult;

use super::renewal::{Renewal, Renewed};
use super::rqlite::Lease;
use super::{LockError, LockGuard, Locking};
use crate::config::RqliteConfig;
use crate::error;
use crate::protocol::response::{Answer, StatementResult};
use crate::session::{Session, now, token};
use crate::statement::{self, Batch};
use crate::transaction::{Options, Transaction};
use crate::transport::blocking::Http;

/// What a blocking connection holds.
#[derive(Default)]
pub(crate) struct Holding {
    outside: Option<Box<dyn LockGuard>>,
    renewal: Option<(String, Renewal)>,
}

impl Holding {
    /// Takes a lock that is elsewhere; one in rqlite is taken with the first statement.
    pub(crate) fn begin(
        &mut self,
        transaction: &mut Transaction,
        options: &Options,
    ) -> QueryResult<()> {
        self.end();
        match &options.locking {
            Locking::None => {}
            Locking::Outside(lock) => {
                let guard = lock.acquire().map_err(|error| error::lock(&error))?;
                let fence = guard.fence();
                transaction.fence = fence.map(|fence| (lock.name().to_owned(), fence));
                self.outside = Some(guard);
            }
            Locking::Rqlite(lock) => transaction.lease = Some(Lease::new(lock.clone(), token())),
        }
        Ok(())
    }

    /// Renews a lease that was taken since `began`.
    pub(crate) fn keep_alive(&mut self, lease: &Lease, began: Instant, config: &RqliteConfig) {
        if !lease.is_held() || self.renewal.is_some() {
            return;
        }
        let renew = renewing(lease.clone(), config.clone());
        // Without a thread the lease just ends, which the commit will find out.
        if let Ok(renewal) = Renewal::start(began, lease.lock.lease, renew) {
            self.renewal = Some((lease.lock.name.clone(), renewal));
        }
    }

    /// Whether all is still held, as far as is known here.
    pub(crate) fn check(&self) -> Result<(), LockError> {
        if let Some(guard) = &self.outside {
            guard.check()?;
        }
        match &self.renewal {
            Some((name, renewal)) => match renewal.is_known_lost() {
                Some(reason) => Err(LockError::lost(name, reason)),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// Gives back what is held. Where that fails, the lock stays held until its lease ends.
    pub(crate) fn end(&mut self) {
        self.renewal = None;
        if let Some(guard) = self.outside.take() {
            let _ = guard.release();
        }
    }
}

/// Gives signs of life through a connection of its own, made when the first one is due.
fn renewing(lease: Lease, config: RqliteConfig) -> impl FnMut() -> Renewed {
    let mut session: Option<Session<Http>> = None;
    move || {
        if session.is_none() {
            session = config.session().ok();
        }
        let Some(session) = &mut session else {
            return Renewed::Unknown;
        };
        let exchange = statement::execute(&Batch {
            statements: vec![lease.beat()],
            atomic: false,
        });
        let answer = now(session.send(&exchange)).ok();
        let answer = answer.and_then(|body| Answer::parse(&body, &[]).ok());
        match answer.as_ref().map(|answer| &answer.results[..]) {
            Some([StatementResult::Executed { rows_affected: 0 }]) => {
                Renewed::Lost("another transaction has taken it".to_owned())
            }
            Some([StatementResult::Executed { .. }]) => Renewed::Yes,
            _ => Renewed::Unknown,
        }
    }
}
