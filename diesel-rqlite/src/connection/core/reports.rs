//! What Diesel's instrumentation is told, in the words of Diesel's own backends.

use std::num::NonZeroU32;

use diesel::connection::{DebugQuery, DynInstrumentation, InstrumentationEvent, StrQueryHelper};
use diesel::result::Error;

use super::Core;
use crate::mutex::{inner, locked};
use crate::session::Client;

impl<C: Client> Core<C> {
    pub(crate) fn instrument(&mut self, instrumentation: DynInstrumentation) {
        *self.instrumentation() = instrumentation;
    }

    pub(crate) fn instrumentation(&mut self) -> &mut DynInstrumentation {
        inner(&mut self.instrumentation)
    }

    pub(super) fn tell(&self, event: InstrumentationEvent<'_>) {
        locked(&self.instrumentation).on_connection_event(event);
    }

    pub(crate) fn started(&self, query: &dyn DebugQuery) {
        self.named(query, |query| {
            self.tell(InstrumentationEvent::start_query(query));
        });
    }

    pub(crate) fn finished(&self, query: &dyn DebugQuery, error: Option<&Error>) {
        self.named(query, |query| {
            self.tell(InstrumentationEvent::finish_query(query, error));
        });
    }

    /// Reports a query, with the comment of its options put before its text.
    fn named(&self, query: &dyn DebugQuery, tell: impl FnOnce(&dyn DebugQuery)) {
        match self.options.comment() {
            None => tell(query),
            Some(comment) => tell(&StrQueryHelper::new(&format!("{comment}{query}"))),
        }
    }

    /// Returns the depth of the innermost open transaction after `change` more have begun.
    pub(super) fn depth(&self, change: usize) -> Option<NonZeroU32> {
        let depth = u32::try_from(self.session.transaction.depth() + change).ok()?;
        NonZeroU32::new(depth)
    }

    pub(super) fn event(
        &self,
        depth: Option<NonZeroU32>,
        event: fn(NonZeroU32) -> InstrumentationEvent<'static>,
    ) {
        if let Some(depth) = depth {
            self.tell(event(depth));
        }
    }
}
