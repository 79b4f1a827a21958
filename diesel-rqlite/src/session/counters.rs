//! `last_insert_rowid()` and `changes()`, answered from what this connection did.
//!
//! A server would answer them for the one connection that all clients share. So the client notes what each write did,
//! in [`Did`](crate::statement::Did), and writes the values into the text before it is planned. If a write of the same request or transaction
//! precedes the function, the server knows better and the function stays, as far as nothing was rolled back in between.
//! If nobody knows the value, the query fails and nothing is sent.

use std::borrow::Cow;

use diesel::QueryResult;
use diesel_rqlite_sql::Parsed;

use super::{Client, Session};
use crate::error;
use crate::statement::{Query, did};

impl<C: Client> Session<C> {
    /// Replaces these functions in a query by their values. Fails if a value is unknown, for example after a write
    /// whose answer was lost.
    pub(super) fn with_counters<'q>(&self, query: Query<'q>) -> QueryResult<Query<'q>> {
        let transaction = &self.transaction;
        let answered = query.answered(transaction.did(), || transaction.in_front());
        answered.map_err(error::not_sent)
    }

    /// Replaces these functions in a script by their values. Statements after a write of the script keep them. Fails if
    /// a value is unknown.
    pub(super) fn script_with_counters<'s, 'a>(
        &self,
        found: &'s [Parsed<'a>],
    ) -> QueryResult<Cow<'s, [Parsed<'a>]>> {
        let transaction = &self.transaction;
        let answered = did::answered(found, transaction.did(), transaction.in_front());
        answered.map_err(error::not_sent)
    }
}
