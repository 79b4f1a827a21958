//! Writes that a node applies later, together with those of others.
//!
//! The node that receives them keeps them in memory, answers with a sequence number, and sends them to the leader in
//! batches. Nothing tells what became of a single write. So each has to be one statement that may run at any time,
//! among others, and whose failure harms nobody: an INSERT, UPDATE or DELETE. It is prepared like any other write, with
//! the client's own time and random values.

use std::time::Duration;

use diesel::QueryResult;
use diesel::result::Error;
use diesel_rqlite_sql::{Parsed, SqlError};

use super::{Client, Session};
use crate::bind_collector::Bind;
use crate::error;
use crate::protocol::response;
use crate::statement::{self, Place, Plan, Query, Statement, Wanted};

/// The reason why something can't be queued.
const NOT_QUEUED: &str = "a queued write is one INSERT, UPDATE or DELETE that the node runs later, outside of any transaction, \
     and whose outcome is not reported; use `execute`";

impl<C: Client> Session<C> {
    /// Adds writes to the queue of a node. Returns the sequence number of the writes. Returns `None` if the node has
    /// them, but did not finish them within the time to wait.
    ///
    /// All writes are checked before anything is sent. Fails in a transaction, with foreign keys off, without writes,
    /// and for a write that can't be queued. After an error that says that the outcome is unknown, the node may have
    /// queued them. Without `wait`, success means no more than that the node has them in memory.
    ///
    /// Afterwards `last_insert_rowid()` and `changes()` are unknown.
    pub(crate) async fn queue(
        &mut self,
        writes: Vec<(Query<'_>, Vec<Bind<'_>>)>,
        wait: Option<Duration>,
    ) -> QueryResult<Option<u64>> {
        if self.transaction.is_open() {
            return Err(Error::AlreadyInTransaction);
        }
        self.check_may_queue()?;
        let mut statements = Vec::with_capacity(writes.len());
        for (query, binds) in writes {
            statements.push(self.queued(query, binds).await?);
        }
        if statements.is_empty() {
            return Err(error::not_sent(refused("nothing")));
        }
        let exchange = statement::queue(&statements, wait);
        // The queued writes run at any later time, with any outcome.
        self.transaction.forget_effects();
        let body = self.send(&exchange).await.map_err(error::failure)?;
        if wait.is_some() && body.is_empty() {
            return Ok(None);
        }
        let number = response::sequence_number(&body);
        number.map(Some).ok_or_else(error::cut_short)
    }

    /// Returns a write as it is sent by itself. Fails unless it may run at any time, among others, with nobody learning
    /// its outcome. May send a request for the schema, if defaults may have changed.
    async fn queued<'q>(
        &mut self,
        query: Query<'q>,
        binds: Vec<Bind<'q>>,
    ) -> QueryResult<Statement<'q>> {
        check(query.found()).map_err(error::not_sent)?;
        let query = self.with_defaults(self.with_counters(query)?).await?;
        let plan = Plan::new(
            query,
            binds,
            Wanted::Count,
            Place::Alone,
            &mut self.entropy(),
        );
        match plan.map_err(error::not_sent)? {
            Plan::Write(mut batch) if batch.statements.len() == 1 => {
                batch.statements.pop().ok_or_else(error::cut_short)
            }
            _ => Err(error::not_sent(refused("this"))),
        }
    }
}

/// Fails unless the query is one INSERT, UPDATE or DELETE with neither RETURNING nor `OR ROLLBACK`.
fn check(found: &[Parsed<'_>]) -> Result<(), SqlError> {
    let [parsed] = found else {
        return Err(refused(match found {
            [] => "an insert of no rows",
            // The queue would run some of them even if another fails.
            _ => "a batch of rows that takes several statements",
        }));
    };
    if !parsed.form().writes_rows() {
        return Err(refused("what writes no rows"));
    }
    if parsed.returns() {
        return Err(refused("RETURNING"));
    }
    // If the server runs the queue in a transaction, that would roll back the writes of others as well.
    if parsed.ends_transaction() {
        return Err(refused("OR ROLLBACK"));
    }
    Ok(())
}

/// Returns the error for something that can't be queued.
fn refused(what: &str) -> SqlError {
    SqlError::Refused(format!("{what} in the queue"), NOT_QUEUED)
}
