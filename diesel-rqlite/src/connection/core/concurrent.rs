//! Queries of one connection that run at the same time.
//!
//! Each of them has a core of its own, made by [`Core::concurrent`], and can't begin a transaction.
//! What it has learnt is left in [`Concurrent`], and taken over by the connection before its next
//! query.

#[cfg(feature = "async")]
use std::sync::Mutex;
#[cfg(feature = "async")]
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::QueryResult;
#[cfg(feature = "async")]
use diesel::result::Error;

use super::Core;
use crate::error;
#[cfg(feature = "async")]
use crate::mutex::{inner, locked};
#[cfg(feature = "async")]
use crate::protocol::nodes::Nodes;
use crate::session::Client;

/// State learnt by concurrent queries, for example which node leads.
#[cfg(feature = "async")]
#[derive(Default)]
pub(super) struct Concurrent {
    pub(super) nodes: Mutex<Option<Nodes>>,
    /// Set if one of them sent a write, whatever the outcome.
    pub(super) wrote: AtomicBool,
}

impl<C: Client> Core<C> {
    /// Returns a core for a query that runs concurrently with others. Such a query can't be part of
    /// a transaction.
    #[cfg(feature = "async")]
    pub(crate) fn concurrent(&self) -> QueryResult<Self> {
        if self.is_in_transaction() {
            return Err(Error::AlreadyInTransaction);
        }
        let mut core = Self::of(self.session.another(), &self.config);
        core.is_concurrent = true;
        core.options = self.options.clone();
        core.keeps_statements = self.keeps_statements;
        if let Some(nodes) = &*locked(&self.concurrent.nodes) {
            core.session.nodes = nodes.clone();
        }
        Ok(core)
    }

    /// Takes over state that a concurrent query has learnt.
    #[cfg(feature = "async")]
    pub(crate) fn end_concurrent(&self, other: &mut Self) {
        let nodes = other.session.nodes.clone();
        *locked(&self.concurrent.nodes) = Some(nodes);
        if other.session.transaction.has_written() {
            self.concurrent.wrote.store(true, Ordering::Relaxed);
        }
    }

    /// Applies state that concurrent queries have learnt.
    pub(crate) fn learn_from_concurrent(&mut self) {
        #[cfg(feature = "async")]
        if let Some(nodes) = inner(&mut self.concurrent.nodes).take() {
            self.session.nodes = nodes;
            if self.concurrent.wrote.swap(false, Ordering::Relaxed) {
                self.session.transaction.lose_track();
            }
        }
    }

    /// Refuses to begin a transaction in a concurrent query, since nothing could end it.
    pub(super) fn check_may_begin(&self) -> QueryResult<()> {
        match self.is_concurrent {
            true => Err(error::statement_error(
                "a transaction needs the connection for itself",
                None,
            )),
            false => Ok(()),
        }
    }
}
