//! What a transaction means: nothing before the commit, one atomic request then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

use crate::support::{Database, assert_kind};

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

fn insert(conn: &mut diesel_rqlite::RqliteConnection, n: i32) -> QueryResult<usize> {
    diesel::insert_into(t::table)
        .values(t::n.eq(n))
        .execute(conn)
}

#[test]
fn committed_writes_are_one_request() {
    let mut db = database();
    let (outcome, requests) = db.requests(|conn| {
        conn.transaction(|conn| {
            assert_eq!(insert(conn, 1)?, 1);
            assert_eq!(insert(conn, 2)?, 1);
            diesel::update(t::table.filter(t::n.eq(1)))
                .set(t::n.eq(3))
                .execute(conn)?;
            diesel::delete(t::table.filter(t::n.eq(2))).execute(conn)?;
            Ok::<_, Error>(())
        })
    });
    assert_eq!((outcome, requests), (Ok(()), 1));
    assert_eq!(t::table.select(t::n).load::<i32>(&mut *db), Ok(vec![3]));
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
fn read_behind_a_write_is_an_error() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        insert(conn, 1)?;
        let read = t::table.select(t::n).load::<i32>(conn);
        assert!(matches!(read, Err(Error::QueryBuilderError(_))), "{read:?}");
        read
    });
    assert!(outcome.is_err());
    let outcome = db.transaction(|conn| {
        diesel::insert_into(t::table)
            .values(t::n.eq(1))
            .returning(t::id)
            .get_result::<i32>(conn)
    });
    let error = outcome.expect_err("its rows are not known");
    assert!(error.to_string().contains("RETURNING"), "{error}");
    assert_eq!(db.count("t"), 0);
}

#[test]
fn test_transaction_leaves_nothing() {
    let mut db = database();
    db.test_transaction(|conn| insert(conn, 1));
    db.begin_test_transaction().expect("begins");
    insert(&mut db, 2).expect("pends");
    let mut other = db.another();
    assert_eq!(t::table.count().get_result(&mut other), Ok(0_i64));
    // As in any transaction, for now.
    let read = t::table.count().get_result::<i64>(&mut *db);
    assert!(matches!(read, Err(Error::QueryBuilderError(_))), "{read:?}");
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
fn transaction_control_as_sql_is_refused() {
    let mut db = database();
    for sql in ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "-- x\nEND"] {
        let outcome = db.batch_execute(sql);
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{sql}: {outcome:?}"
        );
        let outcome = diesel::sql_query(sql).execute(&mut *db);
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{sql}: {outcome:?}"
        );
    }
    assert_eq!(insert(&mut db, 1), Ok(1));
}

#[test]
fn pooled_connections_commit_and_roll_back() {
    let db = database();
    let manager =
        diesel::r2d2::ConnectionManager::<diesel_rqlite::RqliteConnection>::new(db.node.url());
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
