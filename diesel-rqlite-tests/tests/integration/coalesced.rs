//! Writes that share requests mean what each would mean by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_rqlite::QueryOptions;
use diesel_rqlite_tests::{Cluster, Rqlited};

use super::database::{Database, connect, one};
use super::{RqliteConnection, SENDS_ALONE};
use crate::proxy::{Fate, Proxy};
use crate::support::{assert_kind, database_error};

const SCHEMA: &str = "CREATE TABLE opener (n);
    CREATE TABLE t (id INTEGER PRIMARY KEY, u INTEGER UNIQUE, r INTEGER UNIQUE ON CONFLICT ROLLBACK,
        n INTEGER NOT NULL CHECK (n < 100));
    INSERT INTO t VALUES (1, 1, 1, 1), (2, 2, 2, 2), (3, 3, 3, 3);
    CREATE TABLE w (a TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE kept (id INTEGER PRIMARY KEY);
    INSERT INTO kept VALUES (1);
    CREATE TRIGGER keeps BEFORE DELETE ON kept BEGIN SELECT RAISE(ROLLBACK, 'not this one'); END;";

/// In any order they do the same.
const WRITES: [&str; 16] = [
    "INSERT INTO t (id, u, n) VALUES (10, 10, 1)",
    "INSERT INTO t (id, u, n) VALUES (20, 1, 1)",
    "INSERT INTO t (id, u, n) VALUES (30, 30, 1), (31, 31, 1), (32, 32, 1)",
    "INSERT OR ROLLBACK INTO t (id, u, n) VALUES (40, 1, 1)",
    "UPDATE t SET n = n + 1 WHERE id < 3",
    "INSERT INTO t (id, r, n) VALUES (60, 1, 1)",
    "DELETE FROM t WHERE id = 3",
    "DELETE FROM kept",
    "INSERT INTO missing VALUES (1)",
    "INSERT INTO t (id, n) VALUES (100, NULL)",
    "INSERT INTO t (id, n) VALUES (110, 1000)",
    "INSERT OR FAIL INTO t (id, u, n) VALUES (120, 120, 1), (121, 1, 1)",
    "INSERT OR IGNORE INTO t (id, u, n) VALUES (130, 1, 1)",
    "UPDATE t SET nosuch = 1",
    "INSERT INTO w VALUES ('a')",
    "WITH c (n) AS (VALUES (7)) INSERT INTO t (id, n) SELECT 150, n FROM c",
];

const DUMP: &str = "SELECT (SELECT json_group_array(json_array(id, u, r, n)) FROM t) || \
    (SELECT json_group_array(a) FROM w) || (SELECT count(*) FROM kept) AS value";

#[derive(QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    value: String,
}

fn dump(conn: &mut RqliteConnection) -> String {
    let row: Text = diesel::sql_query(DUMP).get_result(conn).expect("reads");
    row.value
}

fn run(conn: &mut RqliteConnection, sql: &str) -> QueryResult<usize> {
    diesel::sql_query(sql).execute(conn)
}

/// All that an outcome says, and what the connection says of its last write.
fn said(conn: &mut RqliteConnection, outcome: QueryResult<usize>) -> String {
    let counters = ["last_insert_rowid()", "changes()"].map(|function| {
        let sql = format!("SELECT {function} AS value");
        match diesel::sql_query(sql).get_result::<Number>(conn) {
            Ok(number) => number.value.to_string(),
            Err(error) => error.to_string(),
        }
    });
    match outcome {
        Ok(count) => format!("{count} {counters:?}"),
        Err(error) => {
            let (kind, information) = database_error::<()>(Err(error));
            format!(
                "{kind:?} {:?} {:?} {:?} {:?} {:?} {counters:?}",
                information.message(),
                information.details(),
                information.table_name(),
                information.column_name(),
                information.constraint_name(),
            )
        }
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    value: i64,
}

/// A node, and a proxy in front of it that holds back requests with a write of the table `opener`, so that others come
/// together behind it.
pub(super) struct Stage {
    node: Rqlited,
    proxy: Proxy,
    pub(super) seen: Arc<Seen>,
}

#[derive(Default)]
pub(super) struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The bodies of all requests that write.
    writes: Vec<String>,
    /// How many of those that are held back may go on.
    open: usize,
    /// Whether the one of the lone writer may.
    open_for_lone: bool,
}

/// A write that finds no other one, if there is a lone writer.
pub(super) const LONE: &str = "INSERT INTO opener VALUES (0)";

impl Seen {
    fn fate(&self, request: &str, then: Fate) -> Fate {
        let Some((head, body)) = request.split_once("\r\n\r\n") else {
            return Fate::Pass;
        };
        if !head.contains("/db/execute") {
            return Fate::Pass;
        }
        let mut state = self.state.lock().expect("no panic");
        state.writes.push(body.to_owned());
        self.changed.notify_all();
        if !body.contains("INTO opener") {
            return then;
        }
        if body.contains(LONE) {
            let opened = self.changed.wait_while(state, |state| !state.open_for_lone);
            drop(opened.expect("no panic"));
            return Fate::Pass;
        }
        let opened = self.changed.wait_while(state, |state| state.open == 0);
        opened.expect("no panic").open -= 1;
        Fate::Pass
    }

    /// How many requests have come that write.
    pub(super) fn count(&self) -> usize {
        self.state.lock().expect("no panic").writes.len()
    }

    /// Waits for so many.
    fn wait(&self, count: usize) {
        while self.count() < count {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets one go on that is held back.
    pub(super) fn open(&self) {
        self.state.lock().expect("no panic").open += 1;
        self.changed.notify_all();
    }

    /// Lets the write of the lone writer go on.
    pub(super) fn open_for_lone(&self) {
        self.state.lock().expect("no panic").open_for_lone = true;
        self.changed.notify_all();
    }

    pub(super) fn take(&self) -> Vec<String> {
        let mut state = self.state.lock().expect("no panic");
        std::mem::take(&mut state.writes)
    }
}

impl Stage {
    /// What becomes of the writes but the opener.
    pub(super) fn new(then: Fate) -> Self {
        let node = Rqlited::start();
        let seen = Arc::<Seen>::default();
        let told = Arc::clone(&seen);
        let proxy = Proxy::start(node.address(), move |_, request| told.fate(request, then));
        let mut conn = connect(&node.url());
        conn.batch_execute(SCHEMA).expect("creates");
        Stage { node, proxy, seen }
    }

    pub(super) fn url(&self, options: &str) -> String {
        format!("{}?discovery=false{options}", self.proxy.url())
    }

    fn connect(&self, options: &str) -> RqliteConnection {
        connect(&self.url(options))
    }

    /// How many rows a table has with this number, asked of the node itself.
    pub(super) fn copies(&self, table: &str, n: usize) -> i64 {
        let sql = format!("SELECT count(*) AS value FROM {table} WHERE n = {n}");
        one(&mut connect(&self.node.url()), &sql)
    }

    /// Runs each write by a connection in a thread of its own, all of them while another one is under way. What was sent for
    /// them.
    fn run(
        &self,
        options: &str,
        writes: &[&str],
    ) -> (Vec<(RqliteConnection, QueryResult<usize>)>, Vec<String>) {
        let (mut lone, mut opener) = (self.connect(options), self.connect(options));
        let mut conns: Vec<_> = writes.iter().map(|_| self.connect(options)).collect();
        self.seen.take();
        let begun = Barrier::new(writes.len() + 1);
        let outcomes = thread::scope(|scope| {
            let alone = SENDS_ALONE.then(|| scope.spawn(|| run(&mut lone, LONE)));
            self.seen.wait(usize::from(SENDS_ALONE));
            let opening = scope.spawn(|| run(&mut opener, "INSERT INTO opener VALUES (1)"));
            self.seen.wait(1 + usize::from(SENDS_ALONE));
            let begun = &begun;
            let pairs = writes.iter().zip(&mut conns);
            let running = pairs.map(|(sql, conn)| {
                scope.spawn(move || {
                    begun.wait();
                    run(conn, sql)
                })
            });
            let running: Vec<_> = running.collect();
            begun.wait();
            // If that is too short for one of them, the caller tries again.
            thread::sleep(Duration::from_millis(20));
            self.seen.open();
            assert_eq!(opening.join().expect("no panic"), Ok(1));
            let outcomes = running.into_iter();
            let outcomes: Vec<_> = outcomes
                .map(|thread| thread.join().expect("no panic"))
                .collect();
            self.seen.open_for_lone();
            if let Some(alone) = alone {
                assert_eq!(alone.join().expect("no panic"), Ok(1));
            }
            outcomes
        });
        let mut sent = self.seen.take();
        if SENDS_ALONE {
            assert_eq!(sent.remove(0), format!("[[\"{LONE}\"]]"));
        }
        assert_eq!(sent.remove(0), r#"[["INSERT INTO opener VALUES (1)"]]"#);
        (conns.into_iter().zip(outcomes).collect(), sent)
    }
}

/// The same on stages made anew, until all writes were one request.
fn until_one_request(
    then: Fate,
    writes: &[&str],
) -> (Stage, Vec<(RqliteConnection, QueryResult<usize>)>) {
    for _ in 0..100 {
        let stage = Stage::new(then);
        let (outcomes, sent) = stage.run("&coalesce_writes=true", writes);
        if let [sent] = &sent[..] {
            for sql in writes {
                assert!(sent.contains(sql), "{sent}");
            }
            return (stage, outcomes);
        }
        assert!(sent.len() <= writes.len(), "{sent:?}");
    }
    panic!("the writes did not share a request");
}

#[test]
fn each_caller_has_its_own_result_and_its_own_error() {
    let (stage, shared) = until_one_request(Fate::Pass, &WRITES);
    let plain = Database::with(SCHEMA);
    let mut alone = plain.another();
    let mut failed = 0;
    for (sql, (mut conn, outcome)) in WRITES.iter().zip(shared) {
        let mut other = plain.another();
        let wanted = run(&mut other, sql);
        failed += usize::from(wanted.is_err());
        let wanted = said(&mut other, wanted);
        assert_eq!(said(&mut conn, outcome), wanted, "{sql}");
    }
    assert_eq!(failed, 9);
    let mut conn = connect(&stage.node.url());
    assert_eq!(dump(&mut conn), dump(&mut alone));
}

#[test]
fn it_is_off_unless_the_configuration_says_so() {
    let stage = Stage::new(Fate::Pass);
    let (_, sent) = stage.run("", &WRITES);
    assert_eq!(sent.len(), WRITES.len());
    let (_, sent) = stage.run("&coalesce_writes=false", &WRITES[..3]);
    assert_eq!(sent.len(), 3);
}

/// Nothing is held up by what it can't share a request with.
#[test]
fn what_can_not_share_a_request_is_sent_at_once() {
    let stage = Stage::new(Fate::Pass);
    let options = "&coalesce_writes=true";
    let (mut opener, mut conn) = (stage.connect(options), stage.connect(options));
    stage.seen.take();
    let long = format!("INSERT INTO w VALUES ('{}')", "x".repeat(40_000));
    thread::scope(|scope| {
        let opening = scope.spawn(|| run(&mut opener, "INSERT INTO opener VALUES (1)"));
        stage.seen.wait(1);
        let returned = diesel::sql_query("INSERT INTO t (n) VALUES (1) RETURNING id AS value");
        assert!(returned.get_result::<Number>(&mut conn).is_ok());
        // Its RETURNING is checked by a query in front of it.
        let counted = run(&mut conn, "UPDATE t SET n = 7 WHERE id = 1 RETURNING n");
        assert_eq!(counted, Ok(1));
        conn.batch_execute("INSERT INTO t (n) VALUES (2); INSERT INTO t (n) VALUES (3)")
            .expect("runs");
        assert_eq!(run(&mut conn, &long), Ok(1));
        assert_eq!(run(&mut conn, "CREATE TABLE made (a)"), Ok(0));
        assert_eq!(run(&mut conn, "PRAGMA user_version = 7"), Ok(0));
        let committed = conn.transaction(|conn| run(conn, "INSERT INTO t (n) VALUES (4)"));
        assert_eq!(committed, Ok(1));
        let patient = QueryOptions::new().request_timeout(Duration::from_secs(40));
        let steered = conn.with(patient, |conn| run(conn, "INSERT INTO t (n) VALUES (5)"));
        assert_eq!(steered, Ok(1));
        assert_eq!(one(&mut conn, "SELECT count(*) AS value FROM t"), 8);
        stage.seen.open();
        assert_eq!(opening.join().expect("no panic"), Ok(1));
    });
}

/// Both requests are under way at the same time, or neither comes back.
#[test]
fn connections_of_different_configurations_share_nothing() {
    let node = Rqlited::start();
    connect(&node.url()).batch_execute(SCHEMA).expect("creates");
    let meeting = Barrier::new(2);
    let proxy = Proxy::start(node.address(), move |_, request| {
        if request.contains("/db/execute") {
            meeting.wait();
        }
        Fate::Pass
    });
    let url = format!("{}?discovery=false&coalesce_writes=true", proxy.url());
    let mut one = connect(&url);
    let mut other = connect(&format!("{url}&request_timeout=20s"));
    let outcomes = thread::scope(|scope| {
        let one = scope.spawn(|| run(&mut one, WRITES[0]));
        let other = scope.spawn(|| run(&mut other, WRITES[2]));
        (one.join(), other.join())
    });
    assert_eq!(outcomes.0.expect("no panic"), Ok(1));
    assert_eq!(outcomes.1.expect("no panic"), Ok(3));
}

#[test]
fn db_timeout_is_refused() {
    let url = "rqlite://localhost?coalesce_writes=true&db_timeout=1s";
    let error = RqliteConnection::establish(url).expect_err("is refused");
    assert!(error.to_string().contains("`coalesce_writes`"), "{error}");
}

#[test]
fn an_answer_that_is_lost_is_an_unknown_outcome_of_each_write() {
    const INSERTS: [&str; 5] = [
        "INSERT INTO t (n) VALUES (11)",
        "INSERT INTO t (n) VALUES (12)",
        "INSERT INTO t (n) VALUES (13)",
        "INSERT INTO t (n) VALUES (14)",
        "INSERT INTO t (n) VALUES (15)",
    ];
    const CUT: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"results\":[{\"rows_affected\":1},{\"last";
    const FEWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{\"results\":[{\"rows_affected\":1}]}";
    for fate in [
        Fate::Answer(b""),
        Fate::Answer(CUT),
        Fate::Answer(FEWER),
        Fate::Lose,
        Fate::Keep,
    ] {
        let (stage, shared) = until_one_request(fate, &INSERTS);
        for (mut conn, outcome) in shared {
            let information = assert_kind!(outcome, ClosedConnection);
            let details = information.details().unwrap_or_default();
            assert!(details.contains("unknown"), "{fate:?}: {details}");
            let counters = said(&mut conn, Ok(0));
            assert_eq!(counters.matches("is about what").count(), 2, "{counters}");
        }
        let applied = matches!(fate, Fate::Answer(_));
        let copies = || [11, 12, 13, 14, 15].map(|n| stage.copies("t", n));
        assert_eq!(copies(), [i64::from(applied); 5], "{fate:?}");
        // A copy that was under way comes in late.
        let late = stage.proxy.deliver().len();
        assert_eq!(late, usize::from(fate == Fate::Keep));
        assert_eq!(copies(), [i64::from(applied || late > 0); 5], "{fate:?}");
    }
}

/// Many writers at once, each with the writes that it was told are done in the order in which it made them.
#[test]
fn many_writers_need_few_requests_and_each_keeps_its_order() {
    const WRITERS: usize = 16;
    const EACH: usize = 25;
    let stage = Stage::new(Fate::Pass);
    let conns = (0..WRITERS).map(|_| stage.connect("&coalesce_writes=true"));
    let mut conns: Vec<_> = conns.collect();
    stage.seen.take();
    let before: u64 = conns.iter().map(RqliteConnection::http_requests).sum();
    let begun = Barrier::new(WRITERS);
    thread::scope(|scope| {
        for (writer, conn) in conns.iter_mut().enumerate() {
            let begun = &begun;
            scope.spawn(move || {
                run(conn, &format!("INSERT INTO w VALUES ('{writer}: 0')")).expect("inserts");
                begun.wait();
                for n in 0..EACH {
                    let next = n + 1;
                    // One that overtook another would find no row.
                    let sql =
                        format!("UPDATE w SET a = '{writer}: {next}' WHERE a = '{writer}: {n}'");
                    assert_eq!(run(conn, &sql), Ok(1));
                }
            });
        }
    });
    let sent = stage.seen.take().len();
    let writes = WRITERS * (EACH + 1);
    assert!(sent < writes / 2, "{sent} requests for {writes} writes");
    let after: u64 = conns.iter().map(RqliteConnection::http_requests).sum();
    assert_eq!(after - before, sent as u64, "each request is counted once");
    let mut conn = connect(&stage.node.url());
    let last = format!("SELECT count(*) AS value FROM w WHERE a LIKE '%: {EACH}'");
    let ended = usize::try_from(one(&mut conn, &last));
    assert_eq!(ended, Ok(WRITERS));
}

#[test]
fn nothing_is_lost_or_doubled_when_the_leader_dies() {
    const WRITERS: usize = 8;
    const EACH: usize = 60;
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let url = format!("{}&coalesce_writes=true", cluster.url(leader));
    let mut conn = connect(&url);
    conn.batch_execute("CREATE TABLE t (n INTEGER NOT NULL)")
        .expect("creates");
    let outcomes = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (url, outcomes) = (&url, &outcomes);
            scope.spawn(move || {
                let mut conn = connect(url);
                for n in 0..EACH {
                    let n = writer * EACH + n;
                    let outcome = run(&mut conn, &format!("INSERT INTO t VALUES ({n})"));
                    outcomes.lock().expect("no panic").insert(n, outcome);
                }
            });
        }
        while outcomes.lock().expect("no panic").len() < WRITERS * EACH / 4 {
            thread::sleep(Duration::from_millis(1));
        }
        cluster.node_mut(leader).kill();
    });
    let next = cluster.next_leader(leader);
    let mut conn = connect(&format!("{}?level=strong", cluster.node(next).url()));
    let mut acknowledged = 0;
    for (n, outcome) in outcomes.into_inner().expect("no panic") {
        let sql = format!("SELECT count(*) AS value FROM t WHERE n = {n}");
        let copies = one(&mut conn, &sql);
        match outcome {
            Ok(1) => {
                acknowledged += 1;
                assert_eq!(copies, 1, "{n} was acknowledged");
            }
            Err(Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, _)) => {
                assert_eq!(copies, 0, "{n} was not sent");
            }
            Err(Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _)) => {
                assert!(copies <= 1, "{n} is there {copies} times");
            }
            other => panic!("{n}: {other:?}"),
        }
    }
    assert!(acknowledged > WRITERS * EACH / 2, "{acknowledged}");
}
