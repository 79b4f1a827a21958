//! What errors are compared by.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};

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
