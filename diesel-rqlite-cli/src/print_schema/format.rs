//! rustfmt, where there is one: a project may have a `rustfmt.toml` of its own.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

/// The text as rustfmt lays it out; as it is, which is rustfmt's default, where that can't be run.
pub(super) fn by_rustfmt(text: String) -> String {
    match run(&text) {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap_or(text),
        _ => text,
    }
}

fn run(text: &str) -> io::Result<Output> {
    let mut child = Command::new("rustfmt")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    // It reads all of its input before it writes. What can't be written shows in how it ends.
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(text.as_bytes());
    }
    child.wait_with_output()
}
