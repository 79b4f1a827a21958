//! Transaction control as SQL text: never sent, but done to the client's own transaction.

use super::SqlError;
use super::scan::{Scanned, Verb, unquoted};
use super::tokens::Tokens;

/// What a text asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// With IMMEDIATE or EXCLUSIVE, which take the lock at once.
    Begin {
        immediate: bool,
    },
    Commit,
    RollBack,
    Savepoint(String),
    Release(String),
    RollBackTo(String),
}

impl Control {
    /// `None`: it is another statement.
    ///
    /// # Errors
    ///
    /// If it begins as transaction control does, but is none that SQLite knows.
    pub(crate) fn of(scanned: &Scanned<'_>) -> Result<Option<Self>, SqlError> {
        if !matches!(
            scanned.verb,
            Verb::Begin | Verb::Commit | Verb::Savepoint(_)
        ) {
            return Ok(None);
        }
        let tokens = Tokens::new(scanned.text).map_while(Result::ok);
        let words: Vec<_> = tokens.map(|token| &scanned.text[token.range]).collect();
        let known = Self::of_words(&words);
        known
            .map(Some)
            .ok_or_else(|| SqlError::TransactionControl(scanned.text.to_owned()))
    }

    fn of_words(words: &[&str]) -> Option<Self> {
        let upper: Vec<_> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        let upper: Vec<_> = upper.iter().map(String::as_str).collect();
        let name = || {
            words
                .last()
                .map(|name| unquoted(name).trim_matches('\'').to_owned())
        };
        match upper[..] {
            ["BEGIN"]
            | ["BEGIN", "TRANSACTION" | "DEFERRED"]
            | ["BEGIN", "DEFERRED", "TRANSACTION"] => Some(Control::Begin { immediate: false }),
            ["BEGIN", "IMMEDIATE" | "EXCLUSIVE"]
            | ["BEGIN", "IMMEDIATE" | "EXCLUSIVE", "TRANSACTION"] => {
                Some(Control::Begin { immediate: true })
            }
            ["COMMIT" | "END"] | ["COMMIT" | "END", "TRANSACTION"] => Some(Control::Commit),
            ["ROLLBACK"] | ["ROLLBACK", "TRANSACTION"] => Some(Control::RollBack),
            ["SAVEPOINT", _] => name().map(Control::Savepoint),
            ["RELEASE", _] | ["RELEASE", "SAVEPOINT", _] => name().map(Control::Release),
            ["ROLLBACK", "TO", _]
            | ["ROLLBACK", "TO", "SAVEPOINT", _]
            | ["ROLLBACK", "TRANSACTION", "TO", _]
            | ["ROLLBACK", "TRANSACTION", "TO", "SAVEPOINT", _] => name().map(Control::RollBackTo),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::scan_one;

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
