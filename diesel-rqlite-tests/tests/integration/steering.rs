//! How single queries, closures and connections are steered: what is sent, and what comes of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::Error;
use diesel_rqlite::{QueryOptions, ReadConsistency, Rqlite, RqliteQueryDsl, TransactionMode};
use diesel_rqlite_tests::Rqlited;

use super::RqliteConnection;
use super::database::{Database, connect};
use crate::front::{Act, Front, NO_LEADER};
use crate::proxy::{Fate, Proxy};
use crate::recorder::{Recorder, Sent};
use crate::support::assert_kind;

diesel::table! {
    t (id) {
        id -> Integer,
        n -> Integer,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); INSERT INTO t VALUES (1, 10), (2, 20)";
const SECOND: Duration = Duration::from_secs(1);

/// A node whose reads are strong where nothing else is said: that level has the same name on all versions.
fn recorded() -> (Recorder, RqliteConnection) {
    let recorder = Recorder::start();
    let mut conn = connect(&format!("{}&level=strong", recorder.url()));
    conn.batch_execute(SCHEMA).expect("creates");
    recorder.sent();
    (recorder, conn)
}

fn read(conn: &mut RqliteConnection) -> QueryResult<Vec<i32>> {
    t::table.order(t::id).select(t::n).load(conn)
}

#[track_caller]
fn one(recorder: &Recorder) -> Sent {
    let sent = recorder.sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent[0].clone()
}

#[track_caller]
fn assert_sent(recorder: &Recorder, flags: &[&str]) {
    let sent = one(recorder);
    for flag in flags {
        assert!(sent.has(flag), "no {flag} in {}", sent.path);
    }
}

/// A read at this level, without the option that was given before.
#[track_caller]
fn assert_sent_without_timeout(recorder: &Recorder, level: &str) {
    let sent = one(recorder);
    assert!(
        sent.has(level) && !sent.path.contains("db_timeout"),
        "{}",
        sent.path
    );
}

/// Options, the flags that they are on a read, and one that must be there without them.
fn all() -> Vec<(QueryOptions, Vec<&'static str>)> {
    let new = QueryOptions::new;
    vec![
        (new(), vec!["level=strong"]),
        (new().read_level(ReadConsistency::None), vec!["level=none"]),
        // Behind an answer of a strong one.
        (new().read_level(ReadConsistency::Weak), vec!["level=weak"]),
        (new().read_level(ReadConsistency::Auto), vec!["level=auto"]),
        (
            new().read_level(ReadConsistency::Strong),
            vec!["level=strong"],
        ),
        (
            new().freshness(SECOND),
            vec!["level=none", "freshness=1000000000ns"],
        ),
        (
            new().strict_freshness(SECOND),
            vec!["level=none", "freshness=1000000000ns", "freshness_strict"],
        ),
        (
            new().db_timeout(SECOND),
            vec!["level=strong", "db_timeout=1000000000ns"],
        ),
        (
            new()
                .db_timeout(SECOND)
                .read_level(ReadConsistency::Weak)
                .name("both"),
            vec!["level=weak", "db_timeout=1000000000ns"],
        ),
    ]
}

#[test]
fn a_query_has_its_options_and_the_next_one_has_not() {
    let (recorder, mut conn) = recorded();
    let conn = &mut conn;
    for (options, flags) in all() {
        // The text of all of them is one, and is known from the second time on.
        for _ in 0..2 {
            let values = t::table
                .order(t::id)
                .select(t::n)
                .with_options(options.clone());
            assert_eq!(values.load(conn), Ok(vec![10, 20]), "{options:?}");
            assert_sent(&recorder, &flags);
            assert_eq!(read(conn), Ok(vec![10, 20]));
            assert_sent_without_timeout(&recorder, "level=strong");
        }
    }
}

#[test]
fn linearizable_for_one_query_is_at_least_that() {
    let (recorder, mut conn) = recorded();
    conn.set_options(QueryOptions::new().read_level(ReadConsistency::None))
        .expect("a level");
    let values = t::table
        .order(t::id)
        .select(t::n)
        .read_level(ReadConsistency::Linearizable);
    assert_eq!(values.load::<i32>(&mut conn), Ok(vec![10, 20]));
    // A server that does not prove that it knows the level is asked strongly.
    let sent = recorder.sent();
    assert!(sent[0].has("level=linearizable"), "{sent:?}");
    assert!(sent.len() == 1 || sent[1].has("level=strong"), "{sent:?}");
}

#[test]
fn each_kind_of_query_takes_options() {
    let (recorder, mut conn) = recorded();
    let conn = &mut conn;
    let options = || {
        QueryOptions::new()
            .db_timeout(SECOND)
            .read_level(ReadConsistency::None)
    };
    let read = ["level=none", "db_timeout=1000000000ns"];
    let write = ["db_timeout=1000000000ns"];
    let values = t::table.order(t::id).select(t::n);
    assert_eq!(values.with_options(options()).first::<i32>(conn), Ok(10));
    assert_sent(&recorder, &read);
    let all: Vec<(i32, i32)> = t::table.with_options(options()).load(conn).expect("loads");
    assert_eq!(all, [(1, 10), (2, 20)]);
    assert_sent(&recorder, &read);
    assert_eq!(
        t::table.with_options(options()).first::<(i32, i32)>(conn),
        Ok((1, 10))
    );
    assert_sent(&recorder, &read);
    let boxed = t::table
        .select(t::n)
        .into_boxed::<Rqlite>()
        .filter(t::id.eq(2));
    assert_eq!(
        boxed.with_options(options()).get_result::<i32>(conn),
        Ok(20)
    );
    assert_sent(&recorder, &read);
    let both = t::table.select(t::n).union(t::table.select(t::id));
    assert_eq!(
        both.with_options(options())
            .load::<i32>(conn)
            .map(|rows| rows.len()),
        Ok(4)
    );
    assert_sent(&recorder, &read);
    let iterated = values
        .with_options(options())
        .load_iter::<i32, diesel::connection::DefaultLoadingMode>(conn);
    assert_eq!(
        iterated.and_then(Iterator::collect::<QueryResult<Vec<_>>>),
        Ok(vec![10, 20])
    );
    assert_sent(&recorder, &read);
    assert_eq!(
        diesel::sql_query("SELECT 1")
            .with_options(options())
            .execute(conn),
        Ok(0)
    );
    assert_sent(&recorder, &read);
    let insert = diesel::insert_into(t::table).values(t::n.eq(30));
    assert_eq!(insert.with_options(options()).execute(conn), Ok(1));
    assert_sent(&recorder, &write);
    assert_eq!(
        insert
            .with_options(options())
            .get_result::<(i32, i32)>(conn),
        Ok((4, 30))
    );
    assert_sent(&recorder, &write);
    let rows = [(Some(t::id.eq(7)), t::n.eq(1)), (None, t::n.eq(2))];
    let batch = diesel::insert_into(t::table).values(&rows);
    let name = "a batch";
    assert_eq!(
        batch.with_options(options().name(name)).execute(conn),
        Ok(2)
    );
    assert_sent(&recorder, &write);
    let update = diesel::update(t::table.find(1)).set(t::n.eq(11));
    assert_eq!(update.with_options(options()).execute(conn), Ok(1));
    assert_sent(&recorder, &write);
    let deleted = diesel::delete(t::table.filter(t::id.gt(2))).returning(t::id);
    assert_eq!(
        deleted.with_options(options()).load::<i32>(conn),
        Ok(vec![3, 4, 7, 8])
    );
    assert_sent(&recorder, &write);
    let none: Vec<diesel::dsl::Eq<t::n, i32>> = Vec::new();
    let nothing = diesel::insert_into(t::table)
        .values(none)
        .with_options(options().name(name));
    assert_eq!(nothing.execute(conn), Ok(0));
    assert_eq!(recorder.sent().len(), 0);
}

#[test]
fn the_last_of_several_options_counts() {
    let (recorder, mut conn) = recorded();
    let values = t::table.order(t::id).select(t::n);
    let twice = values
        .with_options(QueryOptions::new().freshness(SECOND).db_timeout(SECOND))
        .read_level(ReadConsistency::Weak);
    assert_eq!(twice.clone().load::<i32>(&mut conn), Ok(vec![10, 20]));
    let sent = one(&recorder);
    assert!(
        sent.has("level=weak") && sent.has("db_timeout=1000000000ns"),
        "{}",
        sent.path
    );
    assert!(!sent.path.contains("freshness"), "{}", sent.path);
    let shown = diesel::debug_query::<Rqlite, _>(&twice).to_string();
    assert!(shown.contains("QueryOptions { level: Weak }"), "{shown}");
}

#[test]
fn a_closure_has_its_options_and_what_is_behind_it_has_not() {
    let (recorder, mut conn) = recorded();
    let conn = &mut conn;
    for (options, flags) in all() {
        let seen = conn.with(options.clone(), |conn| {
            assert_eq!(read(conn), Ok(vec![10, 20]));
            assert_sent(&recorder, &flags);
            read(conn)
        });
        assert_eq!(seen, Ok(vec![10, 20]));
        assert_sent(&recorder, &flags);
        let failed = conn.with(options.clone(), |_| Err::<(), _>(Error::NotFound));
        assert_eq!(failed, Err(Error::NotFound));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            conn.with(options, |conn| {
                read(conn).expect("loads");
                panic!("in a closure");
                #[allow(unreachable_code)]
                QueryResult::Ok(())
            })
        }));
        assert!(panicked.is_err());
        recorder.sent();
        assert_eq!(read(conn), Ok(vec![10, 20]));
        assert_sent_without_timeout(&recorder, "level=strong");
        assert_eq!(conn.options(), &QueryOptions::new());
    }
}

#[test]
fn options_of_closures_queries_and_the_connection_are_one_in_the_other() {
    let (recorder, mut conn) = recorded();
    let conn = &mut conn;
    conn.set_options(QueryOptions::new().db_timeout(SECOND).name("all"))
        .expect("no node");
    let outer = QueryOptions::new().freshness(SECOND);
    let inner = QueryOptions::new().db_timeout(2 * SECOND);
    let seen: QueryResult<()> = conn.with(outer, |conn| {
        read(conn)?;
        assert_sent(
            &recorder,
            &[
                "level=none",
                "freshness=1000000000ns",
                "db_timeout=1000000000ns",
            ],
        );
        conn.with(inner, |conn| {
            read(conn)?;
            assert_sent(
                &recorder,
                &["freshness=1000000000ns", "db_timeout=2000000000ns"],
            );
            let values = t::table.select(t::n).read_level(ReadConsistency::Strong);
            values.load::<i32>(conn)?;
            assert_sent(&recorder, &["level=strong", "db_timeout=2000000000ns"]);
            // To the end of the closure.
            conn.set_options(QueryOptions::new().read_level(ReadConsistency::Weak))?;
            read(conn)?;
            assert_sent_without_timeout(&recorder, "level=weak");
            QueryResult::Ok(())
        })?;
        read(conn)?;
        assert_sent(&recorder, &["level=none", "db_timeout=1000000000ns"]);
        Ok(())
    });
    assert_eq!(seen, Ok(()));
    read(conn).expect("loads");
    assert_sent(&recorder, &["level=strong", "db_timeout=1000000000ns"]);
    assert_eq!(
        conn.options(),
        &QueryOptions::new().db_timeout(SECOND).name("all")
    );
    conn.set_options(QueryOptions::new()).expect("none");
    read(conn).expect("loads");
    assert_sent_without_timeout(&recorder, "level=strong");
}

/// A read that is guarded may be as stale as it likes: the commit finds that out.
#[test]
fn in_a_transaction_a_read_has_its_level_and_its_guard() {
    let (recorder, mut conn) = recorded();
    let conn = &mut conn;
    let stale = || {
        t::table
            .find(1)
            .select(t::n)
            .read_level(ReadConsistency::None)
    };
    for mode in crate::support::MODES {
        let seen: QueryResult<()> = conn.build_transaction().mode(mode).run(|conn| {
            assert_eq!(stale().first::<i32>(conn), Ok(10));
            assert_sent(&recorder, &["level=none"]);
            diesel::update(t::table.find(2))
                .set(t::n.eq(20))
                .execute(conn)?;
            recorder.sent();
            assert_eq!(stale().first::<i32>(conn), Ok(10));
            let sent = one(&recorder);
            // Behind a write it is a look at the leader.
            let is_peek = sent.path.starts_with("/db/request");
            assert_eq!(
                is_peek,
                mode != TransactionMode::Deferred,
                "{mode:?}: {}",
                sent.path
            );
            Ok(())
        });
        assert_eq!(seen, Ok(()), "{mode:?}");
        let commit = one(&recorder);
        let is_guarded = commit.body.contains("drq:");
        assert_eq!(
            is_guarded,
            mode != TransactionMode::Deferred,
            "{mode:?}: {}",
            commit.body
        );
    }
    // What it saw is no longer so.
    let mut other = connect(&recorder.node.url());
    let outcome = conn.transaction(|conn| {
        stale().first::<i32>(conn)?;
        diesel::update(t::table.find(1))
            .set(t::n.eq(12))
            .execute(&mut other)?;
        diesel::update(t::table.find(2))
            .set(t::n.eq(22))
            .execute(conn)
    });
    assert_kind!(outcome, SerializationFailure);
}

#[test]
fn a_transaction_in_a_closure_has_its_options_up_to_the_commit() {
    let (recorder, mut conn) = recorded();
    let conn = &mut conn;
    let options = QueryOptions::new().db_timeout(SECOND).freshness(SECOND);
    let done = conn.with(options, |conn| {
        conn.transaction(|conn| {
            read(conn)?;
            diesel::update(t::table.find(1))
                .set(t::n.eq(13))
                .execute(conn)
        })
    });
    assert_eq!(done, Ok(1));
    let sent = recorder.sent();
    assert!(
        sent.iter().all(|sent| sent.has("db_timeout=1000000000ns")),
        "{sent:?}"
    );
    assert!(
        sent[0].has("level=none") && sent[0].has("freshness=1000000000ns"),
        "{sent:?}"
    );
    // And the other way round.
    let done = conn.transaction(|conn| {
        conn.with(QueryOptions::new().db_timeout(SECOND), |conn| {
            read(conn).map(|_| ())
        })?;
        diesel::update(t::table.find(1))
            .set(t::n.eq(14))
            .execute(conn)
    });
    assert_eq!(done, Ok(1));
    let sent = recorder.sent();
    assert!(sent[0].has("db_timeout=1000000000ns"), "{sent:?}");
    assert!(
        !sent.last().expect("a commit").path.contains("db_timeout"),
        "{sent:?}"
    );
}

#[test]
fn one_query_has_less_time_for_its_answer() {
    let recorder = Recorder::with(Rqlited::builder(), |sent| {
        match sent.body.contains("mute") {
            true => Fate::HoldAnswer,
            false => Fate::Pass,
        }
    });
    // Without its option the test would take as long.
    let conn = &mut connect(&format!(
        "{}&request_timeout=10m&level=strong",
        recorder.url()
    ));
    conn.batch_execute(SCHEMA).expect("creates");
    let soon = || QueryOptions::new().request_timeout(Duration::from_millis(200));
    let mute = || diesel::sql_query("SELECT 'mute'");
    assert_kind!(
        mute().with_options(soon()).execute(conn),
        UnableToSendCommand
    );
    assert_kind!(
        conn.with(soon(), |conn| mute().execute(conn)),
        UnableToSendCommand
    );
    let write = diesel::sql_query("UPDATE t SET n = n + 1 WHERE 'mute' <> ''");
    assert_kind!(write.with_options(soon()).execute(conn), ClosedConnection);
    assert_eq!(read(conn), Ok(vec![11, 21]));
}

/// A node that knows no leader for writes of this text, for so many times.
fn leaderless(times: usize, options: &str) -> (Rqlited, Front, RqliteConnection) {
    let node = Rqlited::start();
    connect(&node.url()).batch_execute(SCHEMA).expect("creates");
    let refused = AtomicUsize::new(0);
    let front = Front::start(node.address(), move |request| {
        let is_refused =
            request.contains("mute") && refused.fetch_add(1, Ordering::Relaxed) < times;
        match is_refused {
            true => Act::With(NO_LEADER),
            false => Act::Pass,
        }
    });
    let conn = connect(&format!(
        "rqlite://{}?discovery=false&level=strong&{options}",
        front.address
    ));
    (node, front, conn)
}

fn mute_write() -> diesel::query_builder::SqlQuery {
    diesel::sql_query("UPDATE t SET n = n + 1 WHERE 'mute' <> ''")
}

#[test]
fn one_query_waits_less_for_a_leader() {
    // Without its option a query would wait as long.
    let (_node, _front, mut conn) = leaderless(usize::MAX, "leader_timeout=10m");
    let conn = &mut conn;
    let began = Instant::now();
    let soon = || QueryOptions::new().leader_timeout(Duration::from_millis(200));
    let read_mute = || diesel::sql_query("SELECT 'mute'");
    let outcomes = [
        mute_write().with_options(soon()).execute(conn),
        read_mute().with_options(soon()).execute(conn),
        conn.with(soon(), |conn| mute_write().execute(conn)),
        conn.with(soon(), |conn| {
            conn.transaction(|conn| mute_write().execute(conn))
        }),
    ];
    for outcome in outcomes {
        let information = assert_kind!(outcome, UnableToSendCommand);
        let message = information.message();
        assert!(message.contains("leader not found"), "{message}");
    }
    conn.set_options(soon()).expect("no node");
    assert_kind!(mute_write().execute(conn), UnableToSendCommand);
    assert!(began.elapsed() < Duration::from_secs(300));
    assert_eq!(read(conn), Ok(vec![10, 20]), "nothing was applied");
}

/// The pauses between so many attempts are longer than the configuration would wait.
#[test]
fn one_query_waits_more_for_a_leader() {
    const TIMES: usize = 6;
    let patient = || QueryOptions::new().leader_timeout(Duration::from_secs(120));
    let (_node, _front, mut conn) = leaderless(TIMES, "leader_timeout=100ms");
    assert_eq!(
        mute_write().with_options(patient()).execute(&mut conn),
        Ok(2)
    );
    assert_eq!(read(&mut conn), Ok(vec![11, 21]), "once");
    let (_node, _front, mut conn) = leaderless(TIMES, "leader_timeout=100ms");
    let outcome = conn.with(patient(), |conn| mute_write().execute(conn));
    assert_eq!(outcome, Ok(2));
    let (_node, _front, mut conn) = leaderless(TIMES, "leader_timeout=100ms");
    assert_kind!(mute_write().execute(&mut conn), UnableToSendCommand);
    assert_eq!(read(&mut conn), Ok(vec![10, 20]), "nothing was applied");
}

/// The configuration's own is shorter: an option may be longer, too.
#[test]
fn one_query_has_more_time_for_its_answer() {
    let recorder = Recorder::start();
    let conn = &mut connect(&format!(
        "{}&request_timeout=100ms&level=strong",
        recorder.url()
    ));
    conn.batch_execute(SCHEMA).expect("creates");
    let slow = || {
        diesel::sql_query(
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000) SELECT count(*) FROM c",
        )
    };
    let patient = QueryOptions::new().request_timeout(Duration::from_secs(120));
    assert_eq!(slow().with_options(patient).execute(conn), Ok(0));
    assert_kind!(slow().execute(conn), UnableToSendCommand);
}

#[test]
fn the_server_works_for_so_long() {
    let db = &mut Database::with(SCHEMA);
    let endless = || {
        diesel::sql_query(
            "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c",
        )
    };
    let short = || QueryOptions::new().db_timeout(Duration::from_millis(50));
    let information = assert_kind!(endless().with_options(short()).execute(&mut **db), Unknown);
    assert_eq!(information.message(), "query timeout");
    let outcome = db.with(short(), |conn| endless().execute(conn));
    assert_eq!(assert_kind!(outcome, Unknown).message(), "query timeout");
    assert_eq!(read(db), Ok(vec![10, 20]));
}

#[test]
fn one_query_goes_to_the_node_that_it_names() {
    let (recorder, mut conn) = recorded();
    let conn = &mut conn;
    let other = Arc::new(Mutex::new(0));
    let count = Arc::clone(&other);
    let door = Proxy::start(recorder.node.address(), move |_, _| {
        *count.lock().expect("no panic") += 1;
        Fate::Pass
    });
    let (host, port) = door.address.rsplit_once(':').expect("host and port");
    let port = port.parse().expect("a port");
    let there = || QueryOptions::new().prefer(host, port);
    let values = || t::table.order(t::id).select(t::n);
    let seen = || {
        (
            recorder.sent().len(),
            std::mem::take(&mut *other.lock().expect("no panic")),
        )
    };
    for (level, wanted) in [
        (ReadConsistency::None, (0, 1)),
        (ReadConsistency::Auto, (0, 1)),
        (ReadConsistency::Weak, (1, 0)),
        (ReadConsistency::Strong, (1, 0)),
    ] {
        let options = there().read_level(level);
        assert_eq!(
            values().with_options(options.clone()).load(conn),
            Ok(vec![10, 20])
        );
        assert_eq!(seen(), wanted, "{level}");
        assert_eq!(conn.with(options, read), Ok(vec![10, 20]));
        assert_eq!(seen(), wanted, "{level}");
        let none = values().read_level(ReadConsistency::None);
        assert_eq!(none.load(conn), Ok(vec![10, 20]));
        assert_eq!(seen(), (1, 0), "{level}");
    }
    // A node that does not answer is left for one that does.
    let nobody = QueryOptions::new()
        .prefer("127.0.0.1", 1)
        .read_level(ReadConsistency::None);
    assert_eq!(values().with_options(nobody).load(conn), Ok(vec![10, 20]));
}

#[test]
fn what_is_no_host_is_an_error_without_its_text() {
    let db = &mut Database::with(SCHEMA);
    let options = || QueryOptions::new().prefer("user:hunter2@host", 4001);
    let outcomes = [
        t::table
            .select(t::n)
            .with_options(options())
            .load::<i32>(&mut **db)
            .map(|_| ()),
        db.with(options(), |_| QueryResult::Ok(())),
        db.set_options(options()),
    ];
    for outcome in outcomes {
        let shown = format!("{outcome:?} {:?}", options());
        assert!(
            matches!(outcome, Err(Error::QueryBuilderError(_))),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(db.options(), &QueryOptions::new());
    assert_eq!(read(db), Ok(vec![10, 20]));
}

#[test]
fn a_name_is_told_and_not_sent() {
    let (recorder, mut conn) = recorded();
    let told = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&told);
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| match event {
        InstrumentationEvent::StartQuery { query, .. }
        | InstrumentationEvent::FinishQuery { query, .. } => {
            log.lock().expect("no panic").push(query.to_string());
        }
        _ => {}
    });
    let conn = &mut conn;
    let name = || QueryOptions::new().name("top */ posts");
    for _ in 0..2 {
        let named = t::table.order(t::id).select(t::n).with_options(name());
        assert_eq!(named.load::<i32>(conn), Ok(vec![10, 20]));
        let first = t::table.order(t::id).select(t::n).with_options(name());
        assert_eq!(first.first::<i32>(conn), Ok(10));
        let update = || {
            diesel::update(t::table.find(1))
                .set(t::n.eq(10))
                .with_options(name())
        };
        assert_eq!(update().execute(conn), Ok(1));
        assert_eq!(update().get_result::<(i32, i32)>(conn), Ok((1, 10)));
        assert_eq!(conn.with(name(), read), Ok(vec![10, 20]));
    }
    let told = told.lock().expect("no panic");
    assert_eq!(told.len(), 20);
    assert!(
        told.iter()
            .all(|query| query.starts_with("/* top * / posts */ ")),
        "{told:?}"
    );
    let sent = recorder.sent();
    assert!(
        sent.iter().all(|sent| !sent.body.contains("posts")),
        "{sent:?}"
    );
}

#[test]
fn connections_of_a_pool_take_options() {
    let recorder = Recorder::start();
    let manager = ConnectionManager::<RqliteConnection>::new(recorder.url());
    let pool = Pool::builder().max_size(1).build(manager).expect("a pool");
    let mut conn = pool.get().expect("a connection");
    conn.batch_execute(SCHEMA).expect("creates");
    recorder.sent();
    let values = t::table
        .order(t::id)
        .select(t::n)
        .read_level(ReadConsistency::None);
    assert_eq!(values.load::<i32>(&mut conn), Ok(vec![10, 20]));
    assert_sent(&recorder, &["level=none"]);
    let stale = QueryOptions::new().read_level(ReadConsistency::None);
    assert_eq!(conn.with(stale.clone(), read), Ok(vec![10, 20]));
    assert_sent(&recorder, &["level=none"]);
    // They stay with the connection, whoever uses it next.
    conn.set_options(stale).expect("no node");
    drop(conn);
    let mut conn = pool.get().expect("a connection");
    recorder.sent();
    assert_eq!(read(&mut conn), Ok(vec![10, 20]));
    assert_sent(&recorder, &["level=none"]);
}

/// An answer that is long comes in parts, and a value in the last of them may have to be asked for again.
#[test]
fn a_query_that_is_run_again_for_the_end_of_its_answer_has_its_options() {
    diesel::table! { long (id) { id -> Integer, note -> Text, } }
    let (recorder, mut conn) = recorded();
    conn.batch_execute(
        "CREATE TABLE long (id INTEGER PRIMARY KEY, note TEXT NOT NULL);
         WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000)
         INSERT INTO long SELECT n, printf('a note of some %d letters', n) FROM c;
         INSERT INTO long VALUES (5001, '2024-02-29T00:00:00Z')",
    )
    .expect("creates");
    let options = || {
        QueryOptions::new()
            .db_timeout(60 * SECOND)
            .read_level(ReadConsistency::None)
    };
    let mut most = 0;
    for _ in 0..2 {
        recorder.sent();
        let rows = long::table.order(long::id).with_options(options());
        let rows: Vec<(i32, String)> = rows.load(&mut conn).expect("loads");
        assert_eq!(rows.len(), 5001);
        assert_eq!(rows[5000].1, "2024-02-29T00:00:00Z");
        let sent = recorder.sent();
        most = most.max(sent.len());
        let has_options =
            |sent: &Sent| sent.has("level=none") && sent.has("db_timeout=60000000000ns");
        assert!(sent.iter().all(has_options), "{sent:?}");
    }
    assert_eq!(most, 2, "it was run again");
}
