//! Queued writes: a node takes them at once, and sends them later with those of others.

use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::StrQueryHelper;
use diesel::query_builder::QueryFragment;

#[cfg(feature = "async")]
use super::AsyncRqliteConnection;
use super::{Core, HasCore, Rendered, RqliteConnection, Steered};
use crate::backend::Rqlite;
use crate::error;
use crate::observe::What;
use crate::protocol::options::QueryOptions;
use crate::runtime::now;
use crate::session::Client;
use crate::statement::Query;

/// What a node's queue calls the writes that it was given. Later ones have greater numbers; another node counts for
/// itself, and so does the same one after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(u64);

impl SequenceNumber {
    /// The number itself.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// What has become of queued writes that were waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueOutcome {
    /// They were run, each by itself. Whether one of them failed, the server does not say.
    Done(SequenceNumber),
    /// They are in the queue, and were not run within the time.
    Pending,
}

/// Writes for the queue of a node: see [`RqliteConnection::queue`].
#[must_use = "nothing is queued before `send` or `send_and_wait`"]
pub struct WriteQueue<'a, C> {
    connection: &'a mut C,
    writes: Vec<Rendered>,
}

impl<C> WriteQueue<'_, C> {
    /// One more INSERT, UPDATE or DELETE.
    ///
    /// # Errors
    ///
    /// Those of making SQL and values of it. What can't be queued is an error of sending.
    // As an operator it would have no error.
    #[allow(clippy::should_implement_trait)]
    pub fn add<T: QueryFragment<Rqlite>>(mut self, write: &T) -> QueryResult<Self> {
        self.writes.push(Rendered::of(write)?);
        Ok(self)
    }
}

impl<C> std::fmt::Debug for WriteQueue<'_, C> {
    /// Without values.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let writes = self.writes.iter().map(|write| &write.sql);
        formatter.debug_list().entries(writes).finish()
    }
}

impl WriteQueue<'_, RqliteConnection> {
    /// Gives the writes to the queue, and does not wait for them.
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub fn send(self) -> QueryResult<SequenceNumber> {
        now(self.connection.core().send_queued(self.writes))
    }

    /// Gives the writes to the queue, and waits until they were run, for no longer than this.
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub fn send_and_wait(self, timeout: Duration) -> QueryResult<QueueOutcome> {
        now(self.connection.core().wait_queued(self.writes, timeout))
    }
}

#[cfg(feature = "async")]
impl WriteQueue<'_, AsyncRqliteConnection> {
    /// Gives the writes to the queue, and does not wait for them.
    ///
    /// # Errors
    ///
    /// See [`RqliteConnection::queue`].
    pub async fn send(self) -> QueryResult<SequenceNumber> {
        self.connection.core().send_queued(self.writes).await
    }

    /// Gives the writes to the queue, and waits until they were run, for no longer than this.
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
    /// Writes that a node takes into its queue, and sends to the cluster with those of other clients, some dozens of
    /// milliseconds later: many small writes then cost a fraction of what they do by themselves.
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
    /// # What is promised
    ///
    /// Next to nothing: it is for what may be lost or doubled, such as samples and counters for a chart.
    ///
    /// * **A write may be lost**: the queue is in the memory of one node, and is gone with it.
    /// * **A write may be applied twice**, where a node sends it again since it does not know what became of it.
    /// * **Nobody hears of an error.** A write that violates a constraint, or names a table that is not there, is dropped
    ///   without a word, with [`send_and_wait`](WriteQueue::send_and_wait), too. The others are applied.
    /// * **Several writes are not one**: other clients may see some of them, and some of them may fail.
    /// * Reads see them some time later; behind [`QueueOutcome::Done`], at once. Until then nobody can ask for them.
    /// * `last_insert_rowid()` and `changes()` are not known behind them.
    ///
    /// Values that each node would make for itself are replaced as in any other write. What can't be done so is refused
    /// before anything is sent: anything but an INSERT, UPDATE or DELETE, RETURNING, `OR ROLLBACK`, a batch of rows that
    /// takes several statements, writes behind `PRAGMA foreign_keys = OFF`.
    ///
    /// A server that was started with `-write-queue-tx` makes a transaction of what is queued at the same time, whoever
    /// sent it: an error of one write is then the end of all of them, and a deferred foreign key that is violated stops
    /// that node's queue until it is started again.
    ///
    /// # Errors
    ///
    /// `AlreadyInTransaction` in a transaction; `QueryBuilderError` for what can't be queued, or if there is nothing. A lost
    /// answer is `ClosedConnection`: the writes may be in the queue.
    pub fn queue(&mut self) -> WriteQueue<'_, Self> {
        WriteQueue {
            connection: self,
            writes: Vec::new(),
        }
    }

    /// Queues one write, and does not wait for it: see [`queue`](Self::queue).
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

    /// Queues one write, and waits until it was run, for no longer than this: see [`queue`](Self::queue).
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
    /// Writes that a node takes into its queue: see [`RqliteConnection::queue`], which says what is promised.
    pub fn queue(&mut self) -> WriteQueue<'_, Self> {
        WriteQueue {
            connection: self,
            writes: Vec::new(),
        }
    }

    /// Queues one write, and does not wait for it: see [`RqliteConnection::queue`].
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

    /// Queues one write, and waits until it was run, for no longer than this: see [`RqliteConnection::queue`].
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
        let texts: Vec<_> = writes.iter().map(|write| write.sql.as_str()).collect();
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
        self.learn_from_beside();
        let options = self.options_of_queued(writes, wait);
        let mut queries = Vec::with_capacity(writes.len());
        for Rendered { sql, binds, .. } in writes {
            let query = Query::parse(sql).map_err(|error| self.not_sent(error))?;
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

    /// Those of the writes. The answer comes when they are done.
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
