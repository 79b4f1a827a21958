//! Reads the statements of a text one by one. The text need not fit into memory.

use std::borrow::Cow;
use std::io::{self, BufRead};

use crate::error::{Position, SqlError};
use crate::parse::{Builder, Lines};
use crate::parsed::Parsed;
use crate::token::{Raw, Tokenizer};

/// The number of bytes that must follow a token before its end is known: `x'`, `1e+5`, a doubled quote.
const LOOKAHEAD: usize = 3;

/// Reads statements as [`parse`](crate::parse) does, from any reader.
#[derive(Debug)]
pub struct Statements<R> {
    reader: R,
    /// The bytes that have been read and not been returned.
    buffer: Vec<u8>,
    /// The position up to which the buffer has been examined.
    at: usize,
    /// The number of lines before the buffer.
    lines: usize,
    number: usize,
    is_at_end: bool,
}

/// The reason why there is no further statement.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The reader failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The text is not SQL, from this line on.
    #[error("{1}")]
    Sql(u64, SqlError),
    /// The statement that begins on this line is not text.
    #[error("the statement on line {0} is not UTF-8")]
    NoText(u64),
}

impl<R: BufRead> Statements<R> {
    /// Creates a stream of the statements of a reader.
    pub fn new(reader: R) -> Self {
        Statements {
            reader,
            buffer: Vec::new(),
            at: 0,
            lines: 0,
            number: 1,
            is_at_end: false,
        }
    }

    /// Returns the next statement and skips empty ones. The text after the last semicolon is a statement, too.
    ///
    /// # Errors
    ///
    /// Returns the errors of the reader, and an error if the text is not SQL. After an error nothing more can be
    /// read.
    pub fn next_statement(&mut self) -> Result<Option<Parsed<'static>>, StreamError> {
        let mut builder = Builder::default();
        while let Some(raw) = self.token()? {
            if builder.is_end(&raw) {
                if !builder.is_empty() {
                    return self.finish(builder).map(Some);
                }
                self.drop_front(raw.range.end);
            } else {
                let pushed = builder.push(&self.buffer, &raw);
                pushed.map_err(|error| self.error(raw.range.start, error))?;
            }
        }
        match builder.is_empty() {
            true => Ok(None),
            false => self.finish(builder).map(Some),
        }
    }

    /// Returns the next token, once its end is known.
    fn token(&mut self) -> Result<Option<Raw>, StreamError> {
        let mut more = 1 << 16;
        loop {
            let mut tokenizer = Tokenizer::from(&self.buffer, self.at);
            let found = tokenizer.next_token();
            let (start, end) = match &found {
                Ok(Some(raw)) => (raw.range.start, raw.range.end),
                // A comment that is not closed is read again from its start.
                Ok(None) | Err(_) => (self.at, self.buffer.len()),
            };
            if end + LOOKAHEAD <= self.buffer.len() || self.is_at_end {
                let at = tokenizer.at;
                self.at = at;
                let raw = found.map_err(|error| self.error(at, error))?;
                let nul = self.buffer[start..end].contains(&0);
                return match nul {
                    true => Err(self.error(start, SqlError::Nul)),
                    false => Ok(raw),
                };
            }
            self.read(more)?;
            // A long token is read again as a whole, so the steps must not be small.
            more *= 2;
        }
    }

    fn read(&mut self, wanted: usize) -> io::Result<()> {
        let mut read = 0;
        while read < wanted {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                self.is_at_end = true;
                return Ok(());
            }
            let count = bytes.len();
            self.buffer.extend_from_slice(bytes);
            self.reader.consume(count);
            read += count;
        }
        Ok(())
    }

    fn line(&self, at: usize) -> u64 {
        let line = Lines::default().position(&self.buffer, 0, at).line;
        (self.lines + line) as u64
    }

    fn error(&self, at: usize, error: SqlError) -> StreamError {
        StreamError::Sql(self.line(at), error)
    }

    fn finish(&mut self, builder: Builder) -> Result<Parsed<'static>, StreamError> {
        let line = self.line(builder.start);
        let bytes = builder.bytes();
        let text = self.buffer[bytes.clone()].to_vec();
        let text = String::from_utf8(text).map_err(|_| StreamError::NoText(line))?;
        let position = Position {
            statement: self.number,
            line: usize::try_from(line).unwrap_or(usize::MAX),
        };
        let parsed = builder.finish(Cow::Owned(text), position);
        let parsed = parsed.map_err(|error| StreamError::Sql(line, error.bare()))?;
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
                StreamError::Sql(at, _) | StreamError::NoText(at) => assert_eq!(at, line),
                StreamError::Io(error) => panic!("{error}"),
            }
        }
    }
}
