//! What tests on either connection share: comparing errors, modes of transactions, rows that nobody looks into.

use diesel::deserialize::{self, QueryableByName};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use diesel::row::NamedRow;
use diesel_rqlite::{Rqlite, TransactionMode};

/// How transactions are run.
pub(crate) const MODES: [TransactionMode; 3] = [
    TransactionMode::Interactive,
    TransactionMode::Eager,
    TransactionMode::Deferred,
];

/// A row, whatever its columns.
pub(crate) struct AnyRow;

impl QueryableByName<Rqlite> for AnyRow {
    fn build<'a>(_row: &impl NamedRow<'a, Rqlite>) -> deserialize::Result<Self> {
        Ok(AnyRow)
    }
}

/// Fails with all that was found to be wrong, if anything was.
pub(crate) fn assert_none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The kind and the information of a database error.
pub(crate) fn database_error<T>(
    outcome: QueryResult<T>,
) -> (
    DatabaseErrorKind,
    Box<dyn DatabaseErrorInformation + Send + Sync>,
) {
    match outcome {
        Err(Error::DatabaseError(kind, information)) => (kind, information),
        Err(error) => panic!("not a database error: {error:?}"),
        Ok(_) => panic!("no error"),
    }
}

/// Compares error kinds, which have no `PartialEq`.
macro_rules! assert_kind {
    ($outcome:expr, $kind:ident) => {{
        let (kind, information) = crate::support::database_error($outcome);
        assert!(
            matches!(kind, diesel::result::DatabaseErrorKind::$kind),
            "{kind:?}: {}",
            information.message()
        );
        information
    }};
}
pub(crate) use assert_kind;
