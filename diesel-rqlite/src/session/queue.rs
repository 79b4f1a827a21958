//! Writes that a node is to send later, with those of others.

use std::time::Duration;

use diesel::QueryResult;
use diesel::result::Error;
use diesel_rqlite_sql::{Parsed, SqlError};

use super::{Client, Session};
use crate::bind_collector::Bind;
use crate::error;
use crate::protocol::response;
use crate::statement::{self, Did, Place, Plan, Query, Statement, Wanted};

/// Why something can't be queued.
const NOT_QUEUED: &str = "a queued write is one INSERT, UPDATE or DELETE, which is run later, in no transaction of ours, and \
     of which nothing is answered; use `execute`";

impl<C: Client> Session<C> {
    /// Gives writes to the queue of a node. `None`: they are there, and were not done within the time to wait.
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
        // Whatever becomes of it, and whenever.
        self.transaction.did = Did::unknown();
        let body = self.send(&exchange).await.map_err(error::failure)?;
        if wait.is_some() && body.is_empty() {
            return Ok(None);
        }
        let number = response::sequence_number(&body);
        number.map(Some).ok_or_else(error::cut_short)
    }

    /// A write as it is sent by itself, if it may be run at any time, among others, without anybody knowing how it ended.
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

fn check(found: &[Parsed<'_>]) -> Result<(), SqlError> {
    let [parsed] = found else {
        return Err(refused(match found {
            [] => "an insert of no rows",
            // The queue would run some of them.
            _ => "a batch of rows that takes several statements",
        }));
    };
    if !parsed.form().writes_rows() {
        return Err(refused("what writes no rows"));
    }
    if parsed.returns() {
        return Err(refused("RETURNING"));
    }
    // Where the server makes a transaction of what is queued, it would be that of others, too.
    if parsed.ends_transaction() {
        return Err(refused("OR ROLLBACK"));
    }
    Ok(())
}

fn refused(what: &str) -> SqlError {
    SqlError::Refused(format!("{what} in the queue"), NOT_QUEUED)
}
