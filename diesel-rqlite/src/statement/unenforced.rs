//! Writes without foreign keys, on nodes that enforce them.
//!
//! SQLite switches the enforcement on and off outside of transactions only, and rqlite's connection for writes is one for
//! all clients. But a node runs a request as a whole, at its place in the Raft log: one that switches off, runs a
//! transaction of its own and switches on again touches no other client, and does the same on all nodes. A node that dies
//! in between starts with its own setting.
//!
//! Nothing ends such a request early: each element of it is run, whatever came of those in front. So the transaction is one
//! element, of which SQLite runs what stands behind a failure no more, and the elements behind it have to tell by
//! themselves whether there is anything left to undo, and how far it came. Marks are temporary tables, which live in that one
//! connection.

use super::{Statement, wire};
use crate::protocol::message::{DONE, GUARD, StatementError};
use crate::protocol::request::{Endpoint, Exchange};
use crate::protocol::response::StatementResult;

const ENFORCED: &str = "__diesel_rqlite_enforced";
const BEGUN: &str = "__diesel_rqlite_begun";

/// The places of the writes and of what tells how far they came, and how many elements the request has.
const WRITES: usize = 1;
const HOW_FAR: usize = 2;
const ELEMENTS: usize = 5;

/// What came of the writes.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Done(StatementResult),
    /// None was applied. The place of the one that failed is known if there were several, unless it ended the transaction.
    Failed {
        message: String,
        place: Option<usize>,
    },
}

/// The request that runs writes in a transaction, without foreign keys.
pub(crate) fn exchange(writes: &[&Statement<'_>]) -> Exchange {
    let off = Statement::plain(format!(
        "SELECT CASE WHEN (SELECT foreign_keys FROM pragma_foreign_keys) THEN 1 \
         ELSE json_extract('{{}}','{GUARD}unenforced') END; \
         CREATE TEMP TABLE IF NOT EXISTS {ENFORCED} (a); PRAGMA foreign_keys = OFF"
    ));
    let how_far = Statement::plain(format!(
        "SELECT json_extract('{{}}','{GUARD}{DONE}' || max(done)) FROM temp.{BEGUN}"
    ));
    // The first statement of both fails where there is nothing to undo.
    let undo = Statement::plain(format!("DROP TABLE temp.{BEGUN}; ROLLBACK"));
    let on = Statement::plain(format!(
        "DROP TABLE temp.{ENFORCED}; PRAGMA foreign_keys = ON"
    ));
    let elements = [&off, &joined(writes), &how_far, &undo, &on];
    Exchange::new(Endpoint::Unenforced, wire::body(&elements))
}

/// As one text. A single statement needs no transaction, and may be one that can't stand in any.
fn joined(writes: &[&Statement<'_>]) -> Statement<'static> {
    let begin = Statement::plain(format!("BEGIN; CREATE TEMP TABLE {BEGUN} (done)"));
    // In this order: what can't be committed is still there to be undone.
    let commit = Statement::plain(format!("COMMIT; DROP TABLE temp.{BEGUN}"));
    let marks: Vec<_> = (0..=writes.len()).map(mark).collect();
    let mut all = writes.to_vec();
    if writes.len() > 1 {
        // A mark goes where `ROLLBACK TO` undoes what is in front of it. So each has a number of its own.
        let marked = writes.iter().zip(&marks[1..]);
        all = vec![&begin, &marks[0]];
        all.extend(marked.flat_map(|(write, mark)| [*write, mark]));
        all.push(&commit);
    }
    Statement::joined(&all)
}

/// That so many writes were run.
fn mark(done: usize) -> Statement<'static> {
    Statement::plain(format!("INSERT INTO temp.{BEGUN} VALUES ({done})"))
}

/// `None`: the answer is that of another request.
pub(crate) fn outcome(mut results: Vec<StatementResult>) -> Option<Outcome> {
    if results.len() != ELEMENTS {
        return None;
    }
    let place = match &results[HOW_FAR] {
        StatementResult::Failed(message) => StatementError(message).statements_done(),
        StatementResult::Executed { .. } | StatementResult::Rows(_) => None,
    };
    Some(match results.swap_remove(WRITES) {
        StatementResult::Failed(message) => Outcome::Failed { message, place },
        result => Outcome::Done(result),
    })
}
