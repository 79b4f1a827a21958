//! What all verbs share.

use super::support::{Project, Run};

#[test]
fn completions_are_written_for_each_shell() {
    let project = Project::without_database();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = project.run(&["completions", shell]).stdout();
        assert!(script.contains("diesel-rqlite"), "{shell}: {script}");
    }
    assert_eq!(project.run(&["completions", "sh"]).code, Some(2));
}

#[test]
fn a_line_of_env_is_not_shown() {
    let project = Project::without_database();
    project.write(".env", "DATABASE_URL=rqlite://user:top secret@host\n");
    let failed = project.run(&["migration", "list"]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains(".env"), "{failed:?}");
    assert!(!failed.stderr.contains("secret"), "{failed:?}");
}

#[test]
fn the_database_is_that_of_the_argument_the_variable_or_the_file() {
    let project = Project::new();
    let url = project.node().url();
    let arguments = ["migration", "pending", "--migration-dir", "."];
    let refused = "rqlite://a:secret@127.0.0.1:1";
    let run = |env: Option<&str>, file: Option<&str>, argument: Option<&str>| {
        let mut command = project.command(&arguments);
        command.env_remove("DATABASE_URL");
        command.args(argument.map(|url| format!("--database-url={url}")));
        if let Some(url) = env {
            command.env("DATABASE_URL", url);
        }
        match file {
            Some(url) => project.write(".env", &format!("DATABASE_URL={url}")),
            None => project.write(".env", ""),
        }
        Run::of(&mut command)
    };
    run(Some(refused), Some(refused), Some(&url)).stdout();
    run(Some(&url), Some(refused), None).stdout();
    run(None, Some(&url), None).stdout();
    let missing = run(None, None, None);
    assert_eq!(missing.code, Some(1));
    assert_eq!(
        missing.stderr,
        "The --database-url argument must be passed, or the DATABASE_URL environment variable must be set.\n"
    );
    let refused = run(None, Some(refused), None);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .starts_with("Could not connect to database via `rqlite://a@127.0.0.1:1`: "),
        "{refused:?}"
    );
}
