//! SQLite's tokens, coarse: enough to find statement ends, placeholders and clauses.
//!
//! A tokenizer of our own, because the published parsers of SQLite's dialect build C programs
//! on the user's machine. It follows the rules of SQLite's `tokenize.c`; what this crate never asks about
//! (which operator, which kind of number) is one kind here.

use std::ops::Range;

use super::SqlError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An unquoted name or keyword.
    Word,
    /// A name in `"…"`, `` `…` `` or `[…]`.
    Quoted,
    /// `'…'`
    String,
    /// `x'…'`
    Blob,
    Number,
    /// `?`, `?1`, `:name`, `@name`, `$name`
    Variable,
    Semicolon,
    Open,
    Close,
    Comma,
    Dot,
    Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) range: Range<usize>,
}

/// Yields the tokens of a text without blanks and comments.
pub(crate) struct Tokens<'a> {
    sql: &'a str,
    /// Behind the last token; where the error is, if there was one.
    pub(super) at: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(sql: &'a str) -> Self {
        Tokens { sql, at: 0 }
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        self.sql.as_bytes().get(self.at + offset).copied()
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.byte(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), SqlError> {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c), _) => self.at += 1,
                // A byte order mark, which SQLite takes for a blank at the start of a token.
                (Some(0xef), Some(0xbb)) if self.byte(2) == Some(0xbf) => self.at += 3,
                (Some(b'-'), Some(b'-')) => self.skip_while(|byte| byte != b'\n'),
                (Some(b'/'), Some(b'*')) => {
                    let body = &self.sql[self.at + 2..];
                    let length = body.find("*/").ok_or(SqlError::Unclosed("/*"))?;
                    self.at += 2 + length + 2;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Moves behind the closing quote. A doubled quote stands for itself, but not in `[…]`.
    fn skip_quoted(&mut self, close: u8, open: &'static str) -> Result<(), SqlError> {
        self.at += 1;
        loop {
            self.skip_while(|byte| byte != close);
            if self.byte(0).is_none() {
                return Err(SqlError::Unclosed(open));
            }
            self.at += 1;
            if close == b']' || self.byte(0) != Some(close) {
                return Ok(());
            }
            self.at += 1;
        }
    }

    fn skip_number(&mut self) {
        loop {
            self.skip_while(|byte| is_name_byte(byte) || byte == b'.');
            let exponent = matches!(self.sql.as_bytes()[self.at - 1], b'e' | b'E');
            if exponent
                && matches!(self.byte(0), Some(b'+' | b'-'))
                && self.byte(1).is_some_and(|byte| byte.is_ascii_digit())
            {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    fn skip_variable(&mut self) {
        self.at += 1;
        loop {
            self.skip_while(is_name_byte);
            // Tcl's `$a::b`, which SQLite reads as one name.
            if (self.byte(0), self.byte(1)) == (Some(b':'), Some(b':')) {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    fn skip_token(&mut self, first: u8) -> Result<TokenKind, SqlError> {
        let single = |tokens: &mut Self, kind| {
            tokens.at += 1;
            Ok(kind)
        };
        match first {
            b';' => single(self, TokenKind::Semicolon),
            b'(' => single(self, TokenKind::Open),
            b')' => single(self, TokenKind::Close),
            b',' => single(self, TokenKind::Comma),
            b'\'' => self.skip_quoted(b'\'', "'").map(|()| TokenKind::String),
            b'"' => self.skip_quoted(b'"', "\"").map(|()| TokenKind::Quoted),
            b'`' => self.skip_quoted(b'`', "`").map(|()| TokenKind::Quoted),
            b'[' => self.skip_quoted(b']', "[").map(|()| TokenKind::Quoted),
            b'x' | b'X' if self.byte(1) == Some(b'\'') => {
                self.at += 1;
                self.skip_quoted(b'\'', "'").map(|()| TokenKind::Blob)
            }
            b'0'..=b'9' => {
                self.skip_number();
                Ok(TokenKind::Number)
            }
            b'.' if self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                self.at += 1;
                self.skip_number();
                Ok(TokenKind::Number)
            }
            b'.' => single(self, TokenKind::Dot),
            b'?' => {
                self.at += 1;
                self.skip_while(|byte| byte.is_ascii_digit());
                Ok(TokenKind::Variable)
            }
            b':' | b'@' | b'$' if self.byte(1).is_some_and(is_name_byte) => {
                self.skip_variable();
                Ok(TokenKind::Variable)
            }
            byte if is_name_byte(byte) => {
                self.skip_while(is_name_byte);
                Ok(TokenKind::Word)
            }
            _ => single(self, TokenKind::Operator),
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, SqlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.skip_blanks_and_comments() {
            return Some(Err(error));
        }
        let first = self.byte(0)?;
        let start = self.at;
        let kind = self.skip_token(first);
        if kind.is_err() {
            self.at = start;
        }
        Some(kind.map(|kind| Token {
            kind,
            range: start..self.at,
        }))
    }
}

/// SQLite: letters, digits, `_`, `$` and everything beyond ASCII.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str) -> Vec<(TokenKind, &str)> {
        Tokens::new(sql)
            .map(|token| token.expect("tokens"))
            .map(|token| (token.kind, &sql[token.range]))
            .collect()
    }

    #[test]
    fn comments_and_blanks_are_no_tokens() {
        assert_eq!(
            kinds("a -- b\n/* ; */ 'c -- d'"),
            [(TokenKind::Word, "a"), (TokenKind::String, "'c -- d'")]
        );
    }

    #[test]
    fn doubled_quotes_stay_inside() {
        assert_eq!(
            kinds("'it''s' \"a\"\"b\" `c``d` [e]"),
            [
                (TokenKind::String, "'it''s'"),
                (TokenKind::Quoted, "\"a\"\"b\""),
                (TokenKind::Quoted, "`c``d`"),
                (TokenKind::Quoted, "[e]"),
            ]
        );
    }

    #[test]
    fn numbers_blobs_and_variables() {
        assert_eq!(
            kinds("1.5e+3 .5 0xFF x'41' ?1 ? :a @b $c::d"),
            [
                (TokenKind::Number, "1.5e+3"),
                (TokenKind::Number, ".5"),
                (TokenKind::Number, "0xFF"),
                (TokenKind::Blob, "x'41'"),
                (TokenKind::Variable, "?1"),
                (TokenKind::Variable, "?"),
                (TokenKind::Variable, ":a"),
                (TokenKind::Variable, "@b"),
                (TokenKind::Variable, "$c::d"),
            ]
        );
    }

    #[test]
    fn names_beyond_ascii_are_words() {
        assert_eq!(kinds("größe"), [(TokenKind::Word, "größe")]);
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for (sql, open) in [("'a", "'"), ("\"a", "\""), ("[a", "["), ("/* a", "/*")] {
            let error = Tokens::new(sql).find_map(Result::err);
            assert_eq!(error, Some(SqlError::Unclosed(open)), "{sql}");
        }
    }
}
