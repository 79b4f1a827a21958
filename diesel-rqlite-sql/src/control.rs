//! Transaction control as SQL text. It is never sent, but applied to the client's own transaction.

use crate::error::SqlError;
use crate::keyword::Keyword;
use crate::parsed::{Parsed, unquoted};

/// The transaction control that a text requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// `BEGIN`. With IMMEDIATE or EXCLUSIVE it takes the lock at once.
    Begin {
        /// `true` if IMMEDIATE or EXCLUSIVE is given.
        immediate: bool,
    },
    /// `COMMIT` or `END`
    Commit,
    /// `ROLLBACK`
    RollBack,
    /// `SAVEPOINT`, with its name.
    Savepoint(String),
    /// `RELEASE`, with its name.
    Release(String),
    /// `ROLLBACK TO`, with its name.
    RollBackTo(String),
}

impl Control {
    /// Reads transaction control. Returns `None` for any other statement.
    ///
    /// # Errors
    ///
    /// Returns an error if the statement begins like transaction control but is not valid in SQLite.
    pub fn of(parsed: &Parsed<'_>) -> Result<Option<Self>, SqlError> {
        if !parsed.form().is_control() {
            return Ok(None);
        }
        let known = Self::of_words(parsed);
        known
            .map(Some)
            .ok_or_else(|| SqlError::TransactionControl(parsed.text().to_owned()))
    }

    fn of_words(parsed: &Parsed<'_>) -> Option<Self> {
        use Keyword::{
            Begin, Commit, Deferred, End, Exclusive, Immediate, Release, Rollback, Savepoint, To,
            Transaction,
        };

        let words: Vec<_> = parsed.all().map(|place| parsed.keyword(place)).collect();
        let last = parsed.at(words.len().saturating_sub(1));
        let name = || unquoted(last).trim_matches('\'').to_owned();
        Some(match words[..] {
            [Some(Begin)]
            | [Some(Begin), Some(Transaction | Deferred)]
            | [Some(Begin), Some(Deferred), Some(Transaction)] => {
                Control::Begin { immediate: false }
            }
            [Some(Begin), Some(Immediate | Exclusive)]
            | [Some(Begin), Some(Immediate | Exclusive), Some(Transaction)] => {
                Control::Begin { immediate: true }
            }
            [Some(Commit | End)] | [Some(Commit | End), Some(Transaction)] => Control::Commit,
            [Some(Rollback)] | [Some(Rollback), Some(Transaction)] => Control::RollBack,
            [Some(Savepoint), _] => Control::Savepoint(name()),
            [Some(Release), _] | [Some(Release), Some(Savepoint), _] => Control::Release(name()),
            [Some(Rollback), Some(To), _]
            | [Some(Rollback), Some(To), Some(Savepoint), _]
            | [Some(Rollback), Some(Transaction), Some(To), _]
            | [
                Some(Rollback),
                Some(Transaction),
                Some(To),
                Some(Savepoint),
                _,
            ] => Control::RollBackTo(name()),
            _ => return None,
        })
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn scan_one(sql: &str) -> Result<Parsed<'_>, SqlError> {
        parse(sql).map(|mut found| found.remove(0))
    }

    fn control(sql: &str) -> Option<Control> {
        Control::of(&scan_one(sql).expect("scans")).expect(sql)
    }

    #[test]
    fn control_in_all_its_forms() {
        for (sql, wanted) in [
            ("begin", Control::Begin { immediate: false }),
            (
                "BEGIN DEFERRED TRANSACTION",
                Control::Begin { immediate: false },
            ),
            (
                "/* x */ BEGIN EXCLUSIVE -- y",
                Control::Begin { immediate: true },
            ),
            ("END TRANSACTION;", Control::Commit),
            ("ROLLBACK", Control::RollBack),
            ("SAVEPOINT \"a\"", Control::Savepoint("a".to_owned())),
            ("RELEASE SAVEPOINT a", Control::Release("a".to_owned())),
            ("RELEASE a", Control::Release("a".to_owned())),
            (
                "rollback transaction to savepoint 'a'",
                Control::RollBackTo("a".to_owned()),
            ),
        ] {
            assert_eq!(control(sql), Some(wanted), "{sql}");
        }
    }

    #[test]
    fn what_only_looks_like_it() {
        for sql in [
            "INSERT INTO releases VALUES ('COMMIT')",
            "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; END",
            "SELECT 1 AS \"begin\"",
        ] {
            assert_eq!(control(sql), None, "{sql}");
        }
        assert!(Control::of(&scan_one("BEGIN CONCURRENT").expect("scans")).is_err());
        assert!(Control::of(&scan_one("COMMIT AND CHAIN").expect("scans")).is_err());
    }
}
