//! Runs SQL text in requests of some megabytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use diesel_rqlite::NodeHttp;
use diesel_rqlite_sql::{
    Classes, Control, Form, Keyword, Parsed, Pin, SqlError, Statements, StreamError, find, pins,
};
use serde::Deserialize;

use super::entropy::System;
use crate::transfer::counts::Counts;
use crate::transfer::{self, Error};

/// A request ends after the statement with which it reaches this many bytes or statements.
const BYTES: usize = 4 << 20;
const STATEMENTS: usize = 10_000;
/// The text is not rewritten by the server: a dump holds no values that differ between nodes, and the server's own
/// parser does not know all of SQL.
const PATH: &str = "/db/execute?transaction&noparse&redirect";
/// A dump has its tables in the order in which they were created, not in that of their foreign keys. Foreign keys are
/// therefore checked at the end of each request.
const DEFER: &str = "PRAGMA defer_foreign_keys = ON";

/// The purpose of a statement of a dump.
#[derive(Debug, PartialEq, Eq)]
enum Purpose {
    /// `INSERT INTO` this table.
    Insert(String),
    /// The statement neither inserts nor changes rows.
    Schema,
    /// The statement itself changes no rows, but from now on an INSERT may have further effects.
    Trigger,
    /// A transaction around the dump, or a setting of SQLite's shell.
    Frame {
        /// `Some(true)` if a transaction of the file is open after the statement, `Some(false)` if none is. `None`
        /// means no change.
        opens: Option<bool>,
    },
    /// The statement is not for rqlite.
    Refused(&'static str),
    Other,
}

/// The rows that a dump inserted, as long as it did nothing else.
#[derive(Debug)]
pub(super) struct Inserted {
    rows: Counts,
    only: bool,
    triggers: bool,
}

impl Inserted {
    fn new() -> Self {
        Inserted {
            rows: Counts::new(),
            only: true,
            triggers: false,
        }
    }

    /// Returns the rows that the tables should have, or `None` if the dump did more than insert these rows.
    pub(super) fn expected(&self, before: &Counts, found: &Counts) -> Option<Counts> {
        let by_folded: BTreeMap<_, _> = self
            .rows
            .iter()
            .map(|(name, rows)| (name.to_ascii_lowercase(), *rows))
            .collect();
        let expected = found.keys().map(|name| {
            let inserted = by_folded.get(&name.to_ascii_lowercase());
            let rows = before.get(name).copied().unwrap_or_default();
            (name.clone(), rows + inserted.copied().unwrap_or_default())
        });
        self.only.then(|| expected.collect())
    }

    fn note(&mut self, purpose: &Purpose, rows: u64) {
        match purpose {
            Purpose::Insert(table) if self.triggers => {
                self.only = false;
                *self.rows.entry(table.clone()).or_default() += rows;
            }
            Purpose::Insert(table) => *self.rows.entry(table.clone()).or_default() += rows,
            Purpose::Trigger => self.triggers = true,
            Purpose::Schema | Purpose::Frame { .. } | Purpose::Refused(_) => {}
            Purpose::Other => self.only = false,
        }
    }
}

/// Runs the whole text.
pub(super) fn run(node: &NodeHttp, reader: impl BufRead) -> Result<Inserted, Error> {
    let mut statements = Statements::new(reader);
    let mut inserted = Inserted::new();
    let mut batch = Batch::default();
    let mut before = 0;
    let mut framed = false;
    loop {
        let statement = statements.next_statement();
        let statement = statement.map_err(|error| Error::Statement {
            line: line_of(&error).unwrap_or_else(|| batch.last_line()),
            reason: error.to_string(),
            before,
        })?;
        let Some(parsed) = statement else {
            if framed {
                return Err(Error::Statement {
                    line: batch.last_line(),
                    reason: String::from(
                        "the transaction that the file begins is not committed in it: it is cut off",
                    ),
                    before,
                });
            }
            batch.send(node, before, &mut inserted)?;
            return Ok(inserted);
        };
        let asks_for_last = parsed.connection_function();
        if batch.is_full() && asks_for_last.is_none() {
            before += batch.send(node, before, &mut inserted)?;
        }
        let line = parsed.position().line as u64;
        let refused = |reason: String| Error::Statement {
            line,
            reason,
            before,
        };
        match purpose(&parsed) {
            Purpose::Frame { opens } => framed = opens.unwrap_or(framed),
            Purpose::Refused(reason) => return Err(refused(reason.to_owned())),
            purpose => {
                if let Some(function) = asks_for_last.filter(|_| !batch.writes) {
                    return Err(refused(SqlError::OfConnection(function).to_string()));
                }
                let pinned = pinned(&parsed);
                let pins = pinned.map_err(|error| refused(error.to_string()))?;
                batch.push(parsed, &pins, purpose);
            }
        }
    }
}

fn line_of(error: &StreamError) -> Option<u64> {
    match error {
        StreamError::Sql(line, _) | StreamError::NoText(line) => Some(*line),
        StreamError::Io(_) => None,
    }
}

/// Returns the replacements for values that each node would compute itself. Such values in a schema are looked for at
/// the end.
fn pinned(parsed: &Parsed<'_>) -> Result<Vec<Pin>, SqlError> {
    let is_volatile = parsed.classes().contains(Classes::VOLATILE | Classes::NODE);
    match parsed.form().stores() && is_volatile {
        true => pins(&find(parsed), &mut System),
        false => Ok(Vec::new()),
    }
}

#[derive(Debug, Default)]
struct Batch {
    statements: Vec<Statement>,
    purposes: Vec<Purpose>,
    bytes: usize,
    /// Set if one of the statements writes rows.
    writes: bool,
}

/// A statement as it is sent.
#[derive(Debug)]
struct Statement {
    sql: String,
    line: u64,
}

impl Batch {
    fn push(&mut self, parsed: Parsed<'_>, pins: &[Pin], purpose: Purpose) {
        self.writes |= parsed.form().writes_rows();
        let line = parsed.position().line as u64;
        let sql = match pins {
            [] => parsed.into_text(),
            pins => parsed.rewritten(parsed.all(), pins, |_, own, sql| {
                sql.push_str(&parsed.text()[own]);
            }),
        };
        self.bytes += sql.len();
        self.statements.push(Statement { sql, line });
        self.purposes.push(purpose);
    }

    fn is_full(&self) -> bool {
        self.bytes >= BYTES || self.statements.len() >= STATEMENTS
    }

    fn last_line(&self) -> u64 {
        self.statements.last().map_or(1, |statement| statement.line)
    }

    /// Sends the statements and empties the batch. Returns the number of statements.
    fn send(
        &mut self,
        node: &NodeHttp,
        before: u64,
        inserted: &mut Inserted,
    ) -> Result<u64, Error> {
        let batch = std::mem::take(self);
        if batch.statements.is_empty() {
            return Ok(0);
        }
        let results = batch.results(node, before)?;
        let counts = results.iter().skip(1).map(|result| result.rows_affected);
        for (purpose, rows) in batch.purposes.iter().zip(counts) {
            inserted.note(purpose, rows);
        }
        Ok(batch.statements.len() as u64)
    }

    fn results(&self, node: &NodeHttp, before: u64) -> Result<Vec<OneResult>, Error> {
        let statements = self.statements.iter();
        let texts: Vec<_> = std::iter::once(DEFER)
            .chain(statements.map(|statement| statement.sql.as_str()))
            .collect();
        let body = serde_json::to_vec(&texts).unwrap_or_default();
        let length = body.len() as u64;
        let answer = node.post(PATH, "application/json", &mut body.as_slice(), Some(length));
        let answer = transfer::accepted(node, PATH, answer);
        let answer = answer.map_err(|error| self.unknown(error, before))?;
        let answer: Answer = serde_json::from_reader(answer.into_body())
            .map_err(|error| self.unknown(transfer::unreadable(node, PATH, &error), before))?;
        if let Some(error) = answer.error {
            return Err(self.unknown(transfer::unreadable(node, PATH, &error), before));
        }
        match failed(&answer.results) {
            Some((index, reason)) => Err(self.failure(index, reason, before)),
            None if answer.results.len() == texts.len() => Ok(answer.results),
            None => {
                let reason = "it has fewer results than there were statements";
                Err(self.unknown(transfer::unreadable(node, PATH, &reason), before))
            }
        }
    }

    /// Returns the error of a request. The request is one transaction, so none of it remains.
    fn failure(&self, index: usize, reason: &str, before: u64) -> Error {
        let failed = index
            .checked_sub(1)
            .and_then(|index| self.statements.get(index));
        Error::Statement {
            line: failed.map_or_else(|| self.last_line(), |statement| statement.line),
            reason: reason.to_owned(),
            before,
        }
    }

    fn unknown(&self, error: Error, before: u64) -> Error {
        let from = self
            .statements
            .first()
            .map_or(1, |statement| statement.line);
        match error {
            Error::Refused { status, .. } if !status.is_server_error() => Error::Statement {
                line: from,
                reason: error.to_string(),
                before,
            },
            error => Error::StatementsUnknown {
                cause: Box::new(error),
                before,
                from,
                to: self.last_line(),
            },
        }
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    results: Vec<OneResult>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct OneResult {
    error: Option<String>,
    #[serde(default)]
    rows_affected: u64,
}

fn failed(results: &[OneResult]) -> Option<(usize, &str)> {
    let mut results = results.iter().enumerate();
    results.find_map(|(index, result)| Some((index, result.error.as_deref()?)))
}

/// Returns the rows that a dump inserts, if each statement has one row.
///
/// # Errors
///
/// Returns an error if the text can't be read.
pub fn inserted_rows(reader: impl BufRead) -> io::Result<Counts> {
    let mut statements = Statements::new(reader);
    let mut rows = Counts::new();
    let mut created = BTreeSet::new();
    let mut is_whole = false;
    let unreadable = |error| match error {
        StreamError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error),
    };
    while let Some(parsed) = statements.next_statement().map_err(unreadable)? {
        match purpose(&parsed) {
            Purpose::Insert(table) if !table.starts_with("sqlite_") => {
                *rows.entry(table).or_default() += 1;
            }
            // This is a table without rows.
            Purpose::Schema => {
                if let Some(table) = created_table(&parsed) {
                    created.insert(table.to_ascii_lowercase());
                    rows.entry(table).or_default();
                }
            }
            _ => {}
        }
        is_whole = parsed.form() == Form::Commit;
    }
    // A virtual table is not created by a statement of its own, and its rows are in other tables.
    rows.retain(|table, _| created.contains(&table.to_ascii_lowercase()));
    match is_whole {
        true => Ok(rows),
        false => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it does not end with COMMIT",
        )),
    }
}

fn purpose(parsed: &Parsed<'_>) -> Purpose {
    match parsed.form() {
        Form::Insert => purpose_of_insert(parsed),
        Form::Delete if written(parsed).starts_with("sqlite_") => Purpose::Schema,
        Form::Schema => purpose_of_schema(parsed),
        Form::Pragma => match parsed.pragma().map(|pragma| pragma.name).as_deref() {
            Some("user_version" | "application_id") => Purpose::Schema,
            _ => Purpose::Frame { opens: None },
        },
        Form::Begin | Form::Commit | Form::Savepoint => match Control::of(parsed) {
            Ok(Some(Control::Begin { .. })) => Purpose::Frame { opens: Some(true) },
            Ok(Some(Control::Commit)) => Purpose::Frame { opens: Some(false) },
            Ok(Some(Control::Savepoint(_) | Control::Release(_))) => Purpose::Frame { opens: None },
            _ => Purpose::Refused("it takes back all of the file"),
        },
        Form::Attach => Purpose::Refused("rqlite has one database"),
        _ => Purpose::Other,
    }
}

fn purpose_of_insert(parsed: &Parsed<'_>) -> Purpose {
    let is_plain = parsed.is(0, Keyword::Insert) && parsed.is(1, Keyword::Into);
    match written(parsed).as_str() {
        "sqlite_schema" | "sqlite_master" => Purpose::Refused(
            "it writes to sqlite_schema, as dumps of virtual tables do, which rqlite can't. Load the SQLite \
             file itself",
        ),
        // The counters of AUTOINCREMENT are not rows of the user.
        table if table.starts_with("sqlite_") => Purpose::Schema,
        _ if !is_plain || parsed.upserts() => Purpose::Other,
        _ => Purpose::Insert(parsed.table_name().unwrap_or_default()),
    }
}

fn purpose_of_schema(parsed: &Parsed<'_>) -> Purpose {
    match parsed.created() {
        Some(created) if created.is_temporary => Purpose::Refused(
            "a temporary table would be in one connection of each node, where reads do not see it",
        ),
        Some(created) if created.is_virtual => Purpose::Other,
        Some(created) if created.what == Some(Keyword::Trigger) => Purpose::Trigger,
        Some(_) => Purpose::Schema,
        None if parsed.is(0, Keyword::Analyze) => Purpose::Schema,
        None => Purpose::Other,
    }
}

/// Returns the table that is written, in lower case.
fn written(parsed: &Parsed<'_>) -> String {
    parsed.table_name().unwrap_or_default().to_ascii_lowercase()
}

fn created_table(parsed: &Parsed<'_>) -> Option<String> {
    let created = parsed.created()?;
    let is_table = created.what == Some(Keyword::Table) && !created.is_temporary;
    (is_table && !created.name.starts_with("sqlite_")).then_some(created.name)
}

#[cfg(test)]
mod tests {
    use diesel_rqlite_sql::parse;

    use super::*;

    fn one(sql: &str) -> Purpose {
        purpose(&parse(sql).expect("parses")[0])
    }

    #[test]
    fn purposes() {
        let frame = |opens| Purpose::Frame { opens };
        let insert = |table: &str| Purpose::Insert(table.to_owned());
        for (sql, wanted) in [
            ("INSERT INTO t VALUES(1)", insert("t")),
            (
                "insert into\n\"my \"\"t\"\"\"(a) values(1)",
                insert("my \"t\""),
            ),
            ("INSERT INTO [a] DEFAULT VALUES", insert("a")),
            ("INSERT OR IGNORE INTO t VALUES(1)", Purpose::Other),
            ("INSERT INTO sqlite_sequence VALUES('t',1)", Purpose::Schema),
            ("DELETE FROM sqlite_sequence", Purpose::Schema),
            ("DELETE FROM t", Purpose::Other),
            ("CREATE TABLE t(a)", Purpose::Schema),
            ("CREATE TABLE t AS SELECT 1", Purpose::Other),
            (
                "CREATE TABLE \"a b c d e f g h\" AS SELECT 1",
                Purpose::Other,
            ),
            (
                "CREATE TABLE IF NOT EXISTS main.t AS SELECT 1",
                Purpose::Other,
            ),
            ("CREATE TABLE t(a, b AS (a + 1))", Purpose::Schema),
            ("CREATE VIRTUAL TABLE t USING fts5(a)", Purpose::Other),
            ("INSERT INTO main.\"t\" VALUES(1)", insert("t")),
            (
                "INSERT INTO t VALUES(1) ON CONFLICT DO NOTHING",
                Purpose::Other,
            ),
            ("CREATE VIEW v AS SELECT 1", Purpose::Schema),
            ("BEGIN TRANSACTION", frame(Some(true))),
            ("END", frame(Some(false))),
            ("insert /* x */ into t values (1)", insert("t")),
            (
                "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; END",
                Purpose::Trigger,
            ),
            ("PRAGMA foreign_keys=OFF", frame(None)),
            ("PRAGMA user_version=3", Purpose::Schema),
        ] {
            assert_eq!(one(sql), wanted, "{sql}");
        }
        let schema = one("INSERT INTO sqlite_schema(type) VALUES('table')");
        assert!(matches!(schema, Purpose::Refused(_)));
    }

    #[test]
    fn rows_of_a_dump_are_counted() {
        let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE a(x);\nINSERT INTO \"a\" VALUES(1);
            INSERT INTO \"a\" VALUES(2);\nCREATE TABLE IF NOT EXISTS b(x);\n";
        let whole = format!("{dump}COMMIT;\n");
        let rows = inserted_rows(whole.as_bytes()).expect("is whole");
        let wanted = [("a".to_owned(), 2), ("b".to_owned(), 0)];
        assert_eq!(rows.into_iter().collect::<Vec<_>>(), wanted);
        assert!(inserted_rows(dump.as_bytes()).is_err());
    }

    #[test]
    fn only_inserts_can_be_expected() {
        let mut inserted = Inserted::new();
        let counts = |rows| Counts::from([("T".to_owned(), rows)]);
        inserted.note(&one("INSERT INTO t VALUES(1)"), 3);
        assert_eq!(inserted.expected(&counts(2), &counts(0)), Some(counts(5)));
        let trigger = "CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END";
        inserted.note(&one(trigger), 0);
        assert!(inserted.expected(&counts(2), &counts(0)).is_some());
        inserted.note(&one("INSERT INTO t VALUES(1)"), 1);
        assert_eq!(inserted.expected(&counts(2), &counts(0)), None);
    }
}
