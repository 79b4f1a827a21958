//! SQL text, run in requests of some megabytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use diesel_rqlite::NodeHttp;
use serde::Deserialize;

use super::statements::{Statement, Statements};
use crate::transfer::counts::Counts;
use crate::transfer::{self, Error};

/// A request ends behind the statement with which it has this many bytes or statements.
const BYTES: usize = 4 << 20;
const STATEMENTS: usize = 10_000;
/// As written: a dump holds no values that differ between nodes, and the server's own parser does not know all of
/// SQL.
const PATH: &str = "/db/execute?transaction&noparse&redirect";
/// A dump has its tables in the order in which they were made, not in that of their foreign keys. Within a request they
/// are checked at its end.
const DEFER: &str = "PRAGMA defer_foreign_keys = ON";

/// What a statement of a dump is for.
#[derive(Debug, PartialEq, Eq)]
enum Purpose {
    /// `INSERT INTO` this table.
    Insert(String),
    /// Neither inserts nor changes rows.
    Schema,
    /// A transaction around the dump, a setting of SQLite's shell.
    Frame,
    /// This is not for rqlite.
    Refused(&'static str),
    Other,
}

/// What a dump inserted, as long as that is all it did.
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

    /// The rows that tables should have; `None`: the dump did more than that says.
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

    fn note(&mut self, purpose: &Purpose, sql: &str, rows: u64) {
        match purpose {
            Purpose::Insert(table) if self.triggers => {
                self.only = false;
                *self.rows.entry(table.clone()).or_default() += rows;
            }
            Purpose::Insert(table) => *self.rows.entry(table.clone()).or_default() += rows,
            Purpose::Schema => self.triggers |= words(sql).any(|word| word == "trigger"),
            Purpose::Frame | Purpose::Refused(_) => {}
            Purpose::Other => self.only = false,
        }
    }
}

/// Runs all of it.
pub(super) fn run(node: &NodeHttp, reader: impl BufRead) -> Result<Inserted, Error> {
    let mut statements = Statements::new(reader);
    let mut inserted = Inserted::new();
    let mut batch = Batch::default();
    let mut before = 0;
    let mut framed = false;
    loop {
        let statement = statements.next();
        let statement = statement.map_err(|error| Error::Statement {
            line: batch.last_line(),
            reason: error.to_string(),
            before,
        })?;
        let Some(statement) = statement else {
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
        let purpose = purpose(&statement.sql);
        check_volatile(&statement, &purpose, before)?;
        match purpose {
            Purpose::Frame => framed = is_framed(&statement.sql, framed),
            Purpose::Refused(reason) => {
                return Err(Error::Statement {
                    line: statement.line,
                    reason: reason.to_owned(),
                    before,
                });
            }
            purpose => batch.push(statement, purpose),
        }
        if batch.is_full() {
            before += batch.send(node, before, &mut inserted)?;
        }
    }
}

/// Whether a transaction of the file is open behind this statement.
fn is_framed(sql: &str, before: bool) -> bool {
    match words(sql).next().as_deref() {
        Some("begin") => true,
        Some("commit" | "end") => false,
        _ => before,
    }
}

/// The nodes of a cluster run each statement for themselves. What a schema has of it is looked for in the end.
fn check_volatile(statement: &Statement, purpose: &Purpose, before: u64) -> Result<(), Error> {
    if !statement.volatile || *purpose == Purpose::Schema {
        return Ok(());
    }
    Err(Error::Statement {
        line: statement.line,
        reason: String::from(
            "each node would make a value of its own of the time or of random(): run it with `diesel-rqlite query`, \
             which replaces these",
        ),
        before,
    })
}

#[derive(Debug, Default)]
struct Batch {
    statements: Vec<Statement>,
    purposes: Vec<Purpose>,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, statement: Statement, purpose: Purpose) {
        self.bytes += statement.sql.len();
        self.statements.push(statement);
        self.purposes.push(purpose);
    }

    fn is_full(&self) -> bool {
        self.bytes >= BYTES || self.statements.len() >= STATEMENTS
    }

    fn last_line(&self) -> u64 {
        self.statements.last().map_or(1, |statement| statement.line)
    }

    /// Sends it and becomes empty: the number of its statements.
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
        let noted = batch.statements.iter().zip(&batch.purposes).zip(counts);
        for ((statement, purpose), rows) in noted {
            inserted.note(purpose, &statement.sql, rows);
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

    /// The request is one transaction: nothing of it is left.
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

/// The first error in an answer of rqlite; one that can't be read has none.
pub(super) fn first_error(answer: &str) -> Option<(usize, String)> {
    let answer: Answer = serde_json::from_str(answer).ok()?;
    let error = answer.error.map(|error| (0, error));
    error.or_else(|| failed(&answer.results).map(|(index, error)| (index, error.to_owned())))
}

/// The rows that a dump inserts, a row in each statement.
///
/// # Errors
///
/// What can't be read.
pub fn inserted_rows(reader: impl BufRead) -> io::Result<Counts> {
    let mut statements = Statements::new(reader);
    let mut rows = Counts::new();
    let mut created = BTreeSet::new();
    let mut is_whole = false;
    while let Some(statement) = statements.next()? {
        let sql = &statement.sql;
        match purpose(sql) {
            Purpose::Insert(table) if !table.starts_with("sqlite_") => {
                *rows.entry(table).or_default() += 1;
            }
            // A table without rows.
            Purpose::Schema => {
                if let Some(table) = created_table(sql) {
                    created.insert(table.to_ascii_lowercase());
                    rows.entry(table).or_default();
                }
            }
            _ => {}
        }
        is_whole = words(sql).next().is_some_and(|word| word == "commit");
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

fn purpose(sql: &str) -> Purpose {
    let mut first = words(sql);
    let word = first.next().unwrap_or_default();
    match (word.as_str(), first.next().unwrap_or_default().as_str()) {
        ("insert", "into") if sql.to_ascii_lowercase().contains("on conflict") => Purpose::Other,
        ("insert", "into") => {
            let (table, _) = name_behind(sql, 2);
            match table.to_ascii_lowercase().as_str() {
                "sqlite_schema" | "sqlite_master" => Purpose::Refused(
                    "it writes to sqlite_schema, as dumps of virtual tables do, which rqlite can't. Load the SQLite \
                     file itself",
                ),
                // The counters of AUTOINCREMENT are no rows of anybody.
                name if name.starts_with("sqlite_") => Purpose::Schema,
                _ => Purpose::Insert(table),
            }
        }
        ("delete", "from") if name_behind(sql, 2).0.starts_with("sqlite_") => Purpose::Schema,
        ("create", "temp" | "temporary" | "virtual") => Purpose::Other,
        ("create", "table") if is_filled(sql) => Purpose::Other,
        ("create", _) => Purpose::Schema,
        ("analyze", _) => Purpose::Schema,
        ("pragma", "user_version" | "application_id") => Purpose::Schema,
        ("begin" | "commit" | "end" | "savepoint" | "release" | "pragma", _) => Purpose::Frame,
        ("rollback", _) => Purpose::Refused("it takes back all of the file"),
        ("attach" | "detach", _) => Purpose::Refused("rqlite has one database"),
        _ => Purpose::Other,
    }
}

/// The first words, in lower case: enough to see what a statement is.
fn words(sql: &str) -> impl Iterator<Item = String> {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .take(8)
        .map(str::to_ascii_lowercase)
}

fn created_table(sql: &str) -> Option<String> {
    let mut first = words(sql);
    if (first.next()?, first.next()?) != ("create".into(), "table".into()) {
        return None;
    }
    let (name, _) = name_of_new(sql);
    (!name.starts_with("sqlite_")).then_some(name)
}

/// `CREATE TABLE … AS SELECT`.
fn is_filled(sql: &str) -> bool {
    let (_, rest) = name_of_new(sql);
    words(rest).next().is_some_and(|word| word == "as")
}

/// The name of the table that is created, and what stands behind it.
fn name_of_new(sql: &str) -> (String, &str) {
    let conditional = words(sql).nth(2).is_some_and(|word| word == "if");
    name_behind(sql, if conditional { 5 } else { 2 })
}

/// The name behind this many words, without its quotes and that of the database, and what stands behind it.
fn name_behind(sql: &str, words: usize) -> (String, &str) {
    let mut rest = sql;
    for _ in 0..words {
        rest = rest.trim_start();
        rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    }
    let (name, rest) = name_at(rest);
    match rest.trim_start().strip_prefix('.') {
        Some(behind) => name_at(behind),
        None => (name, rest),
    }
}

/// The name at the begin of a text, and what stands behind it.
fn name_at(text: &str) -> (String, &str) {
    let rest = text.trim_start();
    let quote = match rest.chars().next() {
        Some(quote @ ('"' | '`' | '\'')) => quote,
        Some('[') => ']',
        _ => {
            let end = rest.find(|c: char| c.is_whitespace() || c == '(' || c == '.');
            let (name, rest) = rest.split_at(end.unwrap_or(rest.len()));
            return (name.to_owned(), rest);
        }
    };
    let mut name = String::new();
    let mut letters = rest[1..].char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let is_doubled = |next: &(usize, char)| next.1 == quote && quote != ']';
        if letter == quote && letters.next_if(is_doubled).is_none() {
            return (name, &rest[1 + at + letter.len_utf8()..]);
        }
        name.push(letter);
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes() {
        let insert = |table: &str| Purpose::Insert(table.to_owned());
        for (sql, wanted) in [
            ("INSERT INTO t VALUES(1)", insert("t")),
            (
                "insert into\n\"my \"\"t\"\"\"(a) values(1)",
                insert("my \"t\""),
            ),
            ("INSERT INTO [a]]", insert("a")),
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
            ("BEGIN TRANSACTION", Purpose::Frame),
            ("PRAGMA foreign_keys=OFF", Purpose::Frame),
            ("PRAGMA user_version=3", Purpose::Schema),
        ] {
            assert_eq!(purpose(sql), wanted, "{sql}");
        }
        let schema = purpose("INSERT INTO sqlite_schema(type) VALUES('table')");
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
        inserted.note(&purpose("INSERT INTO t VALUES(1)"), "", 3);
        assert_eq!(inserted.expected(&counts(2), &counts(0)), Some(counts(5)));
        let trigger = "CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM t; END";
        inserted.note(&purpose(trigger), trigger, 0);
        assert!(inserted.expected(&counts(2), &counts(0)).is_some());
        inserted.note(&purpose("INSERT INTO t VALUES(1)"), "", 1);
        assert_eq!(inserted.expected(&counts(2), &counts(0)), None);
    }
}
