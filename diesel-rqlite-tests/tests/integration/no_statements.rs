//! What is no statement of SQLite: the server's own error, at once, wherever it stands.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::RqliteConnection;
use super::database::Database;
use crate::support::{AnyRow, MODES, assert_none};

/// Each with the word that SQLite stops at.
const NO_STATEMENTS: [(&str, &str); 14] = [
    ("invalid", "invalid"),
    ("invalid statement -- c", "invalid"),
    ("/* c */ SELEC 1", "SELEC"),
    ("SHOW TABLES", "SHOW"),
    ("TRUNCATE TABLE t", "TRUNCATE"),
    ("MERGE INTO t VALUES (1)", "MERGE"),
    ("EXEC sp_help", "EXEC"),
    ("SET x = 1", "SET"),
    ("TABLE t", "TABLE"),
    ("(SELECT 1)", "("),
    ("1", "1"),
    ("'SELECT 1'", "'SELECT 1'"),
    ("[SELECT] 1", "[SELECT]"),
    ("RETURNING id", "RETURNING"),
];

fn database() -> Database {
    Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY)")
}

/// Whether it is the server's error, or how it is not.
fn check<T: std::fmt::Debug>(outcome: QueryResult<T>, word: &str) -> Result<(), String> {
    match outcome {
        Err(Error::DatabaseError(DatabaseErrorKind::Unknown, said))
            if said.message() == format!("near \"{word}\": syntax error") =>
        {
            Ok(())
        }
        other => Err(format!("{other:?}")),
    }
}

type Way = (
    &'static str,
    fn(&mut RqliteConnection, &str) -> QueryResult<usize>,
);

/// The ways in which a program may run it.
const WAYS: [Way; 4] = [
    ("execute", |conn, sql| diesel::sql_query(sql).execute(conn)),
    ("load", |conn, sql| {
        let rows = diesel::sql_query(sql).load::<AnyRow>(conn);
        rows.map(|rows| rows.len())
    }),
    ("batch_execute", |conn, sql| {
        conn.batch_execute(sql).map(|()| 0)
    }),
    ("script", |conn, sql| {
        conn.batch_execute(&format!("SELECT 1; {sql}")).map(|()| 0)
    }),
];

#[test]
fn what_is_no_statement_is_an_error_at_once() {
    let mut db = database();
    let mut wrong = Vec::new();
    for (sql, word) in NO_STATEMENTS {
        for (name, way) in WAYS {
            if let Err(found) = check(way(&mut db, sql), word) {
                wrong.push(format!("{name}: {found}: {sql}"));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn what_is_no_statement_is_an_error_at_once_in_a_transaction() {
    let mut db = database();
    let mut wrong = Vec::new();
    for mode in MODES {
        for (sql, word) in NO_STATEMENTS {
            for (name, way) in WAYS {
                let mut at_once = Err("was not run".to_owned());
                let transaction = db.build_transaction().mode(mode);
                let outcome: QueryResult<()> = transaction.run(|conn| {
                    conn.batch_execute("INSERT INTO t VALUES (1)")?;
                    let outcome = way(conn, sql);
                    let failed = outcome.is_err();
                    at_once = check(outcome, word);
                    if failed {
                        Err(Error::RollbackTransaction)
                    } else {
                        Ok(())
                    }
                });
                if let Err(found) = at_once {
                    wrong.push(format!(
                        "{mode:?}, {name}: {found}, at the commit {outcome:?}: {sql}"
                    ));
                }
            }
        }
    }
    assert_none(&wrong);
    assert_eq!(db.count("t"), 0);
}
