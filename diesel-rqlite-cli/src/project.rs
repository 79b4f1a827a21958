//! Where the project is.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// The current directory.
///
/// # Errors
///
/// Where it is gone.
pub fn current_directory() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|error| Error::io(".", error))
}

/// The nearest directory, from the current one upwards, with a `diesel.toml`; else with a `Cargo.toml`.
///
/// # Errors
///
/// [`Error::ProjectRootNotFound`]
pub fn root() -> Result<PathBuf, Error> {
    let start = current_directory()?;
    ["diesel.toml", "Cargo.toml"]
        .iter()
        .find_map(|file| directory_with(&start, file))
        .map(Path::to_owned)
        .ok_or(Error::ProjectRootNotFound(start))
}

fn directory_with<'a>(start: &'a Path, file: &str) -> Option<&'a Path> {
    start
        .ancestors()
        .find(|directory| directory.join(file).is_file())
}
