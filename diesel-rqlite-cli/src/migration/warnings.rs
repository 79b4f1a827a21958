//! Warnings about SQL that makes the nodes of a cluster differ.

use std::path::Path;

use diesel_rqlite::ReplicaHazard;

use crate::{output, project};

/// Writes warnings about a file to the standard error. A file that can't be read causes an error when it is run.
pub(super) fn warn_about(file: &Path) {
    let sql = std::fs::read_to_string(file).unwrap_or_default();
    let shown = project::shown(file);
    for hazard in ReplicaHazard::find(&sql) {
        let line = hazard.line();
        output::warning(format_args!("{}:{line}: {hazard}", shown.display()));
    }
}
