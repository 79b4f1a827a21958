//! The command `migration list`.

use std::collections::HashSet;
use std::path::Path;

use diesel::migration::MigrationSource;
use diesel_migrations::MigrationHarness as _;
use diesel_rqlite::Rqlite;

use super::files;
use crate::common::Common;
use crate::error::Error;
use crate::{database, output};

pub(super) fn run(common: &Common, directory: &Path) -> Result<(), Error> {
    let mut connection = database::connect(common)?;
    let files = files(directory)?;
    let applied = connection.applied_migrations().map_err(Error::Migration)?;
    let applied: HashSet<_> = applied.into_iter().collect();
    let mut migrations = MigrationSource::<Rqlite>::migrations(&files).map_err(Error::Migration)?;
    migrations.sort_by_key(|migration| migration.name().version().as_owned());
    output::line("Migrations:")?;
    for migration in migrations {
        let name = migration.name();
        let mark = if applied.contains(&name.version()) {
            'X'
        } else {
            ' '
        };
        output::line(format_args!("  [{mark}] {name}"))?;
    }
    Ok(())
}
