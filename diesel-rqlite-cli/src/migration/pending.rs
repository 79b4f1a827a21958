//! The command `migration pending`.

use std::path::Path;

use diesel_migrations::MigrationHarness as _;

use super::files;
use crate::common::Common;
use crate::error::Error;
use crate::{database, output};

/// Prints `true` or `false`.
pub(super) fn run(common: &Common, directory: &Path) -> Result<(), Error> {
    let mut connection = database::connect(common)?;
    let pending = connection
        .has_pending_migration(files(directory)?)
        .map_err(Error::Migration)?;
    output::line(pending)
}
