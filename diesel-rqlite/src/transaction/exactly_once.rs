//! Commits that are numbered, so that one whose answer was lost can be settled: was it applied?
//!
//! Each connection has one row with the number of its last commit. The commit writes its number there; to settle,
//! a number is written as *not* applied, unless it is there already. From then on a late copy of the commit is
//! refused, because its number is no longer new.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::bind_collector::Bind;
use crate::protocol::rows::{Rows, Value};
use crate::sql::cells::GUARD;
use crate::statement::Statement;

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS __diesel_rqlite_commits (client TEXT PRIMARY KEY, \
     number INTEGER NOT NULL, applied INTEGER NOT NULL) WITHOUT ROWID";

const DAY: u64 = 86_400;

/// The commits of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commits {
    /// `0000020415-9f…`: the day it was made, and a random part.
    client: String,
    day: u64,
    number: i64,
}

impl Commits {
    /// `random` tells connections apart.
    pub(crate) fn new(random: &str, now: SystemTime) -> Self {
        let day = day(now);
        Commits {
            client: format!("{day:010}-{random}"),
            day,
            number: 0,
        }
    }

    /// Whether rows as old as this one's may have been deleted by others soon.
    pub(crate) fn is_of_another_day(&self, now: SystemTime) -> bool {
        self.day != day(now)
    }

    pub(crate) fn advance(&mut self) {
        self.number += 1;
    }

    /// The first commit of a connection also deletes the rows of those that began two days ago: no copy of a commit
    /// is under way for so long.
    pub(crate) fn prune(&self) -> Option<Statement<'static>> {
        let old = format!("{:010}-", self.day.saturating_sub(2));
        (self.number == 1).then(|| {
            Statement::with_binds(
                "DELETE FROM __diesel_rqlite_commits WHERE client < ?",
                vec![Bind::Text(old.into())],
            )
        })
    }

    /// Part of the commit. Fails if this commit was applied, or settled, before.
    pub(crate) fn number(&self) -> Statement<'static> {
        let sql = format!(
            "INSERT INTO __diesel_rqlite_commits AS seen VALUES (?, ?, 1) ON CONFLICT (client) DO UPDATE SET number = \
             CASE WHEN seen.number < excluded.number THEN excluded.number ELSE json_extract('{{}}','{GUARD}number') END, \
             applied = 1"
        );
        Statement::with_binds(sql, self.binds())
    }

    /// Says that the commit was not applied and never will be, unless it has been.
    pub(crate) fn settle(&self) -> Statement<'static> {
        Statement::with_binds(
            "INSERT INTO __diesel_rqlite_commits AS seen VALUES (?, ?, 0) ON CONFLICT (client) DO UPDATE SET \
             number = excluded.number, applied = 0 WHERE seen.number < excluded.number",
            self.binds(),
        )
    }

    /// What became of it.
    pub(crate) fn ask(&self) -> Statement<'static> {
        Statement::with_binds(
            "SELECT applied FROM __diesel_rqlite_commits WHERE client = ? AND number = ?",
            self.binds(),
        )
    }

    fn binds(&self) -> Vec<Bind<'static>> {
        vec![
            Bind::Text(self.client.clone().into()),
            Bind::Integer(self.number),
        ]
    }
}

/// The answer to [`Commits::ask`]: whether the commit was applied.
pub(crate) fn was_applied(rows: &Rows) -> Option<bool> {
    if rows.len() != 1 || rows.width() != 1 {
        return None;
    }
    match rows.value(0, 0) {
        Some(Value::Integer(applied)) => Some(applied == 1),
        _ => None,
    }
}

fn day(now: SystemTime) -> u64 {
    let since_epoch = now.duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or(Duration::ZERO).as_secs() / DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_commit_deletes_old_rows() {
        let now = UNIX_EPOCH + Duration::from_secs(20_000 * DAY);
        let mut commits = Commits::new("x", now);
        commits.advance();
        assert!(commits.prune().is_some());
        commits.advance();
        assert!(commits.prune().is_none());
        assert!(!commits.is_of_another_day(now));
        assert!(commits.is_of_another_day(now + Duration::from_secs(DAY)));
    }
}
