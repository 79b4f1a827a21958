//! The table in `error.rs`, row by row.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{ConnectionError, Error};
use diesel_rqlite::{ReadConsistency, RqliteConfig};
use diesel_rqlite_tests::{Rqlited, User};

use super::database::{Database, connect};
use crate::proxy::{Fate, Proxy};
use crate::support::assert_kind;

const SCHEMA: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE e (id INTEGER PRIMARY KEY, u TEXT UNIQUE, nn TEXT NOT NULL, ck INTEGER CONSTRAINT positive CHECK (ck > 0),
        parent INTEGER REFERENCES parent (id), later INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO e (id, u, nn) VALUES (1, 'u', 'n');";

fn database() -> Database {
    let mut db = Database::on(Rqlited::builder().foreign_keys());
    db.batch_execute(SCHEMA).expect("creates");
    db
}

#[test]
fn constraint_violations_say_which() {
    let mut db = database();
    let mut run = |sql: &str| diesel::sql_query(sql).execute(&mut *db);

    let unique = assert_kind!(
        run("INSERT INTO e (u, nn) VALUES ('u', 'n')"),
        UniqueViolation
    );
    assert_eq!(unique.message(), "UNIQUE constraint failed: e.u");
    assert_eq!(
        (unique.table_name(), unique.column_name()),
        (Some("e"), Some("u"))
    );

    let null = assert_kind!(run("INSERT INTO e (u) VALUES ('v')"), NotNullViolation);
    assert_eq!(
        (null.table_name(), null.column_name()),
        (Some("e"), Some("nn"))
    );

    let check = assert_kind!(
        run("INSERT INTO e (nn, ck) VALUES ('n', 0)"),
        CheckViolation
    );
    assert_eq!(check.constraint_name(), Some("positive"));

    assert_kind!(
        run("INSERT INTO e (nn, parent) VALUES ('n', 9)"),
        ForeignKeyViolation
    );
    assert_kind!(
        run("INSERT INTO e (nn, later) VALUES ('n', 9)"),
        ForeignKeyViolation
    );
    assert_kind!(
        run("INSERT INTO e (nn, ck) VALUES ('n', 0) RETURNING id"),
        CheckViolation
    );
    assert_eq!(db.count("e"), 1);
}

#[test]
fn deferred_foreign_key_fails_the_commit() {
    let mut db = database();
    let outcome = db.transaction(|conn| {
        diesel::sql_query("INSERT INTO e (nn, later) VALUES ('n', 9)").execute(conn)?;
        diesel::sql_query("INSERT INTO parent VALUES (8)").execute(conn)?;
        Ok::<_, Error>(())
    });
    assert_kind!(outcome, ForeignKeyViolation);
    assert_eq!((db.count("e"), db.count("parent")), (1, 0));
}

#[test]
fn other_errors_of_sqlite_keep_their_message() {
    let mut db = database();
    for (sql, wanted) in [
        ("INSERT INTO nope VALUES (1)", "no such table: nope"),
        ("UPDATE e SET nope = 1", "no such column: nope"),
        ("SELEC 1", "near \"SELEC\": syntax error"),
        ("UPDATE e SET nn = nope(1)", "no such function: nope"),
    ] {
        let information = assert_kind!(diesel::sql_query(sql).execute(&mut *db), Unknown);
        assert_eq!(information.message(), wanted);
    }
    diesel::table! { nope (id) { id -> Integer, } }
    let information = assert_kind!(nope::table.select(nope::id).load::<i32>(&mut *db), Unknown);
    assert_eq!(information.message(), "no such table: nope");
}

#[test]
fn missing_row_is_not_found() {
    diesel::table! { parent (id) { id -> Integer, } }
    let mut db = database();
    assert_eq!(
        parent::table.select(parent::id).first::<i32>(&mut *db),
        Err(Error::NotFound)
    );
    assert_eq!(
        parent::table
            .select(parent::id)
            .first::<i32>(&mut *db)
            .optional(),
        Ok(None)
    );
}

#[test]
fn refused_connection() {
    let port = TcpListener::bind(("127.0.0.1", 0))
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port();
    let began = Instant::now();
    let outcome = super::RqliteConnection::establish(&format!("rqlite://127.0.0.1:{port}"));
    let Err(ConnectionError::BadConnection(message)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
    // It does not wait for a leader, which would be 10 s.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "it does not wait for what is not there"
    );

    let mut db = database();
    db.node.kill();
    let outcome = diesel::sql_query("INSERT INTO parent VALUES (1)").execute(&mut *db);
    // The first may find the old connection closed under it, when it can't know more.
    let (kind, _) = crate::support::database_error(outcome);
    use diesel::result::DatabaseErrorKind::{ClosedConnection, UnableToSendCommand};
    assert!(
        matches!(kind, ClosedConnection | UnableToSendCommand),
        "{kind:?}"
    );
    let outcome = diesel::sql_query("INSERT INTO parent VALUES (1)").execute(&mut *db);
    assert_kind!(outcome, UnableToSendCommand);
    db.node.restart();
    assert_eq!(db.count("parent"), 0);
    assert_eq!(
        diesel::sql_query("INSERT INTO parent VALUES (1)").execute(&mut *db),
        Ok(1)
    );
}

#[test]
fn unauthorised() {
    let node = Rqlited::builder()
        .user(User::new("admin", "s3cret", &["all"]))
        .user(User::new("reader", "r", &["query"]))
        .start();
    assert!(super::RqliteConnection::establish(&node.url()).is_ok());
    let nobody = format!("rqlite://{}", node.address());
    let wrong = format!("rqlite://admin:wr0ng@{}", node.address());
    for url in [nobody, wrong] {
        let error = super::RqliteConnection::establish(&url).expect_err("refused");
        let message = error.to_string();
        assert!(
            message.contains("401") && !message.contains("wr0ng"),
            "{message}"
        );
    }
    let mut reader = connect(&format!("rqlite://reader:r@{}", node.address()));
    let information = assert_kind!(
        reader.batch_execute("CREATE TABLE t (a)"),
        UnableToSendCommand
    );
    assert!(information.message().contains("401"));
}

/// A proxy that passes requests on, and gives this answer to one of them.
fn dropping_proxy(to: String, drop_at: usize, answer: &'static [u8]) -> String {
    let proxy = Proxy::start(to, move |number, _| match number == drop_at {
        true => Fate::Answer(answer),
        false => Fate::Pass,
    });
    proxy.address
}

#[test]
fn lost_answer_is_unknown_and_the_write_is_not_repeated() {
    let mut db = database();
    // The first request is that of `establish`.
    let proxy = dropping_proxy(db.node.address(), 2, b"");
    let config = RqliteConfig::new(
        "127.0.0.1",
        proxy
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port"),
    )
    .read_consistency(ReadConsistency::Strong);
    let mut through = super::connect_by(&config).expect("connects");
    let outcome = diesel::sql_query("INSERT INTO parent VALUES (NULL)").execute(&mut through);
    let information = assert_kind!(outcome, ClosedConnection);
    assert!(
        information
            .details()
            .is_some_and(|details| details.contains("unknown"))
    );
    assert_eq!(db.count("parent"), 1, "applied once");
    assert_eq!(through.http_requests(), 2);
    assert_eq!(
        diesel::sql_query("INSERT INTO parent VALUES (NULL)").execute(&mut through),
        Ok(1)
    );
}

#[test]
fn unreadable_answer_is_unknown() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"results\":[]}",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"results",
        b"garbage\r\n\r\n",
    ] {
        let mut db = database();
        let proxy = dropping_proxy(db.node.address(), 2, answer);
        let mut through = connect(&format!("rqlite://{proxy}?level=strong"));
        let outcome = through.transaction(|conn| {
            diesel::sql_query("INSERT INTO parent VALUES (NULL)").execute(conn)?;
            Ok::<_, Error>(())
        });
        assert_kind!(outcome, ClosedConnection);
        assert_eq!(db.count("parent"), 1);
        assert!(
            through.transaction(|_| Ok::<_, Error>(())).is_ok(),
            "no transaction is left open"
        );
    }
}

#[test]
fn lost_answer_of_a_read_is_asked_for_again() {
    let db = database();
    let proxy = dropping_proxy(db.node.address(), 2, b"");
    let mut through = connect(&format!("rqlite://{proxy}?level=strong"));
    diesel::table! { e (id) { id -> Integer, } }
    assert_eq!(
        e::table.select(e::id).load::<i32>(&mut through),
        Ok(vec![1])
    );
}

#[test]
fn frozen_node_is_a_timeout() {
    let db = database();
    let mut conn = connect(&format!("{}?request_timeout=300ms", db.node.url()));
    db.node.pause();
    let outcome = diesel::sql_query("INSERT INTO parent VALUES (1)").execute(&mut conn);
    let information = assert_kind!(outcome, ClosedConnection);
    assert!(
        information
            .details()
            .is_some_and(|details| details.contains("unknown"))
    );
    db.node.resume();
}

#[test]
fn infinite_value_in_a_raw_returning_is_read() {
    diesel::table! { t (id) { id -> Integer, v -> Double, } }
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL)");
    let stored = diesel::insert_into(t::table)
        .values(t::v.eq(f64::INFINITY))
        .get_result::<(i32, f64)>(&mut *db);
    assert_eq!(stored, Ok((1, f64::INFINITY)));
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Double)]
        v: f64,
    }
    let stored =
        diesel::sql_query("UPDATE t SET v = -9e999 RETURNING v").get_result::<Row>(&mut *db);
    assert_eq!(stored.map(|row| row.v), Ok(f64::NEG_INFINITY));
}
