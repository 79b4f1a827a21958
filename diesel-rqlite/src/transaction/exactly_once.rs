//! Commits that are numbered, so that one whose answer was lost can be settled: was it applied?
//!
//! Each connection has one row with the number of its last commit. It registers before its first commit; the commit
//! writes its number there, and fails where the row is missing. To settle, a number is written as *not* applied, unless
//! it is there already. From then on a late copy of the commit is refused, because its number is no longer new.
//!
//! No clock decides how long a row is kept. The database counts registrations, and each row has the count of its own as
//! part of its name. Whoever registers deletes the rows that are [`KEPT`] registrations behind, and a connection whose
//! row is half as far behind registers anew at its next commit. So the proof of a commit is there until half of
//! [`KEPT`] other connections have registered. Where it is gone all the same, nothing is settled, and nothing is sent
//! again: without the row neither a copy of the commit nor a guess about it can be applied.

use crate::bind_collector::Bind;
use crate::protocol::rows::{Rows, Value};
use crate::sql::cells::GUARD;
use crate::statement::Statement;

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS __diesel_rqlite_commits (client TEXT PRIMARY KEY, \
     number INTEGER NOT NULL, applied INTEGER NOT NULL) WITHOUT ROWID";

/// How many registrations a row is kept for.
const KEPT: u32 = 10_000;

/// The rows that are counted. Those of earlier versions begin with the number of a day, and are deleted by these versions
/// alone, whose clocks decide about their own rows only.
const COUNTED: &str = "client >= 'r' AND client < 's'";

/// The guards of a commit's number.
pub(crate) mod guard {
    /// The commit has been applied, or settled, before.
    pub(crate) const NUMBER: &str = "number";
    /// The row is there, and so far behind that it may be deleted soon.
    pub(crate) const OLD: &str = "old";
    /// There is no row.
    pub(crate) const GONE: &str = "gone";
}

/// Half of the digits of the count are never needed.
fn name_behind(registrations: u32) -> String {
    format!(
        "(SELECT printf('r%016d', coalesce(CAST(substr(max(client), 2, 16) AS INTEGER), 0) - {registrations}) \
         FROM __diesel_rqlite_commits WHERE {COUNTED})"
    )
}

/// Gives a connection its row. May be sent again: it leaves a row that nobody uses.
pub(crate) struct Registration<'t> {
    token: &'t str,
}

impl<'t> Registration<'t> {
    /// `token` tells connections apart that read the same count, on two sides of a restored backup.
    pub(crate) fn new(token: &'t str) -> Self {
        Registration { token }
    }

    /// What is run, in one transaction. The last statement is a query.
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
            Statement::plain(prune),
            Statement::plain(ask),
        ]
    }

    /// What the query says. `None`: the row is not there.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commits {
    /// `r0000000000000007-9f…`: the count of registrations, and a random part.
    client: String,
    number: i64,
}

impl Commits {
    pub(crate) fn advance(&mut self) {
        self.number += 1;
    }

    /// Part of the commit. Fails with one of the [guards](guard), unless this commit is the next one of a connection
    /// whose row stays for long enough to settle it.
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

    /// Says that the commit was not applied and never will be, unless it has been, or its row is gone.
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

    /// What became of it.
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

/// The answer to [`Commits::ask`]: whether the commit was applied. `None`: the proof is gone.
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
