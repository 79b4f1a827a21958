//! A transaction on the client: pending statements and the marks of nested transactions. Pure.

use diesel::QueryResult;
use diesel::connection::{TransactionDepthChange, TransactionManagerStatus};
use diesel::result::Error;

use crate::statement::Statement;

/// What a transaction does before its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionMode {
    /// Nothing is sent before the commit. Writes wait on the client and are then sent as one atomic request.
    ///
    /// * `execute` returns the number of rows of an `INSERT … VALUES` (as if no trigger skipped any), and 0 for
    ///   any other write: its count is not known before the commit.
    /// * A constraint violation is the error of the commit. Nothing is applied then.
    /// * A read sees committed data only; behind a pending write it is an error, since it would not see it.
    ///   So is a write with RETURNING.
    #[default]
    Deferred,
}

impl TransactionMode {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        (name == "deferred").then_some(TransactionMode::Deferred)
    }
}

/// The transaction of one connection, open or not.
///
/// Diesel asks for it as the state of the transaction manager; there is nothing to do with it outside.
#[derive(Default)]
pub struct Transaction {
    pub(crate) status: TransactionManagerStatus,
    pending: Vec<Statement<'static>>,
    /// How many statements were pending when each open transaction began, the outermost first.
    marks: Vec<usize>,
}

impl std::fmt::Debug for Transaction {
    /// Without the statements, whose values may be secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Transaction")
            .field("depth", &self.depth())
            .field("pending", &self.pending.len())
            .finish_non_exhaustive()
    }
}

impl Transaction {
    /// How many transactions are open, one inside the other.
    pub(crate) fn depth(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.marks.is_empty()
    }

    pub(crate) fn begin(&mut self) -> QueryResult<()> {
        self.change(TransactionDepthChange::IncreaseDepth)?;
        self.marks.push(self.pending.len());
        Ok(())
    }

    /// Forgets what was added since the innermost transaction began.
    pub(crate) fn rollback(&mut self) -> QueryResult<()> {
        let mark = self.end()?;
        self.pending.truncate(mark);
        Ok(())
    }

    /// Ends the innermost transaction. What is to be sent now, if that was the outermost one.
    pub(crate) fn commit(&mut self) -> QueryResult<Vec<Statement<'static>>> {
        self.end()?;
        if self.is_open() {
            Ok(Vec::new())
        } else {
            Ok(std::mem::take(&mut self.pending))
        }
    }

    fn end(&mut self) -> QueryResult<usize> {
        self.change(TransactionDepthChange::DecreaseDepth)?;
        self.marks.pop().ok_or(Error::NotInTransaction)
    }

    fn change(&mut self, change: TransactionDepthChange) -> QueryResult<()> {
        match &mut self.status {
            TransactionManagerStatus::Valid(status) => status.change_transaction_depth(change),
            TransactionManagerStatus::InError => Err(Error::BrokenTransactionManager),
        }
    }

    /// Adds a write to an open transaction. Returns the rows it will write, where its text tells, else 0.
    pub(crate) fn push(&mut self, statement: Statement<'static>) -> QueryResult<usize> {
        if statement.returning {
            return Err(refused(
                "RETURNING inside a transaction: its rows are not known before the commit",
            ));
        }
        let rows = statement.known_rows();
        self.pending.push(statement);
        Ok(rows)
    }

    /// A read is about to be sent, which the pending statements can't be part of.
    pub(crate) fn check_read(&self) -> QueryResult<()> {
        match self.pending.len() {
            0 => Ok(()),
            _ => Err(refused(
                "a read behind a write of the same transaction: it would not see that write before the commit",
            )),
        }
    }
}

fn refused(reason: &'static str) -> Error {
    Error::QueryBuilderError(format!("{reason} (transaction mode Deferred)").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(transaction: &mut Transaction, sql: &'static str) {
        transaction.push(Statement::plain(sql)).expect("pends");
    }

    fn sqls(statements: &[Statement<'_>]) -> Vec<String> {
        statements
            .iter()
            .map(|statement| statement.sql.to_string())
            .collect()
    }

    #[test]
    fn only_the_outermost_commit_sends() {
        let mut transaction = Transaction::default();
        transaction.begin().expect("begins");
        pending(&mut transaction, "a");
        transaction.begin().expect("begins");
        pending(&mut transaction, "b");
        assert!(transaction.commit().expect("commits").is_empty());
        assert_eq!(sqls(&transaction.commit().expect("commits")), ["a", "b"]);
        assert!(!transaction.is_open());
    }

    #[test]
    fn rollback_truncates_to_its_mark() {
        let mut transaction = Transaction::default();
        transaction.begin().expect("begins");
        pending(&mut transaction, "a");
        transaction.begin().expect("begins");
        pending(&mut transaction, "b");
        transaction.rollback().expect("rolls back");
        pending(&mut transaction, "c");
        assert_eq!(sqls(&transaction.commit().expect("commits")), ["a", "c"]);
        transaction.begin().expect("begins");
        assert!(
            transaction.commit().expect("commits").is_empty(),
            "nothing is left over"
        );
    }

    #[test]
    fn ending_what_is_not_open_is_an_error() {
        let mut transaction = Transaction::default();
        assert!(matches!(transaction.commit(), Err(Error::NotInTransaction)));
        assert!(matches!(
            transaction.rollback(),
            Err(Error::NotInTransaction)
        ));
    }

    #[test]
    fn reads_behind_writes_are_refused() {
        let mut transaction = Transaction::default();
        transaction.begin().expect("begins");
        assert!(transaction.check_read().is_ok());
        pending(&mut transaction, "a");
        assert!(transaction.check_read().is_err());
    }
}
