//! Reads what a statement does to the columns of a table, and to their defaults.

use crate::keyword::Keyword;
use crate::parsed::{Parsed, unescaped};
use crate::token::TokenKind;

/// A change to the columns of a table. Names have no quotes, and no name of a database before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnChange {
    /// `CREATE TABLE`
    Create {
        /// The table.
        table: String,
        /// Set if `IF NOT EXISTS` is given.
        if_not_exists: bool,
        /// The columns that have a default. There are none after `CREATE TABLE … AS SELECT`.
        defaults: Vec<ColumnDefault>,
    },
    /// `DROP TABLE`
    Drop {
        /// The table.
        table: String,
    },
    /// `ALTER TABLE … RENAME TO …`
    Rename {
        /// The table.
        table: String,
        /// Its new name.
        to: String,
    },
    /// `ALTER TABLE … RENAME COLUMN … TO …`
    RenameColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its new name.
        to: String,
    },
    /// `ALTER TABLE … ADD COLUMN …`, if the column has a default.
    AddColumn {
        /// The table.
        table: String,
        /// The column.
        default: ColumnDefault,
    },
    /// `ALTER TABLE … DROP COLUMN …`
    DropColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
}

/// A column and its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDefault {
    /// The name of the column.
    pub column: String,
    /// The text of the default, with its parentheses if it has any.
    pub default: String,
}

impl Parsed<'_> {
    /// Returns the change of a statement to the columns of a permanent table. Returns `None` for any other statement.
    pub fn column_change(&self) -> Option<ColumnChange> {
        match self.keyword(0)? {
            Keyword::Create => self.creation(),
            Keyword::Drop => {
                let dropped = self.dropped_table()?;
                (!dropped.is_temporary).then_some(ColumnChange::Drop {
                    table: dropped.name,
                })
            }
            Keyword::Alter => self.alteration(),
            _ => None,
        }
    }

    fn creation(&self) -> Option<ColumnChange> {
        let created = self.created()?;
        if created.what != Some(Keyword::Table) || created.is_temporary || created.is_virtual {
            return None;
        }
        let if_not_exists = self.is(2, Keyword::If);
        let (_, after_name) = self.qualified_name(if if_not_exists { 5 } else { 2 })?;
        Some(ColumnChange::Create {
            table: created.name,
            if_not_exists,
            defaults: self.defaults_in(after_name),
        })
    }

    /// Returns the defaults in a list of columns and constraints in parentheses.
    fn defaults_in(&self, open: usize) -> Vec<ColumnDefault> {
        let Some(close) = self.closing(open) else {
            return Vec::new();
        };
        let mut defaults = Vec::new();
        let mut begin = open + 1;
        let mut depth = 0_usize;
        for place in open + 1..=close {
            match self.kind(place) {
                Some(TokenKind::Open) => depth += 1,
                Some(TokenKind::Close) if depth > 0 => depth -= 1,
                Some(TokenKind::Comma | TokenKind::Close) if depth == 0 => {
                    defaults.extend(self.default_of(begin, place));
                    begin = place + 1;
                }
                _ => {}
            }
        }
        defaults
    }

    /// Reads the definition of a column, from its name up to `end`. A constraint of the table has no default.
    fn default_of(&self, begin: usize, end: usize) -> Option<ColumnDefault> {
        let mut depth = 0_usize;
        let keyword = (begin + 1..end).find(|place| {
            match self.kind(*place) {
                Some(TokenKind::Open) => depth += 1,
                Some(TokenKind::Close) => depth = depth.saturating_sub(1),
                _ => {}
            }
            // `ON DELETE SET DEFAULT` is an action of a foreign key.
            depth == 0 && self.is(*place, Keyword::Default) && !self.is(*place - 1, Keyword::Set)
        })?;
        let value = keyword + 1;
        let last = match self.kind(value)? {
            TokenKind::Open => self.closing(value)?,
            TokenKind::Operator => value + 1,
            _ => value,
        };
        (last < end).then(|| ColumnDefault {
            column: unescaped(self.at(begin)),
            default: self.span(value..last + 1).to_owned(),
        })
    }

    fn alteration(&self) -> Option<ColumnChange> {
        let (_, place) = self.qualified_name(2)?;
        let table = unescaped(self.at(place - 1));
        let name = |place: usize| unescaped(self.at(place));
        let is_column = self.at(place + 1).eq_ignore_ascii_case("COLUMN");
        let first = if is_column { place + 2 } else { place + 1 };
        let word = self.at(place).to_ascii_uppercase();
        match &*word {
            "RENAME" if self.is(place + 1, Keyword::To) => Some(ColumnChange::Rename {
                table,
                to: name(place + 2),
            }),
            "RENAME" => Some(ColumnChange::RenameColumn {
                table,
                column: name(first),
                to: name(first + 2),
            }),
            "ADD" => Some(ColumnChange::AddColumn {
                table,
                default: self.default_of(first, self.tokens.len())?,
            }),
            "DROP" => Some(ColumnChange::DropColumn {
                table,
                column: name(first),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn change(sql: &str) -> Option<ColumnChange> {
        parse(sql).expect("parses").remove(0).column_change()
    }

    fn defaults(sql: &str) -> Vec<(String, String)> {
        match change(sql) {
            Some(ColumnChange::Create { defaults, .. }) => defaults
                .into_iter()
                .map(|found| (found.column, found.default))
                .collect(),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn defaults_of_a_new_table() {
        let found = defaults(
            "CREATE TABLE IF NOT EXISTS main.\"T\"\"t\" (id INTEGER PRIMARY KEY, \
             a DECIMAL(10, 2) NOT NULL DEFAULT -1.5 CHECK (a <> (1)), \
             [b c] TEXT CONSTRAINT d DEFAULT CURRENT_TIMESTAMP COLLATE NOCASE, \
             \"e\" DEFAULT (lower(hex(randomblob(8)))) UNIQUE, f DEFAULT 'x,(', g DEFAULT NULL, h, \
             i INTEGER REFERENCES u (a) ON DELETE SET DEFAULT, j DEFAULT(1), \
             CHECK (a > 0), CONSTRAINT x FOREIGN KEY (h) REFERENCES u (a) ON UPDATE SET DEFAULT)",
        );
        let wanted = [
            ("a", "-1.5"),
            ("b c", "CURRENT_TIMESTAMP"),
            ("e", "(lower(hex(randomblob(8))))"),
            ("f", "'x,('"),
            ("g", "NULL"),
            ("j", "(1)"),
        ];
        let wanted = wanted.map(|(column, default)| (column.to_owned(), default.to_owned()));
        assert_eq!(found, wanted);
        assert_eq!(defaults("CREATE TABLE t AS SELECT 1"), []);
        assert_eq!(defaults("CREATE TABLE t (a) STRICT"), []);
        let created = change("CREATE TABLE IF NOT EXISTS main.\"T\"\"t\" (a)");
        assert_eq!(
            created,
            Some(ColumnChange::Create {
                table: "T\"t".to_owned(),
                if_not_exists: true,
                defaults: Vec::new(),
            })
        );
    }

    #[test]
    fn changes_of_a_table() {
        let table = || "t".to_owned();
        let at = || "at".to_owned();
        for (sql, wanted) in [
            (
                "DROP TABLE IF EXISTS \"t\"",
                Some(ColumnChange::Drop { table: table() }),
            ),
            (
                "alter table main.t rename to [at]",
                Some(ColumnChange::Rename {
                    table: table(),
                    to: at(),
                }),
            ),
            (
                "ALTER TABLE t RENAME COLUMN a TO at",
                Some(ColumnChange::RenameColumn {
                    table: table(),
                    column: "a".to_owned(),
                    to: at(),
                }),
            ),
            (
                "ALTER TABLE t RENAME a TO at",
                Some(ColumnChange::RenameColumn {
                    table: table(),
                    column: "a".to_owned(),
                    to: at(),
                }),
            ),
            (
                "ALTER TABLE t ADD at TEXT NOT NULL DEFAULT (datetime())",
                Some(ColumnChange::AddColumn {
                    table: table(),
                    default: ColumnDefault {
                        column: at(),
                        default: "(datetime())".to_owned(),
                    },
                }),
            ),
            ("ALTER TABLE t ADD COLUMN at TEXT", None),
            (
                "ALTER TABLE t DROP COLUMN at",
                Some(ColumnChange::DropColumn {
                    table: table(),
                    column: at(),
                }),
            ),
            ("CREATE INDEX i ON t (a)", None),
            ("CREATE VIEW v AS SELECT 1", None),
            ("CREATE VIRTUAL TABLE v USING fts5(a)", None),
            ("INSERT INTO t VALUES (1)", None),
        ] {
            assert_eq!(change(sql), wanted, "{sql}");
        }
    }
}
