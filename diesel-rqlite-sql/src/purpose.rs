//! The purpose of a statement in a text that is to be loaded, such as a dump.

use crate::control::Control;
use crate::keyword::Keyword;
use crate::parsed::{Form, Parsed};

/// The purpose of a statement of a text that is to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `INSERT INTO` this table.
    Insert(String),
    /// The statement neither inserts nor changes rows.
    Schema,
    /// The statement itself changes no rows, but from now on an INSERT may have further effects.
    Trigger,
    /// A transaction around the text, or a setting of SQLite's shell. It is not sent.
    Frame {
        /// `Some(true)` if a transaction of the text is open after the statement, `Some(false)` if none is. `None`
        /// means no change.
        opens: Option<bool>,
    },
    /// The statement is not for rqlite, for this reason.
    Refused(&'static str),
    /// The statement may change rows in any way.
    Other,
}

impl Purpose {
    /// Returns the purpose of a statement.
    pub fn of(parsed: &Parsed<'_>) -> Self {
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
                Ok(Some(Control::Savepoint(_) | Control::Release(_))) => {
                    Purpose::Frame { opens: None }
                }
                _ => Purpose::Refused("it takes back all of the file"),
            },
            Form::Attach => Purpose::Refused("rqlite has one database"),
            _ => Purpose::Other,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn one(sql: &str) -> Purpose {
        Purpose::of(&parse(sql).expect("parses")[0])
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
}
