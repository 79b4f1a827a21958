//! Counts of rows that a transaction is told, mostly without asking a server, and the requests that this takes.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

use super::RqliteConnection;
use super::accounts::{accounts, balance, database, is_conflict, open, set_balance};
use super::database::Database;

#[test]
fn requests_are_as_few_as_can_be() {
    let mut db = database();
    let transfer = |conn: &mut RqliteConnection| {
        let (from, to) = (balance(conn, 1)?, balance(conn, 2)?);
        set_balance(conn, 1, from - 1.0)?;
        set_balance(conn, 2, to + 1.0)?;
        open(conn, 30, "log")
    };
    let (outcome, requests) = db.requests(|conn| conn.transaction(transfer));
    assert_eq!((outcome, requests), (Ok(1), 3), "two reads and the commit");
    db.batch_execute("DELETE FROM accounts WHERE id = 30")
        .expect("deletes");
    let (outcome, requests) = db.requests(|conn| conn.build_transaction().eager().run(transfer));
    assert_eq!((outcome, requests), (Ok(1), 6), "each write is looked at");
    db.batch_execute("DELETE FROM accounts WHERE id = 30")
        .expect("deletes");
    let (outcome, requests) = db.requests(|conn| conn.build_transaction().deferred().run(transfer));
    assert_eq!((outcome, requests), (Ok(1), 3));
    let (_, requests) = db.requests(|conn| conn.transaction(|conn| balance(conn, 1)));
    assert_eq!(requests, 1, "one read needs no commit");
    let (_, requests) = db.requests(|conn| {
        conn.transaction(|conn| {
            balance(conn, 1)?;
            balance(conn, 2)?;
            balance(conn, 3)
        })
    });
    assert_eq!(requests, 3, "each read confirms those before it");
}

#[test]
fn many_updates_by_key_are_few_requests() {
    let mut db = Database::with("CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER NOT NULL)");
    diesel::table! { n (id) { id -> Integer, v -> Integer, } }
    let rows: Vec<_> = (0..200).map(|id| (n::id.eq(id), n::v.eq(0))).collect();
    diesel::insert_into(n::table)
        .values(&rows)
        .execute(&mut *db)
        .expect("inserts");
    let update = |conn: &mut RqliteConnection, id: i32| {
        diesel::update(n::table.find(id))
            .set(n::v.eq(n::v + id))
            .execute(conn)
    };
    let (outcome, requests) = db.requests(|conn| {
        conn.transaction(|conn| {
            for id in 0..200 {
                assert_eq!(update(conn, id)?, 1);
            }
            Ok::<_, Error>(())
        })
    });
    assert_eq!((outcome, requests), (Ok(()), 3));
    assert_eq!(db.one("SELECT sum(v) AS value FROM n"), 199 * 100);
    // A count that was told wrongly is never committed, and not told again.
    let wrong = |conn: &mut RqliteConnection| {
        let mut counts = Vec::new();
        for id in [1, 2, 500, 3] {
            counts.push(update(conn, id)?);
        }
        Ok::<_, Error>(counts)
    };
    is_conflict(db.transaction(wrong));
    assert_eq!(db.transaction(wrong), Ok(vec![1, 1, 0, 1]));
    assert_eq!(
        db.transaction(|conn| update(conn, 500)),
        Ok(0),
        "a first count is always asked for"
    );
}

#[test]
fn counts_told_without_asking_are_right() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        balance(conn, 1)?;
        assert_eq!(set_balance(conn, 1, 1.0)?, 1);
        assert_eq!(diesel::delete(accounts::table.find(1)).execute(conn)?, 1);
        assert_eq!(set_balance(conn, 1, 2.0)?, 0, "it is gone");
        balance(conn, 2)?;
        diesel::update(accounts::table.find(2))
            .set(accounts::id.eq(20))
            .execute(conn)?;
        assert_eq!(set_balance(conn, 2, 2.0)?, 0, "it has moved");
        balance(conn, 3)?;
        diesel::delete(accounts::table).execute(conn)?;
        assert_eq!(set_balance(conn, 3, 2.0)?, 0, "all are gone");
        let inner = conn.transaction(|conn| {
            open(conn, 7, "tmp")?;
            assert_eq!(balance(conn, 7)?, 0.0);
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(inner, Err(Error::RollbackTransaction));
        assert_eq!(set_balance(conn, 7, 1.0)?, 0, "it never was there");
        Ok::<_, Error>(())
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(db.count("accounts"), 0);
}

#[test]
fn triggers_that_somebody_else_made_are_a_conflict_once() {
    let mut db = database();
    let mut other = db.another();
    other.batch_execute(
        "CREATE TRIGGER skip BEFORE INSERT ON accounts WHEN new.name = 'ghost' BEGIN SELECT RAISE(IGNORE); END",
    )
    .expect("creates");
    is_conflict(db.transaction(|conn| open(conn, 9, "ghost")));
    // What was told wrongly once is asked for from then on.
    for _ in 0..2 {
        assert_eq!(db.transaction(|conn| open(conn, 9, "ghost")), Ok(0));
    }
    assert_eq!(db.transaction(|conn| open(conn, 9, "real")), Ok(1));
}

/// Tables that skip a row without an error, each with an INSERT of two rows that writes one.
const SKIPPING: [(&str, &str); 5] = [
    (
        "CREATE TABLE s (a UNIQUE ON CONFLICT IGNORE)",
        "INSERT INTO s VALUES (1), (1)",
    ),
    (
        "CREATE TABLE s (a, UNIQUE (a) ON CONFLICT IGNORE)",
        "INSERT INTO s VALUES (1), (1)",
    ),
    (
        "CREATE TABLE s (a NOT NULL ON CONFLICT IGNORE)",
        "INSERT INTO s VALUES (1), (NULL)",
    ),
    (
        "CREATE TABLE s (a); CREATE TRIGGER g BEFORE INSERT ON s WHEN new.a > 1 BEGIN SELECT RAISE(IGNORE); END",
        "INSERT INTO s VALUES (1), (2)",
    ),
    (
        "CREATE TABLE u (a); CREATE VIEW s AS SELECT a FROM u; \
         CREATE TRIGGER g INSTEAD OF INSERT ON s WHEN new.a = 1 BEGIN INSERT INTO u VALUES (new.a); END",
        "INSERT INTO s VALUES (1), (2)",
    ),
];

#[test]
fn who_is_alone_has_no_conflict_whatever_the_schema_skips() {
    for (schema, insert) in SKIPPING {
        let run = |connection: &mut super::RqliteConnection| {
            connection.transaction(|connection| {
                diesel::sql_query(insert).execute(connection)?;
                diesel::sql_query(insert).execute(connection)
            })
        };
        let mut db = Database::new();
        let mut before = db.another();
        db.batch_execute(schema).expect(schema);
        // Who made it knows it; so does who connects after that.
        let counts = [run(&mut db), run(&mut db.another())];
        assert!(counts.iter().all(Result::is_ok), "{schema}: {counts:?}");
        // Another one's schema is news: once.
        let _ = run(&mut before);
        assert!(run(&mut before).is_ok(), "{schema}");
    }
}
