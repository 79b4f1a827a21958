//! The reasons why a text is not sent, and the position of the reason in the text.

use std::fmt;

/// The position of a statement in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The number of the statement, counted from 1.
    pub statement: usize,
    /// The line of its first token, counted from 1.
    pub line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "statement {}, line {}",
            self.statement, self.line
        )
    }
}

/// The reason why a text is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The text contains no statement.
    #[error("the SQL text is empty or only a comment")]
    Empty,
    /// A quote that is not closed.
    #[error("the SQL text has an unclosed {0}")]
    Unclosed(&'static str),
    /// The text contains a NUL. The server passes SQL to SQLite as a C string.
    #[error("the SQL text contains a NUL character; SQLite would run only the text before it")]
    Nul,
    /// The text is too long. SQLite's own limit is a fourth of this one.
    #[error("the SQL text is longer than 4 GiB")]
    TooLong,
    /// Parentheses that do not match.
    #[error("unbalanced parentheses in the SQL text")]
    Unbalanced,
    /// No statement of SQLite begins with this word. The message is SQLite's own.
    #[error("near \"{0}\": syntax error")]
    NoStatement(String),
    /// A `WITH` without a following statement. The message is SQLite's own.
    #[error("incomplete input")]
    Incomplete,
    /// The text has several statements, but a query is one statement.
    #[error("several statements in one query; use `batch_execute` for scripts")]
    Several,
    /// `BEGIN` and similar statements.
    #[error(
        "{0} can't be sent: it would begin or end a transaction for every client of the node; use `Connection::transaction`"
    )]
    TransactionControl(String),
    /// A statement whose effect on the server would outlive the request, or that can't work there.
    #[error("{0} can't be sent to rqlite: {1}")]
    Refused(String, &'static str),
    /// The number of values differs from the number of placeholders, as SQLite counts them.
    #[error("the statement has {wanted} placeholders but {given} values were bound")]
    Placeholders {
        /// The number of values that the text requires.
        wanted: usize,
        /// The number of values that are given.
        given: usize,
    },
    /// The placeholder is `?0`, or its number is too large.
    #[error("a placeholder's number is 0 or far beyond ?32766")]
    PlaceholderNumber,
    /// `RETURNING *`, whose columns are not known.
    #[error(
        "RETURNING * in raw SQL: name the columns, so that their values can be read back exactly"
    )]
    ReturningStar,
    /// An expression that each replica would evaluate itself, and that no single value can replace.
    #[error("{0} would give every replica another value; bind a value made by the client instead")]
    Volatile(&'static str),
    /// There is no randomness to make a value for `random()`.
    #[error("the system has no source of randomness")]
    NoRandomness,
    /// `changes()` and similar functions, where the server's connection is not that of the client.
    #[error(
        "{0}() is about what a connection did last, which is not known here: the server does not tell it behind RETURNING, ON \
         CONFLICT, a table without rowids, or what was rolled back; use RETURNING, or the number that `execute` returns"
    )]
    OfConnection(&'static str),
    /// A rendered batch insert that can't be guarded.
    #[error(
        "rows that leave out different columns, with RETURNING and a conflict clause that may skip rows, can't be inserted atomically; insert rows of one shape at a time"
    )]
    NotAtomic,
    /// An error with its position in a script.
    #[error("{0} ({1})")]
    At(Box<SqlError>, Position),
}

impl SqlError {
    /// Returns the same error with its position in a script. A position on the first line is not recorded.
    #[must_use]
    pub fn at(self, position: Position) -> Self {
        match self {
            SqlError::At(..) => self,
            error if position.line > 1 => SqlError::At(Box::new(error), position),
            error => error,
        }
    }

    /// Returns the error without its position.
    #[must_use]
    pub fn bare(self) -> Self {
        match self {
            SqlError::At(error, _) => *error,
            error => error,
        }
    }

    /// Returns whether SQLite itself would report this error, with the same message.
    pub fn is_of_sqlite(&self) -> bool {
        match self {
            SqlError::NoStatement(_) | SqlError::Incomplete => true,
            SqlError::At(error, _) => error.is_of_sqlite(),
            _ => false,
        }
    }
}
