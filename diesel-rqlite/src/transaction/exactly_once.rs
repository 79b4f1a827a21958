//! Numbered commits. If the answer to a commit is lost, its number tells later whether it was applied.
//!
//! Each connection has one row with the number of its last commit. It registers before its first commit. The commit
//! writes its number there, and fails if the row is missing. To settle a commit, the connection writes the number as
//! *not* applied, unless it is there already. From then on a late copy of the commit is refused, because its number is
//! no longer new.
//!
//! No clock decides how long a row is kept. The database counts registrations, and each row has its count in its name.
//! A registration deletes the rows that are [`KEPT`] registrations older. A connection whose row is half as old
//! registers anew at its next commit. So the proof of a commit exists until half of [`KEPT`] other connections have
//! registered. If the row is gone nevertheless, the outcome stays unknown and nothing is sent again. A late copy
//! can't be applied then: without the row, the commit fails.
//!
//! The flow, in `session::commit`:
//!
//! 1. [`Registration::statements`] run as one request, which may be sent again, and [`Registration::done`] yields
//!    [`Commits`].
//! 2. Before each commit, [`Commits::advance`] takes the next number, and `Commits::number` becomes the first
//!    statement of the commit.
//! 3. If the answer is lost, [`Commits::settle`] and [`Commits::ask`] run as one request until there is an answer, and
//!    [`was_applied`] reads it. If the commit was not applied, it is sent again with a new number.
//!
//! Invariant: a number is used for one commit only. It is in the database either with `applied = 1`, by the commit
//! itself, or with `applied = 0`, by its settlement. Whichever is first makes the other one fail or do nothing.

use crate::bind_collector::Bind;
use crate::protocol::rows::{Rows, Value};
use crate::sql::cells::GUARD;
use crate::statement::Statement;

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS __diesel_rqlite_commits (client TEXT PRIMARY KEY, \
     number INTEGER NOT NULL, applied INTEGER NOT NULL) WITHOUT ROWID";

/// The number of registrations for which a row is kept.
const KEPT: u32 = 10_000;

/// The condition for rows that are counted. The names of rows of earlier versions begin with the number of a
/// day. Only those
/// versions delete them, so that their clocks decide about their own rows only.
const COUNTED: &str = "client >= 'r' AND client < 's'";

/// The guards of a commit's number.
pub(crate) mod guard {
    /// The commit has been applied, or settled, before.
    pub(crate) const NUMBER: &str = "number";
    /// The row exists, but is so old that it may be deleted soon.
    pub(crate) const OLD: &str = "old";
    /// The row does not exist.
    pub(crate) const GONE: &str = "gone";
}

/// Returns SQL for a name. Rows with a smaller name are more than `registrations` older than the newest.
fn name_behind(registrations: u32) -> String {
    format!(
        "(SELECT printf('r%016d', coalesce(CAST(substr(max(client), 2, 16) AS INTEGER), 0) - {registrations}) \
         FROM __diesel_rqlite_commits WHERE {COUNTED})"
    )
}

/// The registration of a connection, which creates its row. It may be sent again; that leaves a row that nobody uses.
pub(crate) struct Registration<'t> {
    token: &'t str,
}

impl<'t> Registration<'t> {
    /// `token` distinguishes connections that read the same count, for example before and after a backup is restored.
    pub(crate) fn new(token: &'t str) -> Self {
        Registration { token }
    }

    /// Returns the statements, which run in one transaction. The last one is a query.
    ///
    /// In order: creates the row, deletes rows that are too old, and asks for the newest name.
    pub(crate) fn statements(&self) -> [Statement<'static>; 3] {
        let register = format!(
            "INSERT INTO __diesel_rqlite_commits (client, number, applied) SELECT printf('r%016d-%s', \
             coalesce(CAST(substr(max(client), 2, 16) AS INTEGER), 0) + 1, ?), 0, 0 FROM __diesel_rqlite_commits \
             WHERE {COUNTED}"
        );
        let prune = format!(
            "DELETE FROM __diesel_rqlite_commits WHERE {COUNTED} AND client < {}",
            name_behind(KEPT)
        );
        let ask = format!("SELECT max(client) FROM __diesel_rqlite_commits WHERE {COUNTED}");
        [
            Statement::with_binds(register, vec![Bind::Text(self.token.to_owned().into())]),
            Statement::raw(prune),
            Statement::raw(ask),
        ]
    }

    /// Reads the result of the query. Returns `None` if the row does not exist.
    ///
    /// The newest row is that of this registration, because all three statements are applied at one place of the log.
    /// The token proves it.
    pub(crate) fn done(&self, rows: &Rows) -> Option<Commits> {
        if (rows.len(), rows.width()) != (1, 1) {
            return None;
        }
        match rows.value(0, 0) {
            Some(Value::Text(client)) if client.ends_with(self.token) => Some(Commits {
                client: client.to_owned(),
                number: 0,
            }),
            _ => None,
        }
    }
}

/// The commits of one connection.
///
/// Exists only after a registration. The session drops it if the row turns out to be gone or too old, and registers
/// anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commits {
    /// `r0000000000000007-9f…`: the count of registrations, and a random part.
    client: String,
    /// The number of the commit that is sent, or was sent last. 0 before the first.
    number: i64,
}

impl Commits {
    /// Takes the next number. Must be called before each commit that differs from the one before, and never between two
    /// copies of one.
    pub(crate) fn advance(&mut self) {
        self.number += 1;
    }

    /// Returns the statement in the commit that writes its number. It fails with one of the [guards](guard), unless
    /// this commit is the next one of a connection whose row is kept long enough to settle the commit.
    pub(crate) fn number(&self) -> Statement<'static> {
        let old = name_behind(KEPT / 2);
        let fails = |guard: &str| format!("json_extract('{{}}','{GUARD}{guard}')");
        let (number, old_row, gone) = (fails(guard::NUMBER), fails(guard::OLD), fails(guard::GONE));
        let sql = format!(
            "INSERT INTO __diesel_rqlite_commits (client, number, applied) VALUES (?, CASE (SELECT CASE \
             WHEN number >= ? THEN 1 WHEN client < {old} THEN 2 ELSE 3 END FROM __diesel_rqlite_commits WHERE client = ?) \
             WHEN 1 THEN {number} WHEN 2 THEN {old_row} WHEN 3 THEN ? ELSE {gone} END, 1) \
             ON CONFLICT (client) DO UPDATE SET number = excluded.number, applied = 1"
        );
        let client = || Bind::Text(self.client.clone().into());
        let number = || Bind::Integer(self.number);
        Statement::with_binds(sql, vec![client(), number(), client(), number()])
    }

    /// Returns the statement that marks the commit as never to be applied. It changes nothing if the commit has been
    /// applied, or its row is gone.
    ///
    /// May be sent any number of times. Must be followed by [`Commits::ask`], which tells what it came to.
    pub(crate) fn settle(&self) -> Statement<'static> {
        Statement::with_binds(
            "UPDATE __diesel_rqlite_commits SET number = ?, applied = 0 WHERE client = ? AND number < ?",
            vec![
                Bind::Integer(self.number),
                Bind::Text(self.client.clone().into()),
                Bind::Integer(self.number),
            ],
        )
    }

    /// Returns the query for the outcome of the commit.
    pub(crate) fn ask(&self) -> Statement<'static> {
        Statement::with_binds(
            "SELECT applied FROM __diesel_rqlite_commits WHERE client = ? AND number = ?",
            vec![
                Bind::Text(self.client.clone().into()),
                Bind::Integer(self.number),
            ],
        )
    }
}

/// Reads the answer to [`Commits::ask`]: whether the commit was applied. Returns `None` if the proof is gone.
pub(crate) fn was_applied(rows: &Rows) -> Option<bool> {
    if rows.len() != 1 || rows.width() != 1 {
        return None;
    }
    match rows.value(0, 0) {
        Some(Value::Integer(applied)) => Some(applied == 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(client: &str) -> Rows {
        let mut rows = Rows::named(vec!["max(client)".to_owned()]);
        rows.push(Some(Value::Text(client)));
        rows.end_row();
        rows
    }

    #[test]
    fn row_of_another_connection_is_no_registration() {
        let registration = Registration::new("9f");
        let mine = registration.done(&answer("r0000000000000007-9f"));
        assert_eq!(
            mine.map(|commits| commits.client),
            Some("r0000000000000007-9f".to_owned())
        );
        assert_eq!(registration.done(&answer("r0000000000000007-a0")), None);
        assert_eq!(registration.done(&Rows::default()), None);
    }
}
