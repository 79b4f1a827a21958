//! How a transaction is run: the one place that knows the connection's own API for it.

use std::sync::Mutex;

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use serde::{Deserialize, Serialize};

/// What transactions do before their commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// They see their own writes, and commit only if all they were shown is still true.
    #[default]
    Interactive,
    /// The same, and statements are tried when they are made.
    Eager,
    /// They see committed data and check nothing: anomalies are to be expected.
    Deferred,
    /// The same, one at a time: nothing is to be found, as long as workers are threads and no answer is lost.
    Serial,
}

impl Mode {
    /// The mode with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "interactive" => Mode::Interactive,
            "eager" => Mode::Eager,
            "deferred" => Mode::Deferred,
            "serial" => Mode::Serial,
            _ => return None,
        })
    }
}

/// The option of the connection URL that switches off what a commit checks. It is there with the feature
/// `guards-off-for-tests` alone: there is no use for it but to see this checker find what is then wrong.
pub(crate) const UNGUARDED: &str = "guards=off";

/// Held by the transaction that runs, in `Mode::Serial`.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How to run one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) mode: Mode,
    pub(crate) retries: u32,
    pub(crate) read_only: bool,
    /// Whether a lost commit is settled.
    pub(crate) exactly_once: bool,
}

impl Style {
    /// Whether a transaction can read behind its writes, and see them.
    pub(crate) fn sees_own_writes(self) -> bool {
        matches!(self.mode, Mode::Interactive | Mode::Eager)
    }
}

/// Runs `body` in a transaction; once more after each conflict, as often as the style allows.
pub(crate) fn run<T>(
    connection: &mut RqliteConnection,
    style: Style,
    body: impl FnMut(&mut RqliteConnection) -> QueryResult<T>,
) -> QueryResult<T> {
    let _held = (style.mode == Mode::Serial).then(|| ONE_AT_A_TIME.lock());
    let builder = connection.build_transaction();
    let builder = match style.exactly_once {
        true => builder.exactly_once(),
        false => builder,
    };
    let builder = builder.retries(style.retries);
    let builder = match style.mode {
        Mode::Interactive => builder.interactive(),
        Mode::Eager => builder.eager(),
        Mode::Deferred | Mode::Serial => builder.deferred(),
    };
    let builder = if style.read_only {
        builder.read_only()
    } else {
        builder
    };
    builder.run(body)
}
