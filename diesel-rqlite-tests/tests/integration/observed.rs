//! What a program can see: spans, metrics, statistics, slow queries.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use diesel_rqlite::{RqliteConfig, RqliteLock, ThreadLock};
use diesel_rqlite_tests::{Cluster, Rqlited, User};

use super::database::{Database, connect};
use super::{RqliteConnection, connect_by};
use crate::proxy::{Fate, Proxy};
use crate::seen::{Metrics, Told, Traces};
use crate::support::assert_kind;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");
const SECRET: &str = "hunter2Secret";

diesel::table! {
    t (id) {
        id -> Integer,
        name -> Text,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)";

fn insert(conn: &mut RqliteConnection, name: &str) -> QueryResult<usize> {
    diesel::insert_into(t::table)
        .values(t::name.eq(name))
        .execute(conn)
}

fn names(conn: &mut RqliteConnection) -> QueryResult<Vec<String>> {
    t::table.select(t::name).order(t::id).load(conn)
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().expect("has a port")
}

#[test]
fn a_query_is_a_span_with_its_requests_inside() {
    let mut db = Database::with(SCHEMA);
    let address = db.node.address();
    let traces = Traces::default();
    let before = db.statistics();
    let (rows, metrics) = Metrics::of(|| {
        traces.of(|| {
            insert(&mut db, "a").expect("inserts");
            names(&mut db).expect("reads")
        })
    });
    assert_eq!(rows, ["a"]);
    let queries = traces.all("query");
    let [write, read] = &queries[..] else {
        panic!("{queries:#?}");
    };
    write.assert(&[
        ("otel.name", "INSERT t"),
        ("otel.kind", "client"),
        ("db.system.name", "rqlite"),
        ("db.operation.name", "INSERT"),
        ("db.collection.name", "t"),
        ("db.query.summary", "INSERT t"),
        ("db.query.text", "INSERT INTO \"t\" (\"name\") VALUES (?)"),
        ("db.query.parameters", ""),
        ("db.response.status_code", "200"),
        ("server.address", "127.0.0.1"),
        ("server.port", port(&address)),
        ("rqlite.rows_affected", "1"),
        ("rqlite.requests", "1"),
        ("error.type", ""),
        ("otel.status_code", ""),
    ]);
    read.assert(&[
        ("otel.name", "SELECT t"),
        ("db.operation.name", "SELECT"),
        ("db.response.returned_rows", "1"),
        ("rqlite.rows_affected", ""),
    ]);
    let requests = traces.all("request");
    assert!(requests.len() >= 2, "{requests:#?}");
    for request in &requests {
        assert_eq!(request.around, ["query"]);
        request.assert(&[
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("server.port", port(&address)),
        ]);
    }
    requests[0].assert(&[("otel.name", "POST /db/execute"), ("rqlite.level", "")]);
    let last = requests.last().expect("some");
    last.assert(&[("otel.name", "POST /db/query")]);
    assert!(!last.field("rqlite.level").is_empty());
    assert!(traces.take().iter().all(|told| told.is_closed));

    let seen = db.statistics();
    let requests = u64::try_from(requests.len()).expect("few");
    assert_eq!(seen.operations - before.operations, 2);
    assert_eq!(seen.requests - before.requests, requests);
    assert_eq!(seen.rows_returned - before.rows_returned, 1);
    assert_eq!(seen.rows_affected - before.rows_affected, 1);
    assert!(seen.bytes_sent > before.bytes_sent && seen.bytes_received > before.bytes_received);
    assert!(seen.operation_time > before.operation_time);
    assert_eq!(seen.errors.total(), 0);

    assert_eq!(metrics.counter("diesel_rqlite.requests"), requests);
    assert_eq!(metrics.counter("diesel_rqlite.operations"), 2);
    assert_eq!(metrics.counter("diesel_rqlite.rows.returned"), 1);
    let sent = metrics.counter("diesel_rqlite.bytes.sent");
    assert_eq!(sent, seen.bytes_sent - before.bytes_sent);
    for operation in ["INSERT", "SELECT"] {
        let name = format!(
            "db.client.operation.duration{{db.system.name=rqlite,db.operation.name={operation}}}"
        );
        assert_eq!(metrics.values(&name), 1, "{:?}", metrics.names());
    }
    let name = format!(
        "http.client.request.duration{{http.request.method=POST,server.address=127.0.0.1,server.port={},http.response.status_code=200}}",
        port(&address)
    );
    assert_eq!(
        metrics.values(&name) as u64,
        requests,
        "{:?}",
        metrics.names()
    );
}

#[test]
fn writes_for_a_queue_are_an_operation() {
    let mut db = Database::with(SCHEMA);
    let traces = Traces::default();
    let before = db.statistics();
    let write = diesel::insert_into(t::table).values(t::name.eq(SECRET));
    traces
        .of(|| db.execute_queued_and_wait(&write, Duration::from_secs(20)))
        .expect("is queued");
    traces.one("script").assert(&[
        ("otel.name", "INSERT t"),
        ("db.query.text", "INSERT INTO \"t\" (\"name\") VALUES (?)"),
        ("rqlite.requests", "1"),
        ("error.type", ""),
    ]);
    assert_eq!(traces.one("request").around, ["script"]);
    let refused = db.execute_queued(&diesel::sql_query("DROP TABLE t"));
    assert!(refused.is_err());
    let seen = db.statistics();
    assert_eq!(seen.operations - before.operations, 2);
    assert_eq!(seen.errors.total(), 1);
}

/// What is no SQL is sent in the same way, and not always by POST.
#[test]
fn a_request_is_told_by_its_method() {
    let mut db = Database::new();
    let port = port(&db.node.address()).to_owned();
    let traces = Traces::default();
    let (removed, metrics) =
        Metrics::of(|| traces.of(|| db.cluster().remove_node("nobody is called that")));
    removed.expect("is no error");
    let request = traces.one("request");
    request.assert(&[
        ("otel.name", "DELETE /remove"),
        ("http.request.method", "DELETE"),
    ]);
    let name = format!(
        "http.client.request.duration{{http.request.method=DELETE,server.address=127.0.0.1,server.port={port},http.response.status_code=200}}"
    );
    assert_eq!(metrics.values(&name), 1, "{:?}", metrics.names());
}

#[test]
fn known_text_is_counted() {
    let mut db = Database::with(SCHEMA);
    let before = db.statistics();
    for _ in 0..3 {
        names(&mut db).expect("reads");
    }
    let seen = db.statistics();
    assert_eq!(
        seen.statement_cache_misses - before.statement_cache_misses,
        1
    );
    assert_eq!(seen.statement_cache_hits - before.statement_cache_hits, 2);
}

#[test]
fn an_error_is_told_by_its_kind() {
    let mut db = Database::with(SCHEMA);
    insert(&mut db, "a").expect("inserts");
    let traces = Traces::default();
    let (outcome, metrics) = Metrics::of(|| traces.of(|| insert(&mut db, "a")));
    assert_kind!(outcome, UniqueViolation);
    traces.one("query").assert(&[
        ("error.type", "UniqueViolation"),
        ("otel.status_code", "ERROR"),
        ("otel.status_description", ""),
    ]);
    traces.one("request").assert(&[("error.type", "")]);
    let seen = db.statistics();
    assert_eq!(seen.errors.unique_violation, 1);
    assert_eq!(seen.errors.total(), 1);
    assert_eq!(seen.unknown_outcomes, 0);
    // What is no statement is not sent, and was never an operation.
    assert!(diesel::sql_query("SELECT '").execute(&mut *db).is_err());
    assert!(db.batch_execute("SELECT '").is_err());
    assert_eq!(db.statistics().errors.query_builder, 2);
    assert_eq!(db.statistics().operations, seen.operations);
    let errors = metrics.counter("diesel_rqlite.errors{error.type=UniqueViolation}");
    assert_eq!(errors, 1, "{:?}", metrics.names());
    let name = "db.client.operation.duration{db.system.name=rqlite,db.operation.name=INSERT,error.type=UniqueViolation}";
    assert_eq!(metrics.values(name), 1, "{:?}", metrics.names());
}

#[test]
fn scripts_and_batches_say_how_many_statements_they_are() {
    let mut db = Database::new();
    let traces = Traces::default();
    traces.of(|| {
        db.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT DEFAULT 'x'); INSERT INTO t VALUES (1, 'a')")
            .expect("runs");
        let rows = [None, Some("b")].map(|name| t_with_default::name.eq(name));
        let rows = Vec::from(rows);
        diesel::insert_into(t_with_default::table)
            .values(rows)
            .execute(&mut *db)
            .expect("inserts");
    });
    traces.one("script").assert(&[
        ("otel.name", "BATCH"),
        ("db.operation.batch.size", "2"),
        (
            "db.query.text",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT DEFAULT ?); INSERT INTO t VALUES (?, ?)",
        ),
    ]);
    let batch = traces.one("query");
    batch.assert(&[("rqlite.rows_affected", "2")]);
}

diesel::table! {
    #[sql_name = "t"]
    t_with_default (id) {
        id -> Integer,
        name -> Nullable<Text>,
    }
}

#[test]
fn a_transaction_holds_what_is_done_for_it() {
    let mut db = Database::with(SCHEMA);
    let traces = Traces::default();
    let before = db.statistics();
    traces.of(|| {
        let outcome = db.transaction(|conn| {
            let _program = tracing::info_span!("program").entered();
            names(conn)?;
            conn.transaction(|conn| insert(conn, "a"))
        });
        outcome.expect("commits");
    });
    traces.one("transaction").assert(&[
        ("rqlite.transaction.mode", "interactive"),
        ("rqlite.transaction.outcome", "committed"),
    ]);
    assert_eq!(traces.one("program").around, ["transaction"]);
    for query in traces.all("query") {
        assert_eq!(query.around, ["program", "transaction"]);
    }
    let commit = traces.one("commit");
    assert_eq!(commit.around, ["transaction"]);
    commit.assert(&[("db.operation.name", "COMMIT"), ("rqlite.requests", "1")]);
    assert!(traces.take().iter().all(|told| told.is_closed));
    let seen = db.statistics();
    assert_eq!(seen.transactions - before.transactions, 1);
    assert_eq!((seen.commits, seen.rollbacks, seen.conflicts), (1, 0, 0));
    // The read, and the writes of the inner one at its end.
    assert_eq!(seen.peeks, 2);
}

/// As a pool's connection does, and SQL.
#[test]
fn a_transaction_without_a_closure_holds_its_queries_too() {
    let mut db = Database::with(SCHEMA);
    type Manager = <RqliteConnection as Connection>::TransactionManager;
    for by_sql in [false, true] {
        let traces = Traces::default();
        traces.of(|| {
            let _handler = tracing::info_span!("handler").entered();
            match by_sql {
                true => db.batch_execute("BEGIN").expect("begins"),
                false => Manager::begin_transaction(&mut *db).expect("begins"),
            }
            names(&mut db).expect("reads");
            match by_sql {
                true => db.batch_execute("ROLLBACK").expect("ends"),
                false => Manager::rollback_transaction(&mut *db).expect("ends"),
            }
            names(&mut db).expect("reads");
        });
        let queries = traces.all("query");
        assert_eq!(queries[0].around, ["transaction", "handler"]);
        assert_eq!(queries[1].around, ["handler"], "that one is over");
        let transaction = traces.one("transaction");
        transaction.assert(&[("rqlite.transaction.outcome", "rolled_back")]);
        assert!(traces.take().iter().all(|told| told.is_closed));
    }
    assert_eq!(db.statistics().rollbacks, 2);
}

#[test]
fn a_conflict_is_told() {
    let mut db = Database::with(SCHEMA);
    let mut other = connect(&db.node.url());
    let traces = Traces::default();
    let (outcome, metrics) = Metrics::of(|| {
        traces.of(|| {
            db.transaction(|conn| {
                let count = names(conn)?.len();
                insert(&mut other, "other")?;
                insert(conn, &format!("{count}"))
            })
        })
    });
    assert_kind!(outcome, SerializationFailure);
    traces.one("transaction").assert(&[
        ("rqlite.transaction.outcome", "conflict"),
        ("error.type", "SerializationFailure"),
        ("otel.status_code", "ERROR"),
    ]);
    traces
        .one("commit")
        .assert(&[("error.type", "SerializationFailure")]);
    let seen = db.statistics();
    assert_eq!((seen.conflicts, seen.rollbacks, seen.commits), (1, 1, 0));
    assert_eq!(seen.errors.serialization_failure, 1);
    assert_eq!(metrics.counter("diesel_rqlite.conflicts"), 1);
}

#[test]
fn a_redirect_is_told() {
    let cluster = Cluster::builder().patient().start(3);
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    let traces = Traces::default();
    let conn = traces.of(|| connect(&cluster.node(follower).url()));
    let connect = traces.one("connect");
    connect.assert(&[
        ("db.operation.name", "CONNECT"),
        ("rqlite.redirects", "1"),
        ("server.port", port(&cluster.address(leader))),
    ]);
    let requests = traces.all("request");
    requests[0].assert(&[
        ("server.port", port(&cluster.address(follower))),
        ("http.response.status_code", "301"),
        ("error.type", ""),
    ]);
    requests[1].assert(&[
        ("server.port", port(&cluster.address(leader))),
        ("http.response.status_code", "200"),
        ("http.request.resend_count", "1"),
    ]);
    let seen = conn.statistics();
    assert_eq!((seen.redirects, seen.fail_overs), (1, 0));
}

#[test]
fn a_killed_leader_is_a_fail_over() {
    let mut cluster = Cluster::start(3);
    // Nobody finds out in the background, before the query does, that the leader is dead.
    let mut conn = connect(&format!("{}&discovery=false", cluster.url(0)));
    let traces = Traces::default();
    traces.of(|| conn.batch_execute(SCHEMA)).expect("creates");
    let asked = traces.one("script").field("server.port").to_owned();
    let addresses = cluster.addresses();
    let mut places = 0..addresses.len();
    let leader = places.find(|place| port(&addresses[*place]) == asked);
    let leader = leader.expect("one of the nodes");
    let before = conn.statistics();
    let address = cluster.address(leader);
    cluster.node_mut(leader).kill();
    traces.take();
    let (outcome, metrics) = Metrics::of(|| traces.of(|| insert(&mut conn, "a")));
    assert_eq!(outcome, Ok(1));
    let requests = traces.all("request");
    requests[0].assert(&[
        ("server.port", port(&address)),
        ("otel.status_code", "ERROR"),
        ("error.type", "not_sent"),
    ]);
    assert!(!requests[0].field("otel.status_description").is_empty());
    let query = traces.one("query");
    assert_ne!(query.field("server.port"), port(&address));
    query.assert(&[("error.type", ""), ("rqlite.rows_affected", "1")]);
    assert_ne!(query.field("rqlite.fail_overs"), "");
    let seen = conn.statistics();
    assert!(seen.probes > before.probes);
    assert_eq!(seen.errors.total(), 0);
    assert!(seen.retries > before.retries && seen.fail_overs > before.fail_overs);
    let requests = requests.len() as u64;
    assert_eq!(seen.requests - before.requests, requests);
    assert_eq!(metrics.counter("diesel_rqlite.requests"), requests);
    let fail_overs = seen.fail_overs - before.fail_overs;
    assert_eq!(metrics.counter("diesel_rqlite.fail_overs"), fail_overs);
}

#[test]
fn an_unknown_outcome_is_told() {
    let db = Database::with(SCHEMA);
    let proxy = Proxy::start(db.node.address(), |_, request| {
        match request.contains("INSERT") {
            true => Fate::Answer(b""),
            false => Fate::Pass,
        }
    });
    let mut conn = connect(&format!("{}?discovery=false", proxy.url()));
    let traces = Traces::default();
    let before = conn.statistics();
    let (outcome, metrics) = Metrics::of(|| traces.of(|| insert(&mut conn, "a")));
    assert_kind!(outcome, ClosedConnection);
    traces
        .one("query")
        .assert(&[("error.type", "ClosedConnection")]);
    traces.one("request").assert(&[("error.type", "no_answer")]);
    let seen = conn.statistics();
    assert_eq!(seen.unknown_outcomes, 1);
    assert_eq!(seen.retries, before.retries, "a write is not sent again");
    assert_eq!(metrics.counter("diesel_rqlite.unknown_outcomes"), 1);
    // A read that has no answer is none.
    let proxy = Proxy::start(db.node.address(), |_, request| {
        match request.contains("ORDER BY") && request.contains("name") {
            true => Fate::Answer(b""),
            false => Fate::Pass,
        }
    });
    let mut conn = connect(&format!("{}?discovery=false", proxy.url()));
    let before = conn.statistics();
    assert_kind!(names(&mut conn), UnableToSendCommand);
    let seen = conn.statistics();
    assert_eq!(seen.unknown_outcomes, 0);
    assert_eq!(seen.errors.unable_to_send_command, 1);
    assert!(seen.retries > before.retries);
}

/// Waits for a lock that another connection holds. What is seen of the wait, and what it counts.
fn wait_for_lock(db: &mut Database, lock: &impl diesel_rqlite::TransactionLock) -> Vec<Told> {
    db.set_transaction_lock(lock);
    let mut holder = connect(&db.node.url());
    holder.set_transaction_lock(lock);
    let traces = Traces::default();
    let (held, is_held) = channel();
    let before = db.statistics();
    thread::scope(|scope| {
        let waiting = traces.clone();
        let holder = scope.spawn(move || {
            let outcome = holder.transaction(|conn| {
                names(conn)?;
                held.send(()).expect("is waited for");
                waiting.wait_for("lock");
                insert(conn, "holder")
            });
            (outcome, holder.statistics())
        });
        is_held.recv().expect("is held");
        traces.of(|| db.transaction(names)).expect("is let in");
        let (outcome, seen) = holder.join().expect("no panic");
        assert_eq!(outcome, Ok(1));
        assert_eq!(seen.lock_acquisitions, 1);
        assert!(seen.lock_hold > Duration::ZERO);
    });
    let seen = db.statistics();
    assert_eq!(seen.lock_acquisitions - before.lock_acquisitions, 1);
    assert!(seen.lock_wait > before.lock_wait);
    assert!(seen.lock_hold > before.lock_hold);
    traces.take()
}

#[test]
fn a_wait_for_a_lock_is_a_span() {
    let mut db = Database::with(SCHEMA);
    for in_rqlite in [false, true] {
        let told = match in_rqlite {
            true => wait_for_lock(&mut db, &RqliteLock::new("l")),
            false => wait_for_lock(&mut db, &ThreadLock::new("observed")),
        };
        let lock = told.iter().find(|told| told.name == "lock").expect("waits");
        assert_eq!(lock.around.last().map(String::as_str), Some("transaction"));
        assert!(lock.is_closed);
        let name = if in_rqlite { "l" } else { "observed" };
        lock.assert(&[("rqlite.lock.name", name), ("error.type", "")]);
        diesel::delete(t::table).execute(&mut *db).expect("deletes");
    }
}

#[test]
fn a_migration_is_a_transaction_that_says_so() {
    let mut db = Database::new();
    let traces = Traces::default();
    let run = traces.of(|| {
        let run = db.run_pending_migrations(MIGRATIONS).expect("runs");
        run.into_iter()
            .map(|version| version.to_string())
            .collect::<Vec<_>>()
    });
    let migrations: Vec<_> = traces
        .all("transaction")
        .iter()
        .map(|told| told.field("rqlite.migration").to_owned())
        .filter(|version| !version.is_empty())
        .collect();
    assert_eq!(migrations, run);
    let transactions = traces.all("transaction");
    let last = transactions.last().expect("some");
    last.assert(&[(
        "otel.name",
        &format!("MIGRATION {}", run.last().expect("some")),
    )]);
    assert_eq!(db.statistics().migrations, run.len() as u64);
}

#[test]
fn a_migration_that_another_process_has_applied_does_not_count() {
    let mut db = Database::new();
    let mut other = db.another();
    let pending = other.pending_migrations(MIGRATIONS).expect("lists");
    db.run_next_migration(MIGRATIONS).expect("runs");
    let before = other.statistics();
    let traces = Traces::default();
    traces.of(|| other.run_migrations(&pending).expect("runs"));
    let outcomes: Vec<_> = traces
        .all("transaction")
        .iter()
        .filter(|told| !told.field("rqlite.migration").is_empty())
        .map(|told| told.field("rqlite.transaction.outcome").to_owned())
        .collect();
    let mut wanted = vec!["committed"; pending.len()];
    wanted[0] = "already_applied";
    assert_eq!(outcomes, wanted);
    let after = other.statistics();
    let committed = after.commits - before.commits;
    assert_eq!(committed, pending.len() as u64);
    assert_eq!(after.migrations, pending.len() as u64 - 1);
    assert_eq!(after.rollbacks, before.rollbacks);
    assert_eq!(db.statistics().migrations, 1);
}

/// Whatever is told while secrets are in use.
fn tell_secrets(url: &str) -> (Traces, Vec<String>) {
    let traces = Traces::default();
    let (statistics, metrics) = Metrics::of(|| {
        traces.of(|| {
            let config: RqliteConfig = url.parse().expect("a URL");
            let mut conn = connect_by(&config).expect("connects");
            insert(&mut conn, SECRET).expect("inserts");
            assert!(insert(&mut conn, SECRET).is_err());
            for sql in [
                format!("SELECT '{SECRET}' -- {SECRET}"),
                format!("SELECT x'00' || '{SECRET}' FROM nowhere"),
                format!("INSERT INTO t VALUES (1, '{SECRET}'), (2, '{SECRET}')"),
                format!("SELECT '{SECRET}"),
                format!("SELECT 1 '{SECRET}'"),
            ] {
                let _ = diesel::sql_query(&sql).execute(&mut conn);
                let _ = conn.batch_execute(&format!("SELECT 1; {sql}"));
                let outcome = conn.transaction(|conn| {
                    diesel::sql_query("SELECT ? AS name")
                        .bind::<Text, _>(SECRET)
                        .execute(conn)?;
                    diesel::sql_query(&sql).execute(conn)
                });
                let _: QueryResult<usize> = outcome;
            }
            format!(
                "{:?} {:?} {config:?} {conn:?}",
                config.statistics(),
                conn.statistics()
            )
        })
    });
    let mut shown = vec![statistics];
    shown.extend(metrics.names().into_iter().map(str::to_owned));
    shown.extend(traces.everything().iter().map(|told| format!("{told:?}")));
    (traces, shown)
}

#[test]
fn values_and_passwords_are_not_shown_unless_switched_on() {
    let node = Rqlited::builder()
        .user(User::new("user", SECRET, &["all"]))
        .start();
    let url = |options: &str| {
        format!(
            "rqlite://user:{SECRET}@{}?slow_query_threshold=0ms{options}",
            node.address()
        )
    };
    connect(&url("")).batch_execute(SCHEMA).expect("creates");
    let (traces, shown) = tell_secrets(&url(""));
    assert!(traces.all("query").len() > 10 && !traces.all("slow query").is_empty());
    for text in shown {
        assert!(!text.contains(SECRET), "{text}");
    }
    connect(&url(""))
        .batch_execute("DELETE FROM t")
        .expect("deletes");
    let (traces, _) = tell_secrets(&url("&trace_parameters=true"));
    let queries = traces.all("query");
    queries[0].assert(&[("db.query.parameters", &format!("['{SECRET}']"))]);
    queries[1].assert(&[("otel.status_description", "")]);
    assert!(
        queries
            .iter()
            .all(|query| !query.field("db.query.text").contains(SECRET))
    );
    connect(&url(""))
        .batch_execute("DELETE FROM t")
        .expect("deletes");
    let (traces, _) = tell_secrets(&url("&trace_literals=true"));
    let queries = traces.all("query");
    assert!(
        queries
            .iter()
            .all(|query| query.field("db.query.parameters").is_empty())
    );
    let text = format!("SELECT '{SECRET}'");
    assert!(
        queries
            .iter()
            .any(|query| query.field("db.query.text") == text)
    );
    let slow = traces.all("slow query");
    assert!(
        slow.iter().any(|slow| slow.field("db.query.text") == text),
        "{slow:#?}"
    );
    connect(&url(""))
        .batch_execute("DELETE FROM t")
        .expect("deletes");
    let (traces, _) = tell_secrets(&url("&trace_literals=true&trace_parameters=true"));
    let failed = &traces.all("query")[1];
    let description = failed.field("otel.status_description");
    assert!(description.contains("UNIQUE"), "{description}");
}

#[test]
fn a_slow_query_is_a_warning_with_the_servers_time() {
    let node = Rqlited::start();
    let timings = Mutex::new(Vec::new());
    let timings: &'static Mutex<Vec<bool>> = Box::leak(Box::new(timings));
    let proxy = Proxy::start(node.address(), move |_, request| {
        let asked = request
            .lines()
            .next()
            .is_some_and(|line| line.contains("timings"));
        timings.lock().expect("no panic").push(asked);
        Fate::Pass
    });
    let url = format!("{}?discovery=false", proxy.url());
    let config: RqliteConfig = format!("{url}&slow_query_threshold=0ms")
        .parse()
        .expect("a URL");
    let traces = Traces::default();
    let mut conn = traces.of(|| connect_by(&config)).expect("connects");
    conn.batch_execute(SCHEMA).expect("creates");
    traces.take();
    traces.of(|| {
        insert(&mut conn, "a").expect("inserts");
        diesel::sql_query("SELECT name FROM t WHERE name <> 'secret'")
            .execute(&mut conn)
            .expect("reads");
        let renamed = conn.transaction(|conn| {
            let count = names(conn)?.len();
            diesel::update(t::table)
                .set(t::name.eq(format!("{count}")))
                .execute(conn)
        });
        renamed.expect("commits");
    });
    let slow = traces.all("slow query");
    let texts: Vec<_> = slow
        .iter()
        .map(|slow| slow.field("db.query.text"))
        .collect();
    assert_eq!(
        texts,
        [
            "INSERT INTO \"t\" (\"name\") VALUES (?)",
            "SELECT name FROM t WHERE name <> ?",
            "SELECT \"t\".\"name\" FROM \"t\" ORDER BY \"t\".\"id\"",
            "UPDATE \"t\" SET \"name\" = ?",
            "COMMIT",
        ]
    );
    for slow in &slow {
        let time: f64 = slow.field("time").parse().expect("seconds");
        let server: f64 = slow.field("rqlite.server_time").parse().expect("seconds");
        assert!(server > 0.0 && server < time, "{slow:#?}");
        assert_eq!(slow.field("server.address"), proxy.address);
        assert_ne!(slow.field("rqlite.requests"), "0");
    }
    let seen = config.statistics();
    assert_eq!(seen.slow_queries, seen.operations);
    let slowest = seen.slowest_query.expect("there was one");
    assert!(slowest.server_time.is_some_and(|time| time < slowest.time));
    assert_eq!(slowest.node, Some(proxy.address.clone()));
    assert!(!timings.lock().expect("no panic").contains(&false));
    // Otherwise nobody asks, and nothing is slow.
    let config: RqliteConfig = url.parse().expect("a URL");
    let mut conn = connect_by(&config).expect("connects");
    timings.lock().expect("no panic").clear();
    names(&mut conn).expect("reads");
    assert!(!timings.lock().expect("no panic").contains(&true));
    assert_eq!(config.statistics().slow_queries, 0);
    let quick = config.slow_query_threshold(Duration::from_secs(3600));
    let mut conn = connect_by(&quick).expect("connects");
    names(&mut conn).expect("reads");
    assert_eq!(conn.statistics().slow_queries, 0);
}

#[test]
fn connections_of_one_configuration_count_together() {
    let db = Database::with(SCHEMA);
    let config: RqliteConfig = db.node.url().parse().expect("a URL");
    let mut one = connect_by(&config).expect("connects");
    let mut other =
        connect_by(&config.clone().request_timeout(Duration::from_secs(9))).expect("connects");
    let before = config.statistics();
    assert_eq!(before.operations, 2);
    names(&mut one).expect("reads");
    names(&mut other).expect("reads");
    assert_eq!(config.statistics().operations, 4);
    assert_eq!(one.statistics().operations, 2);
    drop((one, other));
    assert_eq!(config.statistics().operations, 4);
    let another: RqliteConfig = db.node.url().parse().expect("a URL");
    assert_eq!(another.statistics().operations, 0);
}

#[test]
fn a_failed_connection_is_told() {
    let config: RqliteConfig = "rqlite://127.0.0.1:1".parse().expect("a URL");
    let traces = Traces::default();
    assert!(traces.of(|| connect_by(&config)).is_err());
    traces
        .one("connect")
        .assert(&[("error.type", "ConnectionError")]);
    assert_eq!(config.statistics().errors.connection, 1);
}

#[test]
fn errors_of_a_closure_are_no_errors_of_a_database() {
    let mut db = Database::with(SCHEMA);
    let traces = Traces::default();
    let outcome = traces.of(|| db.transaction::<(), _, _>(|_| Err(Error::RollbackTransaction)));
    assert_eq!(outcome, Err(Error::RollbackTransaction));
    traces.one("transaction").assert(&[
        ("rqlite.transaction.outcome", "rolled_back"),
        ("error.type", ""),
    ]);
    let read_only = db
        .build_transaction()
        .read_only()
        .run(|conn| insert(conn, "a"));
    let (kind, _) = crate::support::database_error(read_only);
    assert!(matches!(kind, DatabaseErrorKind::ReadOnlyTransaction));
    assert_eq!(db.statistics().errors.read_only_transaction, 1);
    assert_eq!(
        (db.statistics().rollbacks, db.statistics().conflicts),
        (2, 0)
    );
}
