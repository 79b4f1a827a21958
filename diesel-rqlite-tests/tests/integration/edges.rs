//! Where a transaction on the client and one on a server could part.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite::{RqliteConnection, RqliteLock};

use crate::support::{Database, assert_kind};

diesel::table! {
    t (id) {
        id -> BigInt,
        name -> Nullable<Text>,
        n -> Nullable<BigInt>,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER); \
     INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)";

fn run(conn: &mut RqliteConnection, sql: &str) -> QueryResult<usize> {
    diesel::sql_query(sql).execute(conn)
}

fn set(conn: &mut RqliteConnection, id: i64, n: i64) -> QueryResult<usize> {
    diesel::update(t::table.find(id))
        .set(t::n.eq(n))
        .execute(conn)
}

fn is_conflict<T>(outcome: &QueryResult<T>) -> bool {
    matches!(
        outcome,
        Err(Error::DatabaseError(
            DatabaseErrorKind::SerializationFailure,
            _
        ))
    )
}

#[test]
fn savepoints_that_are_left_open_end_with_their_transaction() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let count = |conn: &mut RqliteConnection| t::table.count().get_result::<i64>(conn);
    let outcome = db.transaction(|conn| {
        conn.batch_execute("SAVEPOINT a; INSERT INTO t (name) VALUES ('three'); SAVEPOINT b")?;
        run(conn, "INSERT INTO t (name) VALUES ('four')")
    });
    assert_eq!(outcome, Ok(1));
    assert_eq!(count(&mut other), Ok(4), "it was committed");
    let outcome = db.transaction(|conn| {
        conn.batch_execute("SAVEPOINT a; INSERT INTO t (name) VALUES ('five')")?;
        Err::<(), _>(Error::RollbackTransaction)
    });
    assert_eq!(outcome, Err(Error::RollbackTransaction));
    // Nothing is open: this is not part of what was left behind.
    run(&mut db, "INSERT INTO t (name) VALUES ('six')").expect("inserts");
    assert_eq!(count(&mut other), Ok(5));
    let outcome = db.transaction(|conn| {
        let inner = conn.transaction(|conn| {
            conn.batch_execute("SAVEPOINT a")?;
            run(conn, "INSERT INTO t (name) VALUES ('one')")?;
            let _ = count(conn);
            Ok::<_, Error>(())
        });
        assert_kind!(inner, Unknown);
        run(conn, "INSERT INTO t (name) VALUES ('seven')")
    });
    assert_eq!(outcome, Ok(1));
    assert_eq!(count(&mut other), Ok(6));
}

#[test]
fn a_batch_that_fails_in_the_middle_leaves_nothing() {
    let mut db = Database::with_options(SCHEMA, "transaction=eager");
    let mut other = db.another();
    // Rows with different columns are different statements.
    let rows = vec![
        (Some(t::id.eq(7)), t::name.eq("new")),
        (None, t::name.eq("one")),
    ];
    let insert = |conn: &mut RqliteConnection| {
        let failed = diesel::insert_into(t::table).values(&rows).execute(conn);
        assert_kind!(failed, UniqueViolation);
        run(conn, "INSERT INTO t (name) VALUES ('behind')")
    };
    assert_eq!(db.transaction(insert), Ok(1));
    assert_eq!(db.count("t"), 3);
    // That it fails was shown.
    run(&mut db, "DELETE FROM t WHERE name = 'behind'").expect("deletes");
    let outcome = db.transaction(|conn| {
        insert(conn)?;
        run(&mut other, "DELETE FROM t WHERE name = 'one'")
    });
    assert!(is_conflict(&outcome), "{outcome:?}");
}

/// What says that an INSERT fails is an INSERT that skips rows; it must not fail where nothing has changed.
#[test]
fn an_insert_that_fails_in_several_ways_is_no_conflict() {
    let trigger = "CREATE TRIGGER no BEFORE INSERT ON t WHEN new.n = 13 BEGIN SELECT RAISE(ABORT, 'thirteen'); END; \
         CREATE TABLE log (n INTEGER NOT NULL); \
         CREATE TRIGGER log AFTER INSERT ON t WHEN new.n = 5 BEGIN INSERT INTO log VALUES (NULL); END";
    for mode in ["eager", "interactive"] {
        let mut db = Database::with_options(SCHEMA, &format!("transaction={mode}"));
        db.batch_execute(trigger).expect("creates");
        let mut insert = |values: &str| {
            let sql = format!("INSERT INTO t (name, n) VALUES {values}");
            let closure = |conn: &mut RqliteConnection| {
                let inner = conn.transaction(|conn| {
                    run(conn, &sql)?;
                    t::table.count().get_result::<i64>(conn)
                });
                assert!(inner.is_err());
                run(conn, "UPDATE t SET n = n + 1").map(|_| ())
            };
            let outcome = db.transaction(closure);
            match mode {
                "eager" => outcome,
                // A first run may find out that it has to ask.
                _ => outcome.or_else(|_| db.transaction(closure)),
            }
        };
        assert_eq!(insert("('one', 1), ('new', 13)"), Ok(()), "{mode}");
        assert_eq!(insert("('new', 5)"), Ok(()), "{mode}");
        assert_eq!(insert("('two', 1)"), Ok(()), "{mode}");
    }
}

/// It may have decided what the closure did next.
#[test]
fn a_count_told_in_a_part_that_is_rolled_back_must_be_right() {
    let mut db = Database::with(SCHEMA);
    let mut decide = |missing: i64| {
        db.transaction(|conn| {
            let mut counts = Vec::new();
            let inner = conn.transaction(|conn| {
                for id in [1, 2, missing] {
                    counts.push(set(conn, id, 0)?);
                }
                Err::<(), _>(Error::RollbackTransaction)
            });
            assert_eq!(inner, Err(Error::RollbackTransaction));
            diesel::insert_into(t::table)
                .values(t::n.eq(counts[2] as i64))
                .execute(conn)?;
            Ok::<_, Error>(counts)
        })
    };
    let outcome = decide(500);
    assert!(is_conflict(&outcome), "{outcome:?}");
    assert_eq!(decide(500), Ok(vec![1, 1, 0]));
    assert_eq!(decide(1), Ok(vec![1, 1, 1]));
    assert_eq!(db.count("t"), 4);
    assert_eq!(db.one("SELECT n AS value FROM t WHERE id = 1"), 1);
}

diesel::define_sql_function! {
    /// SQLite's own.
    fn last_insert_rowid() -> diesel::sql_types::BigInt;
}

/// An upsert that updates leaves the last rowid alone: it is that of another client, and another one on each node.
#[test]
fn the_rowid_behind_an_upsert_does_not_decide_about_the_commit() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let outcome = db.transaction(|conn| {
        diesel::insert_into(t::table)
            .values((t::name.eq("one"), t::n.eq(5)))
            .on_conflict(t::name)
            .do_update()
            .set(t::n.eq(6))
            .execute(conn)?;
        diesel::select(last_insert_rowid()).get_result::<i64>(conn)?;
        run(&mut other, "INSERT INTO t (id, name) VALUES (77, 'other')")
    });
    assert_eq!(outcome, Ok(1));
}

#[test]
fn numbered_placeholders_name_the_row() {
    let mut db = Database::with(SCHEMA);
    let outcome = db.transaction(|conn| {
        let update = diesel::sql_query("UPDATE t SET n = ?2 WHERE id = ?1")
            .bind::<diesel::sql_types::BigInt, _>(1)
            .bind::<diesel::sql_types::BigInt, _>(5);
        assert_eq!(update.execute(conn)?, 1);
        set(conn, 5, 0)
    });
    assert_eq!(outcome, Ok(0), "there is no row 5");
}

#[test]
fn a_lock_is_given_back_when_the_first_statement_fails() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let lock = RqliteLock::new("t")
        .lease(Duration::from_secs(86_400))
        .timeout(Duration::from_millis(1));
    for sql in [
        "SELECT * FROM nowhere",
        "SELECT abs(-9223372036854775808)",
        "UPDATE nowhere SET n = 1 WHERE n > 2",
    ] {
        let failed = db
            .build_transaction()
            .lock(&lock)
            .run(|conn| run(conn, sql));
        assert_kind!(failed, Unknown);
        let outcome = other
            .build_transaction()
            .lock(&lock)
            .run(|conn| t::table.count().get_result::<i64>(conn));
        assert_eq!(outcome, Ok(2), "{sql}");
    }
}

/// Without a rowid, equal rows must be as many as were shown.
#[test]
fn returned_rows_are_compared_as_often_as_they_are_there() {
    let mut db = Database::with(
        "CREATE TABLE kv (k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID; INSERT INTO kv VALUES ('a', 1), ('b', 1), ('c', 2)",
    );
    let mut other = db.another();
    let outcome = db.transaction(|conn| {
        let update = diesel::sql_query("UPDATE kv SET v = v + 0 RETURNING v");
        #[derive(QueryableByName)]
        struct V {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            v: i64,
        }
        let rows: Vec<V> = update.load(conn)?;
        run(&mut other, "UPDATE kv SET v = 2 WHERE k = 'b'")?;
        Ok::<_, Error>(rows.iter().map(|row| row.v).sum::<i64>())
    });
    assert!(is_conflict(&outcome), "{outcome:?}");
}
