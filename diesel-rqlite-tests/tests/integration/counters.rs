//! What a connection did last is what this one did, not what the node's connection did for anybody.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;
use diesel_rqlite_tests::Rqlited;

use super::RqliteConnection;
use super::database::{Database, connect, one};
use crate::proxy::{Fate, Proxy};
use crate::support::database_error;

const SCHEMA: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT UNIQUE);
    CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER);
    CREATE TABLE w (a TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE VIEW v AS SELECT a FROM p;
    CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN INSERT INTO p (a) VALUES (new.a); END;
    INSERT INTO c VALUES (500, 500);";

const ROWID: &str = "SELECT last_insert_rowid() AS value";
const CHANGES: &str = "SELECT changes() AS value";

fn run(connection: &mut RqliteConnection, sql: &str) -> usize {
    diesel::sql_query(sql).execute(connection).expect(sql)
}

/// Neither is a number.
fn is_unknown(connection: &mut RqliteConnection, sql: &str) {
    let outcome = diesel::sql_query(sql).execute(connection);
    let said = format!("{:?}", outcome.expect_err(sql));
    assert!(
        said.contains("() is about what a connection"),
        "{sql}: {said}"
    );
}

/// Somebody else writes on the same node.
fn disturb(db: &Database) {
    let mut other = db.another();
    run(
        &mut other,
        "INSERT INTO c (id, p_id) VALUES ((SELECT max(id) + 100 FROM c), 1), ((SELECT max(id) + 101 FROM c), 1)",
    );
}

fn database() -> Database {
    let db = Database::with(SCHEMA);
    disturb(&db);
    db
}

#[test]
fn they_are_those_of_this_connection_in_reads_and_writes() {
    let db = database();
    let mut conn = db.another();
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (0, 0));
    run(
        &mut conn,
        "INSERT INTO p (id, a) VALUES (41, 'x'), (42, 'y')",
    );
    disturb(&db);
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (42, 2));
    run(
        &mut conn,
        "INSERT INTO c (id, p_id) VALUES (7, last_insert_rowid())",
    );
    disturb(&db);
    assert_eq!(
        one(&mut conn, "SELECT p_id AS value FROM c WHERE id = 7"),
        42
    );
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (7, 1));
    run(&mut conn, "UPDATE p SET a = a || 'z' WHERE id > 1");
    run(&mut conn, "CREATE TABLE made (a)");
    disturb(&db);
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (7, 2));
    run(&mut conn, "DELETE FROM p WHERE id = 0");
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (7, 0));
    // An INSERT that writes no row leaves the id alone, and so does one that fails.
    run(&mut conn, "INSERT OR IGNORE INTO p (id) VALUES (42)");
    assert!(
        diesel::sql_query("INSERT INTO p (id) VALUES (42)")
            .execute(&mut conn)
            .is_err()
    );
    disturb(&db);
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (7, 0));
    run(
        &mut conn,
        "INSERT OR REPLACE INTO p (id, a) VALUES (43, 'q')",
    );
    assert_eq!(
        one(
            &mut conn,
            "SELECT 1000 + last_insert_rowid() AS value FROM c LIMIT 1"
        ),
        1043
    );
    conn.batch_execute("INSERT INTO p (id) VALUES (61); INSERT INTO c (id, p_id) VALUES (62, last_insert_rowid()); \
                        INSERT INTO c (id, p_id) VALUES (63, changes());")
        .expect("runs");
    assert_eq!(
        one(&mut conn, "SELECT p_id AS value FROM c WHERE id = 62"),
        61
    );
    assert_eq!(
        one(&mut conn, "SELECT p_id AS value FROM c WHERE id = 63"),
        1
    );
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (63, 1));
    // In a script behind what inserts nothing.
    conn.batch_execute("UPDATE p SET a = NULL WHERE id = 61; INSERT INTO c (id, p_id) VALUES (64, last_insert_rowid());")
        .expect("runs");
    assert_eq!(
        one(&mut conn, "SELECT p_id AS value FROM c WHERE id = 64"),
        63
    );
}

diesel::define_sql_function! {
    /// SQLite's own.
    fn last_insert_rowid() -> diesel::sql_types::BigInt;
}

diesel::table! {
    p (id) { id -> BigInt, a -> Nullable<Text>, }
}

#[test]
fn they_are_asked_for_in_the_query_builder() {
    let db = database();
    let mut conn = db.another();
    diesel::insert_into(p::table)
        .values(&[
            (p::id.eq(8), p::a.eq(Some("b"))),
            (p::id.eq(9), p::a.eq(None)),
        ])
        .execute(&mut conn)
        .expect("inserts");
    disturb(&db);
    let id = diesel::select(last_insert_rowid()).get_result::<i64>(&mut conn);
    assert_eq!(id, Ok(9));
    let found = p::table.filter(p::id.eq(last_insert_rowid())).select(p::a);
    assert_eq!(found.first::<Option<String>>(&mut conn), Ok(None));
    let updated =
        diesel::update(p::table.filter(p::id.eq(last_insert_rowid()))).set(p::a.eq("new"));
    assert_eq!(updated.execute(&mut conn), Ok(1));
    let returned = diesel::insert_into(p::table)
        .values(p::id.eq(diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "100 + last_insert_rowid()",
        )))
        .returning(p::id)
        .get_result::<i64>(&mut conn);
    assert_eq!(returned, Ok(109));
    let id = diesel::select(last_insert_rowid()).get_result::<i64>(&mut conn);
    assert!(id.is_err());
    #[derive(QueryableByName)]
    struct Named {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        #[diesel(column_name = "changes()")]
        changes: i64,
    }
    let named = diesel::sql_query("SELECT changes()").get_result::<Named>(&mut conn);
    assert_eq!(named.map(|named| named.changes), Ok(1));
}

#[test]
fn what_is_not_known_is_an_error_and_no_number() {
    for (sql, changes) in [
        ("INSERT INTO p (a) VALUES ('r') RETURNING id", Some(1)),
        (
            "INSERT INTO p (id, a) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET a = 'y'",
            Some(1),
        ),
    ] {
        let db = database();
        let mut conn = db.another();
        run(&mut conn, "INSERT INTO p (id, a) VALUES (1, 'one')");
        if sql.ends_with("RETURNING id") {
            diesel::sql_query(sql.replace("RETURNING id", "RETURNING id AS value"))
                .get_results::<Value>(&mut conn)
                .expect(sql);
        } else {
            run(&mut conn, sql);
        }
        disturb(&db);
        is_unknown(&mut conn, ROWID);
        is_unknown(
            &mut conn,
            "INSERT INTO c (p_id) VALUES (last_insert_rowid())",
        );
        assert_eq!(Some(one(&mut conn, CHANGES)), changes);
        is_unknown(&mut conn, "SELECT total_changes() AS value");
    }
    let db = database();
    let mut conn = db.another();
    run(&mut conn, "INSERT INTO p (id, a) VALUES (1, 'one')");
    // No rowid: the server goes on to tell somebody else's.
    run(&mut conn, "INSERT INTO w (a) VALUES ('w')");
    disturb(&db);
    let (_, information) = database_error(diesel::sql_query(ROWID).execute(&mut conn));
    assert!(
        information
            .message()
            .contains("() is about what a connection")
    );
    let stored =
        diesel::sql_query("INSERT INTO c (p_id) VALUES (last_insert_rowid())").execute(&mut conn);
    assert!(stored.is_err());
    let inside = conn.transaction(|conn| {
        run(conn, "INSERT INTO w (a) VALUES ('inside')");
        diesel::sql_query(ROWID).execute(conn)
    });
    assert!(inside.is_err());
    run(&mut conn, "INSERT INTO v (a) VALUES ('by a trigger')");
    let read = diesel::sql_query(ROWID).execute(&mut conn);
    assert!(read.is_err());
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    #[allow(dead_code)]
    value: i64,
}

#[test]
fn transactions_know_them_before_in_and_behind() {
    let db = database();
    let mut conn = db.another();
    run(&mut conn, "INSERT INTO p (id) VALUES (5)");
    let outcome = conn.transaction(|conn| {
        disturb(&db);
        // Of what was before.
        assert_eq!((one(conn, ROWID), one(conn, CHANGES)), (5, 1));
        run(conn, "UPDATE p SET a = 'x'");
        assert_eq!(one(conn, ROWID), 5);
        run(
            conn,
            "INSERT INTO c (id, p_id) VALUES (71, last_insert_rowid())",
        );
        assert_eq!((one(conn, ROWID), one(conn, CHANGES)), (71, 1));
        run(
            conn,
            "INSERT INTO c (id, p_id) VALUES (72, last_insert_rowid())",
        );
        QueryResult::Ok(())
    });
    assert_eq!(outcome, Ok(()));
    disturb(&db);
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (72, 1));
    assert_eq!(
        one(&mut conn, "SELECT p_id AS value FROM c WHERE id = 71"),
        5
    );
    assert_eq!(
        one(&mut conn, "SELECT p_id AS value FROM c WHERE id = 72"),
        71
    );
    // SQLite counts what was rolled back, which no server has seen.
    let inner = |conn: &mut RqliteConnection| {
        conn.transaction(|conn| {
            run(conn, "INSERT INTO p (id) VALUES (91)");
            QueryResult::<()>::Err(diesel::result::Error::RollbackTransaction)
        })
    };
    let outcome = conn.transaction(|conn| {
        run(conn, "INSERT INTO p (id) VALUES (81)");
        inner(conn).expect_err("rolls back");
        is_unknown(conn, ROWID);
        run(conn, "INSERT INTO p (id) VALUES (82)");
        assert_eq!(one(conn, ROWID), 82);
        inner(conn).expect_err("rolls back");
        QueryResult::Ok(())
    });
    assert_eq!(outcome, Ok(()));
    is_unknown(&mut conn, ROWID);
    run(&mut conn, "INSERT INTO p (id) VALUES (83)");
    inner(&mut conn).expect_err("rolls back");
    is_unknown(&mut conn, ROWID);
}

/// The write was applied, but its answer was lost.
#[test]
fn they_are_unknown_after_a_lost_answer() {
    let node = Rqlited::builder().foreign_keys().start();
    let proxy = Proxy::start(node.address(), |_, text| {
        match text.contains("\"lost\"") || text.contains("'lost'") {
            true => Fate::Lose,
            false => Fate::Pass,
        }
    });
    let mut conn = connect(&format!(
        "{}?discovery=false&leader_timeout=500ms",
        proxy.url()
    ));
    conn.batch_execute(SCHEMA).expect("creates");
    for setting in ["ON", "OFF"] {
        run(&mut conn, &format!("PRAGMA foreign_keys = {setting}"));
        run(&mut conn, "INSERT INTO p (a) VALUES (NULL)");
        assert!(one(&mut conn, ROWID) > 0, "{setting}");
        let lost =
            diesel::sql_query("INSERT INTO w (a) SELECT 'lost' WHERE NOT EXISTS (SELECT 1 FROM w)");
        assert!(lost.execute(&mut conn).is_err(), "{setting}");
        is_unknown(&mut conn, ROWID);
        is_unknown(&mut conn, CHANGES);
    }
}

/// A deferred foreign key fails at the commit: the server has answered, and nothing was applied.
#[test]
fn they_stay_known_after_a_refused_commit() {
    let node = Rqlited::builder().foreign_keys().start();
    let mut conn = connect(&node.url());
    conn.batch_execute(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE d (p_id INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    )
    .expect("creates");
    run(&mut conn, "INSERT INTO p (id) VALUES (7)");
    let refused =
        conn.batch_execute("INSERT INTO d (p_id) VALUES (8); INSERT INTO d (p_id) VALUES (9)");
    let (kind, _) = database_error(refused);
    assert!(matches!(kind, DatabaseErrorKind::ForeignKeyViolation));
    assert_eq!((one(&mut conn, ROWID), one(&mut conn, CHANGES)), (7, 1));
}
