//! Tables that leave nothing behind on a server that is not our own.

use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use diesel_rqlite::{RqliteConfig, RqliteConnection};

use crate::Failure;

/// The tables of an example. Dropped with this value, also by a panic.
pub struct Tables {
    conn: RqliteConnection,
    names: &'static [&'static str],
}

impl Tables {
    /// Makes tables of these names. There must not be any yet: they could be somebody's.
    ///
    /// # Errors
    ///
    /// When there is one.
    pub fn create(
        config: &RqliteConfig,
        names: &'static [&'static str],
        sql: &str,
    ) -> Result<Self, Failure> {
        let mut conn = config.connect()?;
        conn.batch_execute(sql)?;
        Ok(Tables { conn, names })
    }

    fn drop_all(&mut self) -> QueryResult<()> {
        let statements = self.names.iter().rev();
        let statements: Vec<_> = statements
            .map(|name| format!("DROP TABLE {name};"))
            .collect();
        self.conn.batch_execute(&statements.concat())
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        // A server that is gone has no tables either.
        let _ = self.drop_all();
    }
}
