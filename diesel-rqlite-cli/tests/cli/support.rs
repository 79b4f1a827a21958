//! A project in a directory of its own, and runs of the binary in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use diesel_rqlite_tests::{Rqlited, RqlitedBuilder};
use tempfile::TempDir;

/// A directory with a `Cargo.toml`, as one finds it after `cargo new`, and a database.
pub(crate) struct Project {
    directory: TempDir,
    node: Option<Rqlited>,
    url: Option<String>,
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// With an empty database of its own.
    pub(crate) fn new() -> Self {
        Self::on(Rqlited::builder())
    }

    /// With an empty database on a node of this kind.
    pub(crate) fn on(builder: RqlitedBuilder) -> Self {
        let node = builder.start();
        let url = node.url();
        Project {
            node: Some(node),
            url: Some(url),
            ..Self::without_database()
        }
    }

    pub(crate) fn without_database() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let project = Project {
            directory,
            node: None,
            url: None,
        };
        project.write("Cargo.toml", "[package]\nname = \"project\"\n");
        project
    }

    pub(crate) fn node(&self) -> &Rqlited {
        self.node.as_ref().expect("a node")
    }

    pub(crate) fn path(&self, file: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        let parent = path.parent().expect("a parent");
        fs::create_dir_all(parent).expect("creates");
        fs::write(path, text).expect("writes");
    }

    /// The binary, to be run in the project with its database, and with no other variables of ours.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diesel-rqlite"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        for variable in [
            "DATABASE_URL",
            "DIESEL_CONFIG_FILE",
            "MIGRATION_DIRECTORY",
            "NO_COLOR",
            "DIESEL_LOG",
            "CLICOLOR_FORCE",
        ] {
            command.env_remove(variable);
        }
        if let Some(url) = &self.url {
            command.env("DATABASE_URL", url);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("runs");
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// What a run that succeeded wrote.
    pub(crate) fn stdout(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}
