//! A coarse tokenizer for SQLite: enough to find the ends of statements, placeholders and clauses.
//!
//! It follows the rules of SQLite's `tokenize.c`. Distinctions that this crate does not need (which operator, which
//! kind of number) are one kind here.

use std::ops::Range;

use crate::error::SqlError;
use crate::keyword::Keyword;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An unquoted name or keyword.
    Word,
    /// A name in `"…"`, `` `…` `` or `[…]`.
    Quoted,
    /// `'…'`
    String,
    /// `x'…'`
    Blob,
    /// A number, in any notation.
    Number,
    /// `?`, `?1`, `:name`, `@name`, `$name`
    Variable,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// One character of an operator, or a character that SQLite does not know.
    Operator,
}

/// A token, by its position in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The kind.
    pub kind: TokenKind,
    /// The keyword, if an unquoted word is used as one.
    pub keyword: Option<Keyword>,
}

impl Token {
    /// Returns the bytes of the text that the token covers.
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Returns the tokens of a text, without blanks and comments.
///
/// # Errors
///
/// `Unclosed`, `TooLong`.
pub fn tokens(sql: &str) -> Result<Vec<Token>, SqlError> {
    let mut tokenizer = Tokenizer::new(sql.as_bytes());
    let mut tokens = Vec::with_capacity(sql.len() / 5);
    while let Some(raw) = tokenizer.next_token()? {
        tokens.push(raw.token(sql.as_bytes(), 0)?);
    }
    Ok(tokens)
}

/// A token as it is found, by its position in a text of any length.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) kind: TokenKind,
    pub(crate) range: Range<usize>,
}

impl Raw {
    /// Returns the token with its position counted from `start`.
    pub(crate) fn token(&self, sql: &[u8], start: usize) -> Result<Token, SqlError> {
        let offset = |at: usize| u32::try_from(at - start).map_err(|_| SqlError::TooLong);
        Ok(Token {
            start: offset(self.range.start)?,
            end: offset(self.range.end)?,
            kind: self.kind,
            keyword: match self.kind {
                TokenKind::Word => Keyword::of(&sql[self.range.clone()]),
                _ => None,
            },
        })
    }
}

/// Reads the tokens one by one.
pub(crate) struct Tokenizer<'a> {
    sql: &'a [u8],
    /// The position after the last token. If there was an error, its position.
    pub(crate) at: usize,
}

impl<'a> Tokenizer<'a> {
    pub(crate) fn new(sql: &'a [u8]) -> Self {
        #[cfg(feature = "counted")]
        count::one();
        Self::from(sql, 0)
    }

    /// Starts at any position between two tokens.
    pub(crate) fn from(sql: &'a [u8], at: usize) -> Self {
        Tokenizer { sql, at }
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        self.sql.get(self.at + offset).copied()
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.byte(0).is_some_and(&wanted) {
            self.at += 1;
        }
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c), _) => {
                    // A vertical tab is a blank only after another one.
                    self.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
                }
                // This is a byte order mark, which SQLite treats as a blank at the start of a token.
                (Some(0xef), Some(0xbb)) if self.byte(2) == Some(0xbf) => self.at += 3,
                (Some(b'-'), Some(b'-')) => self.skip_while(|byte| byte != b'\n'),
                // At the very end, `/*` is two operators.
                (Some(b'/'), Some(b'*')) if self.byte(2).is_some() => {
                    let body = &self.sql[self.at + 2..];
                    // A comment that is not closed extends to the end.
                    let length = body.windows(2).position(|pair| pair == b"*/");
                    self.at = length.map_or(self.sql.len(), |length| self.at + length + 4);
                }
                _ => return,
            }
        }
    }

    /// Moves past the closing quote. A doubled quote stands for one quote, but not in `[…]`.
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
            let exponent = matches!(self.sql[self.at - 1], b'e' | b'E');
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

    /// Reads a placeholder. A mark alone is not one.
    fn skip_variable(&mut self) -> TokenKind {
        self.at += 1;
        let mut names = 0;
        loop {
            let start = self.at;
            self.skip_while(is_name_byte);
            names += self.at - start;
            match (self.byte(0), self.byte(1)) {
                // This is Tcl's `$a::b`, which SQLite reads as one name.
                (Some(b':'), Some(b':')) => self.at += 2,
                // This is Tcl's `$a(b)`.
                (Some(b'('), _) if names > 0 => {
                    self.skip_array_index();
                    return TokenKind::Variable;
                }
                _ if names > 0 => return TokenKind::Variable,
                _ => return TokenKind::Operator,
            }
        }
    }

    fn skip_array_index(&mut self) {
        let ends = |byte: &u8| *byte == b')' || byte.is_ascii_whitespace();
        let end = self.sql[self.at..].iter().position(ends);
        self.at = end.map_or(self.sql.len(), |end| self.at + end);
        if self.byte(0) == Some(b')') {
            self.at += 1;
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
                self.at += 2;
                self.skip_while(|byte| byte != b'\'');
                if self.byte(0).is_none() {
                    return Err(SqlError::Unclosed("'"));
                }
                self.at += 1;
                Ok(TokenKind::Blob)
            }
            b'0' if matches!(self.byte(1), Some(b'x' | b'X'))
                && self.byte(2).is_some_and(|byte| byte.is_ascii_hexdigit()) =>
            {
                self.at += 2;
                self.skip_while(is_name_byte);
                Ok(TokenKind::Number)
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
            // SQLite uses this syntax for its own registers.
            b'#' if self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                self.skip_variable();
                Ok(TokenKind::Operator)
            }
            b':' | b'@' | b'#' | b'$' => Ok(self.skip_variable()),
            byte if is_name_byte(byte) => {
                self.skip_while(is_name_byte);
                Ok(TokenKind::Word)
            }
            _ => single(self, TokenKind::Operator),
        }
    }

    /// Returns the next token, or `None` at the end. On failure, `at` is the start of the token.
    pub(crate) fn next_token(&mut self) -> Result<Option<Raw>, SqlError> {
        self.skip_blanks_and_comments();
        let Some(first) = self.byte(0) else {
            return Ok(None);
        };
        let start = self.at;
        match self.skip_token(first) {
            Ok(kind) => Ok(Some(Raw {
                kind,
                range: start..self.at,
            })),
            Err(error) => {
                self.at = start;
                Err(error)
            }
        }
    }
}

/// Returns whether SQLite accepts the byte in a name: letters, digits, `_`, `$` and everything beyond ASCII.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Counts the texts that this thread has parsed.
#[cfg(feature = "counted")]
pub mod count {
    use std::cell::Cell;

    thread_local! {
        static TEXTS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn one() {
        TEXTS.with(|texts| texts.set(texts.get() + 1));
    }

    /// Returns the number since the last call.
    pub fn take() -> usize {
        TEXTS.with(|texts| texts.replace(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(sql: &str) -> Vec<(TokenKind, &str)> {
        let tokens = tokens(sql).expect("tokens").into_iter();
        tokens
            .map(|token| (token.kind, &sql[token.range()]))
            .collect()
    }

    #[test]
    fn comments_and_blanks_are_no_tokens() {
        assert_eq!(
            kinds("a -- b\n/* ; */ 'c -- d' /* e"),
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
            kinds(
                "1.5e+3 .5 0xFF x'41' ?1 ? :a @b $c::d $e(f) :g (h)  #i $::j 0x1e+5 x'00''k' ( \x0b)"
            ),
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
                (TokenKind::Variable, "$e(f)"),
                (TokenKind::Variable, ":g"),
                (TokenKind::Open, "("),
                (TokenKind::Word, "h"),
                (TokenKind::Close, ")"),
                (TokenKind::Variable, "#i"),
                (TokenKind::Variable, "$::j"),
                (TokenKind::Number, "0x1e"),
                (TokenKind::Operator, "+"),
                (TokenKind::Number, "5"),
                (TokenKind::Blob, "x'00'"),
                (TokenKind::String, "'k'"),
                (TokenKind::Open, "("),
                (TokenKind::Close, ")"),
            ]
        );
    }

    #[test]
    fn names_beyond_ascii_are_words() {
        assert_eq!(kinds("größe"), [(TokenKind::Word, "größe")]);
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for (sql, open) in [("'a", "'"), ("\"a", "\""), ("[a", "["), ("x'a", "'")] {
            assert_eq!(tokens(sql), Err(SqlError::Unclosed(open)), "{sql}");
        }
    }
}
