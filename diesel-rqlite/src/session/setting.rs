//! PRAGMAs that set up a connection to SQLite, and that rqlite does not need.
//!
//! Programs for SQLite set the journal mode or a timeout when they connect. `diesel_rqlite_sql`
//! knows which of these PRAGMAs need not be sent, and the row that SQLite would return, see [`Setting`]. Only `PRAGMA foreign_keys`
//! has an effect, which `foreign_keys` explains.

use diesel::QueryResult;
use diesel_rqlite_sql::Setting;

use super::{Client, Session, foreign_keys};
use crate::protocol::rows::{Rows, Value};

impl<C: Client> Session<C> {
    /// Runs a PRAGMA. Returns the row that SQLite would return, or no row. Only `PRAGMA foreign_keys` may send a
    /// request, or fail.
    pub(crate) async fn set(&mut self, setting: Setting) -> QueryResult<Rows> {
        match setting {
            Setting::Met(row) => {
                warn_of_needless_setting();
                Ok(row.map_or_else(Rows::default, |(column, value)| row_of(column, &value)))
            }
            // SQLite ignores it inside of a transaction.
            Setting::ForeignKeys(wanted) => {
                if !self.transaction.is_open() {
                    self.set_foreign_keys(wanted).await?;
                }
                Ok(Rows::default())
            }
            Setting::ForeignKeysAsked => self.has_foreign_keys().await.map(foreign_keys::row_of),
        }
    }
}

/// Returns one row of one column. A value that reads as an integer is one.
fn row_of(column: &str, value: &str) -> Rows {
    let mut rows = Rows::named(vec![column.to_owned()]);
    rows.push(Some(match value.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::Text(value),
    }));
    rows.end_row();
    rows
}

/// Warns once per process. Does nothing without the feature `tracing`.
fn warn_of_needless_setting() {
    #[cfg(feature = "tracing")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            tracing::warn!(
                "a PRAGMA that sets up a connection to SQLite does nothing on rqlite: what it asks for is given, or means \
                 nothing there"
            );
        });
    }
}
