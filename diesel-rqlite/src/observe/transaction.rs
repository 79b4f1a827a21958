//! The transaction of a connection, and the wait for its lock.

use std::time::Instant;

use super::Observer;
use super::spans::{Parent, Span, Within};
use super::statistics::{self, Count, Tally};

/// The outermost open transaction, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Observed(Option<Open>);

#[derive(Debug)]
struct Open {
    span: Span,
    parent: Parent,
    /// The time since when the transaction holds its lock.
    held: Option<Instant>,
    tally: Tally,
}

/// The way in which a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Committed,
    /// It was committed as a migration.
    Migrated,
    /// It is a migration that another process has applied in the meantime. The program was told that it is committed.
    AlreadyMigrated,
    RolledBack,
    /// Something that the transaction was shown has changed, or its lock was lost.
    Conflicted,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Committed | End::Migrated => "committed",
            End::AlreadyMigrated => "already_applied",
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
    /// Records the begin of an outermost transaction.
    pub(crate) fn begin_transaction(&self, mode: &'static str) -> Observed {
        self.tally.count(Count::Transactions, 1);
        // The current span must be taken before the transaction's own span exists.
        let around = Parent::current();
        let span = Span::transaction(mode);
        Observed(Some(Open {
            parent: around.or_below(&span),
            span,
            held: None,
            tally: self.tally.clone(),
        }))
    }

    /// Begins the wait for a lock, which may be short.
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

    /// Ends the wait.
    pub(crate) fn finish<T, E>(self, outcome: &Result<T, E>) {
        self.tally
            .time(statistics::Time::LockWait, self.began.elapsed());
        if outcome.is_err() {
            self.span.failed_to_lock();
        }
    }
}

impl Observed {
    /// Returns the parent for the spans of operations: the span of the transaction, or a span that the program has
    /// entered inside the transaction.
    pub(crate) fn parent(&self) -> Parent {
        match &self.0 {
            Some(open) => open.parent.clone(),
            None => Parent::default(),
        }
    }

    /// Runs a future within the span of the transaction.
    pub(crate) fn within<F: Future>(&self, future: F) -> Within<F> {
        self.span().within(future)
    }

    /// Returns the span of the transaction, for the program's own code inside it.
    pub(crate) fn span(&self) -> Span {
        let open = self.0.as_ref();
        open.map_or_else(Span::default, |open| open.span.clone())
    }

    /// Records that the transaction holds its lock. The time of the first call counts.
    pub(crate) fn has_lock(&mut self) {
        if let Some(open) = &mut self.0
            && open.held.is_none()
        {
            open.held = Some(Instant::now());
            open.tally.count(Count::LockAcquisitions, 1);
        }
    }

    /// Ends the transaction. Does nothing if none is open.
    pub(crate) fn end(&mut self, end: End) {
        let Some(open) = self.0.take() else {
            return;
        };
        match end {
            End::Committed | End::AlreadyMigrated => open.tally.count(Count::Commits, 1),
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

    /// Records that the transaction is this migration.
    pub(crate) fn is_migration(&self, version: &str) {
        if let Some(open) = &self.0 {
            open.span.is_migration(version);
        }
    }
}
