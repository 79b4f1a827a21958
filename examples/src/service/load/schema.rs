//! Tables that leave nothing behind.

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::MigrationHarness;
use diesel_rqlite::{Rqlite, RqliteConfig, RqliteConnection};

use crate::Failure;
use crate::service::database::MIGRATIONS;

/// The schema of the service. Gone with this value, also by a panic.
pub(super) struct Schema {
    conn: RqliteConnection,
    migrations: Vec<Box<dyn Migration<Rqlite>>>,
}

impl Schema {
    /// Where there is none yet: it could be somebody's.
    pub(super) fn create(config: &RqliteConfig) -> Result<Self, Failure> {
        let mut conn = config.connect()?;
        let migrations: Vec<Box<dyn Migration<Rqlite>>> = MIGRATIONS.migrations()?;
        if conn.pending_migrations(MIGRATIONS)?.len() < migrations.len() {
            return Err("the service has data there, which the load would spoil".into());
        }
        conn.run_pending_migrations(MIGRATIONS)?;
        Ok(Schema { conn, migrations })
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        for migration in self.migrations.iter().rev() {
            // A server that is gone has no tables either.
            let _ = self.conn.revert_migration(migration);
        }
    }
}
