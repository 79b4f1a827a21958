//! One transaction, with its retries, as the records that it leaves.

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite::RqliteConnection;

use crate::clock;
use crate::history::{Cause, Operation, Outcome, Transaction};
use crate::transaction::{self, Style};

/// Numbers that no other worker has: for transactions and items.
#[derive(Debug)]
pub(crate) struct Numbers(i64);

impl Numbers {
    pub(crate) fn of_worker(worker: u32) -> Self {
        Numbers((i64::from(worker) + 1) * 10_000_000)
    }

    fn next(&mut self) -> i64 {
        self.0 += 1;
        self.0
    }
}

/// What a closure writes down while it runs.
#[derive(Debug)]
pub(crate) struct Log<'a> {
    /// The transaction.
    pub(crate) id: i64,
    pub(crate) operations: &'a mut Vec<Operation>,
    numbers: &'a mut Numbers,
}

impl Log<'_> {
    pub(crate) fn push(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    pub(crate) fn new_item(&mut self) -> i64 {
        self.numbers.next()
    }
}

/// Runs a transaction. Each call of its closure is a record.
pub(crate) fn run(
    connection: &mut RqliteConnection,
    style: Style,
    worker: u32,
    numbers: &mut Numbers,
    mut body: impl FnMut(&mut RqliteConnection, &mut Log<'_>) -> QueryResult<()>,
) -> Vec<Transaction> {
    let mut attempts: Vec<Transaction> = Vec::new();
    // What begins a transaction may be shown something before its closure is called.
    let mut start = clock::now();
    let mut has_finished = false;
    let outcome = transaction::run(connection, style, |connection| {
        if let Some(last) = attempts.last_mut() {
            last.outcome = Outcome::Aborted(Cause::Retried);
        }
        let mut operations = Vec::new();
        let id = numbers.next();
        let mut log = Log {
            id,
            operations: &mut operations,
            numbers,
        };
        let result = body(connection, &mut log);
        has_finished = result.is_ok();
        let end = clock::now();
        attempts.push(Transaction {
            id,
            worker,
            start,
            end,
            operations,
            outcome: Outcome::Unknown,
        });
        start = end;
        result
    });
    if let Some(last) = attempts.last_mut() {
        last.end = clock::now();
        last.outcome = match outcome {
            Ok(()) => Outcome::Committed,
            Err(error) => failed(&error, has_finished),
        };
    }
    attempts
}

/// What an error says about the transaction: only at the commit there is a doubt.
fn failed(error: &Error, at_commit: bool) -> Outcome {
    use DatabaseErrorKind as Kind;
    let cause = match error {
        Error::DatabaseError(Kind::SerializationFailure, _) => Cause::Conflict,
        Error::DatabaseError(Kind::UnableToSendCommand, _) => Cause::NotSent,
        Error::DatabaseError(Kind::ClosedConnection, _) | Error::DeserializationError(_)
            if at_commit =>
        {
            return Outcome::Unknown;
        }
        Error::DatabaseError(kind, _) => Cause::Failed(format!("{kind:?}: {error}")),
        _ => Cause::Failed(error.to_string()),
    };
    Outcome::Aborted(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(kind: DatabaseErrorKind) -> Error {
        Error::DatabaseError(kind, Box::new(String::from("as it is")))
    }

    #[test]
    fn only_a_commit_without_an_answer_is_in_doubt() {
        use DatabaseErrorKind as Kind;
        let lost = error(Kind::ClosedConnection);
        assert_eq!(failed(&lost, true), Outcome::Unknown);
        let aborted = |error, at_commit| match failed(&error, at_commit) {
            Outcome::Aborted(cause) => cause,
            other => panic!("{other:?}"),
        };
        // A read of which the answer was lost: nothing was written before the commit.
        assert!(matches!(aborted(lost, false), Cause::Failed(_)));
        let conflict = error(Kind::SerializationFailure);
        assert_eq!(aborted(conflict, true), Cause::Conflict);
        let refused = error(Kind::UnableToSendCommand);
        assert_eq!(aborted(refused, true), Cause::NotSent);
        assert!(matches!(
            aborted(error(Kind::UniqueViolation), true),
            Cause::Failed(_)
        ));
    }
}
