//! The statements of a dump, one after the other, however long it is.

use std::io::{self, BufRead};

/// Splits as SQLite's own shell does: at a semicolon, but in a trigger only at that behind its END.
#[derive(Debug)]
pub(crate) struct Statements<R> {
    reader: R,
    /// Of what has been read.
    line: u64,
}

/// A statement without its semicolon, and the line it begins on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) line: u64,
    /// Whether each node would make a value of its own: the time, something random.
    pub(crate) volatile: bool,
}

/// Words that stand for such a value.
const VOLATILE: [&[u8]; 5] = [
    b"random",
    b"randomblob",
    b"current_date",
    b"current_time",
    b"current_timestamp",
];
/// Functions of `'now'`, or of nothing, which is the same.
const OF_TIME: [&[u8]; 7] = [
    b"date",
    b"time",
    b"datetime",
    b"julianday",
    b"unixepoch",
    b"strftime",
    b"timediff",
];

/// Where in a statement we are, by the words that may begin or end a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Explain,
    Create,
    Plain,
    InTrigger,
    /// Behind a semicolon in a trigger.
    BetweenSteps,
    /// Behind `; END` in a trigger.
    AtEnd,
}

/// What a byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Code,
    Word,
    Quotes(u8),
    LineComment,
    BlockComment,
}

#[derive(Debug)]
struct Splitter {
    place: Place,
    inside: Inside,
    word: Vec<u8>,
    previous: u8,
    /// The begin of what is in quotes.
    quoted: Vec<u8>,
    /// Whether there was anything but blanks and comments.
    any: bool,
    volatile: bool,
    of_time: Call,
    now: bool,
}

/// Whether a function of the time was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    None,
    Named,
    Open,
    Seen,
}

impl<R: BufRead> Statements<R> {
    pub(crate) fn new(reader: R) -> Self {
        Statements { reader, line: 1 }
    }

    /// The next one, without those that are empty. What follows the last semicolon is one, too.
    pub(crate) fn next(&mut self) -> io::Result<Option<Statement>> {
        loop {
            let mut splitter = Splitter::new();
            let mut sql = Vec::new();
            let mut start = None;
            let ended = self.read(&mut splitter, &mut sql, &mut start)?;
            if splitter.any {
                let sql = String::from_utf8(sql).map_err(|_| {
                    let line = start.unwrap_or(self.line);
                    let message = format!("the statement on line {line} is not UTF-8");
                    io::Error::new(io::ErrorKind::InvalidData, message)
                })?;
                let line = start.unwrap_or(self.line);
                return Ok(Some(Statement {
                    sql,
                    line,
                    volatile: splitter.is_volatile(),
                }));
            }
            if !ended {
                return Ok(None);
            }
        }
    }

    /// Whether it ended with a semicolon.
    fn read(
        &mut self,
        splitter: &mut Splitter,
        sql: &mut Vec<u8>,
        start: &mut Option<u64>,
    ) -> io::Result<bool> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                splitter.end();
                return Ok(false);
            }
            let mut used = 0;
            let mut ended = false;
            for byte in buffer {
                used += 1;
                if *byte == 0 {
                    // SQLite would take what is in front of it for the whole.
                    let message = format!("there is a NUL on line {}", self.line);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                if splitter.is_end(*byte) {
                    ended = true;
                    break;
                }
                if splitter.any {
                    start.get_or_insert(self.line);
                    sql.push(*byte);
                }
                self.line += u64::from(*byte == b'\n');
            }
            self.reader.consume(used);
            if ended {
                return Ok(true);
            }
        }
    }
}

impl Splitter {
    fn new() -> Self {
        Splitter {
            place: Place::Start,
            inside: Inside::Code,
            word: Vec::new(),
            previous: 0,
            quoted: Vec::new(),
            any: false,
            volatile: false,
            of_time: Call::None,
            now: false,
        }
    }

    fn is_volatile(&self) -> bool {
        self.volatile || (self.now && matches!(self.of_time, Call::Open | Call::Seen))
    }

    /// A byte behind a word or an opening parenthesis.
    fn call(&mut self, byte: u8) {
        self.of_time = match (self.of_time, byte) {
            (Call::Named, b'(') => Call::Open,
            (Call::Open, b')') => {
                self.volatile = true;
                Call::Seen
            }
            (state @ (Call::Named | Call::Open), b' ' | b'\t' | b'\n' | b'\r') => state,
            (Call::Named, _) => Call::None,
            (Call::Open, _) => Call::Seen,
            (state, _) => state,
        };
    }

    /// Takes the next byte: whether it is the semicolon that ends the statement.
    fn is_end(&mut self, byte: u8) -> bool {
        let previous = std::mem::replace(&mut self.previous, byte);
        match self.inside {
            Inside::Quotes(end) => {
                if byte == end {
                    self.inside = Inside::Code;
                    self.now |= self.quoted.eq_ignore_ascii_case(b"now");
                } else if self.quoted.len() < 4 {
                    self.quoted.push(byte);
                }
                return false;
            }
            Inside::LineComment => {
                if byte == b'\n' {
                    self.inside = Inside::Code;
                }
                return false;
            }
            Inside::BlockComment => {
                if (previous, byte) == (b'*', b'/') {
                    self.inside = Inside::Code;
                    // `*/` is not the begin of `/*`.
                    self.previous = 0;
                }
                return false;
            }
            Inside::Word if is_word(byte) => {
                self.word.push(byte);
                return false;
            }
            Inside::Word => self.end(),
            Inside::Code => {}
        }
        self.code(previous, byte)
    }

    fn code(&mut self, previous: u8, byte: u8) -> bool {
        self.call(byte);
        match byte {
            b'-' if previous == b'-' => self.inside = Inside::LineComment,
            b'*' if previous == b'/' => {
                self.inside = Inside::BlockComment;
                self.previous = 0;
            }
            // The begin of a comment, or something that may stand at no begin.
            b'-' | b'/' => {}
            b';' => return self.semicolon(),
            byte if byte.is_ascii_whitespace() => {}
            0xef | 0xbb | 0xbf if !self.any => {}
            b'\'' | b'"' | b'`' => self.token(Inside::Quotes(byte)),
            b'[' => self.token(Inside::Quotes(b']')),
            byte if is_word(byte) => {
                self.any = true;
                self.word = vec![byte];
                self.inside = Inside::Word;
            }
            _ => self.token(Inside::Code),
        }
        false
    }

    fn semicolon(&mut self) -> bool {
        match self.place {
            Place::InTrigger | Place::BetweenSteps => {
                self.place = Place::BetweenSteps;
                false
            }
            _ => true,
        }
    }

    /// Something that is no word.
    fn token(&mut self, inside: Inside) {
        self.any = true;
        self.inside = inside;
        self.quoted.clear();
        self.place = match self.place {
            Place::InTrigger | Place::BetweenSteps | Place::AtEnd => Place::InTrigger,
            _ => Place::Plain,
        };
    }

    /// The end of a word, or of everything.
    fn end(&mut self) {
        if self.inside != Inside::Word {
            return;
        }
        self.inside = Inside::Code;
        let word = self.word.to_ascii_lowercase();
        self.volatile |= VOLATILE.contains(&word.as_slice());
        if OF_TIME.contains(&word.as_slice()) && self.of_time != Call::Seen {
            self.of_time = Call::Named;
        }
        self.place = match (self.place, word.as_slice()) {
            (Place::Start, b"explain") => Place::Explain,
            (Place::Start | Place::Explain, b"create") => Place::Create,
            (Place::Explain, b"query" | b"plan") => Place::Explain,
            (Place::Create, b"temp" | b"temporary") => Place::Create,
            (Place::Create, b"trigger") => Place::InTrigger,
            (Place::BetweenSteps, b"end") => Place::AtEnd,
            (Place::InTrigger | Place::BetweenSteps | Place::AtEnd, _) => Place::InTrigger,
            _ => Place::Plain,
        };
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn split(text: &str) -> Vec<(String, u64)> {
        // With a buffer of three bytes, everything is cut somewhere.
        let mut statements = Statements::new(BufReader::with_capacity(3, text.as_bytes()));
        let mut found = Vec::new();
        while let Some(statement) = statements.next().expect("is text") {
            found.push((statement.sql, statement.line));
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
    fn values_that_each_node_would_make_are_seen() {
        let volatile = |sql: &str| {
            let mut statements = Statements::new(sql.as_bytes());
            let statement = statements.next().expect("is text").expect("is one");
            statement.volatile
        };
        for sql in [
            "INSERT INTO t VALUES (random())",
            "INSERT INTO t VALUES (1, CURRENT_TIMESTAMP)",
            "UPDATE t SET a = datetime ( 'NOW', '+1 day')",
            "INSERT INTO t VALUES (date())",
            "INSERT INTO t SELECT time('12:00'), unixepoch('now')",
            "CREATE TABLE t (a DEFAULT (strftime('%s', 'now')))",
        ] {
            assert!(volatile(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO t VALUES ('random()', 'CURRENT_TIMESTAMP', 'now')",
            "INSERT INTO t (date, time) VALUES ('now', 1)",
            "INSERT INTO t VALUES (date('2020-01-01')) -- now()",
            "INSERT INTO t VALUES (random_id)",
        ] {
            assert!(!volatile(sql), "{sql}");
        }
    }

    #[test]
    fn what_is_no_text_is_an_error() {
        let mut statements = Statements::new(&b"SELECT 1;\nSELECT '\xff';"[..]);
        assert!(statements.next().is_ok());
        let error = statements.next().expect_err("is no text");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
