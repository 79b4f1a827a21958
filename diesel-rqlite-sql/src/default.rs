//! Adds the defaults of omitted columns to an INSERT.

use crate::keyword::Keyword;
use crate::parsed::{Form, Parsed, unescaped};
use crate::rewrite::Pin;
use crate::token::TokenKind;

impl Parsed<'_> {
    /// Adds those of these columns (name and default) that an INSERT omits. The INSERT must have given rows and
    /// either name its columns or name none. Returns `None` if it omits none of the columns, or takes its rows from a
    /// query.
    pub fn with_defaults(&self, defaults: &[(&str, &str)]) -> Option<Parsed<'static>> {
        if self.form != Form::Insert {
            return None;
        }
        let mut place = self.clauses.table.clone()?.end;
        if self.is(place, Keyword::As) {
            place += 2;
        }
        let pins = if self.is(place, Keyword::Default) && self.is(place + 1, Keyword::Values) {
            let range = self.bytes(&(place..place + 2));
            let (columns, values) = lists(defaults);
            vec![Pin {
                range,
                text: format!("({columns}) VALUES ({values})"),
            }]
        } else {
            self.pins_behind_columns(place, defaults)?
        };
        self.reread(&pins).ok()
    }

    fn pins_behind_columns(&self, open: usize, defaults: &[(&str, &str)]) -> Option<Vec<Pin>> {
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
        if missing.is_empty() || !self.is(close + 1, Keyword::Values) {
            return None;
        }
        let (columns, values) = lists(&missing);
        let mut pins = vec![self.in_front_of(close, &columns)];
        let mut place = close + 2;
        loop {
            let close = self.closing(place)?;
            pins.push(self.in_front_of(close, &values));
            if self.kind(close + 1) != Some(TokenKind::Comma) {
                return Some(pins);
            }
            place = close + 2;
        }
    }

    fn in_front_of(&self, token: usize, list: &str) -> Pin {
        let start = self.tokens[token].range().start;
        Pin {
            range: start..start,
            text: format!(", {list}"),
        }
    }

    /// Returns the position of the closing parenthesis for this opening one.
    fn closing(&self, open: usize) -> Option<usize> {
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
        parsed.with_defaults(&defaults).map(Parsed::into_text)
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
            ("INSERT INTO t (a) SELECT 1", None),
            ("UPDATE t SET a = 1", None),
        ] {
            assert_eq!(with(sql).as_deref(), wanted, "{sql}");
        }
    }
}
