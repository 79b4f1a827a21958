//! Statements about one row, found by its key: `… WHERE "t"."id" = ?`, and nothing more.
//!
//! What such an UPDATE or DELETE will count can be told where it is known that the row is there.

use super::scan::unquoted;
use super::tokens::{Token, TokenKind, Tokens};

/// A statement whose WHERE is `column = ?`, or several of them with AND between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByKey {
    /// Unquoted, in lower case, as are all names here.
    pub(crate) table: String,
    /// The columns, with the place of the placeholder among all placeholders.
    pub(crate) columns: Vec<(String, usize)>,
    /// The columns that an UPDATE sets.
    pub(crate) sets: Vec<String>,
}

impl ByKey {
    /// Whether these are just the columns of a primary key.
    pub(crate) fn is_by(&self, primary_key: &[String]) -> bool {
        let is_here = |name: &String| self.columns.iter().any(|(column, _)| column == name);
        !primary_key.is_empty()
            && primary_key.len() == self.columns.len()
            && primary_key.iter().all(is_here)
    }

    /// Whether an UPDATE moves the row to another key.
    pub(crate) fn sets_key(&self) -> bool {
        self.columns
            .iter()
            .any(|(column, _)| self.sets.contains(column))
    }
}

/// Looks at `SELECT columns FROM t WHERE …`, `UPDATE t SET … WHERE …` or `DELETE FROM t WHERE …`.
pub(crate) fn by_key(sql: &str) -> Option<ByKey> {
    const VERBS: [&str; 3] = ["SELECT", "UPDATE", "DELETE"];
    // An INSERT may be long.
    let first = Tokens::new(sql).next()?.ok()?;
    if !VERBS.iter().any(|verb| is(&sql[first.range.clone()], verb)) {
        return None;
    }
    let tokens: Vec<_> = Tokens::new(sql).map_while(Result::ok).collect();
    let text = Text {
        sql,
        tokens: &tokens,
    };
    let before = match text.word(0)? {
        word if is(word, "SELECT") => text.plain_columns()?,
        word if is(word, "DELETE") && is(text.word(1)?, "FROM") => 2,
        word if is(word, "UPDATE") => 1,
        _ => return None,
    };
    let (table, behind) = text.name(before)?;
    let (sets, at) = match text.word(behind)? {
        word if is(word, "SET") => text.sets(behind + 1)?,
        word if is(word, "WHERE") => (Vec::new(), behind),
        _ => return None,
    };
    let columns = text.conditions(at + 1)?;
    Some(ByKey {
        table,
        columns,
        sets,
    })
}

/// The table of an INSERT, UPDATE or DELETE, if it comes first in the text.
pub(crate) fn written_table(sql: &str) -> Option<String> {
    let tokens: Vec<_> = Tokens::new(sql).map_while(Result::ok).collect();
    let text = Text {
        sql,
        tokens: &tokens,
    };
    let or = |place| text.word(place).is_some_and(|word| is(word, "OR"));
    let behind_or = |place| if or(place) { place + 2 } else { place };
    let place = match text.word(0)? {
        word if is(word, "INSERT") => behind_or(1) + 1,
        word if is(word, "REPLACE") || is(word, "DELETE") => 2,
        word if is(word, "UPDATE") => behind_or(1),
        _ => return None,
    };
    text.name(place).map(|(table, _)| table)
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

struct Text<'a> {
    sql: &'a str,
    tokens: &'a [Token],
}

impl<'a> Text<'a> {
    fn kind(&self, place: usize) -> Option<TokenKind> {
        self.tokens.get(place).map(|token| token.kind)
    }

    fn at(&self, place: usize) -> Option<&'a str> {
        let token = self.tokens.get(place)?;
        Some(&self.sql[token.range.clone()])
    }

    fn word(&self, place: usize) -> Option<&'a str> {
        self.at(place)
            .filter(|_| self.kind(place) == Some(TokenKind::Word))
    }

    /// The last part of `a.b.c`, and the place behind it.
    fn name(&self, mut place: usize) -> Option<(String, usize)> {
        loop {
            if !matches!(self.kind(place)?, TokenKind::Word | TokenKind::Quoted) {
                return None;
            }
            if self.kind(place + 1) != Some(TokenKind::Dot) {
                let name = unquoted(self.at(place)?).to_ascii_lowercase();
                return Some((name, place + 1));
            }
            place += 2;
        }
    }

    /// The place behind FROM, if only names stand before it: an aggregate has a row where there is none.
    fn plain_columns(&self) -> Option<usize> {
        let mut place = 1;
        while !self.word(place).is_some_and(|word| is(word, "FROM")) {
            let is_name = matches!(
                self.kind(place)?,
                TokenKind::Word | TokenKind::Quoted | TokenKind::Dot | TokenKind::Comma
            );
            let distinct = self.word(place).is_some_and(|word| is(word, "DISTINCT"));
            if !is_name || distinct {
                return None;
            }
            place += 1;
        }
        Some(place + 1)
    }

    /// The columns behind SET, and the place of WHERE.
    fn sets(&self, mut place: usize) -> Option<(Vec<String>, usize)> {
        let mut sets = Vec::new();
        let mut depth = 0_usize;
        let mut column_next = true;
        loop {
            match self.kind(place)? {
                TokenKind::Open if column_next => return None,
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.checked_sub(1)?,
                TokenKind::Comma if depth == 0 => column_next = true,
                TokenKind::Word | TokenKind::Quoted if column_next => {
                    let (name, behind) = self.name(place)?;
                    sets.push(name);
                    column_next = false;
                    place = behind;
                    continue;
                }
                TokenKind::Word if depth == 0 && is(self.at(place)?, "WHERE") => {
                    return Some((sets, place));
                }
                TokenKind::Word if depth == 0 && is(self.at(place)?, "FROM") => return None,
                _ => {}
            }
            place += 1;
        }
    }

    /// `(("t"."a" = ?) AND ("t"."b" = ?))` up to the end, LIMIT or RETURNING. Parentheses mean nothing here.
    fn conditions(&self, start: usize) -> Option<Vec<(String, usize)>> {
        let mut place = start;
        let skip = |mut place: usize| {
            while matches!(self.kind(place), Some(TokenKind::Open | TokenKind::Close)) {
                place += 1;
            }
            place
        };
        let mut columns = Vec::new();
        loop {
            let (column, behind) = self.name(skip(place))?;
            if self.at(behind)? != "=" || self.kind(behind + 1)? != TokenKind::Variable {
                return None;
            }
            columns.push((column, self.variable(behind + 1)));
            place = skip(behind + 2);
            match self.word(place) {
                Some(word) if is(word, "AND") => place += 1,
                Some(word) if is(word, "LIMIT") || is(word, "RETURNING") => return Some(columns),
                None if place == self.tokens.len() => return Some(columns),
                _ => return None,
            }
        }
    }

    /// The place of a placeholder among all placeholders.
    fn variable(&self, place: usize) -> usize {
        let before = &self.tokens[..place];
        let variables = before
            .iter()
            .filter(|token| token.kind == TokenKind::Variable);
        variables.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sql: &str) -> (String, Vec<(String, usize)>, Vec<String>) {
        let key = by_key(sql).unwrap_or_else(|| panic!("{sql}"));
        (key.table, key.columns, key.sets)
    }

    fn columns(columns: &[(&str, usize)]) -> Vec<(String, usize)> {
        let columns = columns.iter();
        columns
            .map(|(name, place)| ((*name).to_owned(), *place))
            .collect()
    }

    #[test]
    fn statements_about_one_row() {
        assert_eq!(
            found(r#"UPDATE "t" SET "n" = ("t"."n" + ?), "m" = ? WHERE ("t"."id" = ?)"#),
            (
                "t".to_owned(),
                columns(&[("id", 2)]),
                vec!["n".to_owned(), "m".to_owned()]
            )
        );
        assert_eq!(
            found(
                r#"SELECT "t"."a", "t"."b" FROM "t" WHERE (("t"."a" = ?) AND ("t"."b" = ?)) LIMIT ?"#
            ),
            ("t".to_owned(), columns(&[("a", 0), ("b", 1)]), vec![])
        );
        assert_eq!(
            found("delete from main.T where ID = :id returning id"),
            ("t".to_owned(), columns(&[("id", 0)]), vec![])
        );
    }

    #[test]
    fn statements_about_any_number_of_rows() {
        for sql in [
            "UPDATE t SET n = 1",
            "UPDATE t SET n = 1 WHERE id = 1 OR ? = 2",
            "UPDATE t SET n = 1 WHERE id = ? OR id = ?",
            "UPDATE t SET n = 1 WHERE id > ?",
            "UPDATE t SET n = 1 FROM u WHERE id = ?",
            "UPDATE t SET (a, b) = (1, 2) WHERE id = ?",
            "UPDATE OR IGNORE t SET n = 1 WHERE id = ?",
            "DELETE FROM t WHERE id IN (?)",
            "SELECT count(*) FROM t WHERE id = ?",
            "SELECT a FROM t, u WHERE id = ?",
            "SELECT a FROM t AS x WHERE id = ?",
            "SELECT a FROM t WHERE id = ? GROUP BY a",
            "INSERT INTO t VALUES (?)",
            "",
        ] {
            assert_eq!(by_key(sql), None, "{sql}");
        }
    }

    #[test]
    fn the_table_that_is_written() {
        for sql in [
            "INSERT INTO T VALUES (1)",
            "insert or ignore into main.t DEFAULT VALUES",
            "REPLACE INTO \"t\" VALUES (1)",
            "UPDATE OR REPLACE t SET a = 1",
            "UPDATE t AS x SET a = 1",
            "DELETE FROM [t]",
        ] {
            assert_eq!(written_table(sql).as_deref(), Some("t"), "{sql}");
        }
        assert_eq!(written_table("SELECT a FROM t"), None);
    }

    #[test]
    fn an_update_may_move_its_row() {
        let moves = |sql| by_key(sql).map(|key| key.sets_key());
        assert_eq!(moves("UPDATE t SET id = ? WHERE id = ?"), Some(true));
        assert_eq!(moves("UPDATE t SET n = ? WHERE id = ?"), Some(false));
    }
}
