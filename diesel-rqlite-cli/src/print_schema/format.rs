//! Runs rustfmt, if it is installed. A project may have a `rustfmt.toml` of its own.

use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};

/// Returns the text as rustfmt formats it. If rustfmt can't be run, returns the text unchanged, which has rustfmt's
/// default format.
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
    // rustfmt reads all of its input before it writes. A failed write shows in its exit status.
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(text.as_bytes());
    }
    child.wait_with_output()
}
