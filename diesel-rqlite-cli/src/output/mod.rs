//! Writes to the terminal. Colours are used only there, and not if `NO_COLOR` is set.

pub mod table;

use std::fmt::Display;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::error::Error;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Writes a line to the standard output.
///
/// # Errors
///
/// Returns [`Error::Output`], for instance if the reader of a pipe has gone.
pub fn line(text: impl Display) -> Result<(), Error> {
    writeln!(anstream::stdout().lock(), "{text}").map_err(Error::Output)
}

/// Writes bytes to the standard output, unchanged.
///
/// # Errors
///
/// Returns the errors of [`line()`].
pub fn raw(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(Error::Output)
}

/// Writes a line to the standard error.
pub fn note(text: impl Display) {
    // A failure here can't be reported anywhere.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes a warning to the standard error.
pub fn warning(text: impl Display) {
    note(format_args!("{WARNING}warning:{WARNING:#} {text}"));
}

/// Writes an error to the standard error, unless nobody reads the standard output any more.
pub fn error(error: &Error) {
    if !error.is_broken_pipe() {
        note(error);
    }
}
