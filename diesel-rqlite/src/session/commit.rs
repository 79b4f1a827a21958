//! The end of a transaction.
//!
//! [`Session::commit`] ends the innermost transaction. For the outermost one, the flow is:
//!
//! 1. If nothing is left to write, there is no commit. One more peek compares all reads, unless the last request did
//!    so. The lock is given back.
//! 2. With `exactly_once`, the connection registers if it has to, and the commit gets the next number.
//! 3. [`Transaction::commit_request`](crate::transaction::Transaction::commit_request) builds one request of the guards and writes of
//!    the journal, with what [`Session::around_commit`] puts around them.
//! 4. [`Transaction::verdict`](crate::transaction::Transaction::verdict) reads the answer. `DESIGN.md` of that module
//!    lists the cases.
//! 5. Where the commit was not applied for a reason that this client can remove, it removes the reason and sends the
//!    commit again: a table of this crate is missing, the lock is held by another client, or the connection has to
//!    register anew.
//! 6. Where the outcome is unknown, [`Session::settled_as_applied`] finds it out with `exactly_once`. Otherwise the
//!    error says that it is unknown.
//!
//! Two things must hold in every branch. A commit is sent again only after proof that no former copy was applied, nor
//! will be. And the outermost transaction is over on the client once `commit` returns, whatever the outcome: nothing
//! may send its journal again.

use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};

use super::{Client, Session, rows_of};
use crate::error;
use crate::migration;
use crate::protocol::failure::Why;
use crate::protocol::message::StatementError;
use crate::protocol::request::{Endpoint, Exchange};
use crate::protocol::response::{Answer, StatementResult};
use crate::random::{jittered, token};
use crate::runtime::Runtime;
use crate::statement::{self, Batch, Statement};
use crate::transaction::exactly_once::{Registration, was_applied};
use crate::transaction::{CREATE_TABLES, Commit, Part, Verdict};

/// The way in which a transaction was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// By this connection.
    Here,
    /// It is a migration, and another process has applied it in the meantime.
    AlreadyMigrated,
}

/// Statements of a commit, each with its purpose, which decides what its failure means.
type Statements = Vec<(Part, Statement<'static>)>;

impl<C: Client> Session<C> {
    /// Commits the innermost transaction. The outermost one is over afterwards, whatever the outcome.
    ///
    /// An error of the outermost commit means that nothing was applied, unless the error says that the outcome is
    /// unknown. After an error the lock is given back here, since only an applied commit has given it back itself, and
    /// the primary keys are forgotten, because they may be out of date.
    pub(crate) async fn commit(&mut self) -> QueryResult<Committed> {
        match self.transaction.depth() {
            0 => return Err(Error::NotInTransaction),
            1 => {}
            _ => return self.release_inner().await.map(|()| Committed::Here),
        }
        let changes = self.transaction.journal().may_change_schema();
        let announced = self.announcement();
        let outcome = match self.transaction.check_usable() {
            Ok(()) => self.send_commit().await,
            Err(error) => Err(error),
        };
        drop(announced);
        if changes && outcome.is_err() {
            self.forget_schema();
        }
        if outcome.is_err() {
            self.give_back_lock().await;
            self.keys.clear();
        }
        self.transaction.finish(&outcome)?;
        outcome
    }

    /// Commits an inner transaction. A server runs its writes first, so that their errors are reported here and can be
    /// caught, as on SQLite. If they fail, the inner transaction is rolled back.
    ///
    /// Nothing is sent if a server has run all of its writes before, or if the connection has foreign keys off, since a
    /// peek is impossible then. The writes themselves still wait for the outermost commit.
    async fn release_inner(&mut self) -> QueryResult<()> {
        if !self.foreign_keys.are_off()
            && self.transaction.has_unseen_writes_inside()
            && let Err(error) = self.peek(&[], false).await
        {
            self.transaction.roll_back()?;
            return Err(error);
        }
        self.transaction.release_inner()
    }

    /// Rolls back the innermost transaction. No write of it has reached the database, so at most the lock is given
    /// back, and a failure of that is no error.
    pub(crate) async fn roll_back(&mut self) -> QueryResult<()> {
        if self.transaction.depth() == 1 {
            self.give_back_lock().await;
        }
        self.undo_schema_changes();
        self.transaction.roll_back()
    }

    /// Forgets what was learnt of the schema if the transaction may have changed it.
    fn undo_schema_changes(&mut self) {
        if self.transaction.journal().may_change_schema() {
            self.forget_schema();
        }
    }

    /// Rolls back the innermost transaction without waiting. Its lock is given back in the background.
    ///
    /// This is for a future that was dropped, or a panic. The request that was under way may still arrive, so the lock is
    /// given back [for sure](Self::give_back_lock_for_sure), by another session.
    pub(crate) fn abandon(&mut self) -> QueryResult<()> {
        if self.transaction.depth() == 1 {
            self.keys.clear();
            let claim = std::mem::take(self.transaction.claim_mut());
            if claim.may_be_held() {
                let mut parting = self.another();
                parting.transaction.adopt(claim);
                C::Runtime::spawn(async move { parting.give_back_lock_for_sure().await });
            }
        }
        self.undo_schema_changes();
        self.transaction.roll_back()
    }

    /// Sends the commit until its outcome is known. Without writes, only makes sure that all reads were true at one
    /// time.
    ///
    /// From the first copy of the commit on, the transaction counts as committing: a failure must not look like that of
    /// a read, after which the transaction may be run again. Each reason to send the commit again is accepted a limited
    /// number of times, except two. A lock that is held is waited for up to its own timeout each time, and a commit
    /// that was settled as not applied is sent again under a new number.
    async fn send_commit(&mut self) -> QueryResult<Committed> {
        if !self.transaction.journal().has_live_writes() {
            if !self.transaction.journal().is_consistent() {
                self.peek(&[], false).await?;
            }
            self.give_back_lock_behind_reads().await?;
            return Ok(Committed::Here);
        }
        self.transaction.check_guarded()?;
        self.count_commit().await?;
        // What precedes this line has not applied anything, so a failure there may be treated like that of a read.
        self.transaction.begin_commit();
        let mut created = false;
        let mut registered = false;
        loop {
            let (before, after) = self.around_commit();
            let enforced = !self.foreign_keys.are_off();
            let commit = self.transaction.commit_request(before, after, enforced);
            let outcome = self.send(&commit.exchange).await;
            let outcome = outcome.as_ref().map(|body| &body[..]).map_err(Clone::clone);
            match self.transaction.verdict(&commit, outcome) {
                Verdict::Applied => return Ok(Committed::Here),
                Verdict::Refused(error) => return Err(error),
                Verdict::TableMissing if !created => {
                    created = true;
                    Box::pin(self.create_tables()).await?;
                }
                Verdict::TableMissing => {
                    return Err(error::of_kind(
                        DatabaseErrorKind::Unknown,
                        "a table of diesel-rqlite was dropped just after it was made",
                    ));
                }
                // Nothing was applied, including the release of the lock at the end of the commit.
                Verdict::AlreadyMigrated => {
                    self.give_back_lock().await;
                    return Ok(Committed::AlreadyMigrated);
                }
                Verdict::LockHeld => Box::pin(self.take_lock()).await?,
                Verdict::Unknown(message) => {
                    if Box::pin(self.settled_as_applied(&commit, message)).await? {
                        return Ok(Committed::Here);
                    }
                    // The commit was not applied, and no late copy of it will be.
                    self.count_commit().await?;
                }
                // This copy was not applied: it writes its number only into a row that exists and is not too old.
                Verdict::Unregistered { proven }
                    if !registered && (proven || !self.nodes.was_handed_on()) =>
                {
                    registered = true;
                    self.commits = None;
                    self.count_commit().await?;
                }
                Verdict::Unregistered { .. } => return Err(unknown(&commit, PROOF_GONE)),
            }
        }
    }

    /// Gives the next commit its number. Registers the connection first if it has no row yet. Does nothing without
    /// `exactly_once`.
    ///
    /// It is called before the first copy of a commit, and again only after the former number was settled as not
    /// applied, or belongs to a row that is no longer used. A number must never stand for two different commits.
    async fn count_commit(&mut self) -> QueryResult<()> {
        if !self.transaction.is_numbered() {
            return Ok(());
        }
        if self.commits.is_none() {
            self.register().await?;
        }
        if let Some(commits) = &mut self.commits {
            commits.advance();
        }
        Ok(())
    }

    /// Creates the row that holds the numbers of this connection's commits. May be called again: an older row of this
    /// connection is then no longer used, and is deleted by later registrations.
    ///
    /// The request may be sent twice if an answer is lost. The token tells afterwards whether the row is this
    /// connection's.
    async fn register(&mut self) -> QueryResult<()> {
        let token = token()?;
        let registration = Registration::new(&token);
        let [register, prune, ask] = registration.statements();
        let body = statement::body(&[&register, &prune, &ask]);
        let exchange = Exchange::new(Endpoint::WriteAndAsk, body);
        let mut created = false;
        loop {
            let mut answer = self.answer(&exchange, &[]).await?;
            match answer.first_failure() {
                None => {
                    let rows = rows_of(answer.results.pop(), &ask)?;
                    self.commits = registration.done(&rows);
                    return match self.commits {
                        Some(_) => Ok(()),
                        None => Err(error::useless_answer(
                            "unreadable answer: no row for this connection in __diesel_rqlite_commits",
                        )),
                    };
                }
                Some((_, message))
                    if StatementError(message).is_own_table_missing() && !created =>
                {
                    created = true;
                    Box::pin(self.create_tables()).await?;
                }
                Some((_, message)) => return Err(error::statement_error(message, None)),
            }
        }
    }

    /// Returns the statements in the commit that run before the entries of the journal, and those that run after them.
    ///
    /// They are built anew for each copy of the commit, because the reasons to send it again change them: the number of
    /// the commit, and whether the lock is held already.
    fn around_commit(&self) -> (Statements, Statements) {
        let (of_lock, after) = self.transaction.claim().around_commit();
        let mut before = Vec::new();
        if let Some(commits) = self
            .commits
            .as_ref()
            .filter(|_| self.transaction.is_numbered())
        {
            before.push((Part::CommitNumber, commits.number()));
        }
        before.extend(of_lock);
        if let Some(version) = self.transaction.journal().migration() {
            before.push((Part::Migration, migration::is_pending(version)));
        }
        (before, after)
    }

    /// Creates this crate's own tables if they are missing. They are not part of the transaction and stay if it is
    /// rolled back. May be called again. Each caller does so once, so that it ends even if something drops the tables
    /// all the time.
    pub(super) async fn create_tables(&mut self) -> QueryResult<()> {
        let statements: Vec<_> = CREATE_TABLES.into_iter().map(Statement::raw).collect();
        let batch = Batch {
            statements,
            atomic: true,
        };
        self.write(batch).await.map(|_| ())
    }

    /// Returns whether a commit whose answer was lost was applied. Fails if that can't be found out: without
    /// `exactly_once`, if the row of the connection is gone, or if no node answers in time. The error then says that
    /// the outcome is unknown.
    ///
    /// `message` tells how the answer was lost. The request writes the number of the commit as *not applied*, unless
    /// the commit has written it, and asks which it is. After `Ok(false)`, no late copy of the commit can be applied.
    /// The request may be sent any number of times, with the same effect.
    ///
    /// It is tried for [`settle_timeout`](crate::protocol::request::Settings::settle_timeout).
    async fn settled_as_applied(&mut self, commit: &Commit, message: String) -> QueryResult<bool> {
        let began = Instant::now();
        let unknown_since = |reason: &str| unknown(commit, &format!("{message}; {reason}"));
        let unknown = || Err(unknown(commit, &message));
        let Some(commits) = self
            .commits
            .clone()
            .filter(|_| self.transaction.is_numbered())
        else {
            return unknown();
        };
        let (settle, ask) = (commits.settle(), commits.ask());
        let exchange = Exchange::new(Endpoint::WriteAndAsk, statement::body(&[&settle, &ask]));
        let patience = self.settings.settle_timeout();
        loop {
            if let Ok(body) = self.send(&exchange).await
                && let Ok(answer) = Answer::parse(&body, &[])
            {
                match &answer.results[..] {
                    [StatementResult::Failed(failed), ..]
                        if StatementError(failed).is_own_table_missing() =>
                    {
                        return Err(unknown_since(PROOF_GONE));
                    }
                    [_, StatementResult::Rows(rows)] => {
                        return was_applied(rows).ok_or_else(|| unknown_since(PROOF_GONE));
                    }
                    _ => {}
                }
            }
            if began.elapsed() >= patience {
                return unknown();
            }
            C::Runtime::wait(jittered(Duration::from_millis(100))).await;
        }
    }
}

/// The reason why the outcome of a numbered commit stays unknown.
const PROOF_GONE: &str =
    "what would tell is gone: the row of this connection in __diesel_rqlite_commits";

/// Returns the error for a commit whose outcome is unknown.
fn unknown(commit: &Commit, message: &str) -> Error {
    error::failure(commit.exchange.failure(Why::Unknown, message))
}
