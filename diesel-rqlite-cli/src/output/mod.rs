//! The terminal: colours only there, and not where `NO_COLOR` is set.

pub mod table;

use std::fmt::Display;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::error::Error;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// A line on the standard output.
///
/// # Errors
///
/// [`Error::Output`], for instance when the reader of a pipe has gone.
pub fn line(text: impl Display) -> Result<(), Error> {
    writeln!(anstream::stdout().lock(), "{text}").map_err(Error::Output)
}

/// Bytes on the standard output, as they are.
///
/// # Errors
///
/// As [`line()`].
pub fn raw(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(Error::Output)
}

/// A line on the standard error.
pub fn note(text: impl Display) {
    // There is nowhere left to say that it can't be said.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// A warning on the standard error.
pub fn warning(text: impl Display) {
    note(format_args!("{WARNING}warning:{WARNING:#} {text}"));
}

/// An error on the standard error, unless nobody reads the standard output any more.
pub fn error(error: &Error) {
    if !error.is_broken_pipe() {
        note(error);
    }
}
