//! Splits a text into statements one by one. The text need not fit into memory.

use std::borrow::Cow;
use std::io::{self, BufRead};

use crate::error::{Position, SqlError};
use crate::parse::{Builder, Lines};
use crate::parsed::Parsed;
use crate::token::{Raw, Tokenizer};

/// The number of bytes that must follow a token before its end is known: `x'`, `1e+5`, a doubled quote.
const LOOKAHEAD: usize = 3;
/// The number of bytes that are asked for first.
const PIECE: usize = 1 << 16;

/// Splits a text that arrives in pieces into statements, as [`parse`](crate::parse) does. It holds the statement that is
/// being read, and the text that was given to it and not been split yet.
///
/// It does no I/O: [`Statements`] reads the text from a reader.
#[derive(Debug)]
pub struct Splitter {
    /// The bytes that have been given and not been returned.
    buffer: Vec<u8>,
    /// The position up to which the buffer has been examined.
    at: usize,
    /// The number of lines before the buffer.
    lines: usize,
    number: usize,
    is_at_end: bool,
    /// The statement of which the end has not been found yet.
    builder: Builder,
    /// The number of bytes to ask for next.
    more: usize,
}

/// The outcome of a look for the next statement.
#[derive(Debug)]
pub enum Split {
    /// The next statement.
    Statement(Parsed<'static>),
    /// The text ends later. About this many further bytes should be given before the next look: with fewer, a long
    /// token is read again more often.
    More(usize),
    /// The text has no further statement.
    End,
}

/// The reason why a text can't be split any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text is not SQL, from this line on.
    #[error("{1}")]
    Sql(u64, SqlError),
    /// The statement that begins on this line is not text.
    #[error("the statement on line {0} is not UTF-8")]
    NoText(u64),
}

impl TextError {
    /// Returns the line of the error, counted from 1.
    pub fn line(&self) -> u64 {
        match self {
            TextError::Sql(line, _) | TextError::NoText(line) => *line,
        }
    }
}

impl Default for Splitter {
    fn default() -> Self {
        Splitter {
            buffer: Vec::new(),
            at: 0,
            lines: 0,
            number: 1,
            is_at_end: false,
            builder: Builder::default(),
            more: PIECE,
        }
    }
}

impl Splitter {
    /// Adds the next bytes of the text.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that the text is complete.
    pub fn end(&mut self) {
        self.is_at_end = true;
    }

    /// Returns the next statement and skips empty ones. The text after the last semicolon is a statement, too.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not SQL. After an error nothing more can be read.
    pub fn next_statement(&mut self) -> Result<Split, TextError> {
        loop {
            let raw = match self.token()? {
                Token::Raw(raw) => raw,
                Token::More(more) => return Ok(Split::More(more)),
                Token::End if self.builder.is_empty() => return Ok(Split::End),
                Token::End => return self.finish().map(Split::Statement),
            };
            if self.builder.is_end(&raw) {
                if !self.builder.is_empty() {
                    return self.finish().map(Split::Statement);
                }
                self.drop_front(raw.range.end);
            } else {
                let pushed = self.builder.push(&self.buffer, &raw);
                pushed.map_err(|error| self.error(raw.range.start, error))?;
            }
        }
    }

    /// Returns the next token, once its end is known.
    fn token(&mut self) -> Result<Token, TextError> {
        let mut tokenizer = Tokenizer::from(&self.buffer, self.at);
        let found = tokenizer.next_token();
        let (start, end) = match &found {
            Ok(Some(raw)) => (raw.range.start, raw.range.end),
            // A comment that is not closed is read again from its start.
            Ok(None) | Err(_) => (self.at, self.buffer.len()),
        };
        if end + LOOKAHEAD > self.buffer.len() && !self.is_at_end {
            // A long token is read again as a whole, so the steps must not be small.
            let more = self.more;
            self.more = more.saturating_mul(2);
            return Ok(Token::More(more));
        }
        let at = tokenizer.at;
        self.at = at;
        self.more = PIECE;
        let raw = found.map_err(|error| self.error(at, error))?;
        match self.buffer[start..end].contains(&0) {
            true => Err(self.error(start, SqlError::Nul)),
            false => Ok(raw.map_or(Token::End, Token::Raw)),
        }
    }

    fn line(&self, at: usize) -> u64 {
        let line = Lines::default().position(&self.buffer, 0, at).line;
        (self.lines + line) as u64
    }

    fn error(&self, at: usize, error: SqlError) -> TextError {
        TextError::Sql(self.line(at), error)
    }

    fn finish(&mut self) -> Result<Parsed<'static>, TextError> {
        let builder = std::mem::take(&mut self.builder);
        let line = self.line(builder.start);
        let bytes = builder.bytes();
        let text = self.buffer[bytes].to_vec();
        let text = String::from_utf8(text).map_err(|_| TextError::NoText(line))?;
        let position = Position {
            statement: self.number,
            line: usize::try_from(line).unwrap_or(usize::MAX),
        };
        let parsed = builder.finish(Cow::Owned(text), position);
        let parsed = parsed.map_err(|error| TextError::Sql(line, error.bare()))?;
        self.number += 1;
        self.drop_front(self.at);
        Ok(parsed)
    }

    fn drop_front(&mut self, end: usize) {
        let lines = self.buffer[..end].iter().filter(|byte| **byte == b'\n');
        self.lines += lines.count();
        self.buffer.drain(..end);
        self.at = 0;
    }
}

/// The outcome of a look for the next token.
enum Token {
    Raw(Raw),
    More(usize),
    End,
}

/// Reads statements as [`parse`](crate::parse) does, from any reader.
#[derive(Debug)]
pub struct Statements<R> {
    reader: R,
    splitter: Splitter,
}

/// The reason why there is no further statement.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The reader failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The text is not SQL.
    #[error(transparent)]
    Text(#[from] TextError),
}

impl<R: BufRead> Statements<R> {
    /// Creates a stream of the statements of a reader.
    pub fn new(reader: R) -> Self {
        Statements {
            reader,
            splitter: Splitter::default(),
        }
    }

    /// Returns the next statement and skips empty ones. The text after the last semicolon is a statement, too.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader, and an error if the text is not SQL. After an error nothing more can be
    /// read.
    pub fn next_statement(&mut self) -> Result<Option<Parsed<'static>>, StreamError> {
        loop {
            match self.splitter.next_statement()? {
                Split::Statement(parsed) => return Ok(Some(parsed)),
                Split::More(wanted) => self.read(wanted)?,
                Split::End => return Ok(None),
            }
        }
    }

    fn read(&mut self, wanted: usize) -> io::Result<()> {
        let mut read = 0;
        while read < wanted {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                self.splitter.end();
                return Ok(());
            }
            let count = bytes.len();
            self.splitter.push(bytes);
            self.reader.consume(count);
            read += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn split(text: &str) -> Vec<(String, usize)> {
        // A buffer of three bytes cuts every token somewhere.
        let mut statements = Statements::new(BufReader::with_capacity(3, text.as_bytes()));
        let mut found = Vec::new();
        while let Some(statement) = statements.next_statement().expect("is text") {
            let line = statement.position().line;
            found.push((statement.into_text(), line));
        }
        found
    }

    #[test]
    fn statements_end_at_semicolons() {
        let found =
            split("\u{feff}BEGIN;\n\n;; -- a; b\nINSERT INTO t\n VALUES(1);/* ; */ SELECT 2");
        let wanted = [
            ("BEGIN", 1),
            ("INSERT INTO t\n VALUES(1)", 4),
            ("SELECT 2", 5),
        ];
        let wanted = wanted.map(|(sql, line)| (sql.to_owned(), line));
        assert_eq!(found, wanted);
    }

    #[test]
    fn pieces_of_any_length_are_the_same_statements() {
        let text = "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 'x;'; END;\n\nSELECT 1e+5 -- ;\n; SELECT x'3b'";
        let wanted = split(text);
        assert_eq!(wanted.len(), 3);
        for length in 1..text.len() {
            let mut splitter = Splitter::default();
            let mut pieces = text.as_bytes().chunks(length);
            let mut found = Vec::new();
            loop {
                match splitter.next_statement().expect("is SQL") {
                    Split::Statement(parsed) => {
                        let line = parsed.position().line;
                        found.push((parsed.into_text(), line));
                    }
                    Split::More(_) => match pieces.next() {
                        Some(piece) => splitter.push(piece),
                        None => splitter.end(),
                    },
                    Split::End => break,
                }
            }
            assert_eq!(found, wanted, "{length}");
        }
    }

    #[test]
    fn long_texts_are_read_in_pieces() {
        let long = "'a; -- b'".repeat(20_000);
        let text = format!("SELECT {long};\nSELECT 2; -- {long}\nSELECT 3;");
        let found = split(&text);
        let sizes: Vec<_> = found.iter().map(|(sql, line)| (sql.len(), *line)).collect();
        assert_eq!(sizes, [(long.len() + 7, 1), (8, 2), (8, 3)]);
    }

    #[test]
    fn no_semicolon_in_quotes_ends_anything() {
        for text in [
            "INSERT INTO t VALUES(';', 'it''s;', x'3b')",
            "SELECT \";\", `;`, [;]",
            "SELECT 1 -- ;\n+ 2 /* ; '*/ + 3",
            "SELECT 5 - 3 / 2 * 1",
        ] {
            let found = split(&format!("{text};{text};"));
            assert_eq!(found.len(), 2, "{found:?}");
            assert_eq!((found[0].0.as_str(), found[1].0.as_str()), (text, text));
        }
    }

    #[test]
    fn a_trigger_is_one_statement() {
        for trigger in [
            "CREATE TRIGGER a AFTER INSERT ON t BEGIN DELETE FROM t; UPDATE t SET a = CASE a WHEN 1 THEN 2 END; END",
            "create temp trigger a after insert on t begin select 1; select 'x'; /* done; */ end",
            "CREATE TRIGGER a AFTER INSERT ON t BEGIN UPDATE t SET \"end\" = 1; DELETE FROM \"end\"; END",
        ] {
            let found = split(&format!("{trigger};\nSELECT 1;"));
            assert_eq!(found.len(), 2, "{found:?}");
            assert_eq!(found[0].0, trigger);
            assert_eq!(found[1].1, 2);
        }
        assert_eq!(split("CREATE TABLE trigger_log (a); SELECT 1").len(), 2);
    }

    #[test]
    fn errors_name_their_line() {
        for (text, line, said) in [
            (
                &b"SELECT 1;\nSELECT '\xff';"[..],
                2,
                "the statement on line 2 is not UTF-8",
            ),
            (
                b"SELECT 1;\n\nSELECT '\0'",
                3,
                "the SQL text contains a NUL character; SQLite would run only the text before it",
            ),
            (b"SELECT 1;\nSELECT '", 2, "the SQL text has an unclosed '"),
            (b"SELECT 1;\nSELEC 2", 2, "near \"SELEC\": syntax error"),
        ] {
            let mut statements = Statements::new(text);
            assert!(statements.next_statement().is_ok());
            let error = statements.next_statement().expect_err(said);
            assert_eq!(error.to_string(), said);
            match error {
                StreamError::Text(error) => assert_eq!(error.line(), line),
                StreamError::Io(error) => panic!("{error}"),
            }
        }
    }
}
