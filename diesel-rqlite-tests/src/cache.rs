//! Keeps installed programs in the build directory.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Returns a directory that `install` fills on first use. If several processes start at once, the first one fills it.
pub(crate) fn directory(
    name: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let cache = build_directory().join("diesel-rqlite-tests");
    let home = cache.join(name);
    let io = |error: std::io::Error| format!("{}: {error}", cache.display());
    fs::create_dir_all(&cache).map_err(io)?;
    let lock = File::create(cache.join("lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    if !home.exists() {
        // The directory is moved into place when it is complete, so that no process ever finds an incomplete one.
        let fresh = tempfile::tempdir_in(&cache).map_err(io)?;
        install(fresh.path())?;
        fs::rename(fresh.keep(), &home).map_err(io)?;
    }
    Ok(home)
}

fn build_directory() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => directory.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}
