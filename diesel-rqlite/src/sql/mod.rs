//! SQL as text: what a statement is, and the form in which it may leave the client.
//!
//! Everything here is decided by tokens, never by substring, and nothing here does I/O.

pub(crate) mod cells;
pub(crate) mod control;
pub(crate) mod hazards;
pub(crate) mod inline;
pub(crate) mod key;
pub(crate) mod pin;
pub(crate) mod placeholders;
pub(crate) mod refuse;
pub(crate) mod results;
pub(crate) mod scan;
pub(crate) mod tokens;
pub(crate) mod unstable;
pub(crate) mod volatile;

use std::fmt;

/// Where a statement stands in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Counted from 1.
    pub(crate) statement: usize,
    /// The line of its first token, counted from 1.
    pub(crate) line: usize,
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
pub(crate) enum SqlError {
    #[error("the SQL text is empty or only a comment")]
    Empty,
    #[error("the SQL text has an unclosed {0}")]
    Unclosed(&'static str),
    #[error("the SQL text contains a NUL character; SQLite would run only the text before it")]
    Nul,
    #[error("unbalanced parentheses in the SQL text")]
    Unbalanced,
    #[error("several statements in one query; use `batch_execute` for scripts")]
    Several,
    #[error(
        "{0} can't be sent: it would begin or end a transaction for every client of the node; use `Connection::transaction`"
    )]
    TransactionControl(String),
    #[error("{0} can't be sent to rqlite: {1}")]
    Refused(String, &'static str),
    #[error("the statement has {wanted} placeholders but {given} values were bound")]
    Placeholders { wanted: usize, given: usize },
    #[error("a placeholder's number is 0 or far beyond ?32766")]
    PlaceholderNumber,
    #[error(
        "RETURNING * in raw SQL: name the columns, so that their values can be read back exactly"
    )]
    ReturningStar,
    #[error("{0} would give every replica another value; bind a value made by the client instead")]
    Volatile(&'static str),
    #[error(
        "rows that leave out different columns, with RETURNING and a conflict clause that may skip rows, can't be inserted atomically; insert rows of one shape at a time"
    )]
    NotAtomic,
    #[error("{0} ({1})")]
    At(Box<SqlError>, Position),
}

impl SqlError {
    /// The same, with its place in a script. A place on the first line says nothing.
    pub(crate) fn at(self, position: Position) -> Self {
        match self {
            SqlError::At(..) => self,
            error if position.line > 1 => SqlError::At(Box::new(error), position),
            error => error,
        }
    }

    /// Without its place.
    pub(crate) fn bare(self) -> Self {
        match self {
            SqlError::At(error, _) => *error,
            error => error,
        }
    }
}
