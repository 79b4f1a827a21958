//! Queries that read the rows of one table.

use crate::keyword::Keyword;
use crate::parsed::{Form, Parsed, unescaped};
use crate::token::TokenKind;

/// The one table after FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The name in lower case, without quotes and without the database's name.
    pub table: String,
    /// The qualifier of its columns as written: its alias, or its name.
    pub qualifier: String,
}

impl Parsed<'_> {
    /// Returns the table whose rows the query returns one for one: there is no join, no group, no DISTINCT, no
    /// compound, and no table that the query itself defines.
    pub fn scan(&self) -> Option<Scan> {
        use Keyword::{
            As, Distinct, Except, From, Group, Having, Intersect, Join, Limit, Order, Union, Where,
            Window,
        };

        if self.form != Form::Select || !self.is(0, Keyword::Select) || self.is(1, Distinct) {
            return None;
        }
        let mut depth = 0_i32;
        let outer: Vec<_> = self
            .all()
            .filter(|place| {
                match self.kind(*place) {
                    Some(TokenKind::Open) => depth += 1,
                    Some(TokenKind::Close) => depth -= 1,
                    _ => {}
                }
                depth == 0
            })
            .collect();
        let is_other = |keyword| {
            matches!(
                keyword,
                Union | Intersect | Except | Group | Having | Window | Join
            )
        };
        if outer
            .iter()
            .any(|place| self.keyword(*place).is_some_and(is_other))
        {
            return None;
        }
        let from = outer.into_iter().find(|place| self.is(*place, From))?;
        let mut last = from + 1;
        if self.kind(last + 1) == Some(TokenKind::Dot) {
            last += 2;
        }
        let is_name =
            |place: usize| matches!(self.kind(place), Some(TokenKind::Word | TokenKind::Quoted));
        let ends = |place: usize| {
            place >= self.tokens.len() || matches!(self.keyword(place), Some(Where | Order | Limit))
        };
        let qualifier = match last + 1 {
            end if ends(end) => last,
            alias if self.is(alias, As) && ends(alias + 2) => alias + 1,
            alias if is_name(alias) && ends(alias + 1) => alias,
            _ => return None,
        };
        (is_name(last) && is_name(qualifier)).then(|| Scan {
            table: unescaped(self.at(last)).to_ascii_lowercase(),
            qualifier: self.at(qualifier).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;

    #[test]
    fn one_table_behind_from() {
        let scan = |sql: &str| {
            let parsed = parse(sql).expect("parses").remove(0);
            parsed.scan().map(|scan| (scan.table, scan.qualifier))
        };
        for (sql, table, qualifier) in [
            ("SELECT a FROM t LIMIT 1", "t", "t"),
            (
                "SELECT \"T\".\"a\" FROM \"T\" WHERE b IN (SELECT c FROM u) LIMIT ?",
                "t",
                "\"T\"",
            ),
            ("SELECT * FROM main.t AS x ORDER BY a", "t", "x"),
            ("SELECT (SELECT max(a) FROM u) FROM t y", "t", "y"),
        ] {
            assert_eq!(
                scan(sql),
                Some((table.to_owned(), qualifier.to_owned())),
                "{sql}"
            );
        }
        for sql in [
            "SELECT a FROM t, u LIMIT 1",
            "SELECT a FROM t JOIN u LIMIT 1",
            "SELECT a FROM t LEFT JOIN u ON 1 LIMIT 1",
            "SELECT a FROM t CROSS JOIN u LIMIT 1",
            "SELECT a FROM (SELECT 1 AS a) LIMIT 1",
            "SELECT a FROM json_each('[1]') LIMIT 1",
            "SELECT DISTINCT a FROM t LIMIT 1",
            "SELECT a FROM t GROUP BY a LIMIT 1",
            "SELECT a FROM t UNION SELECT a FROM u LIMIT 1",
            "WITH t AS (SELECT 1 AS a) SELECT a FROM t LIMIT 1",
            "SELECT a FROM t INDEXED BY i LIMIT 1",
            "SELECT 1 LIMIT 1",
            "VALUES (1), (2) LIMIT 1",
        ] {
            assert_eq!(scan(sql), None, "{sql}");
        }
    }
}
