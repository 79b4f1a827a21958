//! Whatever fails in a transaction, wherever: nothing is applied, nothing stays open, and the error says what it was.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite::{RqliteConnection, RqliteLock, TransactionMode};
use diesel_rqlite_tests::Rqlited;

use crate::support::Database;

const SCHEMA: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, nn TEXT NOT NULL DEFAULT '', ck INTEGER CHECK (ck > 0),
        parent INTEGER REFERENCES parent (id), later INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER aborting BEFORE INSERT ON t WHEN NEW.u = 'abort' BEGIN SELECT RAISE(ABORT, 'told to abort'); END;
    CREATE TRIGGER failing BEFORE INSERT ON t WHEN NEW.u = 'fail' BEGIN SELECT RAISE(FAIL, 'told to fail'); END;
    CREATE TRIGGER rolling BEFORE INSERT ON t WHEN NEW.u = 'roll' BEGIN SELECT RAISE(ROLLBACK, 'told to roll back'); END;
    CREATE TABLE other (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    CREATE TABLE usable (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
    INSERT INTO t (id, u, ck) VALUES (1, 'one', 1);
    INSERT INTO other VALUES (1, 10), (2, 20);
    INSERT INTO usable VALUES (1, 0), (2, 0);";

const MODES: [TransactionMode; 3] = [
    TransactionMode::Interactive,
    TransactionMode::Eager,
    TransactionMode::Deferred,
];

/// A statement that fails, the kind of its error, and what its message has in it.
struct Failure {
    sql: &'static str,
    kind: DatabaseErrorKind,
    message: &'static str,
}

const fn failure(sql: &'static str, kind: DatabaseErrorKind, message: &'static str) -> Failure {
    Failure { sql, kind, message }
}

use DatabaseErrorKind as Kind;

const FAILURES: [Failure; 20] = [
    failure(
        "UPDATE t SET ck = abs(-9223372036854775808)",
        Kind::Unknown,
        "integer overflow",
    ),
    failure(
        "INSERT INTO nowhere VALUES (1)",
        Kind::Unknown,
        "no such table: nowhere",
    ),
    failure("UPDATE t SET nix = 1", Kind::Unknown, "no such column: nix"),
    failure("UPDATE t SET SET", Kind::Unknown, "syntax error"),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "INSERT INTO t (u, nn) VALUES ('two', NULL)",
        Kind::NotNullViolation,
        "t.nn",
    ),
    failure(
        "INSERT INTO t (u, ck) VALUES ('two', 0)",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "UPDATE t SET ck = -1 WHERE id = 1",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "INSERT INTO t (parent) VALUES (9)",
        Kind::ForeignKeyViolation,
        "",
    ),
    failure("UPDATE t SET parent = 9", Kind::ForeignKeyViolation, ""),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('abort')",
        Kind::Unknown,
        "told to abort",
    ),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('fail')",
        Kind::Unknown,
        "told to fail",
    ),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('roll')",
        Kind::Unknown,
        "told to roll back",
    ),
    failure(
        "INSERT OR ABORT INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "INSERT OR FAIL INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "INSERT OR ROLLBACK INTO t (u) VALUES ('two'), ('one')",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "UPDATE OR FAIL t SET id = id + 1, ck = ck - id",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "UPDATE OR ROLLBACK t SET ck = 0",
        Kind::CheckViolation,
        "ck > 0",
    ),
    failure(
        "INSERT INTO t (u) VALUES ('two'), ('one') RETURNING id",
        Kind::UniqueViolation,
        "t.u",
    ),
    failure(
        "UPDATE t SET ck = 0 RETURNING id",
        Kind::CheckViolation,
        "ck > 0",
    ),
];

/// Fails when the transaction ends, for which no statement can be named.
const LATER: &str = "INSERT INTO t (later) VALUES (9)";

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = diesel::sql_types::Text)]
    value: String,
}

/// Everything a failed transaction might have changed.
fn dump(conn: &mut RqliteConnection) -> String {
    let sql = "SELECT (SELECT json_group_array(json_array(id, u, nn, ck, parent, later)) FROM t) || \
               (SELECT json_group_array(json_array(id, n)) FROM other) || \
               (SELECT count(*) FROM parent) AS value";
    let row: Value = diesel::sql_query(sql).get_result(conn).expect("reads");
    row.value
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    #[allow(dead_code)]
    id: i32,
}

fn run(conn: &mut RqliteConnection, sql: &str) -> QueryResult<()> {
    match sql.contains("RETURNING") {
        true => diesel::sql_query(sql).load::<Id>(conn).map(|_| ()),
        false => diesel::sql_query(sql).execute(conn).map(|_| ()),
    }
}

/// Two writes that go well, and `failing` in front of, between or behind them.
fn three(failing: &'static str, place: usize) -> Vec<&'static str> {
    let mut writes = vec![
        "INSERT INTO other VALUES (3, 30)",
        "UPDATE other SET n = n + 1 WHERE n > 15",
    ];
    writes.insert(place, failing);
    writes
}

/// A node, and who looks at it between transactions.
struct Bench {
    db: Database,
    another: RqliteConnection,
    before: String,
    rounds: i64,
}

impl Bench {
    fn new() -> Self {
        let mut db = Database::on(Rqlited::builder().foreign_keys());
        db.batch_execute(SCHEMA).expect("creates");
        let before = dump(&mut db);
        let another = db.another();
        Bench {
            db,
            another,
            before,
            rounds: 0,
        }
    }

    /// Runs three writes. Which of them failed, `None` if it was the commit, and how.
    fn fail(&mut self, mode: TransactionMode, writes: &[&str]) -> (Option<usize>, Error) {
        let mut failed = None;
        let outcome = self.db.build_transaction().mode(mode).run(|conn| {
            for (place, sql) in writes.iter().enumerate() {
                run(conn, sql).inspect_err(|_| failed = Some(place))?;
            }
            Ok(())
        });
        (failed, outcome.expect_err("fails"))
    }

    /// Nothing was applied; this connection works, and so does another client, whose write can be seen.
    fn check(&mut self, case: &str) {
        self.rounds += 1;
        assert_eq!(dump(&mut self.another), self.before, "{case}");
        let outcome = self.db.transaction(|conn| {
            diesel::sql_query("UPDATE usable SET n = n + 1 WHERE id = 1").execute(conn)
        });
        assert_eq!(outcome, Ok(1), "{case}");
        let outcome = diesel::sql_query("UPDATE usable SET n = n + 1 WHERE id = 2")
            .execute(&mut self.another);
        assert_eq!(outcome, Ok(1), "{case}");
        let sum = self.db.one("SELECT sum(n) AS value FROM usable");
        assert_eq!(sum, 2 * self.rounds, "{case}");
    }

    /// The Raft log, replayed, says the same.
    fn check_replay(mut self) {
        self.db.node.kill();
        self.db.node.restart();
        let mut conn = self.db.another_with("level=strong");
        assert_eq!(dump(&mut conn), self.before);
        let mut db = self.db;
        assert_eq!(
            db.one("SELECT sum(n) AS value FROM usable"),
            2 * self.rounds
        );
    }
}

fn told(error: &Error) -> (DatabaseErrorKind, String, Option<String>) {
    match error {
        Error::DatabaseError(kind, information) => (
            kind.to_owned_kind(),
            information.message().to_owned(),
            information.details().map(str::to_owned),
        ),
        other => panic!("not a database error: {other:?}"),
    }
}

/// Kinds can't be copied by name.
trait ToOwnedKind {
    fn to_owned_kind(&self) -> DatabaseErrorKind;
}

impl ToOwnedKind for DatabaseErrorKind {
    fn to_owned_kind(&self) -> DatabaseErrorKind {
        match self {
            Kind::UniqueViolation => Kind::UniqueViolation,
            Kind::NotNullViolation => Kind::NotNullViolation,
            Kind::CheckViolation => Kind::CheckViolation,
            Kind::ForeignKeyViolation => Kind::ForeignKeyViolation,
            Kind::SerializationFailure => Kind::SerializationFailure,
            Kind::ClosedConnection => Kind::ClosedConnection,
            Kind::UnableToSendCommand => Kind::UnableToSendCommand,
            _ => Kind::Unknown,
        }
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
                    assert_eq!(
                        format!("{kind:?}"),
                        format!("{:?}", failure.kind),
                        "{case}: {message}"
                    );
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
    for failure in &FAILURES {
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
