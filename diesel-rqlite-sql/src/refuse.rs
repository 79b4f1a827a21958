//! Refuses SQL that must not reach a server.

use crate::error::SqlError;
use crate::keyword::Keyword;
use crate::parsed::{Form, Parsed, unquoted};
use crate::token::TokenKind;

/// PRAGMAs that may have an argument: they read, or their setting belongs to the database or ends with the
/// transaction. Any other setting would be that of one connection of one node. It would affect all clients until a
/// restart, and the same write might then fail on one replica and not on another.
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

/// PRAGMAs that have an effect even without an argument.
const NEVER: [&str; 2] = ["incremental_vacuum", "wal_checkpoint"];

/// PRAGMAs that, with an argument, write to the database.
const WRITE: [&str; 4] = [
    "application_id",
    "defer_foreign_keys",
    "optimize",
    "user_version",
];

impl Parsed<'_> {
    /// Refuses statements whose effect on the server would outlive the request: transaction control, ATTACH,
    /// settings.
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
            // SQLite applies some PRAGMAs when it prepares them, even to explain them.
            Form::Explain | Form::Pragma => self.check_pragma(),
            _ => Ok(()),
        }
    }

    /// Refuses statements that SQLite rejects inside a transaction.
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
        let Some(pragma) = self.pragma() else {
            return Ok(());
        };
        if self.form == Form::Pragma && Setting::of(&pragma).is_some() {
            return Ok(());
        }
        let has_argument = pragma.argument.is_some();
        let name = pragma.name;
        let refused = |reason| Err(SqlError::Refused(format!("PRAGMA {name}"), reason));
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

    /// Returns whether an allowed PRAGMA writes to the database.
    pub fn pragma_writes(&self) -> bool {
        let pragma = self.pragma();
        pragma.is_some_and(|pragma| pragma.argument.is_some() && WRITE.contains(&&*pragma.name))
    }

    /// Parses `PRAGMA [schema.]name [= value | (value)]`, with any quotes. Also parses a PRAGMA that is only
    /// explained.
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
                    name = plain(self.at(place));
                }
                TokenKind::Dot => {}
                _ => {
                    let argument = place + 1..self.tokens.len();
                    let argument = argument.map(|place| plain(self.at(place)));
                    return Some(Pragma {
                        name,
                        argument: Some(argument.filter(|part| part != ")").collect()),
                    });
                }
            }
        }
        Some(Pragma {
            name,
            argument: None,
        })
    }

    /// Returns the setting of a PRAGMA that needs no server.
    pub fn setting(&self) -> Option<Setting> {
        match self.form {
            Form::Pragma => Setting::of(&self.pragma()?),
            _ => None,
        }
    }
}

/// Refuses temporary tables, views and triggers that one of these statements creates and no later one drops.
///
/// # Errors
///
/// `Refused`, with the position of the statement.
pub fn check_temporary(statements: &[Parsed<'_>]) -> Result<(), SqlError> {
    for (place, parsed) in statements.iter().enumerate() {
        let Some(created) = parsed.created().filter(|created| created.is_temporary) else {
            continue;
        };
        let mut behind = statements[place + 1..].iter();
        let is_dropped = |dropped: String| dropped.eq_ignore_ascii_case(&created.name);
        if !behind.any(|other| other.dropped().is_some_and(is_dropped)) {
            let what = format!("CREATE TEMP of `{}`", created.name);
            let error = SqlError::Refused(
                what,
                "it would be in the one connection for writes of each node, where reads do not see it, all clients do, \
                 and a restart loses it; drop it in the same script, or use a table",
            );
            return Err(error.at(parsed.position()));
        }
    }
    Ok(())
}

/// Returns the text in lower case, without quotes.
fn plain(text: &str) -> String {
    unquoted(text).trim_matches('\'').to_ascii_lowercase()
}

/// A PRAGMA. Both fields are in lower case and without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pragma {
    /// The name, without that of a database.
    pub name: String,
    /// The value that is set, or the argument of a question.
    pub argument: Option<String>,
}

/// A PRAGMA that sets up a connection to SQLite and needs no set-up here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// rqlite already meets its purpose (durability, waiting for writers), or the purpose does not apply (caches).
    /// Contains the row that SQLite returns: the name of its column, and its value.
    Met(Option<(&'static str, String)>),
    /// Enables or disables foreign keys. Each node either enforces them or does not, for all clients.
    ForeignKeys(bool),
    /// Asks whether foreign keys are enforced.
    ForeignKeysAsked,
}

impl Setting {
    fn of(pragma: &Pragma) -> Option<Self> {
        let argument = pragma.argument.as_deref();
        let row = |column, value: &str| Some(Setting::Met(Some((column, value.to_owned()))));
        match (pragma.name.as_str(), argument) {
            ("foreign_keys", Some(argument)) => Some(Setting::ForeignKeys(is_true(argument))),
            ("foreign_keys", None) => Some(Setting::ForeignKeysAsked),
            // Writers wait for each other on the leader.
            ("busy_timeout", argument) => row("timeout", argument.unwrap_or("5000")),
            // Nodes use write-ahead logging. A program that asks for another mode is told the actual mode, as on
            // SQLite.
            ("journal_mode", _) => row("journal_mode", "wal"),
            // An acknowledged write is on the disks of most nodes.
            ("synchronous", None) => row("synchronous", "2"),
            ("locking_mode", None | Some("normal")) => row("locking_mode", "normal"),
            ("journal_size_limit", Some(size)) => row("journal_size_limit", size),
            ("mmap_size", Some(size)) => row("mmap_size", size),
            ("wal_autocheckpoint", Some(pages)) => row("wal_autocheckpoint", pages),
            ("wal_autocheckpoint", None) => row("wal_autocheckpoint", "1000"),
            ("threads", Some(number)) => row("threads", number),
            ("soft_heap_limit", Some(size)) => row("soft_heap_limit", size),
            ("hard_heap_limit", Some(size)) => row("hard_heap_limit", size),
            ("analysis_limit", Some(rows)) => row("analysis_limit", rows),
            ("encoding", Some("utf-8" | "utf8"))
            | (
                "synchronous" | "automatic_index" | "cache_size" | "cache_spill" | "page_size"
                | "read_uncommitted" | "temp_store",
                Some(_),
            )
            | ("shrink_memory", None) => Some(Setting::Met(None)),
            _ => None,
        }
    }
}

/// Reads a boolean as SQLite does.
fn is_true(argument: &str) -> bool {
    match argument {
        "on" | "yes" | "true" => true,
        number => number.parse::<i64>().is_ok_and(|number| number != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::Setting;
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
    fn what_sets_up_a_connection_without_need_is_met() {
        let met = |row: Option<(&'static str, &str)>| {
            let row = row.map(|(column, value)| (column, value.to_owned()));
            Some(Setting::Met(row))
        };
        for (sql, wanted) in [
            ("PRAGMA busy_timeout = 5000", met(Some(("timeout", "5000")))),
            (
                "pragma main.\"journal_mode\"('WAL')",
                met(Some(("journal_mode", "wal"))),
            ),
            ("PRAGMA journal_mode", met(Some(("journal_mode", "wal")))),
            ("PRAGMA synchronous = NORMAL", met(None)),
            ("PRAGMA cache_size = -2000", met(None)),
            ("PRAGMA temp_store = MEMORY", met(None)),
            (
                "PRAGMA mmap_size = 268435456",
                met(Some(("mmap_size", "268435456"))),
            ),
            ("PRAGMA foreign_keys = ON", Some(Setting::ForeignKeys(true))),
            ("PRAGMA foreign_keys(0)", Some(Setting::ForeignKeys(false))),
            (
                "PRAGMA foreign_keys = 'off'",
                Some(Setting::ForeignKeys(false)),
            ),
            ("PRAGMA foreign_keys", Some(Setting::ForeignKeysAsked)),
            ("PRAGMA case_sensitive_like = ON", None),
            ("PRAGMA recursive_triggers = ON", None),
            ("EXPLAIN PRAGMA foreign_keys = ON", None),
            ("SELECT 1", None),
        ] {
            assert_eq!(parse(sql).expect("parses")[0].setting(), wanted, "{sql}");
        }
    }

    #[test]
    fn pragmas_that_set_up_a_connection_are_not() {
        for sql in [
            "PRAGMA \"query_only\"=1",
            "PRAGMA ignore_check_constraints = ON",
            "PRAGMA locking_mode=EXCLUSIVE",
            "PRAGMA case_sensitive_like = 1",
            "PRAGMA recursive_triggers(1)",
            "PRAGMA writable_schema = ON",
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
