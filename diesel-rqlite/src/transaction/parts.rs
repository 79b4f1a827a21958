//! The statements of a request, and the purpose of each.

use std::borrow::Cow;

use crate::statement::Statement;

/// The purpose of one statement of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Writes the number of the commit. Fails if the commit has been applied already, or has no row that lasts.
    CommitNumber,
    /// Fails if the lock is no longer held.
    Fence,
    /// Fails if another client holds the lock.
    TakeLock,
    /// Fails if the migration has been applied already.
    Migration,
    Rows(usize),
    Write(usize),
    Count(usize),
    /// A statement of this crate, such as a savepoint. Its outcome does not depend on other clients.
    Own,
}

/// Statements, and the purpose of each.
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

    /// Returns the elements of the request, and the part at which each begins. A write and the guard of its count are
    /// one element: SQLite runs one after the other, and an element costs a node more time than such a guard.
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
