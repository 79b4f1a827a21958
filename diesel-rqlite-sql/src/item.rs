//! The expressions after SELECT or RETURNING: their values, and the names of their columns.

use std::ops::Range;

use crate::keyword::Keyword;
use crate::parsed::{Parsed, unescaped};
use crate::token::TokenKind;

/// An expression after SELECT or RETURNING. Its positions are token indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value, without the alias.
    pub value: Range<usize>,
    alias: Option<usize>,
    /// The token of the column, if the value is a column. It may be qualified by its table's name.
    column: Option<usize>,
    /// `*` or `t.*`
    pub is_star: bool,
}

impl Item {
    /// Returns whether the item has an alias.
    pub fn has_alias(&self) -> bool {
        self.alias.is_some()
    }

    /// Returns whether the item is a column, possibly with its table's name. A column is a single operand.
    pub fn is_column(&self) -> bool {
        self.column.is_some()
    }
}

impl Parsed<'_> {
    /// Returns the expressions after SELECT or RETURNING.
    pub fn parsed_items(&self) -> impl Iterator<Item = Item> {
        self.items().iter().map(|item| self.item(item.clone()))
    }

    fn item(&self, item: Range<usize>) -> Item {
        let (value, alias) = self.alias(item);
        let is_name =
            |place: usize| matches!(self.kind(place), Some(TokenKind::Word | TokenKind::Quoted));
        let names = value.clone().step_by(2).all(is_name);
        let mut dots = value.clone().skip(1).step_by(2);
        let is_column = matches!(value.len(), 1 | 3 | 5)
            && names
            && dots.all(|place| self.kind(place) == Some(TokenKind::Dot));
        let last = value.end.saturating_sub(1);
        Item {
            alias,
            column: is_column.then_some(last),
            is_star: !value.is_empty() && self.at(last) == "*",
            value,
        }
    }

    /// Splits `a AS b`, or `a b`.
    fn alias(&self, item: Range<usize>) -> (Range<usize>, Option<usize>) {
        let Some(last) = item.end.checked_sub(1).filter(|_| item.len() >= 2) else {
            return (item, None);
        };
        let before = last - 1;
        if self.is(before, Keyword::As) && item.len() >= 3 {
            (item.start..before, Some(last))
        } else if self.ends_value(before) && self.is_alias(last) {
            (item.start..last, Some(last))
        } else {
            (item, None)
        }
    }

    /// Returns the name that SQLite gives the column, as far as the text tells.
    pub fn item_name(&self, item: &Item) -> String {
        match item.alias.or(item.column) {
            Some(name) => unescaped(self.at(name)),
            None => self.span(item.value.clone()).to_owned(),
        }
    }

    /// Returns the names of a query's columns, if its text tells how many there are.
    pub fn known_names(&self) -> Option<Vec<String>> {
        let names = self.parsed_items();
        let names: Option<Vec<_>> = names
            .map(|item| (!item.is_star).then(|| self.item_name(&item)))
            .collect();
        names.filter(|names| !names.is_empty())
    }

    /// Returns the names that SQLite would give the columns, as far as the text tells. The others are empty.
    pub fn item_names(&self, columns: usize) -> Vec<String> {
        if self.items().len() == columns {
            self.parsed_items()
                .map(|item| self.item_name(&item))
                .collect()
        } else {
            vec![String::new(); columns]
        }
    }

    /// Returns whether an expression may end here, so that a following name is an alias.
    fn ends_value(&self, place: usize) -> bool {
        let is_operator = matches!(
            self.keyword(place),
            Some(
                Keyword::In
                    | Keyword::From
                    | Keyword::Is
                    | Keyword::Not
                    | Keyword::And
                    | Keyword::Or
                    | Keyword::Like
                    | Keyword::Glob
                    | Keyword::Match
                    | Keyword::Regexp
                    | Keyword::Collate
                    | Keyword::Escape
                    | Keyword::Between
                    | Keyword::Then
                    | Keyword::Else
                    | Keyword::When
                    | Keyword::Case
            )
        );
        match self.kind(place) {
            Some(TokenKind::Word) => !is_operator,
            Some(TokenKind::Operator | TokenKind::Dot | TokenKind::Comma | TokenKind::Open)
            | None => false,
            _ => true,
        }
    }

    fn is_alias(&self, place: usize) -> bool {
        let ends_expression = matches!(
            self.keyword(place),
            Some(Keyword::End | Keyword::Isnull | Keyword::Notnull | Keyword::Null)
        );
        match self.kind(place) {
            Some(TokenKind::Word) => !ends_expression,
            Some(TokenKind::Quoted | TokenKind::String) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;

    #[test]
    fn names_are_those_of_sqlite() {
        let sql = "SELECT a AS \"b \"\"c\"\"\", \"t\".\"d\", count(*), t.x, f y, g AS 'z', h IS NULL, \
                   CASE i WHEN 1 THEN 2 END, j COLLATE NOCASE, main.t.k, - 1 FROM t";
        assert_eq!(
            parse(sql).expect("parses")[0].item_names(11),
            [
                "b \"c\"",
                "d",
                "count(*)",
                "x",
                "y",
                "z",
                "h IS NULL",
                "CASE i WHEN 1 THEN 2 END",
                "j COLLATE NOCASE",
                "k",
                "- 1"
            ]
        );
    }

    #[test]
    fn names_are_known_unless_a_star_stands_for_them() {
        let names = |sql| parse(sql).expect("parses")[0].known_names();
        assert_eq!(names("SELECT a, t.* FROM t"), None);
        assert_eq!(names("SELECT * FROM t"), None);
        assert_eq!(names("VALUES (1)"), None);
        assert_eq!(names("SELECT a * b"), Some(vec!["a * b".to_owned()]));
    }
}
