//! What a transaction means, whatever its mode: all of it or nothing, nested ones, panics, pools.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

use super::database::Database;
use crate::support::assert_kind;

diesel::table! {
    t (id) {
        id -> Integer,
        n -> Integer,
    }
}

fn database() -> Database {
    Database::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL UNIQUE CHECK (n < 100))",
    )
}

fn insert(conn: &mut super::RqliteConnection, n: i32) -> QueryResult<usize> {
    diesel::insert_into(t::table)
        .values(t::n.eq(n))
        .execute(conn)
}

const MODES: [&str; 3] = ["interactive", "eager", "deferred"];

#[test]
fn committed_writes_are_there() {
    for mode in MODES {
        let mut db = database();
        let mut conn = db.another_with(&format!("transaction={mode}"));
        let outcome = conn.transaction(|conn| {
            assert_eq!(insert(conn, 1)?, 1);
            assert_eq!(insert(conn, 2)?, 1);
            let updated = diesel::update(t::table.filter(t::n.eq(1)))
                .set(t::n.eq(3))
                .execute(conn)?;
            let deleted = diesel::delete(t::table.filter(t::n.eq(2))).execute(conn)?;
            assert_eq!(
                (updated, deleted),
                if mode == "deferred" { (0, 0) } else { (1, 1) }
            );
            Ok::<_, Error>(())
        });
        assert_eq!(outcome, Ok(()), "{mode}");
        assert_eq!(
            t::table.select(t::n).load::<i32>(&mut *db),
            Ok(vec![3]),
            "{mode}"
        );
    }
}

#[test]
fn rolled_back_insert_is_not_there() {
    let mut db = database();
    let (outcome, requests) = db.requests(|conn| {
        conn.transaction(|conn| {
            insert(conn, 1)?;
            Err::<(), _>(Error::RollbackTransaction)
        })
    });
    assert_eq!((outcome, requests), (Err(Error::RollbackTransaction), 0));
    assert_eq!(db.count("t"), 0);
}

#[test]
fn empty_transaction_sends_nothing() {
    let mut db = database();
    let (_, requests) = db.requests(|conn| conn.transaction(|_| Ok::<_, Error>(())));
    assert_eq!(requests, 0);
}

#[test]
fn inner_rollback_keeps_the_outer_writes() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        insert(conn, 1)?;
        let inner = conn.transaction(|conn| {
            insert(conn, 2)?;
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(inner, Err(Error::RollbackTransaction));
        conn.transaction(|conn| insert(conn, 3))?;
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        t::table.order(t::n).select(t::n).load::<i32>(&mut *db),
        Ok(vec![1, 3])
    );
}

#[test]
fn panic_in_the_closure_sends_nothing_and_closes_the_transaction() {
    let mut db = database();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _ = db.transaction(|conn| {
            insert(conn, 1)?;
            conn.transaction::<(), Error, _>(|conn| {
                insert(conn, 2)?;
                panic!("on purpose")
            })
        });
    }));
    assert!(panicked.is_err());
    assert_eq!(db.count("t"), 0);
    assert_eq!(insert(&mut db, 3), Ok(1));
    assert_eq!(
        db.count("t"),
        1,
        "the next write is no part of a transaction"
    );
}

#[test]
fn constraint_error_at_commit_applies_nothing() {
    let mut db = database();
    insert(&mut db, 1).expect("inserts");
    for place in 0..3 {
        let outcome = db.transaction(|conn| {
            for n in 0..3 {
                insert(conn, if n == place { 1 } else { 10 + n })?;
            }
            Ok::<_, Error>(())
        });
        let information = assert_kind!(outcome, UniqueViolation);
        assert_eq!(information.table_name(), Some("t"));
        assert_eq!(
            information.details(),
            Some(format!("statement {} of 3", place + 1)).as_deref()
        );
        assert_eq!(db.count("t"), 1);
    }
    assert_eq!(insert(&mut db, 2), Ok(1), "the connection goes on");
}

#[test]
fn statement_that_does_not_prepare_applies_nothing() {
    let mut db = database();
    for place in 0..3 {
        let outcome = db.transaction(|conn| {
            for n in 0..3 {
                if n == place {
                    diesel::sql_query("INSERT INTO nowhere VALUES (1)").execute(conn)?;
                } else {
                    insert(conn, n)?;
                }
            }
            Ok::<_, Error>(())
        });
        let information = assert_kind!(outcome, Unknown);
        assert_eq!(information.message(), "no such table: nowhere");
        assert_eq!(db.count("t"), 0);
    }
}

#[test]
fn read_before_a_write_sees_committed_data() {
    let mut db = database();
    insert(&mut db, 1).expect("inserts");
    let outcome = db.transaction(|conn| {
        let before: Vec<i32> = t::table.select(t::n).load(conn)?;
        insert(conn, before[0] + 1)?;
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(db.count("t"), 2);
}

#[test]
fn deferred_transactions_send_one_request_and_see_what_is_committed() {
    let mut db = Database::with_options(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL UNIQUE CHECK (n < 100))",
        "transaction=deferred",
    );
    let (outcome, requests) = db.requests(|conn| {
        conn.transaction(|conn| {
            insert(conn, 1)?;
            diesel::update(t::table.filter(t::n.eq(1)))
                .set(t::n.eq(3))
                .execute(conn)?;
            diesel::delete(t::table.filter(t::n.eq(2))).execute(conn)?;
            Ok::<_, Error>(())
        })
    });
    assert_eq!((outcome, requests), (Ok(()), 1));
    let outcome = db.transaction(|conn| {
        insert(conn, 4)?;
        let seen: Vec<i32> = t::table.select(t::n).load(conn)?;
        assert_eq!(seen, [3], "its own write is not there yet");
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()));
    let outcome = db.transaction(|conn| {
        diesel::insert_into(t::table)
            .values(t::n.eq(1))
            .returning(t::id)
            .get_result::<i32>(conn)
    });
    let error = outcome.expect_err("its rows are not known");
    assert!(error.to_string().contains("Interactive"), "{error}");
    assert_eq!(db.count("t"), 2);
}

#[test]
fn test_transaction_leaves_nothing() {
    let mut db = database();
    db.test_transaction(|conn| insert(conn, 1));
    db.begin_test_transaction().expect("begins");
    insert(&mut db, 2).expect("pends");
    let mut other = db.another();
    assert_eq!(t::table.count().get_result(&mut other), Ok(0_i64));
    assert_eq!(t::table.count().get_result(&mut *db), Ok(1_i64));
    let nested = db.transaction(|conn| {
        insert(conn, 3)?;
        t::table.count().get_result::<i64>(conn)
    });
    assert_eq!(nested, Ok(2));
    assert_eq!(t::table.count().get_result(&mut other), Ok(0_i64));
}

#[test]
fn errors_of_a_test_transaction_are_seen() {
    let mut db = database();
    db.begin_test_transaction().expect("begins");
    assert_eq!(insert(&mut db, 1), Ok(1));
    let doubled = insert(&mut db, 1);
    assert_kind!(doubled, UniqueViolation);
    // As on SQLite, the error ends its statement only.
    assert_eq!(insert(&mut db, 2), Ok(1));
    let wrong = diesel::sql_query("INSERT INTO nowhere VALUES (1)").execute(&mut *db);
    assert_kind!(wrong, Unknown);
    assert_eq!(t::table.count().get_result(&mut *db), Ok(2));
    let mut other = db.another();
    assert_eq!(t::table.count().get_result(&mut other), Ok(0));
    assert_eq!(
        db.begin_test_transaction(),
        Err(Error::AlreadyInTransaction)
    );
}

#[test]
fn a_nested_transaction_ends_with_its_errors() {
    for mode in MODES {
        let mut db = database();
        let mut conn = db.another_with(&format!("transaction={mode}"));
        let outcome = conn.transaction(|conn| {
            insert(conn, 1)?;
            let doubled = conn.transaction(|conn| insert(conn, 1));
            assert_kind!(doubled, UniqueViolation);
            let wrong = conn.transaction(|conn| {
                diesel::sql_query("INSERT INTO nowhere VALUES (1)").execute(conn)
            });
            assert_kind!(wrong, Unknown);
            conn.transaction(|conn| insert(conn, 2))
        });
        assert_eq!(outcome, Ok(1), "{mode}");
        let stored = t::table.order(t::n).select(t::n).load::<i32>(&mut *db);
        assert_eq!(stored, Ok(vec![1, 2]), "{mode}");
    }
}

#[test]
fn generated_id_of_a_pending_insert_can_be_used_in_sql() {
    diesel::define_sql_function! {
        /// SQLite's own.
        fn last_insert_rowid() -> diesel::sql_types::Integer;
    }
    diesel::table! { child (id) { id -> Integer, parent -> Integer, } }
    let mut db = database();
    db.batch_execute("CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL)")
        .expect("creates");
    insert(&mut db, 50).expect("inserts");
    let outcome = db.transaction(|conn| {
        insert(conn, 7)?;
        diesel::insert_into(child::table)
            .values(child::parent.eq(last_insert_rowid()))
            .execute(conn)?;
        let parent = t::table
            .filter(t::n.eq(7))
            .select(t::id)
            .single_value()
            .assume_not_null();
        diesel::insert_into(child::table)
            .values(child::parent.eq(parent))
            .execute(conn)?;
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()));
    let parents = child::table.select(child::parent).load::<i32>(&mut *db);
    assert_eq!(parents, Ok(vec![2, 2]));
}

#[test]
fn transaction_control_as_sql_is_done_by_the_client() {
    let mut db = database();
    let mut other = db.another();
    let committed = |other: &mut super::RqliteConnection| {
        t::table
            .order(t::n)
            .select(t::n)
            .load::<i32>(other)
            .expect("reads")
    };
    db.batch_execute("BEGIN IMMEDIATE").expect("begins");
    insert(&mut db, 1).expect("inserts");
    assert!(committed(&mut other).is_empty());
    diesel::sql_query("COMMIT")
        .execute(&mut *db)
        .expect("commits");
    assert_eq!(committed(&mut other), [1]);

    let script = "-- COMMIT;\nBEGIN; INSERT INTO t (n) VALUES (2); SAVEPOINT a; INSERT INTO t (n) VALUES (3); \
                  SAVEPOINT b; INSERT INTO t (n) VALUES (4); ROLLBACK TO a; INSERT INTO t (n) VALUES (5); RELEASE a; END";
    db.batch_execute(script).expect("runs");
    assert_eq!(committed(&mut other), [1, 2, 5]);

    db.batch_execute("SAVEPOINT outer; INSERT INTO t (n) VALUES (6)")
        .expect("runs");
    assert_eq!(committed(&mut other), [1, 2, 5]);
    db.batch_execute("RELEASE outer").expect("commits");
    assert_eq!(committed(&mut other), [1, 2, 5, 6]);

    db.batch_execute("BEGIN; DELETE FROM t; ROLLBACK")
        .expect("runs");
    assert_eq!(committed(&mut other), [1, 2, 5, 6]);
}

#[test]
fn transaction_control_out_of_place_is_an_error() {
    let mut db = database();
    for (sql, message) in [
        ("COMMIT", "cannot commit - no transaction is active"),
        (
            "/**/ ROLLBACK",
            "cannot rollback - no transaction is active",
        ),
        ("RELEASE a", "no such savepoint: a"),
        ("ROLLBACK TO a", "no such savepoint: a"),
        (
            "BEGIN; BEGIN",
            "cannot start a transaction within a transaction",
        ),
    ] {
        let information = assert_kind!(db.batch_execute(sql), Unknown);
        assert_eq!(information.message(), message, "{sql}");
    }
    db.batch_execute("ROLLBACK")
        .expect("the first BEGIN is still open");
    for sql in ["BEGIN CONCURRENT", "COMMIT AND CHAIN"] {
        let outcome = db.batch_execute(sql);
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{sql}: {outcome:?}"
        );
    }
    let nested = db.transaction(|conn| conn.batch_execute("BEGIN"));
    assert_kind!(nested, Unknown);
    assert_eq!(insert(&mut db, 1), Ok(1));
    assert_eq!(db.count("t"), 1, "it was committed by itself");
}

#[test]
fn immediate_transactions_are_not_nested() {
    let mut db = database();
    let outcome = db.immediate_transaction(|conn| {
        insert(conn, 1)?;
        let inner = conn.exclusive_transaction(|conn| insert(conn, 2));
        assert_eq!(inner, Err(Error::AlreadyInTransaction));
        let built = conn.build_transaction().run(|conn| insert(conn, 2));
        assert_eq!(built, Err(Error::AlreadyInTransaction));
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(db.count("t"), 1);
}

#[test]
fn pooled_connections_commit_and_roll_back() {
    let db = database();
    let manager = diesel::r2d2::ConnectionManager::<super::RqliteConnection>::new(db.node.url());
    let pool = diesel::r2d2::Pool::builder()
        .max_size(1)
        .test_on_check_out(true)
        .build(manager)
        .expect("builds");
    let mut conn = pool.get().expect("a connection");
    let committed = conn.transaction(|conn| {
        diesel::insert_into(t::table)
            .values(t::n.eq(1))
            .execute(conn)?;
        Ok::<_, Error>(())
    });
    assert_eq!(committed, Ok(()));
    let _ = conn.transaction(|conn| {
        diesel::insert_into(t::table)
            .values(t::n.eq(2))
            .execute(conn)?;
        Err::<(), _>(Error::RollbackTransaction)
    });
    // What has just answered is not asked whether it is there.
    let requests = conn.http_requests();
    drop(conn);
    let conn = pool.get().expect("a connection");
    assert_eq!(conn.http_requests(), requests);
    drop(conn);
    // A panic leaves the pool with a broken connection, which it must not hand out again.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut conn = pool.get().expect("a connection");
        let _ = conn.transaction(|conn| {
            diesel::insert_into(t::table)
                .values(t::n.eq(3))
                .execute(conn)?;
            if true {
                panic!("on purpose");
            }
            Ok::<_, Error>(())
        });
    }));
    assert!(panicked.is_err());
    let mut conn = pool.get().expect("a connection");
    assert_eq!(t::table.select(t::n).load::<i32>(&mut conn), Ok(vec![1]));
}

#[test]
fn or_fail_keeps_nothing_in_a_transaction() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        diesel::sql_query("INSERT OR FAIL INTO t (n) VALUES (1), (2), (1)").execute(conn)
    });
    assert_kind!(outcome, UniqueViolation);
    assert_eq!(db.count("t"), 0);
}
