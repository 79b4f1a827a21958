//! The URL of the database, and connections to it.

mod drop;
pub mod verbs;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_rqlite::RqliteConnection;
use url::{Position, Url};

use crate::common::Common;
use crate::error::Error;

/// Returns the URL of `--database-url`, or of `DATABASE_URL`.
///
/// # Errors
///
/// [`Error::DatabaseUrlMissing`]
pub fn url(common: &Common) -> Result<String, Error> {
    let given = common.database_url.clone();
    given
        .or_else(|| std::env::var("DATABASE_URL").ok())
        .ok_or(Error::DatabaseUrlMissing)
}

/// Connects to the database of [`url()`].
///
/// # Errors
///
/// [`Error::Connection`]
pub fn connect(common: &Common) -> Result<RqliteConnection, Error> {
    let url = url(common)?;
    RqliteConnection::establish(&url).map_err(|error| Error::Connection {
        url: printable(&url),
        error,
    })
}

/// Returns whether a migration was ever run.
fn has_table_of_migrations(connection: &mut RqliteConnection) -> Result<bool, Error> {
    let there = diesel::dsl::sql::<Bool>(
        "EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '__diesel_schema_migrations')",
    );
    Ok(diesel::select(there).get_result(connection)?)
}

/// Returns the URL without its password, and without its options, which may name other nodes.
pub fn printable(url: &str) -> String {
    match Url::parse(url) {
        // After a `/`, `?` or `#` in a password, the rest of the URL is the rest of the password.
        Ok(url) if url[Position::AfterPort..].contains('@') => String::from("…"),
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            match url.set_password(None) {
                Ok(()) => url.into(),
                // Without a host it is unclear what the text contains.
                Err(()) => String::from("…"),
            }
        }
        Err(_) => String::from("…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_printed() {
        for (url, shown) in [
            ("rqlite://a:secret@host:4001/p", "rqlite://a@host:4001/p"),
            ("rqlite://host?nodes=a:secret@other:4001", "…"),
            ("rqlite:secret", "…"),
            ("rqlite://a:12/secret@host:4001", "…"),
            ("rqlite://a:12?secret@host:4001", "…"),
            ("rqlite://a:12#secret@host:4001", "…"),
            ("secret", "…"),
            ("rqlites://a:se%40cret@[::1]#secret", "rqlites://a@[::1]"),
        ] {
            assert_eq!(printable(url), shown);
        }
    }
}
