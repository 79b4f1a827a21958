//! Writes without foreign keys, on nodes that enforce them.
//!
//! SQLite switches the enforcement on and off outside of transactions only, and rqlite's connection for writes is one for
//! all clients. But a node runs a request as a whole, at its place in the Raft log: one that switches off, runs a
//! transaction of its own and switches on again touches no other client, and does the same on all nodes. A node that dies
//! in between starts with its own setting.
//!
//! Nothing ends such a request early: each element of it is run, whatever came of those in front. So the transaction is one
//! element, of which SQLite runs what stands behind a failure no more, and the elements behind it have to tell by
//! themselves whether there is anything left to undo. Marks are temporary tables, which live in that one connection.

use super::{Statement, wire};
use crate::protocol::message::GUARD;
use crate::protocol::request::{Endpoint, Exchange};
use crate::protocol::response::StatementResult;

const ENFORCED: &str = "__diesel_rqlite_enforced";
const BEGUN: &str = "__diesel_rqlite_begun";

/// The place of the writes in the request, and how many elements that has.
const WRITES: usize = 1;
const ELEMENTS: usize = 4;

/// The request that runs writes in a transaction, without foreign keys.
pub(crate) fn exchange(writes: &[&Statement<'_>]) -> Exchange {
    let off = Statement::plain(format!(
        "SELECT CASE WHEN (SELECT foreign_keys FROM pragma_foreign_keys) THEN 1 \
         ELSE json_extract('{{}}','{GUARD}unenforced') END; \
         CREATE TEMP TABLE IF NOT EXISTS {ENFORCED} (a); PRAGMA foreign_keys = OFF"
    ));
    // The first statement of both fails where there is nothing to undo.
    let undo = Statement::plain(format!("DROP TABLE temp.{BEGUN}; ROLLBACK"));
    let on = Statement::plain(format!(
        "DROP TABLE temp.{ENFORCED}; PRAGMA foreign_keys = ON"
    ));
    let elements = [&off, &joined(writes), &undo, &on];
    Exchange::new(Endpoint::Unenforced, wire::body(&elements))
}

/// As one text. A single statement needs no transaction, and may be one that can't stand in any.
fn joined(writes: &[&Statement<'_>]) -> Statement<'static> {
    let begin = Statement::plain(format!("BEGIN; CREATE TEMP TABLE {BEGUN} (a)"));
    // In this order: what can't be committed is still there to be undone.
    let commit = Statement::plain(format!("COMMIT; DROP TABLE temp.{BEGUN}"));
    let mut all = writes.to_vec();
    if writes.len() > 1 {
        all.insert(0, &begin);
        all.push(&commit);
    }
    let texts: Vec<_> = all.iter().map(|statement| &*statement.sql).collect();
    let binds = all.iter().flat_map(|statement| statement.binds.clone());
    let binds = binds.map(crate::bind_collector::Bind::into_owned);
    Statement::with_written(texts.join(";\n"), binds.collect())
}

/// What came of the writes. `None`: the answer is that of another request.
pub(crate) fn outcome(mut results: Vec<StatementResult>) -> Option<StatementResult> {
    (results.len() == ELEMENTS).then(|| results.swap_remove(WRITES))
}
