//! The statements of a request, and the purpose of each.
//!
//! A request is an array of texts, and its answer names the place of the statement that failed. [`Parts`] keeps the
//! statements and their purposes in two lists of equal length, so that `requests` can tell from a place what has
//! failed.
//!
//! In a peek, each part is one element of the request. In a commit, [`Parts::elements`] joins some of them, so that an
//! element and a part have different places there.

use std::borrow::Cow;

use super::journal::COUNT;
use crate::protocol::message::StatementError;
use crate::statement::Statement;

/// The purpose of one statement of a request.
///
/// The number of `Rows`, `Write` and `Count` is the place of the entry in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Writes the number of the commit. Fails if the number is not new, or if the row of the connection is missing or
    /// too old.
    CommitNumber,
    /// Fails if the lock is no longer held, be it a row in rqlite or one held elsewhere.
    Fence,
    /// Fails if another client holds the lock.
    TakeLock,
    /// Fails if the migration has been applied already.
    Migration,
    /// Fails unless the rows that were shown are still true.
    Rows(usize),
    /// Runs a write of the program.
    Write(usize),
    /// Fails unless the write before it has the count that was told.
    Count(usize),
    /// A statement of this crate, such as a savepoint. It does not fail because of other clients.
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

    /// Adds a statement that the journal owns.
    pub(super) fn push_ref(&mut self, part: Part, statement: &'j Statement<'static>) {
        self.statements.push(Cow::Borrowed(statement));
        self.parts.push(part);
    }

    /// Returns the elements of the request, and the purpose of each. A write and the guard of its count, which stands
    /// directly after it, are one element: SQLite runs one after the other, and an element costs a node more time than
    /// such a guard.
    ///
    /// Both lists have the same length. Parts are not reordered.
    pub(super) fn elements(&self) -> (Vec<Element>, Vec<Cow<'_, Statement<'static>>>) {
        let mut elements = Vec::<(Element, Cow<'_, Statement<'static>>)>::new();
        for (part, statement) in self.parts.iter().zip(&self.statements) {
            match (part, elements.last_mut()) {
                (Part::Count(_), Some((element, write))) => {
                    element.is_counted = true;
                    *write = Cow::Owned(Statement::joined(&[&**write, &**statement]));
                }
                _ => {
                    let element = Element {
                        part: *part,
                        is_counted: false,
                    };
                    elements.push((element, Cow::Borrowed(&**statement)));
                }
            }
        }
        elements.into_iter().unzip()
    }
}

/// The purpose of one element of a commit's request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    pub(super) part: Part,
    /// Set if the guard of the write's count is in the same element.
    is_counted: bool,
}

impl Element {
    /// Returns the part that failed with this message.
    pub(super) fn failed(self, message: &str) -> Part {
        let is_count = self.is_counted && StatementError(message).is_guard_of(COUNT);
        match self.part {
            Part::Write(entry) if is_count => Part::Count(entry),
            part => part,
        }
    }
}
