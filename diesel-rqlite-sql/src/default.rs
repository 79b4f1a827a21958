//! Adds the defaults of omitted columns to an INSERT.

use crate::error::SqlError;
use crate::keyword::Keyword;
use crate::parse::fragment;
use crate::parsed::{Form, Parsed, unescaped};
use crate::rewrite::Pin;
use crate::token::TokenKind;
use crate::volatile::{Volatile, find};

/// The insertions that add defaults, by the source of the rows.
enum Source<'d> {
    Values(Vec<Pin>),
    Query {
        /// The columns that are added, with their defaults.
        missing: Vec<(&'d str, &'d str)>,
        pins: Vec<Pin>,
    },
}

impl Parsed<'_> {
    /// Adds those of these columns (name and default) that an INSERT omits. Returns `None` if it omits none of them: an
    /// INSERT with neither names of columns nor `DEFAULT VALUES` gives all of them.
    ///
    /// # Errors
    ///
    /// `Volatile`, if the rows come from a query and a default is random. One value for all rows would not be that.
    /// Otherwise an error of the text with the defaults, for example because it is too long.
    pub fn with_defaults(
        &self,
        defaults: &[(&str, &str)],
    ) -> Result<Option<Parsed<'static>>, SqlError> {
        match self.pins_of_defaults(defaults) {
            Some(Source::Values(pins)) => self.reread(&pins).map(Some),
            Some(Source::Query { missing, .. })
                if missing.iter().any(|(_, value)| is_random(value)) =>
            {
                Err(SqlError::Volatile(
                    "a column with a random default, which this INSERT … SELECT leaves out,",
                ))
            }
            Some(Source::Query { pins, .. }) => self.reread(&pins).map(Some),
            None => Ok(None),
        }
    }

    fn pins_of_defaults<'d>(&self, defaults: &[(&'d str, &'d str)]) -> Option<Source<'d>> {
        if self.form != Form::Insert {
            return None;
        }
        let mut place = self.clauses.table.clone()?.end;
        if self.is(place, Keyword::As) {
            place += 2;
        }
        let source = if self.is(place, Keyword::Default) && self.is(place + 1, Keyword::Values) {
            let range = self.bytes(&(place..place + 2));
            let (columns, values) = lists(defaults);
            Source::Values(vec![Pin {
                range,
                text: format!("({columns}) VALUES ({values})"),
            }])
        } else {
            self.pins_after_columns(place, defaults)?
        };
        Some(source)
    }

    fn pins_after_columns<'d>(
        &self,
        open: usize,
        defaults: &[(&'d str, &'d str)],
    ) -> Option<Source<'d>> {
        let close = self.closing(open)?;
        let named: Vec<_> = (open + 1..close)
            .map(|place| unescaped(self.at(place)))
            .collect();
        let is_named = |column: &str| named.iter().any(|name| name.eq_ignore_ascii_case(column));
        let missing: Vec<_> = defaults
            .iter()
            .copied()
            .filter(|(column, _)| !is_named(column))
            .collect();
        if missing.is_empty() {
            return None;
        }
        let (columns, values) = lists(&missing);
        let mut pins = vec![self.in_front_of(close, &columns)];
        match self.ends_of_rows(close + 1) {
            Some(ends) => {
                pins.extend(ends.into_iter().map(|end| self.in_front_of(end, &values)));
                Some(Source::Values(pins))
            }
            None => {
                pins.extend(self.pins_around_query(close + 1, &values)?);
                Some(Source::Query { missing, pins })
            }
        }
    }

    /// Returns the closing parentheses of the rows in `VALUES (…), (…)`. Returns `None` for any other query, also for one
    /// that only begins like this: `VALUES (1) UNION SELECT 2`.
    fn ends_of_rows(&self, values: usize) -> Option<Vec<usize>> {
        if !self.is(values, Keyword::Values) {
            return None;
        }
        let mut ends = Vec::new();
        let mut place = values + 1;
        loop {
            let close = self.closing(place)?;
            ends.push(close);
            match self.keyword(close + 1) {
                Some(Keyword::Union | Keyword::Intersect | Keyword::Except) => return None,
                _ if self.kind(close + 1) == Some(TokenKind::Comma) => place = close + 2,
                _ => return Some(ends),
            }
        }
    }

    /// Adds columns to the query whose rows are inserted. Its own columns may be anything, so another query is put
    /// around it.
    fn pins_around_query(&self, first: usize, values: &str) -> Option<[Pin; 2]> {
        let mut depth = 0_usize;
        let conflict = (first..self.tokens.len()).find(|place| {
            match self.kind(*place) {
                Some(TokenKind::Open) => depth += 1,
                Some(TokenKind::Close) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && self.is(*place, Keyword::On) && self.is(*place + 1, Keyword::Conflict)
        });
        let end = conflict.or(self.clauses.returning);
        let end = end.unwrap_or(self.tokens.len());
        let bytes = self.bytes(&(first..end));
        let (start, end) = (bytes.start, bytes.end);
        // Otherwise the ON of the conflict would be that of a join.
        let condition = conflict.map_or("", |_| " WHERE true");
        (start < end).then(|| {
            [
                Pin {
                    range: start..start,
                    text: format!("SELECT *, {values} FROM ("),
                },
                Pin {
                    range: end..end,
                    text: format!("){condition}"),
                },
            ]
        })
    }

    fn in_front_of(&self, token: usize, list: &str) -> Pin {
        let start = self.tokens[token].range().start;
        Pin {
            range: start..start,
            text: format!(", {list}"),
        }
    }

    /// Returns the position of the closing parenthesis for this opening one.
    pub(crate) fn closing(&self, open: usize) -> Option<usize> {
        if self.kind(open) != Some(TokenKind::Open) {
            return None;
        }
        let mut depth = 0_usize;
        (open..self.tokens.len()).find(|place| {
            match self.kind(*place) {
                Some(TokenKind::Open) => depth += 1,
                Some(TokenKind::Close) => depth -= 1,
                _ => {}
            }
            depth == 0
        })
    }
}

/// Returns whether a default has another value each time. One that can't be read is taken for one that does.
fn is_random(default: &str) -> bool {
    fragment(default).map_or(true, |parsed| {
        let is_time = |value: &Volatile| {
            !matches!(
                value,
                Volatile::Random | Volatile::RandomBlob(_) | Volatile::Refused(_)
            )
        };
        !find(&parsed).values.iter().all(|(_, value)| is_time(value))
    })
}

fn lists(columns: &[(&str, &str)]) -> (String, String) {
    let names = columns
        .iter()
        .map(|(name, _)| format!("\"{}\"", name.replace('"', "\"\"")));
    let values = columns.iter().map(|(_, value)| format!("({value})"));
    let (names, values): (Vec<_>, Vec<_>) = (names.collect(), values.collect());
    (names.join(", "), values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn with(sql: &str) -> Option<String> {
        let parsed = parse(sql).expect("parses").remove(0);
        let defaults = [("at", "CURRENT_TIMESTAMP"), ("key", "hex(randomblob(4))")];
        let given = parsed.with_defaults(&defaults).expect("can be given");
        given.map(Parsed::into_text)
    }

    #[test]
    fn columns_are_added_to_a_query() {
        for (sql, wanted) in [
            (
                "WITH c AS (SELECT 1) INSERT OR IGNORE INTO t (a) SELECT * FROM c ORDER BY 1 LIMIT ?",
                "WITH c AS (SELECT 1) INSERT OR IGNORE INTO t (a, \"at\") \
                 SELECT *, (CURRENT_TIMESTAMP) FROM (SELECT * FROM c ORDER BY 1 LIMIT ?)",
            ),
            (
                "INSERT INTO t (a) SELECT b FROM u UNION ALL SELECT (1) RETURNING a",
                "INSERT INTO t (a, \"at\") \
                 SELECT *, (CURRENT_TIMESTAMP) FROM (SELECT b FROM u UNION ALL SELECT (1)) RETURNING a",
            ),
            (
                "INSERT INTO t (a) SELECT b FROM u WHERE b IN (SELECT 1) ON CONFLICT (a) DO UPDATE SET a = ? RETURNING a",
                "INSERT INTO t (a, \"at\") \
                 SELECT *, (CURRENT_TIMESTAMP) FROM (SELECT b FROM u WHERE b IN (SELECT 1)) WHERE true \
                 ON CONFLICT (a) DO UPDATE SET a = ? RETURNING a",
            ),
            (
                "INSERT INTO t (a) VALUES (1), (2) UNION ALL SELECT 3",
                "INSERT INTO t (a, \"at\") \
                 SELECT *, (CURRENT_TIMESTAMP) FROM (VALUES (1), (2) UNION ALL SELECT 3)",
            ),
            (
                "INSERT INTO t (a) WITH c (d) AS (VALUES (1)) SELECT d FROM c",
                "INSERT INTO t (a, \"at\") \
                 SELECT *, (CURRENT_TIMESTAMP) FROM (WITH c (d) AS (VALUES (1)) SELECT d FROM c)",
            ),
        ] {
            let parsed = parse(sql).expect("parses").remove(0);
            let given = parsed.with_defaults(&[("at", "CURRENT_TIMESTAMP")]);
            let text = given.expect("can be given").map(Parsed::into_text);
            assert_eq!(text.as_deref(), Some(wanted));
            let error = parsed.with_defaults(&[("key", "hex(randomblob(4))")]);
            assert!(matches!(error, Err(SqlError::Volatile(_))), "{sql}");
        }
    }

    #[test]
    fn columns_that_are_left_out_are_given() {
        for (sql, wanted) in [
            (
                "INSERT INTO t (a) VALUES (?), (f(?, 2))",
                Some(
                    "INSERT INTO t (a, \"at\", \"key\") VALUES (?, (CURRENT_TIMESTAMP), (hex(randomblob(4)))), \
                     (f(?, 2), (CURRENT_TIMESTAMP), (hex(randomblob(4))))",
                ),
            ),
            (
                "REPLACE INTO main.\"t\" AS x (`At`, a) VALUES (1, ')') ON CONFLICT (a) DO NOTHING RETURNING a",
                Some(
                    "REPLACE INTO main.\"t\" AS x (`At`, a, \"key\") VALUES (1, ')', (hex(randomblob(4)))) \
                     ON CONFLICT (a) DO NOTHING RETURNING a",
                ),
            ),
            (
                "INSERT INTO t DEFAULT VALUES",
                Some(
                    "INSERT INTO t (\"at\", \"key\") VALUES ((CURRENT_TIMESTAMP), (hex(randomblob(4))))",
                ),
            ),
            ("INSERT INTO t (at, [KEY]) VALUES (1, 2)", None),
            ("INSERT INTO t VALUES (1, 2, 3)", None),
            ("INSERT INTO t SELECT 1, 2, 3", None),
            ("INSERT INTO t (at, key) SELECT 1, 2", None),
            ("UPDATE t SET a = 1", None),
        ] {
            assert_eq!(with(sql).as_deref(), wanted, "{sql}");
        }
    }
}
