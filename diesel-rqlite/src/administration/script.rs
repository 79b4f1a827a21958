//! SQL text that is loaded: which requests it becomes, and what their answers mean.
//!
//! [`Script`] is a state machine without I/O, as [`Call`](crate::protocol::call::Call) is. Its caller does each step
//! and reports the outcome:
//!
//! ```text
//! loop { match script.step()? {
//!     Step::Read(wanted) => script.push(text) or script.end(),
//!     Step::Statement(statement) => script.take(statement, with its defaults)?,
//!     Step::Send(exchange) => script.received(&exchange, send(&exchange))?,
//!     Step::Done(loaded) => return loaded,
//! } }
//! ```
//!
//! The text is split into statements while it is read. They are collected, as the JSON of a request, until that has
//! [`BYTES`] or [`STATEMENTS`]. Each request is a transaction, so that it is applied as a whole or not at all. Only the
//! statements of one request are in memory, and of their text only what is sent.
//!
//! After an error, the script is over.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;

use bytes::Bytes;
use diesel_rqlite_sql::{
    Classes, Entropy, Form, Parsed, Pin, Purpose, Split, Splitter, SqlError, TextError, find, pins,
};

use super::ClusterError;
use crate::error;
use crate::protocol::failure::Failure;
use crate::protocol::request::{Endpoint, Exchange, Statements};
use crate::protocol::response::{Answer, StatementResult};

/// A request ends after the statement with which it reaches this many bytes or statements.
const BYTES: usize = 4 << 20;
const STATEMENTS: usize = 10_000;
/// The first statement of each request. A dump has its tables in the order in which they were created, not in that of
/// their foreign keys. Foreign keys are therefore checked at the end of each request.
const DEFER: &str = "[\"PRAGMA defer_foreign_keys = ON\"";
/// The text is not rewritten by the server: the values that would differ between nodes are replaced here, and the
/// server's own parser does not know all of SQL.
const ENDPOINT: Endpoint = Endpoint::Execute {
    transaction: true,
    returning: false,
};

/// What SQL text has done that was loaded, see [`RqliteCluster::load_sql`](crate::RqliteCluster::load_sql).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadedSql {
    /// The number of statements that were applied. `BEGIN`, `COMMIT` and PRAGMAs of SQLite's shell do not count, since
    /// they are not sent.
    pub statements: u64,
    /// The number of rows that `INSERT INTO` has inserted into each table, by the table's name as the text has it.
    pub inserted: BTreeMap<String, u64>,
    /// Whether these are the only rows that the text has changed, as far as it tells. This is `false` if there was any
    /// other write of rows, a virtual table, or an INSERT after a `CREATE TRIGGER`.
    pub only_inserts: bool,
}

impl LoadedSql {
    fn new() -> Self {
        LoadedSql {
            statements: 0,
            inserted: BTreeMap::new(),
            only_inserts: true,
        }
    }
}

/// The reason why SQL text was not loaded to its end, and what of it was.
///
/// The text is sent in requests, each of which is applied as a whole or not at all. What [`applied`](Self::applied)
/// counts stays, and what comes after [`in_doubt`](Self::in_doubt) was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{}", described(self))]
pub struct LoadSqlError {
    /// The reason.
    pub reason: LoadSqlReason,
    /// The line of the text, counted from 1: that of the statement that failed, or, if a request has no answer, that
    /// of its first statement.
    pub line: u64,
    /// What was applied before.
    pub applied: LoadedSql,
    /// The lines of which the statements may have been applied as well, all of them or none. `None` if nothing else
    /// was applied.
    pub in_doubt: Option<RangeInclusive<u64>>,
}

/// The reason why SQL text was not loaded to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadSqlReason {
    /// The text can't be read.
    #[error(transparent)]
    Text(#[from] io::Error),
    /// A statement was not sent: the text is not SQL, is cut off in the middle of a transaction, or is of no use on
    /// rqlite.
    #[error("{0}")]
    Sql(String),
    /// A statement has failed, as it would in SQLite: for example with a
    /// [`UniqueViolation`](diesel::result::DatabaseErrorKind::UniqueViolation).
    #[error(transparent)]
    Statement(diesel::result::Error),
    /// A request has failed as a whole, or has no answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

fn described(error: &LoadSqlError) -> String {
    let applied = match error.applied.statements {
        0 => "nothing was applied".to_owned(),
        1 => "the statement before it was applied".to_owned(),
        number => format!("the {number} statements before it were applied"),
    };
    let LoadSqlError { reason, line, .. } = error;
    match &error.in_doubt {
        None => format!("line {line}: {reason}; {applied}"),
        Some(lines) => format!(
            "line {line}: {reason}; {applied}; those of lines {} to {} may have been applied as well, all of them or none",
            lines.start(),
            lines.end()
        ),
    }
}

/// The next thing to do.
#[derive(Debug)]
pub(crate) enum Step {
    /// About this many bytes of the text are wanted.
    Read(usize),
    /// A statement. Defaults that each node would compute for itself are to be added to it, by the schema.
    Statement(Parsed<'static>),
    /// A request to send.
    Send(Exchange),
    /// All of the text was applied.
    Done(LoadedSql),
}

/// Text that is being loaded. See the module.
#[derive(Debug)]
pub(crate) struct Script<E> {
    entropy: E,
    splitter: Splitter,
    /// A statement that was read, and that belongs into the next request.
    next: Option<Parsed<'static>>,
    batch: Batch,
    /// The request that was sent and not answered yet.
    sent: Option<Batch>,
    /// Set if the text has begun a transaction and not committed it yet.
    is_framed: bool,
    /// Set if an INSERT may have further effects.
    has_triggers: bool,
    loaded: LoadedSql,
}

/// The statements of one request.
#[derive(Debug)]
struct Batch {
    /// The body of the request, without the bracket at its end.
    json: Vec<u8>,
    /// The purpose of each statement, and its line.
    statements: Vec<(Purpose, u64)>,
    /// Set if one of the statements writes rows.
    writes: bool,
    changes_schema: bool,
}

impl<E: Entropy> Script<E> {
    /// Creates a script of which no text was read. `entropy` has the values that are in the place of those that each
    /// node would compute for itself.
    pub(crate) fn new(entropy: E) -> Self {
        Script {
            entropy,
            splitter: Splitter::default(),
            next: None,
            batch: Batch::new(),
            sent: None,
            is_framed: false,
            has_triggers: false,
            loaded: LoadedSql::new(),
        }
    }

    /// Adds the next bytes of the text.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.splitter.push(bytes);
    }

    /// Says that the text is complete.
    pub(crate) fn end(&mut self) {
        self.splitter.end();
    }

    /// Returns the next thing to do.
    pub(crate) fn step(&mut self) -> Result<Step, LoadSqlError> {
        loop {
            let parsed = match self.next.take() {
                Some(parsed) => parsed,
                None => match self.splitter.next_statement() {
                    Ok(Split::Statement(parsed)) => parsed,
                    Ok(Split::More(wanted)) => return Ok(Step::Read(wanted)),
                    Ok(Split::End) => return self.at_end(),
                    Err(error) => return Err(self.not_sql(&error)),
                },
            };
            // What the function is about must be in the same request.
            if self.batch.is_full() && parsed.connection_function().is_none() {
                self.next = Some(parsed);
                return Ok(Step::Send(self.send()));
            }
            let line = line_of(&parsed);
            match Purpose::of(&parsed) {
                Purpose::Frame { opens } => self.is_framed = opens.unwrap_or(self.is_framed),
                Purpose::Refused(reason) => return Err(self.refused(line, reason.to_owned())),
                _ => return Ok(Step::Statement(parsed)),
            }
        }
    }

    /// Takes the statement of the last step, perhaps with defaults. Adds it to the request.
    pub(crate) fn take(
        &mut self,
        parsed: Parsed<'static>,
        with_defaults: Result<Option<Parsed<'static>>, SqlError>,
    ) -> Result<(), LoadSqlError> {
        let line = line_of(&parsed);
        let purpose = Purpose::of(&parsed);
        let given = with_defaults.map(|given| given.unwrap_or(parsed));
        let checked = given.and_then(|parsed| Ok((self.checked(&parsed)?, parsed)));
        let (pins, parsed) = checked.map_err(|error| self.refused(line, error.to_string()))?;
        self.batch.push(parsed, &pins, purpose, line);
        Ok(())
    }

    /// Takes the outcome of the request of the last step.
    pub(crate) fn received(
        &mut self,
        exchange: &Exchange,
        outcome: Result<Bytes, Failure>,
    ) -> Result<(), LoadSqlError> {
        let batch = self.sent.take().unwrap_or_else(Batch::new);
        let answer = outcome.and_then(|body| exchange.answer(&body, &[]));
        let answer = answer.map_err(|failure| self.lost(&batch, failure))?;
        if let Some(message) = &answer.error {
            return Err(match error::refusal(exchange, message) {
                Ok(error) => self.failed(batch.last_line(), error),
                Err(failure) => self.lost(&batch, failure),
            });
        }
        if let Some((place, message)) = answer.first_failure() {
            let error = error::statement_error(message, None);
            return Err(self.failed(batch.line_of(place), error));
        }
        self.note(batch, answer);
        Ok(())
    }

    /// Returns whether the request of the last step may have changed the schema.
    pub(crate) fn changes_schema(&self) -> bool {
        self.sent.as_ref().is_some_and(|batch| batch.changes_schema)
    }

    /// Returns the error of a text that can't be read any further.
    pub(crate) fn unreadable(&self, error: io::Error) -> LoadSqlError {
        self.ended(self.batch.last_line(), error.into())
    }

    /// Returns the error of a statement of which the defaults can't be learnt.
    pub(crate) fn without_defaults(&self, parsed: &Parsed<'_>, failure: Failure) -> LoadSqlError {
        self.ended(line_of(parsed), ClusterError::from(failure).into())
    }

    fn at_end(&mut self) -> Result<Step, LoadSqlError> {
        if self.is_framed {
            let reason =
                "the transaction that the file begins is not committed in it: it is cut off";
            return Err(self.refused(self.batch.last_line(), reason.to_owned()));
        }
        Ok(match self.batch.statements.is_empty() {
            true => Step::Done(std::mem::replace(&mut self.loaded, LoadedSql::new())),
            false => Step::Send(self.send()),
        })
    }

    /// Checks that a statement may be sent. Returns the replacements for values that each node would compute itself.
    /// Such values in a schema are not replaced.
    fn checked(&mut self, parsed: &Parsed<'_>) -> Result<Vec<Pin>, SqlError> {
        if let Some(function) = parsed.connection_function()
            && !self.batch.writes
        {
            return Err(SqlError::OfConnection(function));
        }
        let wanted = parsed.numbers()?.into_iter().max().unwrap_or(0);
        if wanted > 0 {
            return Err(SqlError::Placeholders { wanted, given: 0 });
        }
        let is_volatile = parsed.classes().contains(Classes::VOLATILE | Classes::NODE);
        match parsed.form().stores() && is_volatile {
            true => pins(&find(parsed), &mut self.entropy),
            false => Ok(Vec::new()),
        }
    }

    /// Returns the request of the statements so far, and begins another one.
    fn send(&mut self) -> Exchange {
        let mut batch = std::mem::replace(&mut self.batch, Batch::new());
        let mut json = std::mem::take(&mut batch.json);
        json.push(b']');
        let number = batch.statements.len() + 1;
        self.sent = Some(batch);
        let json = json.into();
        Exchange::new(ENDPOINT, Statements { json, number })
    }

    /// Notes what a request has done.
    fn note(&mut self, batch: Batch, answer: Answer) {
        self.loaded.statements += batch.statements.len() as u64;
        // The first result is that of the PRAGMA.
        let results = answer.results.into_iter().skip(1);
        for ((purpose, _), result) in batch.statements.into_iter().zip(results) {
            let rows = match result {
                StatementResult::Executed { rows_affected, .. } => rows_affected as u64,
                StatementResult::Rows(_) | StatementResult::Failed(_) => 0,
            };
            match purpose {
                Purpose::Insert(table) => {
                    self.loaded.only_inserts &= !self.has_triggers;
                    *self.loaded.inserted.entry(table).or_default() += rows;
                }
                Purpose::Trigger => self.has_triggers = true,
                Purpose::Schema | Purpose::Frame { .. } | Purpose::Refused(_) => {}
                Purpose::Other => self.loaded.only_inserts = false,
            }
        }
    }

    /// Returns the error of a text that is not SQL.
    fn not_sql(&self, error: &TextError) -> LoadSqlError {
        self.refused(error.line(), error.to_string())
    }

    /// Returns the error of a statement that is not sent.
    fn refused(&self, line: u64, reason: String) -> LoadSqlError {
        self.ended(line, LoadSqlReason::Sql(reason))
    }

    /// Returns the error of a statement that has failed. Its request is a transaction, so that none of it remains.
    fn failed(&self, line: u64, error: diesel::result::Error) -> LoadSqlError {
        self.ended(line, LoadSqlReason::Statement(error))
    }

    /// Returns the error of a request without an answer that can be used.
    fn lost(&self, batch: &Batch, failure: Failure) -> LoadSqlError {
        let error = ClusterError::from(failure);
        let lines = batch.first_line()..=batch.last_line();
        LoadSqlError {
            in_doubt: error.is_unknown().then_some(lines),
            ..self.ended(batch.first_line(), error.into())
        }
    }

    fn ended(&self, line: u64, reason: LoadSqlReason) -> LoadSqlError {
        LoadSqlError {
            reason,
            line,
            applied: self.loaded.clone(),
            in_doubt: None,
        }
    }
}

impl Batch {
    fn new() -> Self {
        Batch {
            json: DEFER.into(),
            statements: Vec::new(),
            writes: false,
            changes_schema: false,
        }
    }

    fn push(&mut self, parsed: Parsed<'_>, pins: &[Pin], purpose: Purpose, line: u64) {
        self.writes |= parsed.form().writes_rows();
        self.changes_schema |= matches!(parsed.form(), Form::Schema | Form::CreateTableAs);
        let sql = match pins {
            [] => parsed.into_text(),
            pins => parsed.rewritten(parsed.all(), pins, |_, own, sql| {
                sql.push_str(&parsed.text()[own]);
            }),
        };
        self.json.push(b',');
        // A text can be written to memory without an error.
        let written = serde_json::to_writer(&mut self.json, &sql);
        debug_assert!(written.is_ok());
        self.statements.push((purpose, line));
    }

    fn is_full(&self) -> bool {
        self.json.len() >= BYTES || self.statements.len() >= STATEMENTS
    }

    fn first_line(&self) -> u64 {
        self.statements.first().map_or(1, |(_, line)| *line)
    }

    fn last_line(&self) -> u64 {
        self.statements.last().map_or(1, |(_, line)| *line)
    }

    /// Returns the line of the statement with this result. What fails after the last statement is the commit.
    fn line_of(&self, place: usize) -> u64 {
        let statement = place.checked_sub(1);
        let statement = statement.and_then(|place| self.statements.get(place));
        statement.map_or_else(|| self.last_line(), |(_, line)| *line)
    }
}

fn line_of(parsed: &Parsed<'_>) -> u64 {
    parsed.position().line as u64
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use diesel::result::{DatabaseErrorKind, Error};

    use super::*;
    use crate::protocol::failure::Why;

    struct Fixed;

    impl Entropy for Fixed {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1)
        }

        fn random(&mut self) -> Result<u64, SqlError> {
            Ok(7)
        }
    }

    /// Loads a text, of which each request is answered by `answer`. Returns the bodies and the outcome.
    fn load(
        text: &str,
        mut answer: impl FnMut(&Exchange) -> Result<Bytes, Failure>,
    ) -> (Vec<String>, Result<LoadedSql, LoadSqlError>) {
        let mut script = Script::new(Fixed);
        let mut text = text.as_bytes();
        let mut sent = Vec::new();
        loop {
            let outcome = match script.step() {
                Ok(Step::Read(wanted)) => {
                    let (piece, rest) = text.split_at(wanted.min(text.len()));
                    script.push(piece);
                    text = rest;
                    if text.is_empty() {
                        script.end();
                    }
                    Ok(())
                }
                Ok(Step::Statement(parsed)) => script.take(parsed, Ok(None)),
                Ok(Step::Send(exchange)) => {
                    sent.push(String::from_utf8_lossy(&exchange.body).into_owned());
                    let outcome = answer(&exchange);
                    script.received(&exchange, outcome)
                }
                Ok(Step::Done(loaded)) => return (sent, Ok(loaded)),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                return (sent, Err(error));
            }
        }
    }

    /// Answers that each statement has affected one row.
    fn one_row(exchange: &Exchange) -> Result<Bytes, Failure> {
        let results = vec![r#"{"rows_affected":1}"#; exchange.statements].join(",");
        Ok(format!(r#"{{"results":[{results}]}}"#).into())
    }

    fn many(number: usize) -> String {
        (0..number).fold(String::new(), |text, number| {
            text + &format!("INSERT INTO t VALUES ({number});\n")
        })
    }

    #[test]
    fn frames_are_left_out_and_values_replaced() {
        let text = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (a);\n\
            INSERT INTO t VALUES (unixepoch());\nINSERT INTO \"T\" VALUES ('it''s \"');\nCOMMIT;";
        let (sent, loaded) = load(text, one_row);
        let wanted = r#"["PRAGMA defer_foreign_keys = ON","CREATE TABLE t (a)","INSERT INTO t VALUES (unixepoch('1970-01-01 00:00:01.000'))","INSERT INTO \"T\" VALUES ('it''s \"')"]"#;
        assert_eq!(sent, [wanted]);
        let inserted = [("T".to_owned(), 1), ("t".to_owned(), 1)];
        assert_eq!(
            loaded.expect("is loaded"),
            LoadedSql {
                statements: 3,
                inserted: inserted.into(),
                only_inserts: true,
            }
        );
        let (sent, loaded) = load(" -- nothing", one_row);
        assert_eq!(
            (sent.len(), loaded.expect("is loaded")),
            (0, LoadedSql::new())
        );
    }

    #[test]
    fn what_does_more_than_inserting_is_noted() {
        for (text, only_inserts) in [
            ("INSERT INTO t VALUES (1)", true),
            ("INSERT INTO t VALUES (1); DELETE FROM t", false),
            ("INSERT OR IGNORE INTO t VALUES (1)", false),
            (
                "INSERT INTO t VALUES (1); CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
                true,
            ),
            (
                "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END; INSERT INTO t VALUES (1)",
                false,
            ),
        ] {
            let (_, loaded) = load(text, one_row);
            assert_eq!(loaded.expect(text).only_inserts, only_inserts, "{text}");
        }
    }

    #[test]
    fn long_texts_are_several_requests() {
        let (sent, loaded) = load(&many(2 * STATEMENTS + 1), one_row);
        assert_eq!(sent.len(), 3);
        let loaded = loaded.expect("is loaded");
        assert_eq!(loaded.statements, 2 * STATEMENTS as u64 + 1);
        assert_eq!(loaded.inserted["t"], 2 * STATEMENTS as u64 + 1);
        // The statement that is about the last one is with it.
        let text = many(STATEMENTS) + "INSERT INTO t VALUES (last_insert_rowid());" + &many(1);
        let (sent, loaded) = load(&text, one_row);
        assert!(loaded.is_ok(), "{loaded:?}");
        assert_eq!(sent.len(), 2);
        assert!(sent[0].ends_with("last_insert_rowid())\"]"));
        let long = format!("INSERT INTO t VALUES ('{}');", "x".repeat(BYTES / 2));
        let (sent, _) = load(&long.repeat(5), one_row);
        assert_eq!(sent.len(), 3);
    }

    #[test]
    fn what_is_not_for_rqlite_is_not_sent() {
        for (text, line, said) in [
            ("BEGIN;\nCREATE TABLE t (a);", 2, "it is cut off"),
            ("CREATE TABLE t (a);\nROLLBACK", 2, "it takes back all"),
            ("\nATTACH 'a' AS b", 2, "rqlite has one database"),
            ("SELECT 1;\nSELEC 2", 2, "near \"SELEC\": syntax error"),
            ("INSERT INTO t VALUES (?)", 1, "1 placeholders"),
            ("\n\nINSERT INTO t VALUES (changes())", 3, "changes()"),
            ("UPDATE t SET a = date('now', 'localtime')", 1, "localtime"),
        ] {
            let (sent, loaded) = load(text, one_row);
            let error = loaded.expect_err(text);
            assert!(sent.is_empty(), "{text}: {sent:?}");
            assert!(matches!(error.reason, LoadSqlReason::Sql(_)), "{error:?}");
            assert_eq!(
                (error.line, error.in_doubt.is_none()),
                (line, true),
                "{error:?}"
            );
            let error = error.to_string();
            assert!(error.contains(said), "{error}");
            assert!(error.ends_with("; nothing was applied"), "{error}");
        }
    }

    #[test]
    fn errors_tell_what_was_applied() {
        let text = many(STATEMENTS + 2);
        let second = |answer: fn(&Exchange) -> Result<Bytes, Failure>| {
            let mut number = 0;
            let (_, loaded) = load(&text, |exchange| {
                number += 1;
                match number {
                    1 => one_row(exchange),
                    _ => answer(exchange),
                }
            });
            let error = loaded.expect_err("fails");
            assert_eq!(error.applied.statements, 10_000, "{error:?}");
            assert_eq!(error.applied.inserted["t"], 10_000, "{error:?}");
            error
        };
        let error = second(|_| {
            let results =
                r#"{"results":[{},{"rows_affected":1},{"error":"UNIQUE constraint failed: t.a"}]}"#;
            Ok(results.into())
        });
        let kind = DatabaseErrorKind::UniqueViolation;
        assert!(
            matches!(&error.reason, LoadSqlReason::Statement(Error::DatabaseError(of, _)) if matches!((of, &kind), (DatabaseErrorKind::UniqueViolation, _))),
            "{error:?}"
        );
        assert_eq!((error.line, error.in_doubt.clone()), (10_002, None));
        assert_eq!(
            error.to_string(),
            "line 10002: UNIQUE constraint failed: t.a; the 10000 statements before it were applied"
        );
        // A foreign key fails at the end.
        let error =
            second(|_| Ok(r#"{"results":[],"error":"FOREIGN KEY constraint failed"}"#.into()));
        assert!(
            matches!(error.reason, LoadSqlReason::Statement(_)),
            "{error:?}"
        );
        assert_eq!((error.line, error.in_doubt.clone()), (10_002, None));
        let error = second(|exchange| Err(exchange.failure(Why::NotApplied, "nobody")));
        assert!(
            matches!(
                error.reason,
                LoadSqlReason::Cluster(ClusterError::NoAnswer(_))
            ),
            "{error:?}"
        );
        assert_eq!((error.line, error.in_doubt.clone()), (10_001, None));
        for answer in [
            |exchange: &Exchange| Err(exchange.failure(Why::Unknown, "lost")),
            |_: &Exchange| {
                Ok(r#"{"results":[],"error":"leadership lost while committing log"}"#.into())
            },
            |_: &Exchange| Ok(r#"{"results":[{}]}"#.into()),
            |_: &Exchange| Ok("{".into()),
        ] {
            let error = second(answer);
            assert!(
                matches!(
                    error.reason,
                    LoadSqlReason::Cluster(ClusterError::Unknown(_))
                ),
                "{error:?}"
            );
            assert_eq!(error.in_doubt, Some(10_001..=10_002), "{error:?}");
            let text = error.to_string();
            assert!(
                text.ends_with("those of lines 10001 to 10002 may have been applied as well, all of them or none"),
                "{text}"
            );
        }
    }
}
