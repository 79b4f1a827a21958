//! The table in diesel-rqlite/docs/porting-from-sqlite.md that says when an error is seen, in transactions of each mode.

use diesel::prelude::*;
use diesel::result::Error;
use diesel_rqlite::TransactionMode::{self, Deferred, Eager, Interactive};

use super::RqliteConnection;
use super::database::Database;
use crate::support::{AnyRow, MODES, assert_none};

/// Where the error of a statement comes out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    AtTheStatement,
    AtTheNextQuery,
    AtTheCommit,
    Never,
}
use Seen::{AtTheCommit, AtTheNextQuery, AtTheStatement};

/// A statement that fails, and where that is seen in a transaction that is interactive, eager and deferred.
const STATEMENTS: [(&str, [Seen; 3]); 7] = [
    ("SELEC 1", [AtTheStatement; 3]),
    ("SELECT * FROM nowhere", [AtTheStatement; 3]),
    ("SELECT nothing FROM t", [AtTheStatement; 3]),
    ("INSERT INTO nowhere VALUES (1)", IN_TURN),
    ("INSERT INTO t (id, a) VALUES (3, 1)", IN_TURN),
    (
        "UPDATE t SET a = 1 WHERE a > 0",
        [AtTheStatement, AtTheStatement, AtTheCommit],
    ),
    ("INSERT INTO d VALUES (1, 77)", [AtTheCommit; 3]),
];
const IN_TURN: [Seen; 3] = [AtTheNextQuery, AtTheStatement, AtTheCommit];

fn rows(connection: &mut RqliteConnection, sql: &str) -> QueryResult<Vec<AnyRow>> {
    diesel::sql_query(sql).load(connection)
}

fn seen(db: &mut Database, mode: TransactionMode, sql: &str) -> Seen {
    let mut seen = Seen::Never;
    let outcome = db.build_transaction().mode(mode).run(|conn| {
        let statement = match sql.starts_with("SELEC") {
            true => rows(conn, sql).map(|_| 0),
            false => diesel::sql_query(sql).execute(conn),
        };
        if let Err(error) = statement {
            seen = AtTheStatement;
            return Err(error);
        }
        if let Err(error) = rows(conn, "SELECT * FROM t") {
            seen = AtTheNextQuery;
            return Err(error);
        }
        Ok::<_, Error>(())
    });
    if outcome.is_err() && seen == Seen::Never {
        seen = AtTheCommit;
    }
    seen
}

#[test]
fn errors_in_transactions_are_seen_where_the_table_says() {
    let mut db = Database::on(diesel_rqlite_tests::Rqlited::builder().foreign_keys());
    diesel::connection::SimpleConnection::batch_execute(
        &mut *db,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER UNIQUE); INSERT INTO t VALUES (1, 1), (2, 2);
         CREATE TABLE d (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)",
    )
    .expect("creates");
    let mut wrong = Vec::new();
    for (sql, wanted) in STATEMENTS {
        for mode in MODES {
            let wanted = match mode {
                Interactive => wanted[0],
                Eager => wanted[1],
                Deferred => wanted[2],
                _ => Seen::Never,
            };
            let found = seen(&mut db, mode, sql);
            if found != wanted {
                wrong.push(format!("{mode:?}, {sql}: {found:?}, not {wanted:?}"));
            }
        }
    }
    assert_none(&wrong);
    assert_eq!((db.count("t"), db.count("d")), (2, 0));
}
