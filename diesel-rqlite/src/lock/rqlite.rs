//! A lock that is a row in rqlite itself.
//!
//! No clocks are compared. A contender takes the lock over when the row has not changed for a whole
//! lease *by the contender's own clock*. The statement names the exact state that the contender
//! saw, so that a stale read can't steal a live lock. The commit checks in the database that the
//! lock is still held by its own transaction, and releases it in the same request.

use std::time::Duration;

use crate::bind_collector::Bind;
use crate::protocol::rows::{Rows, Value};
use crate::sql::fails_unless;
use crate::statement::Statement;

/// A lock in the same database that the transaction uses. It needs no second system, and no extra
/// request while there is no contention. It is taken with the first read, and released with the
/// commit.
///
/// Its rows are in the table `__diesel_rqlite_locks`, which is created if it is missing. If a
/// transaction outlasts the lease, it renews the lease in the background over a separate
/// connection. If it could not (because its process was stopped, or was cut off), another
/// transaction may have taken the lock over. Its commit then fails with a
/// [`SerializationFailure`](diesel::result::DatabaseErrorKind::SerializationFailure), and nothing
/// of it is applied.
///
/// ```no_run
/// use diesel::prelude::*;
/// use diesel_rqlite::{RqliteConnection, RqliteLock};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut conn = RqliteConnection::establish("rqlite://localhost")?;
/// conn.build_transaction()
///     .lock(&RqliteLock::new("accounts"))
///     .run(|conn| diesel::sql_query("UPDATE accounts SET balance = balance + 1").execute(conn))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RqliteLock {
    pub(crate) name: String,
    pub(crate) lease: Duration,
    pub(crate) timeout: Duration,
    pub(crate) retry_interval: Duration,
}

impl RqliteLock {
    /// Makes a lock with a lease of 10 seconds, a timeout of 30 seconds, and a retry interval of
    /// about 20 milliseconds.
    pub fn new(name: impl Into<String>) -> Self {
        RqliteLock {
            name: name.into(),
            lease: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            retry_interval: Duration::from_millis(20),
        }
    }

    /// Sets how long others wait for a sign of life before they take the lock over: from a
    /// millisecond to a day.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.clamp(Duration::from_millis(1), Duration::from_secs(86_400));
        self
    }

    /// Sets how long to wait for the lock. A timeout shorter than a lease is never enough to
    /// outlast a holder that died.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how often to check whether the lock is free: from a millisecond to a minute. The actual
    /// interval varies by up to a half.
    #[must_use]
    pub fn retry_interval(mut self, interval: Duration) -> Self {
        self.retry_interval = interval.clamp(Duration::from_millis(1), Duration::from_secs(60));
        self
    }
}

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS __diesel_rqlite_locks (name TEXT PRIMARY KEY, \
     fence INTEGER NOT NULL, owner TEXT, beat INTEGER NOT NULL, lease_ms INTEGER NOT NULL) WITHOUT ROWID";

/// The claim of one transaction to a lock.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) lock: RqliteLock,
    token: String,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// No request for the lock was sent, or it was given back.
    Untouched,
    /// A request was sent. The lock may be held even if no answer says so.
    Asked,
    /// An answer showed the row with the token of this claim.
    Held,
}

/// The state of the lock's row when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    fence: i64,
    beat: i64,
    owner: Option<String>,
    lease_ms: i64,
}

impl Seen {
    /// Reads the state from the rows of an answer. Returns `None` if there is no row yet.
    pub(crate) fn of(rows: &Rows) -> Option<Self> {
        if rows.is_empty() || rows.width() != 4 {
            return None;
        }
        let integer = |column| match rows.value(0, column) {
            Some(Value::Integer(value)) => Some(value),
            _ => None,
        };
        let owner = match rows.value(0, 2) {
            Some(Value::Text(owner)) => Some(owner.to_owned()),
            _ => None,
        };
        Some(Seen {
            fence: integer(0)?,
            beat: integer(1)?,
            owner,
            lease_ms: integer(3)?,
        })
    }

    /// Returns the state in which this token holds the lock.
    #[cfg(test)]
    pub(crate) fn by(token: &str) -> Self {
        Seen {
            fence: 7,
            beat: 0,
            owner: Some(token.to_owned()),
            lease_ms: 10,
        }
    }

    pub(crate) fn is_free(&self) -> bool {
        self.owner.is_none()
    }

    /// Returns how long the row must stay unchanged before the lock may be taken over.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms.try_into().unwrap_or(0))
    }
}

fn text(text: &str) -> Bind<'static> {
    Bind::Text(text.to_owned().into())
}

impl Lease {
    pub(crate) fn new(lock: RqliteLock, token: String) -> Self {
        Lease {
            lock,
            token,
            stage: Stage::Untouched,
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.stage == Stage::Held
    }

    /// Returns whether the lock has to be given back.
    pub(crate) fn may_be_held(&self) -> bool {
        self.stage != Stage::Untouched
    }

    /// Notes that a request for the lock is sent. It must be called before that, because the future may be dropped
    /// while the request is under way.
    pub(crate) fn ask(&mut self) {
        if self.stage == Stage::Untouched {
            self.stage = Stage::Asked;
        }
    }

    /// Returns the statement that gives the lock back, if it may be held. It counts as not held from now on.
    pub(crate) fn let_go(&mut self) -> Option<Statement<'static>> {
        self.learn(None);
        self.may_be_held().then(|| self.release())
    }

    /// Notes that the lock was given back, or that it was tried in vain. In the second case the lock ends with its
    /// lease.
    pub(crate) fn is_given_back(&mut self) {
        self.stage = Stage::Untouched;
    }

    fn milliseconds(&self) -> Bind<'static> {
        let milliseconds = self.lock.lease.as_millis();
        Bind::Integer(milliseconds.try_into().unwrap_or(i64::MAX))
    }

    /// Takes the lock if it is free. The statement may be sent again, since the token is unique to
    /// this acquisition.
    pub(crate) fn acquire(&self) -> Statement<'static> {
        Statement::with_binds(
            "INSERT INTO __diesel_rqlite_locks VALUES (?, 1, ?, 0, ?) ON CONFLICT (name) DO UPDATE SET \
             fence = fence + (owner IS NOT excluded.owner), owner = excluded.owner, beat = 0, \
             lease_ms = excluded.lease_ms WHERE owner IS NULL OR owner = excluded.owner",
            vec![
                text(&self.lock.name),
                text(&self.token),
                self.milliseconds(),
            ],
        )
    }

    pub(crate) fn question(&self) -> Statement<'static> {
        Statement::with_binds(
            "SELECT fence, beat, owner, lease_ms FROM __diesel_rqlite_locks WHERE name = ?",
            vec![text(&self.lock.name)],
        )
    }

    /// Takes the lock over from a holder that gave no sign of life, unless the row has changed
    /// since.
    pub(crate) fn take_over(&self, seen: &Seen) -> Statement<'static> {
        Statement::with_binds(
            "UPDATE __diesel_rqlite_locks SET fence = fence + 1, owner = ?, beat = 0, lease_ms = ? \
             WHERE name = ? AND fence = ? AND beat = ? AND owner IS ?",
            vec![
                text(&self.token),
                self.milliseconds(),
                text(&self.lock.name),
                Bind::Integer(seen.fence),
                Bind::Integer(seen.beat),
                seen.owner.as_deref().map_or(Bind::Null, text),
            ],
        )
    }

    /// Records the state of the row. Returns whether the lock is held now.
    pub(crate) fn learn(&mut self, seen: Option<&Seen>) -> bool {
        match seen.is_some_and(|seen| seen.owner.as_deref() == Some(&self.token)) {
            true => self.stage = Stage::Held,
            false if self.is_held() => self.stage = Stage::Asked,
            false => {}
        }
        self.is_held()
    }

    /// Gives a sign of life. It affects no row if the lock was lost.
    pub(crate) fn beat(&self) -> Statement<'static> {
        Statement::with_binds(
            "UPDATE __diesel_rqlite_locks SET beat = beat + 1 WHERE name = ? AND owner = ?",
            vec![text(&self.lock.name), text(&self.token)],
        )
    }

    /// Fails unless this acquisition holds the lock.
    pub(crate) fn check(&self) -> Statement<'static> {
        let is_held = "EXISTS (SELECT 1 FROM __diesel_rqlite_locks WHERE name = ? AND owner = ?)";
        let sql = fails_unless(is_held, "lock");
        Statement::with_binds(sql, vec![text(&self.lock.name), text(&self.token)])
    }

    pub(crate) fn release(&self) -> Statement<'static> {
        Statement::with_binds(
            "UPDATE __diesel_rqlite_locks SET owner = NULL WHERE name = ? AND owner = ?",
            vec![text(&self.lock.name), text(&self.token)],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_token_makes_it_held() {
        let mut lease = Lease::new(RqliteLock::new("a"), "mine".to_owned());
        let free = Seen {
            owner: None,
            ..Seen::by("")
        };
        assert!(!lease.learn(None));
        assert!(!lease.learn(Some(&free)));
        assert!(!lease.learn(Some(&Seen::by("another"))));
        assert!(lease.learn(Some(&Seen::by("mine"))));
        assert!(!lease.learn(Some(&Seen::by("another"))));
    }
}
