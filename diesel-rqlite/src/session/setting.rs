//! PRAGMAs that set up a connection to SQLite, and need no set-up here.

use diesel::QueryResult;
use diesel_rqlite_sql::{Setting, SqlError};

use super::{Client, Session};
use crate::error;
use crate::protocol::rows::{Rows, Value};
use crate::statement::Statement;

const NOT_ENFORCED: &str = "the nodes do not enforce foreign keys, so that nothing would be checked and nothing cascade; \
     start every rqlited with -fk";
const ENFORCED: &str = "the nodes enforce foreign keys, for all clients, so that dropping a table deletes or refuses the rows \
     that refer to it; copy those away and back in the same script, or start every rqlited without -fk for as long as it \
     takes";

impl<C: Client> Session<C> {
    /// Does what a PRAGMA asks for, which is nothing but to say no where the nodes are set up otherwise. Returns the row
    /// that SQLite would.
    pub(crate) async fn set(&mut self, setting: Setting) -> QueryResult<Rows> {
        match setting {
            Setting::Met(row) => {
                warn_of_needless_setting();
                Ok(row.map_or_else(Rows::default, |(column, value)| row_of(column, &value)))
            }
            Setting::ForeignKeys(wanted) => {
                // SQLite ignores it inside of a transaction. But who says OFF there, to rebuild a table, means it.
                if !wanted || !self.transaction.is_open() {
                    self.check_foreign_keys(wanted).await?;
                }
                Ok(Rows::default())
            }
        }
    }

    async fn check_foreign_keys(&mut self, wanted: bool) -> QueryResult<()> {
        let enforced = match self.foreign_keys {
            Some(enforced) => enforced,
            None => {
                let rows = self.ask(&Statement::plain("PRAGMA foreign_keys")).await?;
                if (rows.len(), rows.width()) != (1, 1) {
                    return Err(error::useless_answer(
                        "unreadable answer: no value for PRAGMA foreign_keys",
                    ));
                }
                let enforced = matches!(rows.value(0, 0), Some(Value::Integer(1)));
                *self.foreign_keys.insert(enforced)
            }
        };
        match (wanted, enforced) {
            (true, false) => Err(refused("ON", NOT_ENFORCED)),
            (false, true) => Err(refused("OFF", ENFORCED)),
            _ => Ok(()),
        }
    }
}

fn refused(value: &str, reason: &'static str) -> diesel::result::Error {
    let pragma = format!("PRAGMA foreign_keys = {value}");
    error::not_sent(SqlError::Refused(pragma, reason))
}

fn row_of(column: &str, value: &str) -> Rows {
    let mut rows = Rows::named(vec![column.to_owned()]);
    rows.push(Some(match value.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::Text(value),
    }));
    rows.end_row();
    rows
}

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
