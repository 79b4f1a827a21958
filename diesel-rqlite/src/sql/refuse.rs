//! What must not reach a server.

use super::SqlError;
use super::scan::{Scanned, Verb, unquoted};
use super::tokens::{Token, TokenKind, Tokens};

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

/// Refuses what would outlive the request at the server: transaction control, ATTACH, settings.
pub(crate) fn check(scanned: &Scanned<'_>) -> Result<(), SqlError> {
    match &scanned.verb {
        Verb::Begin => Err(SqlError::TransactionControl("BEGIN".to_owned())),
        Verb::Commit => Err(SqlError::TransactionControl("COMMIT".to_owned())),
        Verb::Savepoint(name) => Err(SqlError::TransactionControl(name.clone())),
        Verb::Schema => check_attach(scanned.text),
        Verb::Explain => check_explained(scanned.text),
        Verb::Pragma => check_pragma(scanned.text),
        _ => Ok(()),
    }
}

/// Refuses what SQLite does not do inside of a transaction.
pub(crate) fn check_in_transaction(scanned: &Scanned<'_>) -> Result<(), SqlError> {
    if is_vacuum(scanned) {
        return Err(SqlError::Refused(
            "VACUUM".to_owned(),
            "it can't run in a transaction; a migration with it says `run_in_transaction = false` in its metadata.toml",
        ));
    }
    Ok(())
}

/// Whether it must be a request of its own.
pub(crate) fn is_vacuum(scanned: &Scanned<'_>) -> bool {
    let first = tokens(scanned.text).next();
    scanned.verb == Verb::Schema
        && first.is_some_and(|token| scanned.text[token.range].eq_ignore_ascii_case("VACUUM"))
}

fn tokens(sql: &str) -> impl Iterator<Item = Token> {
    Tokens::new(sql).map_while(Result::ok)
}

fn check_attach(sql: &str) -> Result<(), SqlError> {
    let word = tokens(sql).next().map_or("", |token| &sql[token.range]);
    let word = word.to_ascii_uppercase();
    match word.as_str() {
        "ATTACH" | "DETACH" => Err(SqlError::Refused(
            word,
            "it would change one node's connection for all clients, and not the other nodes",
        )),
        "VACUUM" if tokens(sql).any(|token| sql[token.range].eq_ignore_ascii_case("INTO")) => {
            Err(SqlError::Refused(
                "VACUUM INTO".to_owned(),
                "it would write a file on every node",
            ))
        }
        _ => Ok(()),
    }
}

/// SQLite does what some PRAGMAs say when it prepares them, also to explain them.
fn check_explained(sql: &str) -> Result<(), SqlError> {
    let pragma = tokens(sql).find(|token| {
        let word = &sql[token.range.clone()];
        !["EXPLAIN", "QUERY", "PLAN"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    });
    match pragma {
        Some(token) if sql[token.range.clone()].eq_ignore_ascii_case("PRAGMA") => {
            check_pragma(&sql[token.range.start..])
        }
        _ => Ok(()),
    }
}

fn check_pragma(sql: &str) -> Result<(), SqlError> {
    let (name, has_argument) = pragma(sql);
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
pub(crate) fn pragma_writes(sql: &str) -> bool {
    const WRITE: [&str; 4] = [
        "application_id",
        "defer_foreign_keys",
        "optimize",
        "user_version",
    ];
    let (name, has_argument) = pragma(sql);
    has_argument && WRITE.contains(&&*name)
}

/// The name, and whether there is an argument: `PRAGMA [schema.]name [= value | (value)]`, in any quotes.
fn pragma(sql: &str) -> (String, bool) {
    let mut name = String::new();
    for token in tokens(sql).skip(1) {
        let text = &sql[token.range];
        match token.kind {
            TokenKind::Word | TokenKind::Quoted | TokenKind::String => {
                name = unquoted(text).trim_matches('\'').to_ascii_lowercase();
            }
            TokenKind::Dot => {}
            _ => return (name, true),
        }
    }
    (name, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::statements;

    fn refused(sql: &str) -> bool {
        let found = statements(sql).expect("scans");
        check(&found[0]).is_err()
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
