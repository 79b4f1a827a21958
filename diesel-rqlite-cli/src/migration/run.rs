//! The command `migration run`.

use std::path::Path;

use diesel_migrations::MigrationHarness as _;

use super::files;
use super::harness::Harness;
use crate::common::Common;
use crate::error::Error;
use crate::{database, print_schema};

pub(super) fn run(common: &Common, directory: &Path) -> Result<(), Error> {
    run_pending(common, directory)?;
    print_schema::regenerate(common)
}

/// Runs the pending migrations, and does not change `schema.rs`.
pub(crate) fn run_pending(common: &Common, directory: &Path) -> Result<(), Error> {
    let mut connection = database::connect(common)?;
    let files = files(directory)?;
    Harness::new(&mut connection, common, directory)
        .run_pending_migrations(files)
        .map(|_| ())
        .map_err(Error::Migration)
}
