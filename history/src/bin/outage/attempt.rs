//! What programs do again and again: a write, and a read that must see it.

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_rqlite::{AsyncRqliteConnection, RqliteConnection};

diesel::table! {
    // No unique key: what is written twice is there twice.
    writes (rowid) {
        rowid -> BigInt,
        id -> BigInt,
    }
}

pub(crate) const SCHEMA: &str =
    "CREATE TABLE writes (id INTEGER NOT NULL); CREATE INDEX writes_by_id ON writes (id)";

/// What was said of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Applied,
    NotApplied,
    Unknown,
}

/// How one step of a program ended.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) said: Said,
    /// How often the read saw what was written; `None` if it failed, or there was none.
    pub(crate) seen: Option<i64>,
    pub(crate) error: Option<String>,
}

impl Attempt {
    pub(crate) fn has_succeeded(&self) -> bool {
        self.said == Said::Applied && self.seen.is_some()
    }

    /// There was no connection to send anything on.
    pub(crate) fn without_connection(error: &dyn std::fmt::Display) -> Self {
        Attempt {
            said: Said::NotApplied,
            seen: None,
            error: Some(format!("no connection: {error}")),
        }
    }

    fn not_written(error: &DieselError) -> Self {
        let said = match error {
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => Said::Unknown,
            _ => Said::NotApplied,
        };
        Attempt {
            said,
            seen: None,
            error: Some(format!("write: {}", shown(error))),
        }
    }

    fn written(read: QueryResult<i64>) -> Self {
        let error = read.as_ref().err();
        Attempt {
            said: Said::Applied,
            error: error.map(|error| format!("read: {}", shown(error))),
            seen: read.ok(),
        }
    }
}

/// With its kind, which its text does not tell.
fn shown(error: &DieselError) -> String {
    match error {
        DieselError::DatabaseError(kind, information) => {
            format!("{kind:?}: {}", information.message())
        }
        error => error.to_string(),
    }
}

pub(crate) fn blocking(conn: &mut RqliteConnection, id: i64, exactly_once: bool) -> Attempt {
    let insert = || diesel::insert_into(writes::table).values(writes::id.eq(id));
    let written = match exactly_once {
        false => diesel::RunQueryDsl::execute(insert(), conn),
        true => conn
            .build_transaction()
            .exactly_once()
            .run(|conn| diesel::RunQueryDsl::execute(insert(), conn)),
    };
    let read = writes::table.filter(writes::id.eq(id)).count();
    match written {
        Ok(_) => Attempt::written(diesel::RunQueryDsl::get_result(read, conn)),
        Err(error) => Attempt::not_written(&error),
    }
}

pub(crate) async fn asynchronous(
    conn: &mut AsyncRqliteConnection,
    id: i64,
    exactly_once: bool,
) -> Attempt {
    let insert = || diesel::insert_into(writes::table).values(writes::id.eq(id));
    let written = match exactly_once {
        false => diesel_async::RunQueryDsl::execute(insert(), conn).await,
        true => {
            let transaction = conn.build_transaction().exactly_once();
            let body = async |conn: &mut AsyncRqliteConnection| {
                diesel_async::RunQueryDsl::execute(insert(), conn).await
            };
            transaction.run(body).await
        }
    };
    let read = writes::table.filter(writes::id.eq(id)).count();
    match written {
        Ok(_) => Attempt::written(diesel_async::RunQueryDsl::get_result(read, conn).await),
        Err(error) => Attempt::not_written(&error),
    }
}
