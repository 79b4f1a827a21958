//! The statements of a request, and what each is about.

use std::borrow::Cow;

use crate::statement::Statement;

/// What one statement of a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Whether this commit has been applied already.
    CommitNumber,
    /// Whether the lock is still ours.
    Fence,
    /// Whether the lock was free.
    TakeLock,
    /// Whether the migration has not been applied yet.
    Migration,
    Rows(usize),
    Write(usize),
    Count(usize),
    /// Of this crate's own: savepoints, its tables. Nothing in it depends on what others do.
    Own,
}

/// Statements, and what each is about.
#[derive(Debug, Default)]
pub(crate) struct Parts<'j> {
    pub(crate) statements: Vec<Cow<'j, Statement<'static>>>,
    pub(crate) parts: Vec<Part>,
}

impl<'j> Parts<'j> {
    pub(crate) fn push(&mut self, part: Part, statement: Statement<'static>) {
        self.statements.push(Cow::Owned(statement));
        self.parts.push(part);
    }

    pub(super) fn push_ref(&mut self, part: Part, statement: &'j Statement<'static>) {
        self.statements.push(Cow::Borrowed(statement));
        self.parts.push(part);
    }
}
