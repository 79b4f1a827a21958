//! Writes without foreign keys, on nodes that enforce them.
//!
//! SQLite switches the enforcement on and off outside of transactions only, and rqlite uses one connection for the
//! writes of all clients. But a node runs a request as a whole, at its place in the Raft log. A request that switches
//! foreign keys off, runs its own transaction and switches them on again affects no other client, and does the same on
//! all nodes. A node that dies in between starts with its own setting.
//!
//! Nothing ends such a request early: each of its elements runs, whatever the result of those before it. So the
//! transaction is one element, in which SQLite runs nothing after a failure. The later elements have to find out by
//! themselves whether there is anything to undo, and how far the transaction came. Temporary tables serve as marks.
//! They exist only in that one connection.
//!
//! The five elements of the request, in order:
//!
//! 1. Fails unless foreign keys are enforced. Otherwise marks that by the table [`ENFORCED`], and switches them off.
//! 2. The writes. Several of them are in a transaction, with a mark in [`BEGUN`] after each.
//! 3. Tells by the text of its error how many writes ran, if [`BEGUN`] exists. It does if the transaction failed and is
//!    still open.
//! 4. Drops [`BEGUN`] and rolls back. Fails at its first statement, which changes nothing, if there is nothing to undo.
//! 5. Drops [`ENFORCED`] and switches foreign keys on again. Fails at its first statement if element 1 has not switched
//!    them off.
//!
//! So errors of the elements 3 and 4 are usual. Only the result of the second is the result of the writes. If the first
//! element fails, foreign keys were off before, and the writes run nevertheless.

use super::{Statement, wire};
use crate::protocol::message::{DONE, GUARD, StatementError};
use crate::protocol::request::{Endpoint, Exchange};
use crate::protocol::response::StatementResult;
use crate::sql::fails_unless;

const ENFORCED: &str = "__diesel_rqlite_enforced";
const BEGUN: &str = "__diesel_rqlite_begun";

/// The places of the writes and of the element that tells how far they came, and the number of elements.
const WRITES: usize = 1;
const HOW_FAR: usize = 2;
const ELEMENTS: usize = 5;

/// The outcome of the writes.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Done(StatementResult),
    /// None was applied. If there were several, the place of the one that failed is known, unless it ended the
    /// transaction.
    Failed {
        message: String,
        place: Option<usize>,
    },
}

/// Returns the request that runs writes in a transaction, without foreign keys.
///
/// It runs with `Endpoint::Unenforced`, which has neither a transaction nor a time limit of the server: all elements
/// have to run. It is a write, so it is not sent again after its answer was lost.
pub(crate) fn exchange(writes: &[&Statement<'_>]) -> Exchange {
    let is_enforced = fails_unless(
        "(SELECT foreign_keys FROM pragma_foreign_keys)",
        "unenforced",
    );
    let off = Statement::raw(format!(
        "{is_enforced}; CREATE TEMP TABLE IF NOT EXISTS {ENFORCED} (a); PRAGMA foreign_keys = OFF"
    ));
    let how_far = Statement::raw(format!(
        "SELECT json_extract('{{}}','{GUARD}{DONE}' || max(done)) FROM temp.{BEGUN}"
    ));
    // The first statement of both elements fails if there is nothing to undo.
    let undo = Statement::raw(format!("DROP TABLE temp.{BEGUN}; ROLLBACK"));
    let on = Statement::raw(format!(
        "DROP TABLE temp.{ENFORCED}; PRAGMA foreign_keys = ON"
    ));
    let elements = [&off, &joined(writes), &how_far, &undo, &on];
    Exchange::new(Endpoint::Unenforced, wire::body(&elements))
}

/// Joins the writes into one text. A single statement needs no transaction, and may be one that can't run inside one.
///
/// The marks have no values, so they do not disturb the order of the others.
fn joined(writes: &[&Statement<'_>]) -> Statement<'static> {
    let begin = Statement::raw(format!("BEGIN; CREATE TEMP TABLE {BEGUN} (done)"));
    // The order matters: if the commit fails, the mark still exists for the undo.
    let commit = Statement::raw(format!("COMMIT; DROP TABLE temp.{BEGUN}"));
    let marks: Vec<_> = (0..=writes.len()).map(mark).collect();
    let mut all = writes.to_vec();
    if writes.len() > 1 {
        // `ROLLBACK TO` also undoes the marks that were set since its savepoint. So each mark has a number of its own.
        let marked = writes.iter().zip(&marks[1..]);
        all = vec![&begin, &marks[0]];
        all.extend(marked.flat_map(|(write, mark)| [*write, mark]));
        all.push(&commit);
    }
    Statement::joined(&all)
}

/// Returns the statement that marks this many writes as run.
fn mark(done: usize) -> Statement<'static> {
    Statement::raw(format!("INSERT INTO temp.{BEGUN} VALUES ({done})"))
}

/// Reads the results. Returns `None` if they are those of another request.
///
/// The place counts from 0. It is the number of writes that ran before the one that failed.
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
