//! The transaction of a connection, and the wait for its lock.

use std::time::Instant;

use super::Observer;
use super::spans::{Parent, Span, Within};
use super::statistics::{self, Count, Tally};

/// The outermost transaction that is open, if one is.
#[derive(Debug, Default)]
pub(crate) struct Observed(Option<Open>);

#[derive(Debug)]
struct Open {
    span: Span,
    parent: Parent,
    /// Since when its lock is held.
    held: Option<Instant>,
    tally: Tally,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Committed,
    /// As a migration.
    Migrated,
    RolledBack,
    /// Something that it was shown has changed, or its lock was lost.
    Conflicted,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Committed | End::Migrated => "committed",
            End::RolledBack => "rolled_back",
            End::Conflicted => "conflict",
        }
    }
}

/// A wait for a lock.
#[derive(Debug)]
pub(crate) struct Waiting {
    span: Span,
    began: Instant,
    tally: Tally,
}

impl Observer {
    /// An outermost transaction begins.
    pub(crate) fn begin_transaction(&self, mode: &'static str) -> Observed {
        self.tally.count(Count::Transactions, 1);
        // Before its own span.
        let around = Parent::current();
        let span = Span::transaction(mode);
        Observed(Some(Open {
            parent: around.or_below(&span),
            span,
            held: None,
            tally: self.tally.clone(),
        }))
    }

    /// A lock is waited for, perhaps not for long.
    pub(crate) fn wait_for_lock(&self, name: &str, parent: &Parent) -> Waiting {
        Waiting {
            span: Span::lock(name, parent),
            began: Instant::now(),
            tally: self.tally.clone(),
        }
    }
}

impl Waiting {
    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        self.span.within(future)
    }

    /// It is over.
    pub(crate) fn finish<T, E>(self, outcome: &Result<T, E>) {
        self.tally
            .time(statistics::Time::LockWait, self.began.elapsed());
        if outcome.is_err() {
            self.span.failed_to_lock();
        }
    }
}

impl Observed {
    /// What operations stand below: the transaction, or what the program has put into it.
    pub(crate) fn parent(&self) -> Parent {
        match &self.0 {
            Some(open) => open.parent.clone(),
            None => Parent::default(),
        }
    }

    /// What is done for it stands below it.
    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        self.span().within(future)
    }

    /// Its span, for what a program does inside.
    pub(crate) fn span(&self) -> Span {
        let open = self.0.as_ref();
        open.map_or_else(Span::default, |open| open.span.clone())
    }

    /// Its lock is held, since now if it was not before.
    pub(crate) fn has_lock(&mut self) {
        if let Some(open) = &mut self.0
            && open.held.is_none()
        {
            open.held = Some(Instant::now());
            open.tally.count(Count::LockAcquisitions, 1);
        }
    }

    /// It is over; if none was open, nothing is.
    pub(crate) fn end(&mut self, end: End) {
        let Some(open) = self.0.take() else {
            return;
        };
        match end {
            End::Committed => open.tally.count(Count::Commits, 1),
            End::Migrated => {
                open.tally.count(Count::Commits, 1);
                open.tally.count(Count::Migrations, 1);
            }
            End::RolledBack => open.tally.count(Count::Rollbacks, 1),
            End::Conflicted => {
                open.tally.count(Count::Rollbacks, 1);
                open.tally.count(Count::Conflicts, 1);
            }
        }
        if let Some(held) = open.held {
            open.tally.time(statistics::Time::LockHold, held.elapsed());
        }
        open.span.ended(end.name());
    }

    /// It is this migration, if it ends well.
    pub(crate) fn is_migration(&self, version: &str) -> End {
        if let Some(open) = &self.0 {
            open.span.is_migration(version);
        }
        End::Migrated
    }
}
