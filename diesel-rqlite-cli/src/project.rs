//! Finds the directory of the project.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// Returns the current directory.
///
/// # Errors
///
/// Fails if the directory no longer exists.
pub fn current_directory() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|error| Error::io(".", error))
}

/// Returns the nearest directory, from the current one upwards, that has a `diesel.toml`. If there is none, returns
/// the nearest one with a `Cargo.toml`.
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

/// Returns a path for display: relative to the current directory.
pub fn shown(path: &Path) -> PathBuf {
    current_directory().map_or_else(|_| path.to_owned(), |directory| relative(path, &directory))
}

/// Returns a path relative to a directory. Both may be relative to the current one.
pub fn relative(path: &Path, directory: &Path) -> PathBuf {
    // A path that does not exist yet has no canonical form.
    let canonical = |path: &Path| path.canonicalize().or_else(|_| parent_canonical(path));
    match (canonical(path), directory.canonicalize()) {
        (Ok(path), Ok(directory)) => between(&directory, &path),
        _ => path.to_owned(),
    }
}

fn parent_canonical(path: &Path) -> std::io::Result<PathBuf> {
    let parent = path.parent().unwrap_or(Path::new(""));
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let name = path.file_name().unwrap_or_default();
    Ok(parent.canonicalize()?.join(name))
}

/// Returns the relative path from one absolute directory to an absolute path.
fn between(from: &Path, to: &Path) -> PathBuf {
    let mut way = PathBuf::new();
    for ancestor in from.ancestors() {
        if let Ok(rest) = to.strip_prefix(ancestor) {
            return way.join(rest);
        }
        way.push("..");
    }
    to.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_two_places() {
        for (from, to, way) in [
            ("/a", "/a/m/up.sql", "m/up.sql"),
            ("/a/src", "/a/m", "../m"),
            ("/a/b/c", "/a/d/e", "../../d/e"),
            ("/", "/a", "a"),
        ] {
            assert_eq!(between(Path::new(from), Path::new(to)), Path::new(way));
        }
    }
}
