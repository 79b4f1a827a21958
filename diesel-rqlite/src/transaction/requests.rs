//! The requests of a transaction, and the meaning of their answers.
//!
//! Both kinds of requests are made from the journal, without changing it. The flow is:
//!
//! 1. [`Transaction::peek`] and [`Transaction::commit_request`] write the request, and keep what each of its statements is for.
//! 2. The session sends it, as often as `protocol::call` permits.
//! 3. [`Transaction::peeked`] and [`Transaction::verdict`] assign the answer to the statements. A failure of a
//!    statement of the journal becomes an error in [`Transaction::part_failed`], the only place that decides whether a
//!    failure is the error of the program's own write or a conflict.
//!
//! Invariants:
//!
//! * A request and its answer belong to the same journal: nothing may be added or removed between the two.
//! * A verdict other than `Applied` and `Unknown` needs proof that this copy of the commit was not applied.
//! * The texts of server messages are those of `protocol::message`.

use diesel::QueryResult;
use diesel::result::Error;

use super::Transaction;
use super::exactly_once::{self, guard};
use super::journal::{Count, Write};
use super::parts::{Element, Part, Parts};
use crate::error;
use crate::lock::{fence, rqlite};
use crate::protocol::encoding::Encoding;
use crate::protocol::failure::{Failure, Why};
use crate::protocol::message::{GUARD, StatementError};
use crate::protocol::request::{Endpoint, Exchange};
use crate::protocol::response::{Answer, StatementResult};
use crate::statement::unenforced::{self, Outcome};
use crate::statement::{self, Did, Statement};

/// A statement that can be prepared, and fails when it runs. It undoes everything that a peek wrote.
///
/// It is sent only if something may write. Otherwise there is nothing to undo, and the peek is a plain read.
const UNDO: &str = "SELECT abs(-9223372036854775808)";

/// A request that runs statements after everything in the journal, and undoes all of it.
///
/// The request has the statements of the journal, then the tails, then [`UNDO`] if something writes. It may be sent any
/// number of times.
#[derive(Debug)]
pub(crate) struct Peek {
    pub(crate) exchange: Exchange,
    /// The purposes of the statements of the journal, one for each element at the start of the request.
    parts: Vec<Part>,
    /// The encodings of the rows of each statement in the request, including the last one.
    encodings: Vec<Vec<Encoding>>,
    /// Set if something in it writes, so that its last statement undoes everything.
    pub(crate) writes: bool,
    /// Set if it compares all rows read so far.
    validates: bool,
}

/// The request of a commit.
///
/// It may be sent again only after proof that no earlier copy was applied. `protocol::call` and `session::commit` see
/// to that.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) exchange: Exchange,
    /// The purposes of all statements, before they were joined into elements.
    parts: Vec<Part>,
    /// The elements of the request. `None` if all parts are one text, which reports only one error.
    elements: Option<Vec<Element>>,
}

/// The meaning of the answer to a commit.
#[derive(Debug)]
pub(crate) enum Verdict {
    Applied,
    /// Not applied.
    Refused(Error),
    /// Not applied: a table of this crate is missing.
    TableMissing,
    /// Not applied: it is a migration that another process has applied in the meantime.
    AlreadyMigrated,
    /// Not applied: another client holds the lock that the commit was to take.
    LockHeld,
    /// The row of this connection's commits is missing, or may soon be deleted. This copy of the commit was not
    /// applied. If `proven`, no earlier copy was applied either.
    Unregistered {
        proven: bool,
    },
    Unknown(String),
}

impl Transaction {
    /// Returns the request that runs `tails`, one after the other. With `validate`, it also compares all rows read
    /// before.
    ///
    /// `writes` tells that a tail writes. A journal with writes makes the peek one that writes in any case.
    pub(crate) fn peek(&self, tails: &[&Statement<'_>], writes: bool, validate: bool) -> Peek {
        let validate = self.options.guards && validate;
        let before = self.journal.before_peek(validate);
        let writes = writes || self.journal.has_writes();
        let undo = Statement::raw(UNDO);
        let mut statements: Vec<&Statement<'_>> = before
            .statements
            .iter()
            .map(|statement| &**statement)
            .collect();
        statements.extend(tails);
        let endpoint = if writes {
            statements.push(&undo);
            Endpoint::Request {
                returning: tails.iter().any(|tail| tail.returning),
            }
        } else {
            Endpoint::Query {
                transaction: statements.len() > 1,
            }
        };
        Peek {
            exchange: Exchange::new(endpoint, statement::body(&statements)),
            encodings: statements
                .iter()
                .map(|statement| statement.encodings.clone())
                .collect(),
            parts: before.parts,
            writes,
            validates: validate,
        }
    }

    /// Returns the results of a peek's tails, up to the first that failed. Fails if a statement of the journal failed.
    ///
    /// If a tail failed, its result is the last one; the server has undone everything then, and no further result
    /// exists. After success, all writes in the journal are marked as seen, and the consistency of the reads is noted.
    /// Fails also if the answer has too few results, or if the last statement did not fail as it must: then the effects
    /// of the peek may not have been undone.
    pub(crate) fn peeked(&mut self, peek: &Peek, body: &[u8]) -> QueryResult<Vec<StatementResult>> {
        let answer = error::answer(&peek.exchange, body, &peek.encodings)?;
        let mut results = answer.results.into_iter();
        for part in &peek.parts {
            match results.next() {
                Some(StatementResult::Failed(message)) => {
                    return Err(self.part_failed(*part, &message));
                }
                Some(_) => {}
                None => return Err(error::cut_short()),
            }
        }
        self.journal.validated(peek.validates);
        self.journal.all_seen();
        let tails = peek.encodings.len() - peek.parts.len() - usize::from(peek.writes);
        let mut answers = Vec::with_capacity(tails);
        for result in results.by_ref().take(tails) {
            let failed = matches!(result, StatementResult::Failed(_));
            answers.push(result);
            if failed {
                return Ok(answers);
            }
        }
        let undone = match results.next() {
            Some(StatementResult::Failed(message)) => StatementError(&message).is_overflow(),
            _ => false,
        };
        if answers.len() != tails || (peek.writes && !undone) {
            return Err(error::cut_short());
        }
        Ok(answers)
    }

    /// Returns the request of the commit: `before`, the entries of the journal, and `after`.
    ///
    /// With `enforced`, it is one request with `transaction`. Otherwise it is the form of `statement::unenforced`, for
    /// a connection that has switched foreign keys off. `before` and `after` have the statements of locks, numbers and
    /// migrations.
    pub(crate) fn commit_request(
        &self,
        before: Vec<(Part, Statement<'static>)>,
        after: Vec<(Part, Statement<'static>)>,
        enforced: bool,
    ) -> Commit {
        let mut parts = Parts::default();
        for (part, statement) in before {
            parts.push(part, statement);
        }
        self.journal.push_commit(&mut parts, self.options.guards);
        for (part, statement) in after {
            parts.push(part, statement);
        }
        if !enforced {
            let statements: Vec<_> = parts
                .statements
                .iter()
                .map(|statement| &**statement)
                .collect();
            return Commit {
                exchange: unenforced::exchange(&statements),
                parts: parts.parts,
                elements: None,
            };
        }
        let endpoint = Endpoint::Execute {
            transaction: true,
            // The server's own parser must not read the guard over RETURNING rows. Before version 9.4.2, it would also
            // let a failure of that guard pass.
            returning: false,
        };
        let (elements, statements) = parts.elements();
        let statements: Vec<_> = statements.iter().map(|statement| &**statement).collect();
        Commit {
            exchange: Exchange::new(endpoint, statement::body(&statements)),
            elements: Some(elements),
            parts: parts.parts,
        }
    }

    /// Returns what the outcome of a commit means. The order of the checks matters: an error of the request as a whole
    /// comes before the number of results, which it leaves at 0, and that comes before the errors of single statements.
    ///
    /// After `Applied`, `did` has the effects of the writes, and after `Unknown` nothing is known of them. The end of
    /// the transaction is left to the caller. A conflict also sets the flags of `Transaction::conflict`.
    pub(crate) fn verdict(&mut self, commit: &Commit, outcome: Result<&[u8], Failure>) -> Verdict {
        let verdict = self.meaning(commit, outcome);
        if let Verdict::Unknown(_) = verdict {
            self.lose_track();
        }
        verdict
    }

    fn meaning(&mut self, commit: &Commit, outcome: Result<&[u8], Failure>) -> Verdict {
        let body = match outcome {
            Ok(body) => body,
            Err(failure) => return without_answer(failure),
        };
        let answer = match Answer::parse(body, &[]) {
            Ok(answer) => answer,
            Err(error) => return Verdict::Unknown(format!("unreadable answer: {error}")),
        };
        if let Some(message) = answer.error {
            return match error::refusal(&commit.exchange, &message) {
                Ok(error) => Verdict::Refused(error),
                Err(failure) => without_answer(failure),
            };
        }
        let Some(elements) = &commit.elements else {
            return match unenforced::outcome(answer.results) {
                Some(Outcome::Failed { message, place }) => {
                    self.refused_somewhere(commit, place, &message)
                }
                Some(Outcome::Done(_)) => {
                    self.did = Did::unknown();
                    Verdict::Applied
                }
                None => Verdict::Unknown("an answer with too few results".to_owned()),
            };
        };
        if !answer.fits(elements.len()) {
            return Verdict::Unknown(format!(
                "unreadable answer: {} results for {} statements",
                answer.results.len(),
                elements.len()
            ));
        }
        match answer.first_failure() {
            Some((place, message)) => match elements.get(place) {
                Some(element) => self.refused(element.failed(message), message),
                None => Verdict::Unknown(message.to_owned()),
            },
            None => {
                let parts = elements.iter().map(|element| element.part);
                self.note_what_it_did(parts, &answer.results);
                Verdict::Applied
            }
        }
    }

    /// Notes the results of the writes as what the connection did last. SQLite counts writes that were rolled back,
    /// too.
    ///
    /// `parts` has the part at which each element begins, with one result for each. What was rolled back makes the
    /// effects unknown until the next write that was not.
    fn note_what_it_did(&mut self, parts: impl Iterator<Item = Part>, results: &[StatementResult]) {
        let mut undone = self.undone;
        for (part, result) in parts.zip(results) {
            let Part::Write(entry) = part else { continue };
            if undone.take_if(|undone| *undone <= entry).is_some() {
                self.did = Did::unknown();
            }
            let Some(write) = self.journal.write_at(entry) else {
                continue;
            };
            match self.journal.is_undone(entry) {
                true => self.did = Did::unknown(),
                false => self.did.wrote(&write.statement, result),
            }
        }
        if undone.is_some() {
            self.did = Did::unknown();
        }
    }

    /// Returns the verdict for a statement that failed. A missing table of this crate comes first: it may make any of
    /// the statements before the entries fail.
    fn refused(&mut self, part: Part, message: &str) -> Verdict {
        let said = StatementError(message);
        if said.is_own_table_missing() {
            return Verdict::TableMissing;
        }
        match part {
            Part::TakeLock => Verdict::LockHeld,
            Part::Migration if said.is_guard() => Verdict::AlreadyMigrated,
            Part::CommitNumber if said.is_guard_of(guard::OLD) => {
                Verdict::Unregistered { proven: true }
            }
            Part::CommitNumber if said.is_guard_of(guard::GONE) => {
                Verdict::Unregistered { proven: false }
            }
            // The number is there already. Whether it stands for an applied commit has to be asked.
            Part::CommitNumber => Verdict::Unknown(message.to_owned()),
            part => Verdict::Refused(self.part_failed(part, message)),
        }
    }

    /// Handles the failure of a statement whose place may be unknown. Then the message of a guard tells which one
    /// failed.
    ///
    /// This is for the commit that is one text. If not even the message helps, it is the error of a statement without a
    /// place, which does not blame anything that was shown.
    fn refused_somewhere(
        &mut self,
        commit: &Commit,
        place: Option<usize>,
        message: &str,
    ) -> Verdict {
        if let Some(part) = place.and_then(|place| commit.parts.get(place)) {
            return self.refused(*part, message);
        }
        let guards = [
            (Part::Migration, "migration"),
            (Part::TakeLock, "lock"),
            (Part::Fence, "lock"),
            (Part::CommitNumber, "number"),
        ];
        let failed = guards.into_iter().find(|(part, guard)| {
            commit.parts.contains(part) && message.contains(&format!("{GUARD}{guard}"))
        });
        match failed {
            Some((part, _)) => self.refused(part, message),
            None => self.refused(Part::Own, message),
        }
    }

    /// Returns the error for a statement of the request that failed.
    ///
    /// The cases, for a write:
    ///
    /// * The client predicted its count, or its failure, and was wrong: a conflict, and the client predicts less the
    ///   next time.
    /// * A server has run it before without an error: a conflict.
    /// * Nobody has run it before: its own error. The transaction can be rolled back to before it.
    ///
    /// Guards over rows, counts and locks that fail are conflicts. A conflict breaks the transaction as a whole.
    pub(super) fn part_failed(&mut self, part: Part, message: &str) -> Error {
        let cause = Some(message.to_owned());
        let told = self.is_told_by_client(part);
        if told && let Part::Write(entry) | Part::Count(entry) = part {
            let write = self.journal.write_at(entry);
            let sql = write.map_or("", |write| &write.statement.sql);
            self.past.was_wrong_about(sql);
        }
        match part {
            Part::Rows(entry) => {
                let query = self.journal.query_at(entry).unwrap_or_default();
                let message = format!(
                    "rows that the transaction read have changed: {}",
                    shortened(query)
                );
                self.conflict(message, cause)
            }
            Part::Write(_) if told => {
                let message = format!(
                    "a write that was expected to go well fails, and so would be rolled back; run again, the \
                     transaction asks for each write: {message}"
                );
                self.conflict(message, cause)
            }
            Part::Write(entry) if self.journal.write_at(entry).is_some_and(|write| write.seen) => {
                self.conflict(
                    format!("a write that went well before now fails: {message}"),
                    cause,
                )
            }
            Part::Write(entry) => self.write_failed(entry, message),
            Part::Count(entry) => {
                let write = self.journal.write_at(entry);
                let sql = shortened(write.map_or("", |write| &write.statement.sql));
                let message = if told {
                    format!(
                        "a write does not affect as many rows as was expected; run again, the transaction asks for \
                         each count: {sql}"
                    )
                } else {
                    format!("a write affects another number of rows now: {sql}")
                };
                self.conflict(message, cause)
            }
            Part::Fence | Part::TakeLock => {
                let name = self.claim.name().to_owned();
                self.conflict(
                    format!("lock `{name}`: another transaction has taken it since"),
                    cause,
                )
            }
            Part::CommitNumber | Part::Migration | Part::Own => {
                error::statement_error(message, None)
            }
        }
    }

    /// Returns the error for a write that no server had run before, with its place and its migration.
    ///
    /// If the failure ends the whole transaction, as `ON CONFLICT ROLLBACK` does, that is noted, too.
    fn write_failed(&mut self, entry: usize, message: &str) -> Error {
        let (place, writes) = self.journal.place_of_write(entry);
        let write = self.journal.write_at(entry);
        let position = write.and_then(|write| write.statement.position);
        let ends = write.is_some_and(|write| write.statement.ends.is_by(message));
        let migration = self.journal.migration();
        let place = error::Place {
            migration: migration.map(|version| format!("migration {version}")),
            ..error::Place::among(place, writes, position)
        };
        if ends {
            self.ended_by_statement(message);
        }
        self.failed(entry, message, place)
    }

    /// Returns the error for a lock that another holder has taken since.
    pub(crate) fn fenced_off(&mut self, message: &str) -> Error {
        self.part_failed(Part::Fence, message)
    }

    /// Returns whether the failure contradicts something that the client concluded by itself: that a write succeeds, its
    /// count, or that it fails.
    fn is_told_by_client(&self, part: Part) -> bool {
        let (Part::Write(entry) | Part::Count(entry)) = part else {
            return false;
        };
        let write = self.journal.write_at(entry);
        let is_told = |write: &Write| match write.count {
            Count::Predicted(_) => matches!(part, Part::Count(_)) || self.journal.is_undone(entry),
            Count::FewerThan(_) => true,
            Count::Unobserved | Count::Observed(_) => false,
        };
        write.is_some_and(is_told)
    }
}

/// The statements that create the tables of this crate if they are missing.
pub(crate) const CREATE_TABLES: [&str; 3] = [
    rqlite::CREATE_TABLE,
    fence::CREATE_TABLE,
    exactly_once::CREATE_TABLE,
];

/// Returns what it means for a commit that its request has failed.
fn without_answer(failure: Failure) -> Verdict {
    match failure.why {
        Why::NotApplied => Verdict::Refused(error::failure(failure)),
        Why::Unknown | Why::Unwritable => Verdict::Unknown(failure.message),
    }
}

/// Returns enough of a query to recognize it.
fn shortened(sql: &str) -> String {
    const LENGTH: usize = 200;
    match sql.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &sql[..end]),
        None => sql.to_owned(),
    }
}
