//! The lock of a connection's transaction, from before its first statement until its outcome is known.

use std::time::Instant;

use diesel::QueryResult;

use super::renewal::{Renew, Renewal, Renewed};
use super::rqlite::Lease;
use super::{Guard, LockError, Locking};
use crate::config::RqliteConfig;
use crate::error;
use crate::protocol::response::{Answer, StatementResult};
use crate::runtime::Runtime;
use crate::session::{Client, Session, token};
use crate::statement::{self, Batch};
use crate::transaction::{Options, Transaction};

/// What a connection holds.
#[derive(Default)]
pub(crate) struct Holding {
    outside: Option<Guard>,
    renewal: Option<(String, Renewal)>,
}

impl Holding {
    /// Takes a lock that is elsewhere; one in rqlite is taken with the first statement.
    pub(crate) async fn begin<R: Runtime>(
        &mut self,
        transaction: &mut Transaction,
        options: &Options,
    ) -> QueryResult<()> {
        self.end().await;
        match &options.locking {
            Locking::None => {}
            Locking::Outside(lock) => {
                let guard = R::acquire(&**lock).await;
                let guard = guard.map_err(|error| error::lock(&error))?;
                let fence = guard.fence();
                transaction.fence = fence.map(|fence| (lock.name().to_owned(), fence));
                self.outside = Some(guard);
            }
            Locking::Rqlite(lock) => transaction.lease = Some(Lease::new(lock.clone(), token())),
        }
        Ok(())
    }

    /// Renews a lease that was taken since `began`.
    pub(crate) fn keep_alive<C: Client>(
        &mut self,
        lease: &Lease,
        began: Instant,
        config: &RqliteConfig,
    ) {
        if !lease.is_held() || self.renewal.is_some() {
            return;
        }
        let signs = SignsOfLife::<C> {
            lease: lease.clone(),
            config: config.clone(),
            session: None,
        };
        // Where nothing runs in the background the lease just ends, which the commit will find out.
        if let Ok(renewal) = Renewal::start::<C::Runtime>(began, lease.lock.lease, signs) {
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
    pub(crate) async fn end(&mut self) {
        self.renewal = None;
        if let Some(guard) = self.outside.take() {
            let _ = guard.release().await;
        }
    }

    /// Gives back what is held without waiting for it, as a guard does when it is dropped.
    pub(crate) fn abandon(&mut self) {
        self.renewal = None;
        self.outside = None;
    }
}

/// Signs of life for a lock in rqlite, by a connection of its own, made when the first one is due.
struct SignsOfLife<C: Client> {
    lease: Lease,
    config: RqliteConfig,
    session: Option<Session<C>>,
}

impl<C: Client> Renew for SignsOfLife<C> {
    async fn renew(&mut self) -> Renewed {
        if self.session.is_none() {
            self.session = self.config.session().ok();
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
            Some([StatementResult::Executed { rows_affected: 0 }]) => {
                Renewed::Lost("another transaction has taken it".to_owned())
            }
            Some([StatementResult::Executed { .. }]) => Renewed::Yes,
            _ => Renewed::Unknown,
        }
    }
}
