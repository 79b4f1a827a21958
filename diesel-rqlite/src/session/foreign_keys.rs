//! Foreign keys. Each node enforces them for all clients, or for none. This module decides what `PRAGMA foreign_keys`
//! does to a connection, and which tables it may drop.
//!
//! The setting belongs to the node: `rqlited -fk`. A client can't change it for itself. So the PRAGMA has these
//! outcomes:
//!
//! * ON, and the nodes enforce them: nothing to do.
//! * ON, and they do not: an error, since nothing would be checked.
//! * OFF, and they do not: nothing to do.
//! * OFF, and they do: from now on, each write and each commit of this connection is a request that switches them off,
//!   runs, and switches them on again, see [`unenforced`].
//!
//! While they are off for this connection, some things are refused or work differently, because only a request of that
//! form can do without them:
//!
//! | | |
//! | --- | --- |
//! | RETURNING outside of transactions | refused |
//! | queued writes | refused |
//! | queries in a transaction | refused |
//! | the mode of a transaction | Deferred |
//! | `execute` of several statements | counts only what the texts tell |
//!
//! One node is asked, once per connection. All of them have to be started alike. That a node is restarted with another
//! setting goes unnoticed.

use diesel::QueryResult;
use diesel_rqlite_sql::SqlError;

use super::autocommit::{Applied, WriteFailure, accepted};
use super::{Client, Session};
use crate::error;
use crate::protocol::failure::Why;
use crate::protocol::response::StatementResult;
use crate::protocol::rows::{Rows, Value};
use crate::statement::unenforced::{self, Outcome};
use crate::statement::{Batch, Statement};
use crate::transaction::{Options, TransactionMode};

const NOT_ENFORCED: &str = "the nodes do not enforce foreign keys, so that nothing would be checked and nothing cascade; \
     start every rqlited with -fk";
const FOR_SCRIPTS: &str = "the nodes enforce foreign keys, and after this PRAGMA each write is a request that switches them \
     off and on again, for scripts and migrations; say `PRAGMA foreign_keys = ON` first, or start every rqlited without \
     -fk";

/// The state of foreign keys for one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ForeignKeys {
    /// `Some` once the nodes have been asked whether they enforce foreign keys.
    enforced: Option<bool>,
    /// Set if the nodes enforce them, but not for the writes of this connection.
    off: bool,
}

impl ForeignKeys {
    /// Returns whether the writes of this connection switch them off.
    pub(crate) fn are_off(self) -> bool {
        self.off
    }
}

impl<C: Client> Session<C> {
    /// Runs `PRAGMA foreign_keys = …` outside of a transaction. Fails if they are to be on and the nodes do not enforce
    /// them. On nodes that do not enforce them, OFF changes nothing. May be repeated.
    pub(super) async fn set_foreign_keys(&mut self, wanted: bool) -> QueryResult<()> {
        let enforced = self.enforces_foreign_keys().await?;
        if wanted && !enforced {
            return Err(not_enforced());
        }
        self.foreign_keys.off = enforced && !wanted;
        Ok(())
    }

    /// Fails if the nodes do not enforce foreign keys. This is for a script that switches them on at its end: it must
    /// fail before its first statement runs.
    pub(crate) async fn check_foreign_keys(&mut self) -> QueryResult<()> {
        match self.enforces_foreign_keys().await? {
            true => Ok(()),
            false => Err(not_enforced()),
        }
    }

    /// Returns the answer to `PRAGMA foreign_keys`: whether the writes of this connection are checked.
    pub(super) async fn has_foreign_keys(&mut self) -> QueryResult<bool> {
        Ok(self.enforces_foreign_keys().await? && !self.foreign_keys.off)
    }

    /// Returns whether the nodes enforce foreign keys. Asks once, outside of the transaction. A failure is not
    /// remembered.
    async fn enforces_foreign_keys(&mut self) -> QueryResult<bool> {
        if let Some(enforced) = self.foreign_keys.enforced {
            return Ok(enforced);
        }
        let rows = self.ask(&Statement::raw("PRAGMA foreign_keys")).await?;
        if (rows.len(), rows.width()) != (1, 1) {
            return Err(error::useless_answer(
                "unreadable answer: no value for PRAGMA foreign_keys",
            ));
        }
        let enforced = matches!(rows.value(0, 0), Some(Value::Integer(1)));
        Ok(*self.foreign_keys.enforced.insert(enforced))
    }

    /// Puts a check before each `DROP TABLE`, where dropping the table may change rows of other tables. SQLite deletes
    /// the rows first, which cascades.
    ///
    /// Sends a request if a table is dropped and the nodes were not asked yet. The batch stays as it is if nothing is
    /// enforced for this connection.
    pub(super) async fn guard_drops<'a>(&mut self, batch: Batch<'a>) -> QueryResult<Batch<'a>> {
        if !batch.drops_tables() || self.foreign_keys.off || !self.enforces_foreign_keys().await? {
            return Ok(batch);
        }
        Ok(batch.with_guarded_drops())
    }

    /// Sends writes as one request without foreign keys. If there are several, a write has a count only if its text
    /// tells it.
    ///
    /// Returns a result for each statement. On an error none was applied, unless the error says that the outcome is
    /// unknown. Refuses RETURNING before anything is sent. The request is never sent again after a lost answer.
    pub(super) async fn send_unenforced(
        &mut self,
        batch: &Batch<'_>,
    ) -> Result<Applied, WriteFailure> {
        let statements: Vec<_> = batch.statements.iter().collect();
        if statements.iter().any(|statement| statement.returning) {
            return Err(WriteFailure::certainly(not_behind("RETURNING")));
        }
        let exchange = unenforced::exchange(&statements);
        let body = self.send(&exchange).await;
        let answer = body.and_then(|body| exchange.answer(&body, &[]));
        let answer = accepted(&exchange, answer.map_err(WriteFailure::by_request)?)?;
        match unenforced::outcome(answer.results) {
            Some(Outcome::Failed { message, place }) => Err(WriteFailure::certainly(match place {
                Some(place) => batch.failed_at(place, &message),
                None => error::statement_error(&message, None),
            })),
            Some(Outcome::Done(result)) if statements.len() == 1 => Ok(Applied::Told(vec![result])),
            Some(Outcome::Done(_)) => {
                let counts = statements.iter().map(|statement| statement.known_rows());
                Ok(Applied::Untold(
                    counts
                        .map(|rows| StatementResult::executed(rows.unwrap_or(0)))
                        .collect(),
                ))
            }
            None => {
                let message = "an answer with too few results";
                Err(WriteFailure::by_request(
                    exchange.failure(Why::Unknown, message),
                ))
            }
        }
    }

    /// Returns the options of a transaction. Without foreign keys a peek is impossible, so the mode becomes Deferred.
    pub(crate) fn transaction_options(&self, mut options: Options) -> Options {
        if self.foreign_keys.off {
            options.mode = TransactionMode::Deferred;
        }
        options
    }

    /// Refuses queued writes without foreign keys: the node would enforce them, as for the writes of others.
    pub(super) fn check_may_queue(&self) -> QueryResult<()> {
        match self.foreign_keys.off {
            true => Err(not_behind("a queued write")),
            false => Ok(()),
        }
    }

    /// Refuses queries in a transaction without foreign keys, in which a peek is impossible.
    pub(super) fn check_may_read(&self) -> QueryResult<()> {
        match self.foreign_keys.off {
            true => Err(not_behind("a query in a transaction")),
            false => Ok(()),
        }
    }
}

/// Returns the error for `PRAGMA foreign_keys = ON` on nodes that do not enforce them.
fn not_enforced() -> diesel::result::Error {
    let pragma = "PRAGMA foreign_keys = ON".to_owned();
    error::not_sent(SqlError::Refused(pragma, NOT_ENFORCED))
}

/// Returns the error for something that is not possible while this connection has foreign keys off.
fn not_behind(what: &str) -> diesel::result::Error {
    let what = format!("{what} after `PRAGMA foreign_keys = OFF`");
    error::not_sent(SqlError::Refused(what, FOR_SCRIPTS))
}

/// Returns the row that `PRAGMA foreign_keys` yields.
pub(super) fn row_of(has_foreign_keys: bool) -> Rows {
    let mut rows = Rows::named(vec!["foreign_keys".to_owned()]);
    rows.push(Some(Value::Integer(i64::from(has_foreign_keys))));
    rows.end_row();
    rows
}
