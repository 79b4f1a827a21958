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

    /// The elements of a request that runs them, and at which part each begins. A write and the guard of its count are one
    /// element: SQLite runs one after the other, and a node takes longer for an element than for such a guard.
    pub(super) fn elements(&self) -> (Vec<usize>, Vec<Cow<'_, Statement<'static>>>) {
        let (mut begins, mut elements) = (Vec::new(), Vec::<Cow<'_, Statement<'static>>>::new());
        for (place, (part, statement)) in self.parts.iter().zip(&self.statements).enumerate() {
            match (elements.last_mut(), part) {
                (Some(write), Part::Count(entry))
                    if place
                        .checked_sub(1)
                        .is_some_and(|before| self.parts[before] == Part::Write(*entry)) =>
                {
                    *write = Cow::Owned(Statement::joined(&[&**write, &**statement]));
                }
                _ => {
                    begins.push(place);
                    elements.push(Cow::Borrowed(&**statement));
                }
            }
        }
        (begins, elements)
    }
}
