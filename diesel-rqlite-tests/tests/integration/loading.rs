//! SQL text of any length is loaded by requests, and an error tells what was applied.

use std::io::{self, Cursor, Read};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite::{BackupOptions, ClusterError, LoadSqlError, LoadSqlReason};
use diesel_rqlite_tests::{Cluster, Rqlited, User};

use super::RqliteConnection;
use super::database::{Database, connect, one};
use crate::proxy::Fate;
use crate::recorder::Recorder;

/// How many statements are in one request.
const AT_ONCE: usize = 10_000;

/// One statement on each line: a table, and rows that are numbered as the lines are.
fn numbered(lines: usize) -> String {
    (2..=lines).fold("CREATE TABLE n (a UNIQUE);\n".to_owned(), |text, line| {
        text + &format!("INSERT INTO n VALUES ({line});\n")
    })
}

fn load(conn: &mut RqliteConnection, text: &str) -> Result<(u64, u64, bool), LoadSqlError> {
    let loaded = conn
        .cluster()
        .load_sql(Cursor::new(text.to_owned().into_bytes()))?;
    let rows = loaded.inserted.values().sum();
    Ok((loaded.statements, rows, loaded.only_inserts))
}

#[track_caller]
fn fails(conn: &mut RqliteConnection, text: &str) -> LoadSqlError {
    load(conn, text).expect_err("fails")
}

/// Returns few bytes at a time.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(7);
        self.0.read(&mut buffer[..length])
    }
}

/// Fails at its end.
struct Broken(Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is broken")),
            count => Ok(count),
        }
    }
}

#[test]
fn a_backup_as_sql_is_loaded_on_every_node() {
    let mut from = Database::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB); CREATE VIEW v AS SELECT a FROM t;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             INSERT INTO t (a, b) SELECT 'it''s; ' || i || char(10), CAST(i AS BLOB) FROM n;",
    );
    let mut dump = Vec::new();
    let backup = from.cluster().backup(BackupOptions::new().sql());
    let read = backup.expect("begins").read_to_end(&mut dump);
    read.expect("is whole");
    let cluster = Cluster::start(3);
    let follower = (cluster.leader() + 1) % 3;
    let mut conn = connect(&cluster.url(follower));
    let loaded = conn.cluster().load_sql(Trickle(Cursor::new(dump)));
    let loaded = loaded.expect("loads");
    assert_eq!((loaded.statements, loaded.only_inserts), (3002, true));
    assert_eq!(loaded.inserted, [("t".to_owned(), 3000)].into());
    let sum = "SELECT sum(id * length(a) * length(b)) AS value FROM t";
    let wanted = from.one(sum);
    assert_eq!(one(&mut conn, sum), wanted);
    assert_eq!(one(&mut conn, "SELECT count(*) AS value FROM v"), 3000);
}

#[test]
fn a_long_text_is_several_requests() {
    let recorder = Recorder::start();
    let mut conn = connect(&recorder.url());
    let lines = 2 * AT_ONCE + 1;
    recorder.sent();
    let loaded = load(&mut conn, &numbered(lines)).expect("loads");
    assert_eq!(loaded, (lines as u64, lines as u64 - 1, true));
    let mut sent = recorder.sent();
    // The schema is asked for, for its defaults, before the first INSERT, and not again when there is no news.
    sent.retain(|sent| sent.path.starts_with("/db/execute?"));
    assert_eq!(sent.len(), 3);
    for sent in &sent {
        assert!(
            sent.has("transaction") && sent.has("noparse"),
            "{}",
            sent.path
        );
        assert!(sent.body.len() < 5 << 20);
    }
    assert_eq!(
        one(&mut conn, "SELECT count(*) AS value FROM n"),
        loaded.1.cast_signed()
    );
    // What was loaded is known to the connection.
    diesel::sql_query("INSERT INTO n VALUES (1)")
        .execute(&mut conn)
        .expect("inserts");
}

#[test]
fn an_error_tells_what_was_applied() {
    let mut database = Database::new();
    let text = numbered(AT_ONCE + 5) + "INSERT INTO n VALUES (2);\nINSERT INTO n VALUES (0);";
    let error = fails(&mut database, &text);
    assert!(
        matches!(
            &error.reason,
            LoadSqlReason::Statement(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))
        ),
        "{error:?}"
    );
    assert_eq!(error.line, AT_ONCE as u64 + 6);
    assert_eq!(error.in_doubt, None);
    assert_eq!(error.applied.statements, AT_ONCE as u64);
    assert_eq!(error.applied.inserted["n"], AT_ONCE as u64 - 1);
    assert_eq!(
        error.to_string(),
        "line 10006: UNIQUE constraint failed: n.a; the 10000 statements before it were applied"
    );
    assert_eq!(database.count("n"), 9_999);
    // Of one request, nothing remains.
    let error = fails(
        &mut database,
        "CREATE TABLE o (a);\nINSERT INTO n VALUES (2);",
    );
    assert_eq!((error.line, error.applied.statements), (2, 0));
    assert!(
        error.to_string().ends_with("; nothing was applied"),
        "{error}"
    );
    let tables = "SELECT count(*) AS value FROM sqlite_schema WHERE type = 'table'";
    assert_eq!(database.one(tables), 1);
}

#[test]
fn a_text_that_is_broken_or_cut_off_is_not_sent_to_its_end() {
    let mut database = Database::new();
    let broken = Broken(Cursor::new(numbered(20).into_bytes()));
    let error = database.cluster().load_sql(broken).expect_err("is broken");
    assert!(matches!(error.reason, LoadSqlReason::Text(_)), "{error:?}");
    assert_eq!((error.applied.statements, error.in_doubt), (0, None));
    for (text, line, said) in [
        ("BEGIN;\nCREATE TABLE t (a);", 2, "it is cut off"),
        ("CREATE TABLE t (a);\nROLLBACK;", 2, "it takes back all"),
        ("CREATE TABLE t (a);\nSELEC 1", 2, "syntax error"),
        (
            "CREATE TABLE t (a);\nINSERT INTO t VALUES (?)",
            2,
            "placeholders",
        ),
    ] {
        let error = fails(&mut database, text);
        assert!(matches!(error.reason, LoadSqlReason::Sql(_)), "{error:?}");
        assert_eq!((error.line, error.applied.statements), (line, 0), "{text}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let schema = "SELECT count(*) AS value FROM sqlite_schema";
    assert_eq!(database.one(schema), 0);
}

#[test]
fn a_lost_answer_leaves_the_lines_of_one_request_in_doubt() {
    let last = AT_ONCE + 3;
    for (fate, is_applied) in [(Fate::Lose, false), (Fate::Cut(0), true)] {
        let marker = format!("({last})");
        let recorder = Recorder::with(Rqlited::builder(), move |sent| {
            match sent.body.contains(&marker) {
                true => fate,
                false => Fate::Pass,
            }
        });
        let mut conn = connect(&recorder.url());
        let error = fails(&mut conn, &numbered(last));
        assert!(
            matches!(
                error.reason,
                LoadSqlReason::Cluster(ClusterError::Unknown(_))
            ),
            "{error:?}"
        );
        assert_eq!(error.applied.statements, AT_ONCE as u64);
        assert_eq!(error.in_doubt, Some(AT_ONCE as u64 + 1..=last as u64));
        let text = error.to_string();
        assert!(
            text.contains("lines 10001 to 10003 may have been applied"),
            "{text}"
        );
        // It was not sent again.
        let marker = format!("({last})");
        let sent = recorder.sent();
        let times = sent.iter().filter(|sent| sent.body.contains(&marker));
        assert_eq!(times.count(), 1);
        let wanted = match is_applied {
            true => last - 1,
            false => AT_ONCE - 1,
        };
        let mut direct = connect(&recorder.node.url());
        let rows = one(&mut direct, "SELECT count(*) AS value FROM n");
        assert_eq!(usize::try_from(rows), Ok(wanted), "{fate:?}");
    }
}

#[test]
fn a_node_that_is_gone_has_applied_nothing_more() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let url = format!("{}&leader_timeout=1s", cluster.url(leader));
    let mut conn = connect(&url);
    for place in 0..3 {
        cluster.node_mut(place).kill();
    }
    let error = fails(&mut conn, "CREATE TABLE t (a);");
    assert!(
        matches!(
            error.reason,
            LoadSqlReason::Cluster(ClusterError::NoAnswer(_))
        ),
        "{error:?}"
    );
    assert_eq!((error.applied.statements, error.in_doubt), (0, None));
    // The question for the defaults has no effect either.
    let error = fails(&mut conn, "INSERT INTO t VALUES (1);");
    assert!(
        matches!(
            error.reason,
            LoadSqlReason::Cluster(ClusterError::NoAnswer(_))
        ),
        "{error:?}"
    );
    assert_eq!((error.applied.statements, error.in_doubt), (0, None));
}

/// Whether a node has not come to the row that this counts.
fn is_behind(local: &mut RqliteConnection, counted: &str) -> bool {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        value: i64,
    }
    let count = diesel::sql_query(counted).get_result::<Count>(local);
    !count.is_ok_and(|count| count.value > 0)
}

#[test]
fn nodes_get_the_same_values() {
    let cluster = Cluster::start(3);
    let mut conn = connect(&cluster.url(0));
    conn.batch_execute("CREATE TABLE d (id INTEGER PRIMARY KEY, r DEFAULT (random()))")
        .expect("creates");
    // The second table comes with another request than its row, the third one with the same. The first one is there
    // already.
    let text = "INSERT INTO d (id) VALUES (1);\nINSERT INTO d VALUES (2, random());\n".to_owned()
        + &numbered(AT_ONCE)
        + "CREATE TABLE e (id INTEGER PRIMARY KEY, r DEFAULT (random()));\n"
        + &numbered(AT_ONCE).replace(" n ", " m ")
        + "INSERT INTO e (id) VALUES (1);
           CREATE TABLE f (id INTEGER PRIMARY KEY, r DEFAULT (random()));
           INSERT INTO f (id) VALUES (1);
           CREATE TABLE IF NOT EXISTS d (id INTEGER PRIMARY KEY, no_column DEFAULT (random()));
           INSERT INTO d (id) VALUES (3);";
    load(&mut conn, &text).expect("loads");
    let values = "SELECT group_concat(r) AS value FROM (SELECT r FROM d UNION ALL SELECT r FROM e UNION ALL SELECT r FROM f)";
    #[derive(QueryableByName, PartialEq, Debug)]
    struct Values {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    let wanted: Values = diesel::sql_query(values)
        .get_result(&mut conn)
        .expect("reads");
    assert_eq!(wanted.value.split(',').count(), 5);
    for place in 0..3 {
        let mut local = connect(&format!("{}&level=none", cluster.url(place)));
        let end = Instant::now() + Duration::from_secs(30);
        let last = "SELECT count(*) AS value FROM sqlite_schema, d WHERE name = 'd' AND id = 3";
        while is_behind(&mut local, last) {
            assert!(Instant::now() < end, "{place} is behind");
        }
        let found = diesel::sql_query(values).get_result::<Values>(&mut local);
        assert_eq!(found.as_ref(), Ok(&wanted), "{place}");
    }
}

#[test]
fn foreign_keys_are_checked_at_the_end_of_a_request() {
    let mut database = Database::on(Rqlited::builder().foreign_keys());
    let text = "PRAGMA foreign_keys=OFF;\nBEGIN;\nCREATE TABLE child (parent REFERENCES parent (id));\n\
        CREATE TABLE parent (id INTEGER PRIMARY KEY);\nINSERT INTO child VALUES (1);\nINSERT INTO parent VALUES (1);\nCOMMIT;";
    assert_eq!(load(&mut database, text).expect("loads"), (4, 2, true));
    let error = fails(&mut database, "INSERT INTO child VALUES (2);");
    assert!(
        matches!(
            &error.reason,
            LoadSqlReason::Statement(Error::DatabaseError(
                DatabaseErrorKind::ForeignKeyViolation,
                _
            ))
        ),
        "{error:?}"
    );
    assert_eq!((error.applied.statements, error.in_doubt), (0, None));
    assert_eq!(database.count("child"), 1);
}

#[test]
fn whoever_may_not_write_may_not_load() {
    let node = Rqlited::builder()
        .user(User::new("admin", "secret", &["all"]))
        .user(User::new("reader", "password", &["query"]))
        .start();
    let mut conn = connect(&format!("rqlite://reader:password@{}", node.address()));
    let error = fails(&mut conn, "CREATE TABLE t (a)");
    assert!(
        matches!(
            error.reason,
            LoadSqlReason::Cluster(ClusterError::Unauthorized(_))
        ),
        "{error:?}"
    );
    assert_eq!(error.in_doubt, None);
}

#[test]
fn a_transaction_is_left_alone() {
    let mut database = Database::with("CREATE TABLE t (a)");
    let counted = database.transaction(|conn| {
        diesel::sql_query("INSERT INTO t VALUES (1)").execute(conn)?;
        let loaded = load(conn, "INSERT INTO t VALUES (10);");
        assert_eq!(loaded.expect("loads"), (1, 1, true));
        Err::<(), _>(Error::RollbackTransaction)
    });
    assert_eq!(counted, Err(Error::RollbackTransaction));
    assert_eq!(database.one("SELECT sum(a) AS value FROM t"), 10);
}

/// Servers count it for a request as a whole, and a request of a load has thousands of statements.
#[test]
fn db_timeout_is_not_for_the_requests_of_a_load() {
    let recorder = Recorder::start();
    let mut conn = connect(&format!("{}&db_timeout=1m", recorder.url()));
    let is_timed = |recorder: &Recorder| {
        let sent = recorder.sent();
        let last = sent.last().expect("a request");
        assert!(last.path.starts_with("/db/execute"), "{last:?}");
        last.path.contains("db_timeout")
    };
    load(&mut conn, &numbered(3)).expect("loads");
    assert!(!is_timed(&recorder));
    let insert = diesel::sql_query("INSERT INTO n VALUES (9)").execute(&mut conn);
    assert_eq!(insert, Ok(1));
    assert!(is_timed(&recorder), "other writes keep it");
}
