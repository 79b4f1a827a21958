//! A progress bar on the standard error, if that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Creates a progress bar of bytes. It has no end if the total is not known.
pub fn bytes(what: &'static str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{msg} {spinner} {bytes} {bytes_per_sec}",
        ),
    };
    // An invalid template leaves the default one, which shows no bytes.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}
