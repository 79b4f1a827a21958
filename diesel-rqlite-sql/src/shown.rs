//! Formats a statement for logs and errors, without the values in it.

use crate::keyword::Keyword;
use crate::parsed::{Form, Parsed, unescaped};
use crate::token::TokenKind;

/// The largest length of a summary, in bytes.
const LONGEST_SUMMARY: usize = 255;

/// The form in which the literals of a statement are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// Each literal is replaced by `?`.
    Hidden,
    /// Literals are shown unchanged.
    Shown,
}

impl Parsed<'_> {
    /// Writes the text without comments and with single blanks, and cuts it off with `…` after about `longest` bytes.
    ///
    /// A name in double quotes is not a literal, although SQLite treats it as a string if no column has the name.
    pub fn show(&self, literals: Literals, longest: usize, text: &mut String) {
        let limit = text.len() + longest;
        let mut end = None;
        for (place, token) in self.tokens.iter().enumerate() {
            if end.is_some_and(|end| end < token.start) {
                text.push(' ');
            }
            end = Some(token.end);
            let is_literal = matches!(
                token.kind,
                TokenKind::String | TokenKind::Blob | TokenKind::Number
            );
            let shown = match is_literal && literals == Literals::Hidden {
                true => "?",
                false => self.at(place),
            };
            if text.len() + shown.len() > limit {
                text.push('…');
                return;
            }
            text.push_str(shown);
        }
    }

    /// Returns the word for what the statement does: its first word, or after `WITH …` the one that follows the
    /// tables.
    pub fn operation(&self) -> &'static str {
        match (self.form, self.keyword(0)) {
            (_, Some(Keyword::Replace)) => "REPLACE",
            (Form::Select, Some(Keyword::Values)) => "VALUES",
            (Form::Select, _) => "SELECT",
            (Form::Insert, _) => "INSERT",
            (Form::Update, _) => "UPDATE",
            (Form::Delete, _) => "DELETE",
            (Form::Explain, _) => "EXPLAIN",
            (Form::Pragma, _) => "PRAGMA",
            (Form::Vacuum, _) => "VACUUM",
            (Form::Attach, Some(Keyword::Detach)) => "DETACH",
            (Form::Attach, _) => "ATTACH",
            (Form::CreateTableAs, _) => "CREATE",
            (Form::Schema, Some(Keyword::Drop)) => "DROP",
            (Form::Schema, Some(Keyword::Alter)) => "ALTER",
            (Form::Schema, Some(Keyword::Analyze)) => "ANALYZE",
            (Form::Schema, Some(Keyword::Reindex)) => "REINDEX",
            (Form::Schema, _) => "CREATE",
            (Form::Begin, _) => "BEGIN",
            (Form::Commit, _) => "COMMIT",
            (Form::Savepoint, Some(Keyword::Rollback)) => "ROLLBACK",
            (Form::Savepoint, Some(Keyword::Release)) => "RELEASE",
            (Form::Savepoint, _) => "SAVEPOINT",
        }
    }

    /// Returns what the statement does and to which tables, in the order of the text: `SELECT songs artists`, `INSERT
    /// songs`.
    pub fn summary(&self) -> String {
        let mut summary = self.operation().to_owned();
        match self.form {
            Form::Schema | Form::CreateTableAs => self.summarize_schema(&mut summary),
            Form::Pragma => push(&mut summary, self.at(1)),
            _ => self.summarize_tables(&mut summary),
        }
        summary
    }

    fn summarize_tables(&self, summary: &mut String) {
        let of_with = self.is(0, Keyword::With);
        for place in 0..self.tokens.len() {
            match self.keyword(place) {
                // This is a query after the beginning of the statement.
                Some(Keyword::Select) if place > 0 && !of_with => push(summary, "SELECT"),
                Some(Keyword::From) if self.is_of_comparison(place) => {}
                Some(Keyword::From) => self.push_tables(place + 1, summary),
                Some(Keyword::Join | Keyword::Into) => {
                    self.push_table(place + 1, summary);
                }
                Some(Keyword::Update) if self.form == Form::Update => {
                    self.push_updated(place + 1, summary);
                }
                _ => {}
            }
        }
    }

    /// Returns whether this belongs to `IS DISTINCT FROM`.
    fn is_of_comparison(&self, place: usize) -> bool {
        place > 0 && self.is(place - 1, Keyword::Distinct)
    }

    /// Adds the table of `UPDATE OR IGNORE t`. After `DO`, `OF` or `FOR`, UPDATE names no table.
    fn push_updated(&self, place: usize, summary: &mut String) {
        let place = if self.is(place, Keyword::Or) {
            place + 2
        } else {
            place
        };
        if !self.is(place, Keyword::Set) {
            self.push_table(place, summary);
        }
    }

    /// Adds names separated by commas, possibly with aliases.
    fn push_tables(&self, mut place: usize, summary: &mut String) {
        while let Some(mut behind) = self.push_table(place, summary) {
            if self.is(behind, Keyword::As) {
                behind += 1;
            }
            let is_alias = matches!(self.kind(behind), Some(TokenKind::Word | TokenKind::Quoted))
                && self.kind(behind + 1) == Some(TokenKind::Comma);
            behind += usize::from(is_alias);
            if self.kind(behind) != Some(TokenKind::Comma) {
                return;
            }
            place = behind + 1;
        }
    }

    /// Adds the last part of a name and returns the position after it.
    fn push_table(&self, place: usize, summary: &mut String) -> Option<usize> {
        let (_, behind) = self.qualified_name(place)?;
        push(summary, &unescaped(self.at(behind - 1)));
        Some(behind)
    }

    /// Summarizes a schema change: `CREATE UNIQUE INDEX IF NOT EXISTS i` becomes `CREATE UNIQUE INDEX i`.
    fn summarize_schema(&self, summary: &mut String) {
        let mut place = 1;
        while self.kind(place) == Some(TokenKind::Word) && is_of_schema(self.at(place)) {
            push(summary, &self.at(place).to_ascii_uppercase());
            place += 1;
        }
        if self.is(place, Keyword::If) {
            place += if self.is(0, Keyword::Drop) { 2 } else { 3 };
        }
        self.push_table(place, summary);
    }
}

/// Returns whether the word may come between CREATE, DROP or ALTER and a name.
fn is_of_schema(word: &str) -> bool {
    const WORDS: [&str; 8] = [
        "TEMP",
        "TEMPORARY",
        "UNIQUE",
        "VIRTUAL",
        "TABLE",
        "INDEX",
        "VIEW",
        "TRIGGER",
    ];
    WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn push(summary: &mut String, word: &str) {
    if summary.len() + word.len() < LONGEST_SUMMARY {
        summary.push(' ');
        summary.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn one(sql: &str) -> Parsed<'_> {
        parse(sql).expect(sql).remove(0)
    }

    fn shown(sql: &str, literals: Literals, longest: usize) -> String {
        let mut text = String::new();
        one(sql).show(literals, longest, &mut text);
        text
    }

    #[test]
    fn literals_and_comments_are_not_shown() {
        for (sql, wanted) in [
            (
                "SELECT 'a''b', x'00ff', -1.5e3, 0x10 FROM t -- secret\nWHERE a=?1 AND b IN(1,2)",
                "SELECT ?, ?, -?, ? FROM t WHERE a=?1 AND b IN(?,?)",
            ),
            (
                "INSERT INTO \"t'1\" /* secret */ VALUES (NULL, TRUE, :n, '/*')",
                "INSERT INTO \"t'1\" VALUES (NULL, TRUE, :n, ?)",
            ),
            ("SELECT\n\t1\n", "SELECT ?"),
        ] {
            assert_eq!(shown(sql, Literals::Hidden, 1000), wanted);
        }
        assert_eq!(
            shown("SELECT /* c */ 'a', 1", Literals::Shown, 1000),
            "SELECT 'a', 1"
        );
    }

    #[test]
    fn long_text_ends_between_two_tokens() {
        let sql = "SELECT 'é', 'ü' FROM t";
        for literals in [Literals::Hidden, Literals::Shown] {
            for longest in 0..shown(sql, literals, 1000).len() {
                let text = shown(sql, literals, longest);
                assert!(text.ends_with('…'), "{text}");
                assert!(text.len() <= longest + '…'.len_utf8() + 1, "{text}");
            }
        }
    }

    #[test]
    fn summaries() {
        for (sql, wanted) in [
            ("SELECT 1", "SELECT"),
            ("SELECT a FROM \"main\".\"posts\"", "SELECT posts"),
            (
                "SELECT * FROM a AS x, b y, c JOIN d ON 1 IS NOT DISTINCT FROM 2",
                "SELECT a b c d",
            ),
            ("SELECT * FROM (SELECT 1 FROM t)", "SELECT SELECT t"),
            ("VALUES (1)", "VALUES"),
            ("WITH c AS (SELECT 1 FROM t) SELECT * FROM c", "SELECT t c"),
            ("INSERT INTO t SELECT * FROM u", "INSERT t SELECT u"),
            (
                "INSERT OR REPLACE INTO t VALUES (replace('a', 'b', 'c'))",
                "INSERT t",
            ),
            ("REPLACE INTO t VALUES (1)", "REPLACE t"),
            (
                "INSERT INTO t VALUES (1) ON CONFLICT DO UPDATE SET a = 1",
                "INSERT t",
            ),
            ("UPDATE OR IGNORE t SET a = 1 FROM u", "UPDATE t u"),
            ("DELETE FROM `t`", "DELETE t"),
            ("CREATE TABLE IF NOT EXISTS t (a)", "CREATE TABLE t"),
            ("create unique index i on t (a)", "CREATE UNIQUE INDEX i"),
            ("DROP TABLE IF EXISTS t", "DROP TABLE t"),
            ("ALTER TABLE t ADD COLUMN b", "ALTER TABLE t"),
            ("PRAGMA table_info('secret')", "PRAGMA table_info"),
            ("EXPLAIN QUERY PLAN SELECT * FROM t", "EXPLAIN SELECT t"),
            ("ROLLBACK TO x", "ROLLBACK"),
        ] {
            assert_eq!(one(sql).summary(), wanted, "{sql}");
        }
        let long = format!("SELECT * FROM {}", vec!["table_name"; 100].join(", "));
        assert!(one(&long).summary().len() <= LONGEST_SUMMARY);
    }
}
