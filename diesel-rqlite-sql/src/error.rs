//! Why a text is not sent, and where in it the reason stands.

use std::fmt;

/// Where a statement stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from 1.
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

/// Why a text is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// There is no statement in it.
    #[error("the SQL text is empty or only a comment")]
    Empty,
    /// A quote that is not closed.
    #[error("the SQL text has an unclosed {0}")]
    Unclosed(&'static str),
    /// The server hands SQL to SQLite as a C string.
    #[error("the SQL text contains a NUL character; SQLite would run only the text before it")]
    Nul,
    /// SQLite's own limit is a fourth of it.
    #[error("the SQL text is longer than 4 GiB")]
    TooLong,
    /// Parentheses that do not match.
    #[error("unbalanced parentheses in the SQL text")]
    Unbalanced,
    /// No statement of SQLite begins with this word. The message is SQLite's own.
    #[error("near \"{0}\": syntax error")]
    NoStatement(String),
    /// A `WITH` without a statement behind it. The message is SQLite's own.
    #[error("incomplete input")]
    Incomplete,
    /// A query is one statement.
    #[error("several statements in one query; use `batch_execute` for scripts")]
    Several,
    /// `BEGIN` and the like.
    #[error(
        "{0} can't be sent: it would begin or end a transaction for every client of the node; use `Connection::transaction`"
    )]
    TransactionControl(String),
    /// What would outlive the request at the server, or can't work there.
    #[error("{0} can't be sent to rqlite: {1}")]
    Refused(String, &'static str),
    /// SQLite's numbering of the placeholders asks for another number of values.
    #[error("the statement has {wanted} placeholders but {given} values were bound")]
    Placeholders {
        /// As many as the text asks for.
        wanted: usize,
        /// As many as there are.
        given: usize,
    },
    /// `?0`, or a number that does not fit.
    #[error("a placeholder's number is 0 or far beyond ?32766")]
    PlaceholderNumber,
    /// The columns are not known.
    #[error(
        "RETURNING * in raw SQL: name the columns, so that their values can be read back exactly"
    )]
    ReturningStar,
    /// Each replica would evaluate it for itself, and no one value can stand for it.
    #[error("{0} would give every replica another value; bind a value made by the client instead")]
    Volatile(&'static str),
    /// Nothing can stand for `random()`.
    #[error("the system has no source of randomness")]
    NoRandomness,
    /// `changes()` and the like, where the server's connection is not ours.
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
    /// With its place in a script.
    #[error("{0} ({1})")]
    At(Box<SqlError>, Position),
}

impl SqlError {
    /// The same, with its place in a script. A place on the first line says nothing.
    #[must_use]
    pub fn at(self, position: Position) -> Self {
        match self {
            SqlError::At(..) => self,
            error if position.line > 1 => SqlError::At(Box::new(error), position),
            error => error,
        }
    }

    /// Without its place.
    #[must_use]
    pub fn bare(self) -> Self {
        match self {
            SqlError::At(error, _) => *error,
            error => error,
        }
    }

    /// Whether SQLite itself would say so, with the same message.
    pub fn is_of_sqlite(&self) -> bool {
        match self {
            SqlError::NoStatement(_) | SqlError::Incomplete => true,
            SqlError::At(error, _) => error.is_of_sqlite(),
            _ => false,
        }
    }
}
