//! What must not reach a server.

use crate::error::SqlError;
use crate::keyword::Keyword;
use crate::parsed::{Form, Parsed, unquoted};
use crate::token::TokenKind;

/// PRAGMAs that may have an argument: they read, or what they set belongs to the database or ends with the
/// transaction. Any other setting would be that of one connection of one node, for all clients, until a restart;
/// and the same write might then fail on one replica and not on another.
const WITH_ARGUMENT: [&str; 16] = [
    "application_id",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "optimize",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
    "function_list",
    "collation_list",
];

/// PRAGMAs that do something without an argument.
const NEVER: [&str; 6] = [
    "incremental_vacuum",
    "journal_mode",
    "shrink_memory",
    "synchronous",
    "wal_autocheckpoint",
    "wal_checkpoint",
];

/// PRAGMAs that, with an argument, write to the database.
const WRITE: [&str; 4] = [
    "application_id",
    "defer_foreign_keys",
    "optimize",
    "user_version",
];

impl Parsed<'_> {
    /// Refuses what would outlive the request at the server: transaction control, ATTACH, settings.
    ///
    /// # Errors
    ///
    /// `TransactionControl`, `Refused`.
    pub fn check(&self) -> Result<(), SqlError> {
        match self.form {
            Form::Begin => Err(SqlError::TransactionControl("BEGIN".to_owned())),
            Form::Commit => Err(SqlError::TransactionControl("COMMIT".to_owned())),
            Form::Savepoint => Err(SqlError::TransactionControl(
                self.at(0).to_ascii_uppercase(),
            )),
            Form::Attach => Err(SqlError::Refused(
                self.at(0).to_ascii_uppercase(),
                "it would change one node's connection for all clients, and not the other nodes",
            )),
            Form::Vacuum if self.all().any(|place| self.is(place, Keyword::Into)) => {
                Err(SqlError::Refused(
                    "VACUUM INTO".to_owned(),
                    "it would write a file on every node",
                ))
            }
            // SQLite does what some PRAGMAs say when it prepares them, also to explain them.
            Form::Explain | Form::Pragma => self.check_pragma(),
            _ => Ok(()),
        }
    }

    /// Refuses what SQLite does not do inside of a transaction.
    ///
    /// # Errors
    ///
    /// `Refused`
    pub fn check_in_transaction(&self) -> Result<(), SqlError> {
        if self.form == Form::Vacuum {
            return Err(SqlError::Refused(
                "VACUUM".to_owned(),
                "it can't run in a transaction; a migration with it says `run_in_transaction = false` in its metadata.toml",
            ));
        }
        Ok(())
    }

    fn check_pragma(&self) -> Result<(), SqlError> {
        let Some(Pragma { name, has_argument }) = self.pragma() else {
            return Ok(());
        };
        let refused = |reason| Err(SqlError::Refused(format!("PRAGMA {name}"), reason));
        if name == "foreign_keys" && has_argument {
            return refused("start every rqlited with -fk to enforce foreign keys");
        }
        if NEVER.contains(&&*name) {
            return refused("rqlite manages the journal and the memory of its nodes itself");
        }
        if has_argument && !WITH_ARGUMENT.contains(&&*name) {
            return refused(
                "it would set up one connection of one node, for all clients, until it restarts",
            );
        }
        Ok(())
    }

    /// Whether a PRAGMA that is let through writes to the database.
    pub fn pragma_writes(&self) -> bool {
        let pragma = self.pragma();
        pragma.is_some_and(|pragma| pragma.has_argument && WRITE.contains(&&*pragma.name))
    }

    /// `PRAGMA [schema.]name [= value | (value)]`, in any quotes, also where it is only explained.
    pub fn pragma(&self) -> Option<Pragma> {
        let explains = |place: &usize| {
            matches!(
                self.keyword(*place),
                Some(Keyword::Explain | Keyword::Query | Keyword::Plan)
            )
        };
        let first = self.all().find(|place| !explains(place))?;
        if !self.is(first, Keyword::Pragma) {
            return None;
        }
        let mut name = String::new();
        for place in first + 1..self.tokens.len() {
            match self.tokens[place].kind {
                TokenKind::Word | TokenKind::Quoted | TokenKind::String => {
                    name = unquoted(self.at(place))
                        .trim_matches('\'')
                        .to_ascii_lowercase();
                }
                TokenKind::Dot => {}
                _ => {
                    return Some(Pragma {
                        name,
                        has_argument: true,
                    });
                }
            }
        }
        Some(Pragma {
            name,
            has_argument: false,
        })
    }
}

/// A PRAGMA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pragma {
    /// In lower case, without quotes and the name of a database.
    pub name: String,
    /// Whether something is set, or asked about.
    pub has_argument: bool,
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;

    fn refused(sql: &str) -> bool {
        let found = parse(sql).expect("parses");
        found[0].check().is_err()
    }

    #[test]
    fn pragmas_that_read_are_let_through() {
        for sql in [
            "PRAGMA foreign_keys",
            "PRAGMA table_info(t)",
            "PRAGMA main.table_xinfo('t')",
            "PRAGMA user_version = 3",
            "PRAGMA optimize",
            "PRAGMA defer_foreign_keys = ON",
            "PRAGMA compile_options",
        ] {
            assert!(!refused(sql), "{sql}");
        }
    }

    #[test]
    fn pragmas_that_set_up_a_connection_are_not() {
        for sql in [
            "PRAGMA foreign_keys = ON",
            "PRAGMA foreign_keys(1)",
            "PRAGMA \"query_only\"=1",
            "PRAGMA 'synchronous' = FULL",
            "PRAGMA main.[journal_mode]",
            "PRAGMA ignore_check_constraints = ON",
            "PRAGMA locking_mode=EXCLUSIVE",
            "PRAGMA wal_checkpoint",
            "PRAGMA whatever_comes_next = 1",
            "EXPLAIN PRAGMA ignore_check_constraints=1",
            "EXPLAIN QUERY PLAN PRAGMA foreign_keys=ON",
            "VACUUM INTO '/tmp/x'",
        ] {
            assert!(refused(sql), "{sql}");
        }
    }
}
