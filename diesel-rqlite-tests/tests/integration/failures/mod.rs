//! Whatever fails in a transaction, wherever: nothing is applied, nothing stays open, and the error says what it was.

mod bench;
mod cases;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind as Kind, Error};
use diesel_rqlite::{RqliteLock, TransactionMode};

use self::bench::{Bench, Id, dump, run, three};
use self::cases::{FAILURES, LATER};

const MODES: [TransactionMode; 3] = [
    TransactionMode::Interactive,
    TransactionMode::Eager,
    TransactionMode::Deferred,
];

fn told(error: &Error) -> (Kind, String, Option<String>) {
    match error {
        Error::DatabaseError(kind, information) => (
            *kind,
            information.message().to_owned(),
            information.details().map(str::to_owned),
        ),
        other => panic!("not a database error: {other:?}"),
    }
}

/// Who is told, and whether the statement has to be named.
fn check_place(
    mode: TransactionMode,
    place: usize,
    failed: Option<usize>,
    details: Option<&str>,
    case: &str,
) {
    let named = format!("statement {} of ", place + 1);
    match (mode, failed) {
        (TransactionMode::Deferred, None) | (TransactionMode::Interactive, None) => {
            assert_eq!(details, Some(format!("{named}3")).as_deref(), "{case}");
        }
        // Its own error, which needs no name.
        (TransactionMode::Interactive | TransactionMode::Eager, Some(failed))
            if failed == place =>
        {
            assert_eq!(details, None, "{case}");
        }
        (TransactionMode::Interactive, Some(failed)) => {
            assert!(failed > place, "{case}");
            let is_named = details.is_some_and(|details| details.starts_with(&named));
            assert!(is_named, "{case}: {details:?}");
        }
        other => panic!("{case}: {other:?}"),
    }
}

#[test]
fn a_statement_that_fails_undoes_the_transaction() {
    let mut bench = Bench::new();
    for mode in MODES {
        for failure in &FAILURES {
            for place in 0..3 {
                let case = format!("{mode:?}, {} at {place}", failure.sql);
                let (failed, error) = bench.fail(mode, &three(failure.sql, place));
                if mode == TransactionMode::Deferred && failure.sql.contains("RETURNING") {
                    assert!(
                        matches!(error, Error::QueryBuilderError(_)),
                        "{case}: {error:?}"
                    );
                    assert_eq!(failed, Some(place), "{case}");
                } else {
                    let (kind, message, details) = told(&error);
                    assert_eq!(kind, failure.kind, "{case}: {message}");
                    assert!(message.contains(failure.message), "{case}: {message}");
                    check_place(mode, place, failed, details.as_deref(), &case);
                }
                bench.check(&case);
            }
        }
    }
    bench.check_replay();
}

#[test]
fn a_deferred_foreign_key_undoes_the_transaction() {
    let mut bench = Bench::new();
    for mode in MODES {
        for place in 0..3 {
            let case = format!("{mode:?}, at {place}");
            let (failed, error) = bench.fail(mode, &three(LATER, place));
            let (kind, message, details) = told(&error);
            assert!(
                matches!(kind, Kind::ForeignKeyViolation),
                "{case}: {message}"
            );
            assert_eq!((failed, details), (None, None), "{case}");
            bench.check(&case);
        }
    }
    bench.check_replay();
}

/// Between two of the writes, what was read before them is changed, or the lock is taken away.
#[test]
fn a_guard_that_fails_undoes_the_transaction() {
    const TAKE_LOCK: &str = "UPDATE __diesel_rqlite_locks SET owner = 'another'";
    const CHANGE: &str = "UPDATE parent SET id = id + 1";
    let mut bench = Bench::new();
    bench
        .db
        .batch_execute("INSERT INTO parent VALUES (100)")
        .expect("inserts");
    bench.before = dump(&mut bench.db);
    for mode in MODES {
        for change in [TAKE_LOCK, CHANGE] {
            if mode == TransactionMode::Deferred && change == CHANGE {
                // It compares nothing.
                continue;
            }
            for place in 0..3 {
                let case = format!("{mode:?}, {change} at {place}");
                let mut another = bench.db.another();
                let lock = RqliteLock::new(case.clone());
                let builder = bench.db.build_transaction().mode(mode).lock(&lock);
                let outcome = builder.immediate().run(|conn| {
                    diesel::sql_query("SELECT id FROM parent").load::<Id>(conn)?;
                    let writes = ["INSERT INTO t (u) VALUES ('two')", "UPDATE other SET n = 0"];
                    for (written, sql) in writes.iter().enumerate() {
                        if written == place {
                            run(&mut another, change)?;
                        }
                        run(conn, sql)?;
                    }
                    match place == writes.len() {
                        true => run(&mut another, change),
                        false => Ok(()),
                    }
                });
                let (kind, message, _) = told(&outcome.expect_err("fails"));
                assert!(
                    matches!(kind, Kind::SerializationFailure),
                    "{case}: {message}"
                );
                let wanted = if change == TAKE_LOCK {
                    "lock `"
                } else {
                    "FROM parent"
                };
                assert!(message.contains(wanted), "{case}: {message}");
                bench.check(&case);
            }
        }
    }
    bench.check_replay();
}

/// In the mode Eager the closure may go on: then all is applied but what failed.
#[test]
fn an_eager_transaction_goes_on_behind_a_failure() {
    let mut bench = Bench::new();
    // What says ROLLBACK is in `ended.rs`.
    let ends = |sql: &str| sql.contains("OR ROLLBACK") || sql.contains("'roll'");
    for failure in FAILURES.iter().filter(|failure| !ends(failure.sql)) {
        for place in 0..3 {
            let case = format!("{} at {place}", failure.sql);
            let builder = bench.db.build_transaction().eager();
            let outcome = builder.run(|conn| {
                for sql in three(failure.sql, place) {
                    let outcome = run(conn, sql);
                    assert_eq!(outcome.is_err(), sql == failure.sql, "{case}: {outcome:?}");
                }
                Ok::<_, Error>(())
            });
            assert_eq!(outcome, Ok(()), "{case}");
            assert_eq!(
                bench.db.one("SELECT sum(n) AS value FROM other"),
                62,
                "{case}"
            );
            bench
                .db
                .batch_execute(
                    "DELETE FROM other WHERE id = 3; UPDATE other SET n = 20 WHERE id = 2",
                )
                .expect("undoes it");
            bench.check(&case);
        }
    }
    bench.check_replay();
}
