//! Queued writes. A node accepts them at once, and applies them later together with those of other
//! clients.

use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::StrQueryHelper;
use diesel::query_builder::QueryFragment;

#[cfg(feature = "async")]
use super::AsyncRqliteConnection;
use super::{Core, HasCore, Rendered, RqliteConnection, Steered, Text, render};
use crate::backend::Rqlite;
use crate::error;
use crate::observe::What;
use crate::protocol::options::QueryOptions;
use crate::runtime::block_on;
use crate::session::Client;
use crate::statement::Query;

/// The sequence number that a node's queue gave to writes. Later writes have greater numbers. Each
/// node counts separately, and starts again after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(u64);

impl SequenceNumber {
    /// Returns the number.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// The outcome of queued writes that were waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOutcome {
    /// The writes were run, each by itself. The server does not report whether one of them failed.
    Done(SequenceNumber),
    /// The writes are in the queue, and were not run within the timeout.
    Pending,
}

/// A builder of writes for the queue of a node: see [`RqliteConnection::queue`].
#[must_use = "nothing is queued before `send` or `send_and_wait`"]
pub struct WriteQueue<'a, C> {
    connection: &'a mut C,
    writes: Vec<Rendered>,
}

impl<C> WriteQueue<'_, C> {
    /// Adds one INSERT, UPDATE or DELETE.
    ///
    /// # Errors
    ///
    /// The errors of building SQL and values. A write that can't be queued is an error of sending.
    // An implementation of the operator could not return an error.
    #[allow(clippy::should_implement_trait)]
    pub fn add<T: QueryFragment<Rqlite>>(mut self, write: &T) -> QueryResult<Self> {
        self.writes
            .push(Rendered::of(write, Text::of_one_run(render(write)?))?);
        Ok(self)
    }
}

impl<C> std::fmt::Debug for WriteQueue<'_, C> {
    /// Shows the SQL without values.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let writes = self.writes.iter().map(|write| write.text.sql());
        formatter.debug_list().entries(writes).finish()
    }
}

impl WriteQueue<'_, RqliteConnection> {
    /// Queues the writes, and does not wait for them to be run.
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub fn send(self) -> QueryResult<SequenceNumber> {
        block_on(self.connection.core().send_queued(self.writes))
    }

    /// Queues the writes, and waits until they were run, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub fn send_and_wait(self, timeout: Duration) -> QueryResult<QueueOutcome> {
        block_on(self.connection.core().wait_queued(self.writes, timeout))
    }
}

#[cfg(feature = "async")]
impl WriteQueue<'_, AsyncRqliteConnection> {
    /// Queues the writes, and does not wait for them to be run.
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub async fn send(self) -> QueryResult<SequenceNumber> {
        self.connection.core().send_queued(self.writes).await
    }

    /// Queues the writes, and waits until they were run, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub async fn send_and_wait(self, timeout: Duration) -> QueryResult<QueueOutcome> {
        let core = self.connection.core();
        core.wait_queued(self.writes, timeout).await
    }
}

impl RqliteConnection {
    /// Starts a set of queued writes. A node accepts them into its queue, and sends them to the
    /// cluster together with those of other clients some tens of milliseconds later. Many small
    /// writes then cost a fraction of what they cost as separate requests.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use diesel::prelude::*;
    /// use diesel_rqlite::{QueueOutcome, RqliteConnection};
    ///
    /// diesel::table! { clicks { id -> Integer, page -> Text, } }
    ///
    /// # fn run(conn: &mut RqliteConnection) -> QueryResult<()> {
    /// let click = |page| diesel::insert_into(clicks::table).values(clicks::page.eq(page));
    /// conn.execute_queued(&click("index"))?;
    ///
    /// let several = conn.queue().add(&click("index"))?.add(&click("about"))?;
    /// if let QueueOutcome::Done(number) = several.send_and_wait(Duration::from_secs(5))? {
    ///     println!("no write up to {number:?} is on its way");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Guarantees
    ///
    /// Very little. Use the queue for data that may be lost or duplicated, such as samples and
    /// counters for a chart.
    ///
    /// * **A write may be lost.** The queue is in the memory of one node, and is lost with it.
    /// * **A write may be applied twice.** A node sends a write again if it does not know the
    ///   outcome of the first attempt.
    /// * **Errors are not reported.** A write that violates a constraint, or names a missing table,
    ///   is silently dropped, even with [`send_and_wait`](WriteQueue::send_and_wait). The others
    ///   are applied.
    /// * **Several writes are not atomic.** Other clients may see some of them, and some of them
    ///   may fail.
    /// * Reads see the writes some time later, and immediately after [`QueueOutcome::Done`]. Until
    ///   then they can't be queried.
    /// * `last_insert_rowid()` and `changes()` are unknown afterwards.
    ///
    /// Values that each node would compute by itself are replaced, as in any other write. A
    /// statement that can't be queued is refused before anything is sent: anything but an INSERT,
    /// UPDATE or DELETE, RETURNING, `OR ROLLBACK`, a batch of rows that takes several statements,
    /// and writes after `PRAGMA foreign_keys = OFF`.
    ///
    /// A server that was started with `-write-queue-tx` runs writes that are queued at the same
    /// time in one transaction, no matter which clients sent them. An error of one write then
    /// discards all of them. A violated deferred foreign key stops that node's queue until the node
    /// is restarted.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` inside a transaction. `QueryBuilderError` if a write can't be queued,
    /// or if there are no writes. `ClosedConnection` if the answer is lost: the writes may be in
    /// the queue.
    pub fn queue(&mut self) -> WriteQueue<'_, Self> {
        WriteQueue {
            connection: self,
            writes: Vec::new(),
        }
    }

    /// Queues one write, and does not wait for it to be run: see [`queue`](Self::queue).
    ///
    /// # Errors
    ///
    /// See [`queue`](Self::queue).
    pub fn execute_queued<T: QueryFragment<Rqlite>>(
        &mut self,
        write: &T,
    ) -> QueryResult<SequenceNumber> {
        self.queue().add(write)?.send()
    }

    /// Queues one write, and waits until it was run, for at most `timeout`: see
    /// [`queue`](Self::queue).
    ///
    /// # Errors
    ///
    /// See [`queue`](Self::queue).
    pub fn execute_queued_and_wait<T: QueryFragment<Rqlite>>(
        &mut self,
        write: &T,
        timeout: Duration,
    ) -> QueryResult<QueueOutcome> {
        self.queue().add(write)?.send_and_wait(timeout)
    }
}

#[cfg(feature = "async")]
impl AsyncRqliteConnection {
    /// Starts a set of queued writes: see [`RqliteConnection::queue`], which also describes the
    /// guarantees.
    pub fn queue(&mut self) -> WriteQueue<'_, Self> {
        WriteQueue {
            connection: self,
            writes: Vec::new(),
        }
    }

    /// Queues one write, and does not wait for it to be run: see [`RqliteConnection::queue`].
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub async fn execute_queued<T: QueryFragment<Rqlite> + Sync>(
        &mut self,
        write: &T,
    ) -> QueryResult<SequenceNumber> {
        self.queue().add(write)?.send().await
    }

    /// Queues one write, and waits until it was run, for at most `timeout`: see
    /// [`RqliteConnection::queue`].
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub async fn execute_queued_and_wait<T: QueryFragment<Rqlite> + Sync>(
        &mut self,
        write: &T,
        timeout: Duration,
    ) -> QueryResult<QueueOutcome> {
        self.queue().add(write)?.send_and_wait(timeout).await
    }
}

impl<C: Client> Core<C> {
    async fn send_queued(&mut self, writes: Vec<Rendered>) -> QueryResult<SequenceNumber> {
        let number = self.queue(writes, None).await?;
        number.map(SequenceNumber).ok_or_else(error::cut_short)
    }

    async fn wait_queued(
        &mut self,
        writes: Vec<Rendered>,
        timeout: Duration,
    ) -> QueryResult<QueueOutcome> {
        let done = self.queue(writes, Some(timeout)).await?;
        Ok(match done {
            Some(number) => QueueOutcome::Done(SequenceNumber(number)),
            None => QueueOutcome::Pending,
        })
    }

    async fn queue(
        &mut self,
        writes: Vec<Rendered>,
        wait: Option<Duration>,
    ) -> QueryResult<Option<u64>> {
        let texts: Vec<_> = writes.iter().map(|write| write.text.sql()).collect();
        let text = texts.join("; ");
        let told = StrQueryHelper::new(&text);
        self.started(&told);
        let outcome = self.try_to_queue(&text, &writes, wait).await;
        self.finished(&told, outcome.as_ref().err());
        outcome
    }

    async fn try_to_queue(
        &mut self,
        text: &str,
        writes: &[Rendered],
        wait: Option<Duration>,
    ) -> QueryResult<Option<u64>> {
        self.learn_from_concurrent();
        let options = self.options_of_queued(writes, wait);
        let mut queries = Vec::with_capacity(writes.len());
        for Rendered { text, binds, .. } in writes {
            let query = Query::parse(text.sql()).map_err(|error| self.not_sent(error))?;
            queries.push((query, binds.clone()));
        }
        let found = queries.iter().flat_map(|(query, _)| query.found());
        let found: Vec<_> = found.cloned().collect();
        let mut steered = Steered::new(self, options)?;
        let core = steered.core();
        let operation = core.begin_operation(What::Script(&found));
        let queued = core.session.queue(queries, wait);
        let outcome = operation.within(queued).await;
        core.session.observer.finish(operation, text, &outcome);
        outcome
    }

    /// Combines the options of the writes. The request timeout is extended by `wait`, since the
    /// answer arrives only when the writes are done.
    fn options_of_queued(&self, writes: &[Rendered], wait: Option<Duration>) -> QueryOptions {
        let options = writes.iter().filter_map(|write| write.options.as_deref());
        let options = options.fold(QueryOptions::new(), |before, options| {
            options.clone().over(&before)
        });
        let Some(wait) = wait else {
            return options;
        };
        let steered = self.session.settings.with(&options, None).request_timeout;
        let timeout = steered.unwrap_or(self.config.request_timeout);
        options.request_timeout(timeout.saturating_add(wait))
    }
}
