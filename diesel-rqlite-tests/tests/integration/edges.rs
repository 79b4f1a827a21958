//! Where a transaction on the client and one on a server could part.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::RqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite::RqliteLock;
use diesel_rqlite_tests::Cluster;

use super::database::{Database, connect};
use crate::own_locks::Once;
use crate::support::assert_kind;

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
                .values(t::n.eq(i64::try_from(counts[2]).expect("a few")))
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
        let id = diesel::select(last_insert_rowid()).get_result::<i64>(conn);
        assert!(id.is_err());
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

/// A conflict is run again; that the lock is not to be had then is no conflict.
#[test]
fn a_lock_that_can_not_be_had_is_no_conflict() {
    let mut db = Database::with(SCHEMA);
    let mut other = db.another();
    let lock = Once::default();
    let outcome = db.build_transaction().lock(&lock).retries(5).run(|conn| {
        t::table.count().get_result::<i64>(conn)?;
        run(&mut other, "INSERT INTO t (n) VALUES (7)")?;
        set(conn, 1, 5)
    });
    assert_kind!(outcome, UnableToSendCommand);
    assert_eq!(lock.0.load(Ordering::SeqCst), 2, "after one conflict");
}

/// The first read on a connection of the node's pool behind a change of the schema has the old columns.
#[test]
fn columns_are_those_of_the_new_schema() {
    let mut db = Database::with("CREATE TABLE s (a, b)");
    #[derive(QueryableByName, Debug, PartialEq)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        a: i64,
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        b: i64,
    }
    for turn in 0..20 {
        let columns = ["a, b", "b, c, a", "b, a"][turn % 3];
        let script =
            format!("DROP TABLE s; CREATE TABLE s ({columns}); INSERT INTO s (a, b) VALUES (1, 2)");
        db.batch_execute(&script).expect("creates");
        let rows = db.transaction(|conn| diesel::sql_query("SELECT * FROM s").load::<Row>(conn));
        assert_eq!(rows, Ok(vec![Row { a: 1, b: 2 }]), "{columns}");
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

/// A default that is a time is another one on each node, and so is what a guard finds there.
#[test]
fn a_default_that_is_a_time_does_not_lose_the_commit() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    let follower = cluster.node((leader + 1) % 3);
    let mut conn = connect(&cluster.url(leader));
    conn.batch_execute(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY, at INTEGER NOT NULL DEFAULT (unixepoch())); CREATE TABLE behind (n)",
    )
    .expect("creates");
    #[derive(QueryableByName)]
    struct One {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        value: i64,
    }
    let one = |conn: &mut RqliteConnection, sql: &str| {
        let one = diesel::sql_query(sql).get_result::<One>(conn);
        one.unwrap_or_else(|error| panic!("{sql}: {error}")).value
    };
    follower.pause();
    let at = conn.transaction(|conn| {
        let posted = "INSERT INTO posts (id) VALUES (1) RETURNING at AS value";
        Ok::<_, Error>(one(conn, posted))
    });
    let at = at.expect("commits");
    while one(&mut conn, "SELECT unixepoch() AS value") <= at {
        std::thread::yield_now();
    }
    follower.resume();
    run(&mut conn, "INSERT INTO behind VALUES (1)").expect("inserts");
    let mut local = connect(&format!("{}?level=none", follower.url()));
    while one(&mut local, "SELECT count(*) AS value FROM behind") == 0 {
        std::thread::yield_now();
    }
    for conn in [&mut conn, &mut local] {
        assert_eq!(one(conn, "SELECT count(*) AS value FROM posts"), 1);
    }
}

/// Whether a change behind a closure's statement is noticed at the commit.
fn is_noticed(db: &mut Database, other: &mut RqliteConnection, shown: &str, change: &str) -> bool {
    let outcome = db.transaction(|conn| {
        #[derive(QueryableByName)]
        struct Any {
            #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Binary>, column_name = a)]
            _a: Option<Vec<u8>>,
        }
        diesel::sql_query(shown).load::<Any>(conn)?;
        other.batch_execute(change)?;
        run(conn, "INSERT INTO log VALUES (1)")
    });
    match &outcome {
        Ok(_) => false,
        Err(_) if is_conflict(&outcome) => true,
        Err(error) => panic!("{shown}, {change}: {error}"),
    }
}

#[test]
fn values_that_differ_are_told_apart() {
    let mut db = Database::with("CREATE TABLE v (id INTEGER PRIMARY KEY, a); CREATE TABLE log (n)");
    let mut other = db.another();
    let pairs = [
        ("1", "2", true),
        // They are shown as the same.
        ("1", "1.0", false),
        ("0.0", "-0.0", false),
        ("1", "'1'", true),
        ("1", "'i1,'", true),
        ("NULL", "''", true),
        ("NULL", "'n'", true),
        ("NULL", "0", true),
        ("''", "x''", true),
        ("'a'", "x'61'", true),
        ("'a'", "'A'", true),
        ("'a'", "'a '", true),
        ("'a'", "'a' || char(0)", true),
        ("'a' || char(0) || 'b'", "'a' || char(0) || 'c'", true),
        ("CAST(x'ff' AS TEXT)", "CAST(x'fe' AS TEXT)", true),
        ("CAST(x'ff' AS TEXT)", "char(65533)", true),
        ("CAST(x'ff' AS TEXT)", "x'ff'", true),
        ("'é'", "'e' || char(769)", true),
        ("0.1", "0.1 + 1.4e-17", true),
        ("5e-324", "1e-323", true),
        ("5e-324", "0", true),
        ("-5e-324", "5e-324", true),
        ("2.2250738585072014e-308", "2.2250738585072009e-308", true),
        ("1e300", "1e300 * (1 + 2.3e-16)", true),
        ("9e999", "-9e999", true),
        ("9e999", "1.7976931348623157e308", true),
        ("9007199254740992", "9007199254740993", true),
        ("9007199254740993", "9007199254740992.0", true),
        ("9007199254740992.0", "9007199254740994.0", true),
        ("9.3e18", "9.3e18 + 2048", true),
        ("9223372036854775807", "9223372036854775808.0", true),
        ("-9223372036854775808", "-9223372036854775807", true),
        ("-9223372036854775808", "-9.3e18", true),
    ];
    for shown in [
        "SELECT a FROM v",
        "SELECT a FROM v WHERE id = 1 ORDER BY a LIMIT 1",
        "SELECT max(a) AS a FROM v",
        "UPDATE v SET id = id RETURNING a",
    ] {
        for (before, after, differs) in pairs {
            for (before, after) in [(before, after), (after, before)] {
                db.batch_execute(&format!("REPLACE INTO v VALUES (1, {before})"))
                    .expect("sets");
                let change = format!("UPDATE v SET a = {after}");
                let noticed = is_noticed(&mut db, &mut other, shown, &change);
                assert_eq!(noticed, differs, "{shown}: {before} to {after}");
            }
        }
    }
}

#[test]
fn rows_that_differ_are_told_apart() {
    const ROWS: &str = "DROP TABLE IF EXISTS v; DROP TABLE IF EXISTS w; DROP VIEW IF EXISTS both; \
        CREATE TABLE v (id INTEGER PRIMARY KEY, a, b); CREATE TABLE w (k TEXT PRIMARY KEY, a) WITHOUT ROWID; \
        CREATE VIEW both AS SELECT v.a FROM v JOIN w ON w.a = v.b; \
        INSERT INTO v VALUES (1, 'x', 1), (2, 'y', 2), (3, 'y', 3), (4, 'z', 3); \
        INSERT INTO w VALUES ('p', 1), ('q', 1), ('r', 3)";
    let mut db = Database::with("CREATE TABLE log (n)");
    let mut other = db.another();
    let pairs = [
        // One row more or less.
        ("SELECT a FROM v", "DELETE FROM v WHERE id = 3", true),
        ("SELECT a FROM v", "INSERT INTO v VALUES (9, 'y', 0)", true),
        (
            "SELECT a FROM v WHERE b > 5",
            "INSERT INTO v VALUES (9, 'y', 9)",
            true,
        ),
        (
            "SELECT DISTINCT a FROM v",
            "DELETE FROM v WHERE id = 3",
            false,
        ),
        (
            "SELECT a FROM v UNION SELECT a FROM w",
            "DELETE FROM w WHERE k = 'q'",
            false,
        ),
        (
            "SELECT a FROM v UNION ALL SELECT a FROM w",
            "DELETE FROM w WHERE k = 'q'",
            true,
        ),
        // As many, but others.
        ("SELECT a FROM v", "UPDATE v SET a = 'x' WHERE id = 2", true),
        (
            "SELECT a FROM v",
            "UPDATE v SET a = CASE id WHEN 1 THEN 'y' ELSE 'x' END WHERE id < 3",
            false,
        ),
        (
            "SELECT a, id FROM v",
            "UPDATE v SET a = CASE id WHEN 1 THEN 'y' ELSE 'x' END WHERE id < 3",
            true,
        ),
        // Values that are put together in another way.
        (
            "SELECT a, a || a AS c FROM v WHERE id = 1",
            "UPDATE v SET a = 'xx' WHERE id = 1",
            true,
        ),
        (
            "SELECT a, b FROM v WHERE id = 1",
            "UPDATE v SET a = 1, b = 'x' WHERE id = 1",
            true,
        ),
        // Order, and what is beyond a limit.
        (
            "SELECT a FROM v ORDER BY b, id",
            "UPDATE v SET b = 9 WHERE id = 1",
            true,
        ),
        (
            "SELECT a FROM v ORDER BY b",
            "UPDATE v SET b = 2.5 WHERE id = 3",
            false,
        ),
        (
            "SELECT a FROM v ORDER BY id LIMIT 2",
            "DELETE FROM v WHERE id = 4",
            false,
        ),
        (
            "SELECT a FROM v ORDER BY id LIMIT 2",
            "INSERT INTO v VALUES (0, 'w', 0)",
            true,
        ),
        (
            "SELECT a FROM v LIMIT 2",
            "INSERT INTO v VALUES (0, 'w', 0)",
            true,
        ),
        (
            "SELECT a FROM v LIMIT 1 OFFSET 3",
            "INSERT INTO v VALUES (0, 'w', 0)",
            true,
        ),
        (
            "SELECT a FROM v LIMIT 3, 9",
            "DELETE FROM v WHERE id = 1",
            true,
        ),
        // Aggregates, joins, subqueries, views.
        (
            "SELECT count(*) AS a FROM v",
            "DELETE FROM v WHERE id = 1",
            true,
        ),
        ("SELECT count(*) AS a FROM v", "UPDATE v SET a = 1", false),
        (
            "SELECT sum(b) AS a FROM v",
            "UPDATE v SET b = b + 0.5 WHERE id = 1",
            true,
        ),
        (
            "SELECT sum(b) AS a FROM v",
            "UPDATE v SET b = 3 - b WHERE id < 3",
            false,
        ),
        (
            "SELECT a FROM v GROUP BY a HAVING count(*) > 1",
            "DELETE FROM v WHERE id = 3",
            true,
        ),
        (
            "SELECT max(b) AS a FROM v WHERE a = 'none'",
            "INSERT INTO v VALUES (9, 'none', NULL)",
            false,
        ),
        (
            "SELECT max(b) AS a FROM v WHERE a = 'none'",
            "INSERT INTO v VALUES (9, 'none', 0)",
            true,
        ),
        (
            "SELECT v.a FROM v JOIN w ON w.a = v.b",
            "DELETE FROM w WHERE k = 'q'",
            true,
        ),
        (
            "SELECT v.a FROM v JOIN w ON w.a = v.b",
            "UPDATE w SET a = 2 WHERE k = 'p'",
            true,
        ),
        (
            "SELECT a FROM both",
            "UPDATE v SET b = 7 WHERE id = 1",
            true,
        ),
        (
            "SELECT a FROM both",
            "UPDATE v SET b = 7 WHERE id = 2",
            false,
        ),
        (
            "SELECT a FROM v WHERE b IN (SELECT a FROM w)",
            "UPDATE w SET a = 2 WHERE k = 'r'",
            true,
        ),
        (
            "SELECT EXISTS (SELECT 1 FROM w WHERE a = 2) AS a",
            "UPDATE w SET a = 2 WHERE k = 'r'",
            true,
        ),
        (
            "SELECT row_number() OVER (ORDER BY b, id) AS a FROM v",
            "DELETE FROM v WHERE id = 1",
            true,
        ),
        (
            "WITH c AS (SELECT a FROM w) SELECT count(*) AS a FROM c",
            "DELETE FROM w",
            true,
        ),
        // The schema.
        (
            "SELECT name AS a FROM sqlite_master WHERE type = 'index'",
            "CREATE INDEX i ON v (a)",
            true,
        ),
        (
            "SELECT name AS a FROM pragma_table_info('v')",
            "ALTER TABLE v ADD COLUMN c",
            true,
        ),
        // Writes.
        (
            "UPDATE v SET b = b + 1 WHERE a = 'y' RETURNING a",
            "UPDATE v SET a = 'y' WHERE id = 4; DELETE FROM v WHERE id = 2",
            true,
        ),
        (
            "UPDATE v SET b = b + 1 WHERE a = 'y' RETURNING a",
            "DELETE FROM v WHERE id = 2",
            true,
        ),
        (
            "UPDATE v SET b = b + 1 RETURNING b AS a",
            "UPDATE v SET b = 2 WHERE id = 3",
            true,
        ),
        (
            "DELETE FROM w WHERE a = 1 RETURNING a",
            "UPDATE w SET k = 's' WHERE k = 'q'",
            true,
        ),
        (
            "INSERT INTO v (a) VALUES (1) RETURNING id AS a",
            "INSERT INTO v VALUES (5, 1, 1)",
            true,
        ),
        (
            "INSERT INTO v (a) SELECT a FROM w RETURNING a",
            "UPDATE w SET a = 3 WHERE k = 'p'",
            true,
        ),
        (
            "INSERT OR IGNORE INTO w VALUES ('p', 5) RETURNING a",
            "DELETE FROM w WHERE k = 'p'",
            true,
        ),
    ];
    for (shown, change, differs) in pairs {
        db.batch_execute(ROWS).expect("fills");
        let noticed = is_noticed(&mut db, &mut other, shown, change);
        assert_eq!(noticed, differs, "{shown}: {change}");
    }
}
