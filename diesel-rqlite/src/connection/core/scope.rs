//! What a panic or a dropped future leaves open is rolled back.
//!
//! A [`Scope`] remembers how deep the connection was in transactions. When it
//! is dropped, the transactions that were opened inside it are rolled back. [`Scope::keep`] prevents
//! that.

use super::Core;
use crate::session::Client;

/// A type that contains a [`Core`].
pub(crate) trait HasCore {
    type Client: Client;

    fn core(&mut self) -> &mut Core<Self::Client>;
}

impl<C: Client> HasCore for Core<C> {
    type Client = C;

    fn core(&mut self) -> &mut Core<C> {
        self
    }
}

/// A scope that rolls back transactions on drop if they were opened inside it and are still open,
/// after a panic or when a future is dropped. A later user of the connection must not commit them.
pub(crate) struct Scope<'a, T: HasCore> {
    of: &'a mut T,
    depth: usize,
    /// For a query: the serial number of the outermost transaction, and the length of its journal
    /// before the query.
    query: Option<(u64, usize)>,
}

impl<'a, T: HasCore> Scope<'a, T> {
    pub(crate) fn new(of: &'a mut T) -> Self {
        let depth = of.core().session.transaction.depth();
        Self::above(of, depth)
    }

    pub(super) fn above(of: &'a mut T, depth: usize) -> Self {
        Scope {
            of,
            depth,
            query: None,
        }
    }

    /// Opens a scope for one query, which may consist of several statements. Either all
    /// writes of the query stay in the journal, or none.
    pub(super) fn of_query(of: &'a mut T) -> Self {
        let transaction = &of.core().session.transaction;
        let query = transaction.is_open();
        let query = query.then(|| (transaction.serial(), transaction.journal().len()));
        let mut scope = Self::new(of);
        scope.query = query;
        scope
    }

    pub(crate) fn get(&mut self) -> &mut T {
        self.of
    }

    pub(crate) fn core(&mut self) -> &mut Core<T::Client> {
        self.of.core()
    }

    /// Closes the scope after success: transactions that are open now stay open.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl<T: HasCore> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        let (mut depth, query) = (self.depth, self.query);
        let core = self.core();
        if query.is_some_and(|(serial, _)| serial != core.session.transaction.serial()) {
            // A script has ended the transaction it was in, and has begun another one.
            depth = 0;
        }
        core.abandon(depth);
        if let Some((_, before)) = query
            && core.session.transaction.depth() == depth
        {
            core.session.transaction.undo_query(before);
        }
    }
}
