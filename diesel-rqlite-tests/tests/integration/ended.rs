//! What says ROLLBACK ends the whole transaction, as on SQLite.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::RqliteConnection;
use super::database::Database;
use crate::support::assert_kind;

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER UNIQUE);
    CREATE TABLE c (a INTEGER UNIQUE ON CONFLICT ROLLBACK);
    CREATE TABLE r (a INTEGER);
    CREATE TRIGGER g BEFORE INSERT ON r WHEN new.a = 1 BEGIN SELECT RAISE(ROLLBACK, 'not one'); END;
    INSERT INTO t (a) VALUES (1); INSERT INTO c VALUES (1); INSERT INTO r VALUES (7);";

const ENDING: [&str; 4] = [
    "INSERT OR ROLLBACK INTO t (a) VALUES (1)",
    "UPDATE OR ROLLBACK t SET a = 1 WHERE a = 5",
    "INSERT INTO c VALUES (1)",
    "INSERT INTO r VALUES (1)",
];

fn run(connection: &mut RqliteConnection, sql: &str) -> QueryResult<usize> {
    diesel::sql_query(sql).execute(connection)
}

#[test]
fn what_says_rollback_ends_the_whole_transaction() {
    for options in ["", "transaction=eager"] {
        for sql in ENDING {
            for nested in [false, true] {
                for script in [false, true] {
                    let case = format!("{options} {sql} {nested} {script}");
                    let mut db = Database::with_options(SCHEMA, options);
                    let ended = |conn: &mut RqliteConnection| match script {
                        true => conn.batch_execute(sql),
                        false => run(conn, sql).map(|_| ()),
                    };
                    let mut went_on = false;
                    let outcome = db.transaction(|conn| {
                        run(conn, "INSERT INTO t (a) VALUES (5)")?;
                        let failed = match nested {
                            true => conn.transaction(|conn| ended(conn)),
                            false => ended(conn),
                        };
                        // A script that no server has seen fails with what comes behind it.
                        let is_late = script && !nested && options.is_empty();
                        assert_eq!(failed.is_err(), !is_late, "{case}: {failed:?}");
                        went_on = run(conn, "INSERT INTO t (a) VALUES (6) RETURNING id").is_ok()
                            && !is_late;
                        QueryResult::Ok(())
                    });
                    assert!(outcome.is_err(), "{case}");
                    assert!(!went_on, "{case}");
                    assert_eq!(db.count("t"), 1, "{case}");
                    // The connection is as good as new.
                    assert_eq!(
                        db.transaction(|conn| run(conn, "INSERT INTO t (a) VALUES (9)")),
                        Ok(1)
                    );
                }
            }
        }
    }
}

#[test]
fn what_does_not_say_rollback_ends_nothing_else() {
    let mut db = Database::with(SCHEMA);
    let outcome = db.transaction(|conn| {
        run(conn, "INSERT INTO t (a) VALUES (5)")?;
        let failed = conn.transaction(|conn| run(conn, "INSERT INTO t (a) VALUES (1)"));
        assert_kind!(failed, UniqueViolation);
        run(conn, "INSERT OR ROLLBACK INTO t (a) VALUES (6)")?;
        run(conn, "INSERT INTO c VALUES (6)")
    });
    assert_eq!(outcome, Ok(1));
    assert_eq!(db.count("t"), 3);
    // Outside of a transaction it is a statement like any other.
    assert_kind!(run(&mut db, ENDING[0]), UniqueViolation);
    assert_eq!(db.count("t"), 3);
}
