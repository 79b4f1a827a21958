//! A password in the database URL is in nothing that the tool prints, whatever it does.

use std::net::TcpListener;
use std::process::Command;

use diesel_rqlite_tests::{Rqlited, User};

const SECRET: &str = "hunter2Secret";
/// As it stands in the header: of `user:hunter2Secret`, without its last letters.
const HEADER: &str = "dXNlcjpodW50ZXIyU2VjcmV";

const VERBS: [&[&str]; 12] = [
    &["setup"],
    &["status"],
    &["nodes"],
    &["query", "SELECT 1 AS one"],
    &["query", "nonsense"],
    &["print-schema"],
    &["migration", "list"],
    &["migration", "run"],
    &["migration", "generate", "--diff-schema", "x"],
    &["backup", "file.db"],
    &["load", "Cargo.toml"],
    &["database", "drop"],
];

/// All that a run prints.
fn run(url: &str, verb: &[&str]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(
        directory.path().join("Cargo.toml"),
        "[package]\nname = \"project\"\n",
    )
    .expect("writes");
    std::fs::create_dir(directory.path().join("migrations")).expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_diesel-rqlite"))
        .args(verb)
        .current_dir(directory.path())
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1")
        .env("DATABASE_URL", url)
        .output()
        .expect("runs");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    stdout + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn password_is_in_no_output() {
    let node = Rqlited::builder()
        .user(User::new("user", SECRET, &["all"]))
        .start();
    let closed = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let nobody = closed.local_addr().expect("is bound");
    drop(closed);
    let (user, address) = (format!("user:{SECRET}"), node.address());
    for (url, wanted) in [
        (format!("rqlite://{user}@{address}"), ""),
        // Refused.
        (format!("rqlite://{user}Wrong@{address}"), "401"),
        (
            format!("rqlite://{user}@{nobody}?leader_timeout=0s"),
            "refused",
        ),
        // What is no URL, or has a password in another place.
        (format!("rqlite://user:12/{SECRET}@{address}"), "`@`"),
        (format!("rqlite://user:12?{SECRET}@{address}"), "`@`"),
        (
            format!("rqlite://{user}@{address}?nodes=user:{SECRET}%40h"),
            "`nodes`",
        ),
        (
            format!("rqlite://{user}@{address}?level={SECRET}"),
            "`level`",
        ),
        (
            format!("rqlite://{user}@{address}?lock=redis:{SECRET}"),
            "`lock`",
        ),
        (
            format!("rqlites://{user}@{address}?ca_cert=-----BEGIN%0A{SECRET}"),
            "`ca_cert`",
        ),
        (
            format!("rqlites://{user}@{address}?client_key=-----BEGIN%0A{SECRET}"),
            "`client_key`",
        ),
    ] {
        for verb in VERBS {
            let shown = run(&url, verb);
            let is_secret = shown.contains(SECRET) || shown.contains(HEADER);
            assert!(!is_secret, "{verb:?} {url}: {shown}");
            assert!(!shown.contains("panicked"), "{verb:?} {url}: {shown}");
            if verb == ["status"] {
                assert!(shown.contains(wanted), "{verb:?} {url}: {shown}");
            }
        }
    }
}
