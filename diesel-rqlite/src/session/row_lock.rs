//! The lock that is a row in rqlite: taken with the first statement of a transaction, or waited for.
//!
//! [`Lease`] has the statements that take, check, renew and release the row, and
//! [`Claim`](crate::transaction::Claim) knows which are due. This module sends them, except for two
//! cases: the commit takes, checks and releases the lock in its own request (`commit`), and `connection::holding`
//! renews the lease in the background. It also writes the number of a lock that is held elsewhere to the database
//! (*raises the fence*), before reads that no commit compares.
//!
//! 1. The first peek or read of a transaction takes the lock in its own request, if it is free
//!    ([`Session::lock_and_peek`]).
//! 2. If another client holds it, [`Session::wait_for_lease`] looks at the row from time to time, until it is free, or
//!    until it has not changed for a whole lease. Then the lock is taken over.
//! 3. The commit checks that the lock is still held, and releases it. Otherwise it is released here.
//!
//! Invariants:
//!
//! * `Claim::ask` is called before a request that may take the lock. Only the request that releases it undoes that. So
//!   a lock that may be held is given back, even if no answer has said that it is held.
//! * `Lease::is_held` is true only after an answer that showed the row with this transaction's own token. Where the
//!   server may have undone the acquisition, the lock counts as not held, and the next statement takes it again. The
//!   same token may take it twice.
//! * No clocks of different machines are compared. The time without a sign of life is measured by the clock of the
//!   client that waits.
//! * All of these requests are harmless if they arrive twice.

use std::time::{Duration, Instant};

use diesel::QueryResult;

use super::{Client, Session, rows_of};
use crate::error;
use crate::lock::LockError;
use crate::lock::rqlite::{Lease, Seen};
use crate::observe::Parent;
use crate::protocol::message::StatementError;
use crate::protocol::request::{Endpoint, Exchange, ReadConsistency};
use crate::protocol::response::StatementResult;
use crate::random::jittered;
use crate::runtime::Runtime;
use crate::statement::{self, Batch, Statement};
use crate::transaction::TransactionMode;

impl<C: Client> Session<C> {
    /// Returns whether the transaction uses a lock in rqlite that has not been taken yet.
    pub(super) fn wants_lock(&self) -> bool {
        self.transaction.claim().is_wanted()
    }

    /// Takes the lock in rqlite, if the transaction uses one and does not hold it. Waits for it if necessary.
    pub(crate) async fn take_lock_if_wanted(&mut self) -> QueryResult<()> {
        match self.wants_lock() {
            true => self.take_lock().await,
            false => Ok(()),
        }
    }

    /// Writes the number of the lock held elsewhere to the database, before a read that no commit compares. A former
    /// holder that does not know that it lost the lock can then no longer change the rows that are read.
    ///
    /// Does nothing without such a lock, or if it was done before in this transaction. Fails with a conflict if a later
    /// holder has written a higher number.
    pub(super) async fn raise_fence_if_wanted(&mut self) -> QueryResult<()> {
        let Some(raise) = self.transaction.claim().raise() else {
            return Ok(());
        };
        let exchange = Exchange::new(Endpoint::WriteAndAsk, statement::body(&[&raise]));
        let mut created = false;
        loop {
            let answer = self.answer(&exchange, &[]).await?;
            match answer.first_failure() {
                None if answer.results.len() == 1 => break,
                None => return Err(error::cut_short()),
                Some((_, message))
                    if StatementError(message).is_own_table_missing() && !created =>
                {
                    created = true;
                    Box::pin(self.create_tables()).await?;
                }
                Some((_, message)) => return Err(self.transaction.fenced_off(message)),
            }
        }
        self.transaction.claim_mut().set_raised(true);
        Ok(())
    }

    /// Takes the lock. Waits for it if necessary. Fails after the lock's timeout. Returns at once without a lock in
    /// rqlite.
    pub(crate) async fn take_lock(&mut self) -> QueryResult<()> {
        match self.lock_and_peek(&[]).await? {
            Some(_) => Ok(()),
            None => Box::pin(self.wait_for_lock()).await,
        }
    }

    /// Takes the lock and runs `tails` in one request. Returns `None` if another client held the lock and this one had
    /// to wait for it, or if there is no lock to take. In that case the caller has to run `tails` anew: what they
    /// returned while the other client held the lock is dropped. So they must only read.
    ///
    /// The results end with the first tail that failed. They are empty if rqlite can't write the values as JSON. After
    /// `Ok` the lock is held, unless a tail failed: then it may be held or not, and is taken again by the next
    /// statement.
    pub(super) async fn lock_and_peek(
        &mut self,
        tails: &[&Statement<'_>],
    ) -> QueryResult<Option<Vec<StatementResult>>> {
        let Some(lease) = self.transaction.claim().lease().cloned() else {
            return Ok(None);
        };
        let (results, held) = self.try_lock(&lease, tails).await?;
        if held {
            return Ok(Some(results));
        }
        Box::pin(self.wait_for_lock()).await?;
        Ok(tails.is_empty().then(Vec::new))
    }

    /// Tries once to take the lock. Returns the results of `tails`, and whether the lock is held.
    ///
    /// The request acquires the lock if it is free, reads its row, and runs the tails, whoever holds the lock. If the
    /// table of locks is missing, it is created first, once.
    async fn try_lock(
        &mut self,
        lease: &Lease,
        tails: &[&Statement<'_>],
    ) -> QueryResult<(Vec<StatementResult>, bool)> {
        self.transaction.claim_mut().ask();
        let (acquire, question) = (lease.acquire(), lease.question());
        let mut statements = vec![&acquire, &question];
        statements.extend(tails);
        let mut exchange = Exchange::new(Endpoint::WriteAndAsk, statement::body(&statements));
        let encodings: Vec<_> = statements
            .iter()
            .map(|statement| statement.encodings.clone())
            .collect();
        let mut created = false;
        loop {
            let body = match self.send(&exchange).await {
                // Everything has run, but a value that was read can't be written as JSON.
                Err(failure) if failure.is_unwritable() && statements.len() > 2 => {
                    statements.truncate(2);
                    exchange = Exchange::new(Endpoint::WriteAndAsk, statement::body(&statements));
                    continue;
                }
                outcome => outcome.map_err(error::failure)?,
            };
            let answer = error::answer(&exchange, &body, &encodings)?;
            let mut results = answer.results.into_iter();
            match results.next() {
                Some(StatementResult::Failed(message))
                    if StatementError(&message).is_own_table_missing() && !created =>
                {
                    created = true;
                    Box::pin(self.create_tables()).await?;
                    continue;
                }
                Some(StatementResult::Failed(message)) => {
                    return Err(error::statement_error(&message, None));
                }
                _ => {}
            }
            let seen = Seen::of(&rows_of(results.next(), &question)?);
            let results: Vec<_> = results.collect();
            // A statement that fails when it runs undoes the acquisition; one that can't be prepared does not. In
            // either case the next statement takes the lock.
            let failed = matches!(results.last(), Some(StatementResult::Failed(_)));
            let held = self.transaction.claim_mut().learn(seen.as_ref());
            if held && failed {
                self.transaction.claim_mut().learn(None);
            }
            return Ok((results, held));
        }
    }

    /// Waits until the lock is free, or until its holder has shown no sign of life for a whole lease, and takes it.
    /// Fails after the timeout of the lock. The wait is reported as one span.
    async fn wait_for_lock(&mut self) -> QueryResult<()> {
        let Some(lease) = self.transaction.claim().lease().cloned() else {
            return Ok(());
        };
        let name = &lease.lock.name;
        let waiting = self.observer.wait_for_lock(name, &Parent::default());
        let outcome = waiting.within(self.wait_for_lease(&lease)).await;
        waiting.finish(&outcome);
        outcome
    }

    /// Does the work of [`wait_for_lock`](Self::wait_for_lock), without reporting it. Each round looks at the row and
    /// decides:
    ///
    /// * It is free, or does not exist: try to take it.
    /// * It is unchanged: once it has been so for as long as the holder's lease, take it over.
    /// * It has changed: the holder lives, or there is another one. The time begins anew.
    async fn wait_for_lease(&mut self, lease: &Lease) -> QueryResult<()> {
        let began = Instant::now();
        let mut last: Option<(Seen, Instant)> = None;
        loop {
            let seen = self.read_lock(lease).await?;
            match (&seen, &last) {
                (Some(seen), _) if seen.is_free() => {
                    if self.try_lock(lease, &[]).await?.1 {
                        return Ok(());
                    }
                }
                (None, _) => {
                    if self.try_lock(lease, &[]).await?.1 {
                        return Ok(());
                    }
                }
                (Some(now), Some((before, since))) if now == before => {
                    if since.elapsed() >= now.lease() && self.take_over(lease, now).await? {
                        return Ok(());
                    }
                }
                (Some(now), _) => last = Some((now.clone(), Instant::now())),
            }
            if began.elapsed() >= lease.lock.timeout {
                let error = LockError::timeout(&lease.lock.name, lease.lock.timeout);
                return Err(error.of_transaction());
            }
            C::Runtime::wait(jittered(lease.lock.retry_interval)).await;
        }
    }

    /// Reads the row of the lock. Returns `None` if there is no row. The read is a weak one, which is cheap and may be
    /// stale: each statement that takes the lock checks the row again.
    async fn read_lock(&mut self, lease: &Lease) -> QueryResult<Option<Seen>> {
        let question = lease.question();
        let exchange = statement::query(&question).at(ReadConsistency::Weak);
        let rows = self.ask_by(&exchange, &question).await?;
        Ok(Seen::of(&rows))
    }

    /// Takes the lock from a holder that shows no sign of life. Returns whether that succeeded. It does not if the row
    /// has changed since it was `seen`, so that only one of several clients succeeds.
    async fn take_over(&mut self, lease: &Lease, seen: &Seen) -> QueryResult<bool> {
        self.transaction.claim_mut().ask();
        let take_over = lease.take_over(seen);
        let question = lease.question();
        let exchange = Exchange::new(
            Endpoint::WriteAndAsk,
            statement::body(&[&take_over, &question]),
        );
        let answer = self.answer(&exchange, &[]).await?;
        let seen = Seen::of(&rows_of(answer.results.into_iter().nth(1), &question)?);
        Ok(self.transaction.claim_mut().learn(seen.as_ref()))
    }

    /// Gives the lock back after a transaction that wrote nothing. If nothing compared what it read, the reads are of
    /// one moment only if the lock was held until now.
    ///
    /// So in the mode Deferred, it fails with a conflict if the lock was lost, and with another error if that can't be
    /// found out. The fence of a lock held elsewhere is written once more, which shows whether a later holder has
    /// appeared. In the other modes nothing can fail: the guards have compared the reads.
    pub(super) async fn give_back_lock_behind_reads(&mut self) -> QueryResult<()> {
        if self.transaction.mode() != TransactionMode::Deferred {
            self.give_back_lock().await;
            return Ok(());
        }
        if self.transaction.claim_mut().set_raised(false) {
            self.raise_fence_if_wanted().await?;
        }
        match self.release_lock().await {
            Some(Ok(false)) => Err(self
                .transaction
                .fenced_off("when it was to be given back, it was held by another")),
            Some(Err(error)) => Err(error),
            Some(Ok(true)) | None => Ok(()),
        }
    }

    /// Gives the lock back if it may be held. If that fails, the lock ends with its lease. May be called again.
    pub(crate) async fn give_back_lock(&mut self) {
        let _ = self.release_lock().await;
    }

    /// Gives the lock back after a request for it that was cancelled. The request may still arrive later.
    ///
    /// So if the row was not held, it tries again after a while, up to three times. It does not if the lock is known to
    /// have been held, if a request fails, or if the client never cancels requests.
    pub(crate) async fn give_back_lock_for_sure(&mut self) {
        const LATER: [Duration; 3] = [
            Duration::from_millis(100),
            Duration::from_millis(400),
            Duration::from_millis(1600),
        ];
        let lease = self.transaction.claim().lease();
        let was_held = lease.is_some_and(Lease::is_held);
        let mut released = self.release_lock().await;
        for delay in LATER {
            if was_held || !C::Runtime::DROPS_FUTURES || !matches!(released, Some(Ok(false))) {
                return;
            }
            C::Runtime::wait(delay).await;
            self.transaction.claim_mut().ask();
            released = self.release_lock().await;
        }
    }

    /// Gives the lock back. Returns whether it was still held, or `None` if it was never requested. The lock counts as
    /// given back afterwards, whatever the outcome. A commit that arrives later fails, since it checks the lock.
    async fn release_lock(&mut self) -> Option<QueryResult<bool>> {
        let release = self.transaction.claim_mut().let_go()?;
        let batch = Batch {
            statements: vec![release],
            atomic: false,
        };
        let release = statement::execute(&batch).of_our_own();
        let released = self.answer(&release, &[]).await;
        self.transaction.claim_mut().is_given_back();
        Some(released.and_then(|answer| match &answer.results[..] {
            [StatementResult::Executed { rows_affected, .. }] => Ok(*rows_affected > 0),
            _ => Err(error::cut_short()),
        }))
    }
}
