//! Statements about one row that is found by its key: `… WHERE "t"."id" = ?` without any other condition.
//!
//! If it is known that the row exists, the row count of such an UPDATE or DELETE is known in advance.

use crate::keyword::Keyword;
use crate::parsed::{Form, Parsed, unescaped};
use crate::token::TokenKind;

/// A statement whose WHERE is `column = ?`, or several of these joined by AND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByKey {
    /// The table. All names here are unquoted and in lower case.
    pub table: String,
    /// The columns, each with the index of its placeholder among all placeholders.
    pub columns: Vec<(String, usize)>,
    /// The columns that an UPDATE sets.
    pub sets: Vec<String>,
    /// The columns that a SELECT returns, without quotes and escapes. `None` if a column has another name in the answer,
    /// if an expression may be something other than a column, such as `true`, or if a schema is named: the table alone may
    /// then be another one.
    pub shown: Option<Vec<String>>,
}

impl ByKey {
    /// Reads `SELECT columns FROM t WHERE …`, `UPDATE t SET … WHERE …` or `DELETE FROM t WHERE …`.
    pub fn of(parsed: &Parsed<'_>) -> Option<ByKey> {
        let mut shown = None;
        let before = match (parsed.form(), parsed.keyword(0)?) {
            (Form::Select, Keyword::Select) => {
                let behind = parsed.plain_columns()?;
                let is_of_schema = parsed.kind(behind + 1) == Some(TokenKind::Dot);
                shown = (!is_of_schema)
                    .then(|| parsed.qualified_columns(behind - 1))
                    .flatten();
                behind
            }
            (Form::Delete, Keyword::Delete) if parsed.is(1, Keyword::From) => 2,
            (Form::Update, Keyword::Update) => 1,
            _ => return None,
        };
        let (table, behind) = parsed.qualified_name(before)?;
        let (sets, at) = match parsed.keyword(behind)? {
            Keyword::Set => parsed.sets(behind + 1)?,
            Keyword::Where => (Vec::new(), behind),
            _ => return None,
        };
        let columns = parsed.conditions(at + 1)?;
        Some(ByKey {
            table,
            columns,
            sets,
            shown,
        })
    }

    /// Returns whether the columns are exactly those of this primary key.
    pub fn is_by(&self, primary_key: &[String]) -> bool {
        let is_here = |name: &String| self.columns.iter().any(|(column, _)| column == name);
        !primary_key.is_empty()
            && primary_key.len() == self.columns.len()
            && primary_key.iter().all(is_here)
    }

    /// Returns whether an UPDATE changes the key of the row.
    pub fn sets_key(&self) -> bool {
        self.columns
            .iter()
            .any(|(column, _)| self.sets.contains(column))
    }
}

impl Parsed<'_> {
    /// Returns the position after FROM, if only names precede it. An aggregate returns a row even if the table has
    /// none.
    fn plain_columns(&self) -> Option<usize> {
        let mut place = 1;
        while !self.is(place, Keyword::From) {
            let is_name = matches!(
                self.kind(place)?,
                TokenKind::Word | TokenKind::Quoted | TokenKind::Dot | TokenKind::Comma
            );
            if !is_name || self.is(place, Keyword::Distinct) {
                return None;
            }
            place += 1;
        }
        Some(place + 1)
    }

    /// Returns the columns of a SELECT up to its FROM, if all of them are written as `"t"."c"`.
    fn qualified_columns(&self, from: usize) -> Option<Vec<String>> {
        let mut columns = Vec::new();
        let mut place = 1;
        loop {
            if self.kind(place + 1)? != TokenKind::Dot {
                return None;
            }
            let (_, behind) = self.qualified_name(place)?;
            // SQLite ignores the case of ASCII letters only.
            columns.push(unescaped(self.at(behind - 1)).to_ascii_lowercase());
            match self.kind(behind)? {
                TokenKind::Comma => place = behind + 1,
                _ if behind == from => return Some(columns),
                _ => return None,
            }
        }
    }

    /// Returns the columns after SET, and the position of WHERE.
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
                    let (name, behind) = self.qualified_name(place)?;
                    sets.push(name);
                    column_next = false;
                    place = behind;
                    continue;
                }
                TokenKind::Word if depth == 0 && self.is(place, Keyword::Where) => {
                    return Some((sets, place));
                }
                TokenKind::Word if depth == 0 && self.is(place, Keyword::From) => return None,
                _ => {}
            }
            place += 1;
        }
    }

    /// Reads `(("t"."a" = ?) AND ("t"."b" = ?))` up to the end, LIMIT or RETURNING. Parentheses have no meaning here.
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
            let (column, behind) = self.qualified_name(skip(place))?;
            if self.at(behind) != "=" || self.kind(behind + 1)? != TokenKind::Variable {
                return None;
            }
            columns.push((column, self.variables_before(behind + 1)));
            place = skip(behind + 2);
            match self.keyword(place) {
                Some(Keyword::And) => place += 1,
                Some(Keyword::Limit | Keyword::Returning) => return Some(columns),
                None if place == self.tokens().len() => return Some(columns),
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn by_key(sql: &str) -> Option<ByKey> {
        ByKey::of(&parse(sql).expect("parses")[0])
    }

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
    fn columns_that_are_returned() {
        let shown = |sql| by_key(sql).and_then(|key| key.shown);
        let names = |names: [&str; 2]| Some(names.map(str::to_owned).to_vec());
        assert_eq!(
            shown(r#"SELECT "t"."A", t.b FROM "t" WHERE ("t"."a" = ?) LIMIT ?"#),
            names(["a", "b"])
        );
        assert_eq!(
            shown(r#"SELECT "t"."say ""A""", `t`.`Größe` FROM t WHERE t.a = ?"#),
            names([r#"say "a""#, "größe"])
        );
        for sql in [
            "SELECT t.a, t.b FROM main.t WHERE a = ?",
            "SELECT a, b FROM t WHERE a = ?",
            "SELECT t.a, true FROM t WHERE a = ?",
            "SELECT t.a AS x, t.b FROM t WHERE a = ?",
            "SELECT t.a x, t.b FROM t WHERE a = ?",
            "UPDATE t SET b = ? WHERE a = ?",
            "DELETE FROM t WHERE a = ? RETURNING t.a",
        ] {
            assert!(by_key(sql).is_some_and(|key| key.shown.is_none()), "{sql}");
        }
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
            "WITH u AS (SELECT 1) UPDATE t SET n = 1 WHERE id = ?",
            "DELETE FROM t WHERE id IN (?)",
            "SELECT count(*) FROM t WHERE id = ?",
            "SELECT a FROM t, u WHERE id = ?",
            "SELECT a FROM t AS x WHERE id = ?",
            "SELECT a FROM t WHERE id = ? GROUP BY a",
            "INSERT INTO t VALUES (?)",
        ] {
            assert_eq!(by_key(sql), None, "{sql}");
        }
    }

    #[test]
    fn an_update_may_move_its_row() {
        let moves = |sql| by_key(sql).map(|key| key.sets_key());
        assert_eq!(moves("UPDATE t SET id = ? WHERE id = ?"), Some(true));
        assert_eq!(moves("UPDATE t SET n = ? WHERE id = ?"), Some(false));
    }
}
