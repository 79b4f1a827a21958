//! What the transactions of a connection teach the next one.
//!
//! All of it may be forgotten, at the price of a conflict.

use std::collections::HashSet;

/// The knowledge that the last transactions of this connection leave for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Past {
    /// The last one failed because something had changed. Rows from a node that lags behind would fail again.
    pub(super) conflict: bool,
    /// The client told a wrong count. The next transaction asks a server for all counts.
    predicted_wrongly: bool,
    /// The texts of the writes for which the client told a wrong count. A server is always asked for them.
    wrong: HashSet<String>,
}

impl Past {
    /// Programs have fewer statements than this, unless they put values into the text.
    const MOST: usize = 1000;

    /// Returns whether the client may tell the count of a write itself.
    pub(super) fn may_assume(&self, sql: &str) -> bool {
        !self.predicted_wrongly && !self.wrong.contains(sql)
    }

    /// Notes that the client told a wrong count for a write of this text. It tells no counts until a transaction was
    /// committed, and none for this text after that, unless so many texts were wrong that the list was cleared.
    pub(super) fn was_wrong_about(&mut self, sql: &str) {
        self.predicted_wrongly = true;
        if self.wrong.len() >= Self::MOST {
            self.wrong.clear();
        }
        self.wrong.insert(sql.to_owned());
    }

    /// Notes that a transaction was committed.
    pub(super) fn went_well(&mut self) {
        self.conflict = false;
        self.predicted_wrongly = false;
    }
}
