//! Foreign keys, which each node enforces or not, for all clients: what `PRAGMA foreign_keys` does to a connection, and
//! which tables it may drop.

use diesel::QueryResult;
use diesel_rqlite_sql::SqlError;

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
const FOR_SCRIPTS: &str = "the nodes enforce foreign keys, and behind this PRAGMA each write is a request that switches them \
     off and on again, for scripts and migrations; say `PRAGMA foreign_keys = ON` first, or start every rqlited without \
     -fk";

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ForeignKeys {
    /// Whether the nodes enforce them, once they have been asked.
    enforced: Option<bool>,
    /// They do, but this connection's writes are to be without.
    off: bool,
}

impl ForeignKeys {
    /// Whether this connection's writes switch them off.
    pub(crate) fn are_off(self) -> bool {
        self.off
    }
}

impl<C: Client> Session<C> {
    /// What `PRAGMA foreign_keys = …` says outside of a transaction.
    pub(super) async fn set_foreign_keys(&mut self, wanted: bool) -> QueryResult<()> {
        let enforced = self.enforces_foreign_keys().await?;
        if wanted && !enforced {
            return Err(not_enforced());
        }
        self.foreign_keys.off = enforced && !wanted;
        Ok(())
    }

    /// An error, if foreign keys can't be had on these nodes.
    pub(crate) async fn check_foreign_keys(&mut self) -> QueryResult<()> {
        match self.enforces_foreign_keys().await? {
            true => Ok(()),
            false => Err(not_enforced()),
        }
    }

    /// What `PRAGMA foreign_keys` answers.
    pub(super) async fn has_foreign_keys(&mut self) -> QueryResult<bool> {
        Ok(self.enforces_foreign_keys().await? && !self.foreign_keys.off)
    }

    async fn enforces_foreign_keys(&mut self) -> QueryResult<bool> {
        if let Some(enforced) = self.foreign_keys.enforced {
            return Ok(enforced);
        }
        let rows = self.ask(&Statement::plain("PRAGMA foreign_keys")).await?;
        if (rows.len(), rows.width()) != (1, 1) {
            return Err(error::useless_answer(
                "unreadable answer: no value for PRAGMA foreign_keys",
            ));
        }
        let enforced = matches!(rows.value(0, 0), Some(Value::Integer(1)));
        Ok(*self.foreign_keys.enforced.insert(enforced))
    }

    /// Writes with a check in front of each table that is dropped, where dropping it may change the rows of others.
    pub(super) async fn guard_drops<'a>(&mut self, batch: Batch<'a>) -> QueryResult<Batch<'a>> {
        if !batch.drops_tables() || self.foreign_keys.off || !self.enforces_foreign_keys().await? {
            return Ok(batch);
        }
        Ok(batch.with_guarded_drops())
    }

    /// Sends writes as one request without foreign keys. Of several, only those whose text tells have a count.
    pub(super) async fn send_unenforced(
        &mut self,
        batch: &Batch<'_>,
    ) -> QueryResult<Vec<StatementResult>> {
        let statements: Vec<_> = batch.statements.iter().collect();
        if statements.iter().any(|statement| statement.returning) {
            return Err(not_behind("RETURNING"));
        }
        let exchange = unenforced::exchange(&statements);
        let body = self.send(&exchange).await.map_err(error::failure)?;
        let answer = error::answer(&exchange, &body, &[])?;
        match unenforced::outcome(answer.results) {
            Some(Outcome::Failed { message, place }) => Err(match place {
                Some(place) => batch.failed_at(place, &message),
                None => error::statement_error(&message, None),
            }),
            Some(Outcome::Done(result)) if statements.len() == 1 => {
                let results = vec![result];
                self.did(batch, Some(&results));
                Ok(results)
            }
            Some(Outcome::Done(_)) => {
                self.did(batch, None);
                let counts = statements.iter().map(|statement| statement.known_rows());
                Ok(counts
                    .map(|rows| StatementResult::executed(rows.unwrap_or(0)))
                    .collect())
            }
            None => {
                let message = "an answer with too few results";
                Err(error::failure(exchange.failure(Why::Unknown, message)))
            }
        }
    }

    /// How a transaction behaves: without foreign keys nothing can be looked at in front of its commit.
    pub(crate) fn transaction_options(&self, mut options: Options) -> Options {
        if self.foreign_keys.off {
            options.mode = TransactionMode::Deferred;
        }
        options
    }

    /// Refuses writes that others send, with the foreign keys of all.
    pub(super) fn check_may_queue(&self) -> QueryResult<()> {
        match self.foreign_keys.off {
            true => Err(not_behind("a queued write")),
            false => Ok(()),
        }
    }

    /// Refuses queries in a transaction that nothing can be looked at in.
    pub(super) fn check_may_read(&self) -> QueryResult<()> {
        match self.foreign_keys.off {
            true => Err(not_behind("a query in a transaction")),
            false => Ok(()),
        }
    }
}

fn not_enforced() -> diesel::result::Error {
    let pragma = "PRAGMA foreign_keys = ON".to_owned();
    error::not_sent(SqlError::Refused(pragma, NOT_ENFORCED))
}

fn not_behind(what: &str) -> diesel::result::Error {
    let what = format!("{what} behind `PRAGMA foreign_keys = OFF`");
    error::not_sent(SqlError::Refused(what, FOR_SCRIPTS))
}

/// The row of `PRAGMA foreign_keys`.
pub(super) fn row_of(has_foreign_keys: bool) -> Rows {
    let mut rows = Rows::named(vec!["foreign_keys".to_owned()]);
    rows.push(Some(Value::Integer(i64::from(has_foreign_keys))));
    rows.end_row();
    rows
}
