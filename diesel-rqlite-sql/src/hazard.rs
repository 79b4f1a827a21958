//! Finds the expressions of a schema that each node would evaluate itself.

use std::fmt;
use std::ops::Range;

use crate::functions::function_named;
use crate::keyword::Keyword;
use crate::parse::parse;
use crate::parsed::{Form, Parsed, unquoted};
use crate::token::TokenKind;
use crate::volatile;

/// An expression in a schema that makes replicas differ. rqlite replicates statements, and each node evaluates a
/// column's DEFAULT or a trigger itself.
///
/// In an INSERT, UPDATE or DELETE, such values are replaced by values made on the client. In a schema this is not
/// possible.
///
/// ```
/// use diesel_rqlite_sql::ReplicaHazard;
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
    /// Finds the hazards of a script, in the order of the text. For a script that can't be parsed it finds none;
    /// running that script reports the error.
    pub fn find(sql: &str) -> Vec<ReplicaHazard> {
        let statements = parse(sql).unwrap_or_default();
        statements.iter().flat_map(of_statement).collect()
    }

    /// Returns the line of the script that the expression begins on, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Returns the text of the expression.
    pub fn expression(&self) -> &str {
        &self.expression
    }
}

impl fmt::Display for ReplicaHazard {
    /// Writes what the expression does, and what to do instead.
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

fn of_statement(parsed: &Parsed<'_>) -> Vec<ReplicaHazard> {
    let Some(place) = place_of(parsed) else {
        return Vec::new();
    };
    let found = volatile::find(parsed).values.into_iter();
    let mut ranges: Vec<Range<usize>> =
        found.map(|(range, _)| call_around(parsed, range)).collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup();
    let hazard = |range: Range<usize>| ReplicaHazard {
        line: parsed.position().line + parsed.text()[..range.start].matches('\n').count(),
        expression: parsed.text()[range].to_owned(),
        place,
    };
    ranges.into_iter().map(hazard).collect()
}

/// Returns the place for `CREATE TABLE`, `ALTER TABLE` and `CREATE TRIGGER`. A view is evaluated where it is read.
fn place_of(parsed: &Parsed<'_>) -> Option<Place> {
    use Keyword::{Alter, Create, Table, Temp, Temporary, Trigger};

    if parsed.form() != Form::Schema {
        return None;
    }
    let words: Vec<_> = (0..3).map(|place| parsed.keyword(place)).collect();
    match words[..] {
        [Some(Create | Alter), Some(Table), ..]
        | [Some(Create), Some(Temp | Temporary), Some(Table)] => Some(Place::Table),
        [Some(Create), Some(Trigger), ..]
        | [Some(Create), Some(Temp | Temporary), Some(Trigger)] => Some(Place::Trigger),
        _ => None,
    }
}

/// Returns the whole call around a part of it: `datetime('now')` for its `'now'`.
fn call_around(parsed: &Parsed<'_>, inner: Range<usize>) -> Range<usize> {
    let mut open: Vec<usize> = Vec::new();
    for (place, token) in parsed.tokens().iter().enumerate() {
        match token.kind {
            TokenKind::Open => open.push(place.saturating_sub(1)),
            TokenKind::Close => {
                let Some(name) = open.pop() else {
                    continue;
                };
                let start = parsed.tokens()[name].range().start;
                let end = token.range().end;
                if start < inner.start && inner.end < end && is_time_call(parsed, name) {
                    return start..end;
                }
            }
            _ => {}
        }
    }
    inner
}

fn is_time_call(parsed: &Parsed<'_>, name: usize) -> bool {
    let function = function_named(unquoted(parsed.at(name)));
    function.is_some_and(|function| !function.time_values.is_empty())
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
