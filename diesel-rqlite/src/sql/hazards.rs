//! What in a schema each node would evaluate for itself.

use std::fmt;
use std::ops::Range;

use super::scan::{Scanned, Verb, is_local, script, unquoted};
use super::tokens::{Token, TokenKind, Tokens};
use super::volatile;

/// An expression in a schema that makes replicas differ: rqlite replicates statements, and each node evaluates a
/// column's DEFAULT or a trigger for itself.
///
/// In an INSERT, UPDATE or DELETE such values are replaced by ones made on the client; in a schema they can't be.
///
/// ```
/// use diesel_rqlite::ReplicaHazard;
///
/// let found = ReplicaHazard::find("CREATE TABLE t (\n  at TEXT DEFAULT CURRENT_TIMESTAMP\n);");
/// assert_eq!((found[0].line(), found[0].expression()), (2, "CURRENT_TIMESTAMP"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaHazard {
    line: usize,
    expression: String,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Table,
    Trigger,
}

impl ReplicaHazard {
    /// Those of a script, in its order. A script that can't be read has none: running it says what is wrong.
    pub fn find(sql: &str) -> Vec<ReplicaHazard> {
        let statements = script(sql).unwrap_or_default();
        statements.iter().flat_map(of_statement).collect()
    }

    /// The line of the script that it begins on, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Its text.
    pub fn expression(&self) -> &str {
        &self.expression
    }
}

impl fmt::Display for ReplicaHazard {
    /// What it does, and what to do instead.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, instead) = match self.place {
            Place::Table => ("a table", "give the column its value in each INSERT"),
            Place::Trigger => ("a trigger", "write the value in the statement itself"),
        };
        write!(
            formatter,
            "`{}` in {place} makes the nodes differ: each evaluates it for itself; {instead}",
            self.expression
        )
    }
}

fn of_statement(scanned: &Scanned<'_>) -> Vec<ReplicaHazard> {
    let Some(place) = place_of(scanned) else {
        return Vec::new();
    };
    let mut ranges: Vec<Range<usize>> = volatile::find(scanned.text)
        .values
        .into_iter()
        .map(|(range, _)| call_around(scanned.text, range))
        .chain(local_calls(scanned.text))
        .collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup();
    let hazard = |range: Range<usize>| ReplicaHazard {
        line: scanned.position.line + scanned.text[..range.start].matches('\n').count(),
        expression: scanned.text[range].to_owned(),
        place,
    };
    ranges.into_iter().map(hazard).collect()
}

/// `CREATE TABLE`, `ALTER TABLE`, `CREATE TRIGGER`. A view is evaluated where it is read.
fn place_of(scanned: &Scanned<'_>) -> Option<Place> {
    if scanned.verb != Verb::Schema {
        return None;
    }
    let words = tokens(scanned.text).take(3);
    let words: Vec<_> = words
        .map(|token| scanned.text[token.range].to_ascii_uppercase())
        .collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["CREATE", "TABLE", ..]
        | ["CREATE", "TEMP" | "TEMPORARY", "TABLE"]
        | ["ALTER", "TABLE", ..] => Some(Place::Table),
        ["CREATE", "TRIGGER", ..] | ["CREATE", "TEMP" | "TEMPORARY", "TRIGGER"] => {
            Some(Place::Trigger)
        }
        _ => None,
    }
}

fn tokens(sql: &str) -> impl Iterator<Item = Token> {
    Tokens::new(sql).map_while(Result::ok)
}

/// `datetime('now')` for its `'now'`.
fn call_around(sql: &str, inner: Range<usize>) -> Range<usize> {
    let mut open: Vec<usize> = Vec::new();
    let mut previous = 0;
    for token in tokens(sql) {
        match token.kind {
            TokenKind::Open => open.push(previous),
            TokenKind::Close => {
                let start = open.pop().unwrap_or(inner.start);
                if start < inner.start && inner.end < token.range.end && is_time_call(&sql[start..])
                {
                    return start..token.range.end;
                }
            }
            _ => {}
        }
        previous = token.range.start;
    }
    inner
}

fn is_time_call(sql: &str) -> bool {
    const TIMES: [&str; 7] = [
        "date",
        "time",
        "datetime",
        "julianday",
        "unixepoch",
        "timediff",
        "strftime",
    ];
    let name = tokens(sql).next().map(|token| unquoted(&sql[token.range]));
    name.is_some_and(|name| TIMES.iter().any(|time| name.eq_ignore_ascii_case(time)))
}

/// Calls of functions that tell something of the node: `sqlite_version()`.
fn local_calls(sql: &str) -> Vec<Range<usize>> {
    let tokens: Vec<_> = tokens(sql).collect();
    let calls = tokens.windows(2).filter(|pair| {
        pair[1].kind == TokenKind::Open && is_local(unquoted(&sql[pair[0].range.clone()]))
    });
    calls
        .map(|pair| pair[0].range.start..pair[1].range.end)
        .map(|range| {
            range.start
                ..sql[range.end..]
                    .find(')')
                    .map_or(range.end, |at| range.end + at + 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> Vec<(usize, String)> {
        let hazards = ReplicaHazard::find(sql).into_iter();
        hazards
            .map(|hazard| (hazard.line, hazard.expression))
            .collect()
    }

    #[test]
    fn defaults_and_triggers_that_differ_are_found() {
        let sql = "-- now\nCREATE TABLE t (\n  a TEXT DEFAULT CURRENT_TIMESTAMP,\n  b DEFAULT (datetime('now', '+1 day')),\n  \
                   c DEFAULT (lower(hex(randomblob(8)))),\n  d DEFAULT (sqlite_version())\n);\n\
                   CREATE TRIGGER g AFTER INSERT ON t BEGIN\n  UPDATE t SET a = random();\nEND;\n\
                   ALTER TABLE t ADD COLUMN e DEFAULT (unixepoch());\n";
        let expected = [
            (3, "CURRENT_TIMESTAMP"),
            (4, "datetime('now', '+1 day')"),
            (5, "randomblob(8)"),
            (6, "sqlite_version()"),
            (9, "random()"),
            (11, "unixepoch()"),
        ];
        let expected: Vec<_> = expected.map(|(line, text)| (line, text.to_owned())).into();
        assert_eq!(found(sql), expected);
    }

    #[test]
    fn what_is_the_same_on_all_nodes_is_not() {
        for sql in [
            "CREATE TABLE t (a DEFAULT 'CURRENT_TIMESTAMP', random TEXT, b DEFAULT (date('2026-01-01')))",
            "INSERT INTO t VALUES (CURRENT_TIMESTAMP, random())",
            "CREATE TABLE t AS SELECT random()",
            "CREATE VIEW v AS SELECT datetime('now')",
            "CREATE INDEX i ON t (date(a))",
            "SELECT 'unclosed",
        ] {
            assert_eq!(found(sql), [], "{sql}");
        }
    }

    #[test]
    fn the_message_names_it() {
        let hazards = ReplicaHazard::find("CREATE TABLE t (a DEFAULT (random()))");
        assert_eq!(
            hazards[0].to_string(),
            "`random()` in a table makes the nodes differ: each evaluates it for itself; give the column its value \
             in each INSERT"
        );
    }
}
