//! Who lost a lock and does not know is kept out by the database.

use std::time::Duration;

use super::RqliteConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel_rqlite::RqliteLock;

use super::database::Database;
use crate::own_locks::Numbered;
use crate::support::assert_kind;

diesel::table! { t (id) { id -> Integer, n -> Integer, } }

const SCHEMA: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO t VALUES (1, 0)";

/// Not serializable by itself in the mode Deferred.
fn increment(conn: &mut RqliteConnection) -> QueryResult<usize> {
    let n: i32 = t::table.find(1).select(t::n).first(conn)?;
    diesel::update(t::table.find(1))
        .set(t::n.eq(n + 1))
        .execute(conn)
}

fn value(db: &mut Database) -> i64 {
    db.one("SELECT n AS value FROM t")
}

#[test]
fn locks_elsewhere_are_fenced_in_the_database() {
    let mut db = Database::with(SCHEMA);
    let lock = |number, owner| Numbered {
        number,
        owner,
        lost: false,
    };
    let mut run = |lock: &Numbered| db.build_transaction().deferred().lock(lock).run(increment);
    assert_eq!(run(&lock(5, "a")), Ok(0));
    assert_eq!(run(&lock(5, "a")), Ok(0), "the same acquisition again");
    assert_eq!(run(&lock(6, "b")), Ok(0));
    for late in [lock(5, "a"), lock(6, "c"), lock(-1, "z")] {
        let information = assert_kind!(run(&late), SerializationFailure);
        assert!(
            information.message().contains("lock `elsewhere`"),
            "{}",
            information.message()
        );
    }
    let lost = Numbered {
        lost: true,
        ..lock(7, "d")
    };
    let information = assert_kind!(run(&lost), SerializationFailure);
    assert!(information.message().contains("its lease ended"));
    assert_eq!(value(&mut db), 3);
}

/// Two believe to hold a lock elsewhere, as after a fail-over of its server. What the later one has read may not be
/// changed by the earlier one, however late the later one commits.
#[test]
fn who_lost_a_lock_elsewhere_is_kept_out_once_another_reads_under_it() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let lock = |number, owner| Numbered {
        number,
        owner,
        lost: false,
    };
    let mut earlier = None;
    let later = db
        .build_transaction()
        .deferred()
        .lock(&lock(6, "b"))
        .run(|conn| {
            let outcome = other
                .build_transaction()
                .deferred()
                .lock(&lock(5, "a"))
                .run(|other| {
                    increment(other)?;
                    increment(conn)
                });
            earlier = Some(outcome);
            Ok::<_, Error>(())
        });
    assert_eq!(later, Ok(()));
    assert_kind!(earlier.expect("has run"), SerializationFailure);
    assert_eq!(value(&mut db), 1);
    // A read says so, too.
    let read = db
        .build_transaction()
        .deferred()
        .lock(&lock(5, "a"))
        .run(|conn| {
            let read = t::table.count().get_result::<i64>(conn);
            assert_kind!(read, SerializationFailure);
            Ok::<_, Error>(())
        });
    assert_kind!(read, SerializationFailure);
}

/// Nothing is written, so no commit says that the lock was lost between two reads.
#[test]
fn a_deferred_transaction_that_only_reads_says_that_its_lock_was_lost() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let lock = RqliteLock::new("t").lease(Duration::from_secs(600));
    let read = |conn: &mut RqliteConnection| t::table.count().get_result::<i64>(conn);
    let builder = db.build_transaction().deferred().lock(&lock);
    let outcome = builder.run(|conn| {
        read(conn)?;
        // As if the lease had ended.
        diesel::sql_query("UPDATE __diesel_rqlite_locks SET fence = fence + 1, owner = 'other'")
            .execute(&mut other)?;
        read(conn)
    });
    assert_kind!(outcome, SerializationFailure);
    let lock = |number, owner| Numbered {
        number,
        owner,
        lost: false,
    };
    let builder = db.build_transaction().deferred();
    let outcome = builder.lock(&lock(5, "a")).run(|conn| {
        read(conn)?;
        let builder = other.build_transaction().deferred();
        builder.lock(&lock(6, "b")).run(increment)?;
        read(conn)
    });
    assert_kind!(outcome, SerializationFailure);
    let builder = db.build_transaction().deferred();
    assert_eq!(builder.lock(&lock(6, "b")).run(read), Ok(1));
    let free = RqliteLock::new("free");
    let builder = db.build_transaction().deferred();
    assert_eq!(builder.lock(&free).run(read), Ok(1));
}
