//! The rows of a long answer are used while it comes. What is handed out is right, whatever becomes of the answer.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite_tests::{Cluster, Rqlited};

use super::database::{Database, connect};
use super::{RqliteConnection, TELLS_TYPES};
use crate::proxy::{Fate, Proxy};
use crate::support::assert_kind;

diesel::table! {
    t (id) {
        id -> Integer,
        name -> Text,
        amount -> Nullable<Double>,
        data -> Binary,
    }
}

const ROWS: i32 = 20_000;
const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, amount REAL, data BLOB NOT NULL);
    INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    SELECT i, 'name [\"' || i || '\\],[', CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN i ELSE i / 8.0 END,
        CAST(i AS BLOB) FROM n";

type Row = (i32, String, Option<f64>, Vec<u8>);

/// What was written.
fn row(id: i32) -> Row {
    let amount = match id % 3 {
        0 => None,
        1 => Some(f64::from(id)),
        _ => Some(f64::from(id) / 8.0),
    };
    (
        id,
        format!("name [\"{id}\\],["),
        amount,
        id.to_string().into_bytes(),
    )
}

fn assert_all(rows: impl IntoIterator<Item = QueryResult<Row>>) {
    let mut ids = 0;
    for (id, found) in (1..).zip(rows) {
        assert_eq!(found.expect("a row"), row(id));
        ids = id;
    }
    assert_eq!(ids, ROWS);
}

#[diesel::dsl::auto_type(no_type_alias)]
fn all() -> _ {
    t::table.order(t::id)
}

/// A proxy of a node, and a connection by it. `fate` is that of the queries of `t`, counted from 1.
fn behind(
    database: &Database,
    fate: impl Fn(usize) -> Fate + Send + Sync + 'static,
) -> (Proxy, RqliteConnection) {
    let queries = std::sync::atomic::AtomicUsize::new(0);
    let proxy = Proxy::start(database.node.address(), move |_, text| {
        match text.contains("FROM \\\"t\\\"") {
            true => fate(queries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1),
            false => Fate::Pass,
        }
    });
    let conn = connect(&format!("{}?discovery=false", proxy.url()));
    (proxy, conn)
}

#[test]
fn long_answer_is_whole_in_each_form() {
    let mut database = Database::with(SCHEMA);
    for _ in 0..3 {
        let (rows, requests) = database.requests(|conn| all().load::<Row>(conn));
        assert_all(rows.expect("loads").into_iter().map(Ok));
        // The second time in the form in which it is stored; numbers tell without types what they are only by class.
        assert!(requests <= 2, "{requests}");
        let rows = all().load_iter::<Row, _>(&mut *database).expect("loads");
        assert_all(rows);
    }
    let by_name = diesel::sql_query("SELECT id, name, amount, data FROM t ORDER BY id");
    #[derive(QueryableByName)]
    #[diesel(table_name = t)]
    struct Named {
        id: i32,
        name: String,
        amount: Option<f64>,
        data: Vec<u8>,
    }
    for _ in 0..2 {
        let rows = by_name
            .clone()
            .load_iter::<Named, _>(&mut *database)
            .expect("loads");
        assert_all(rows.map(|row| row.map(|row| (row.id, row.name, row.amount, row.data))));
    }
}

#[test]
fn first_row_is_there_before_the_last() {
    let database = Database::with(SCHEMA);
    let (proxy, mut conn) = behind(&database, |_| Fate::Part(100_000));
    let mut rows = all().load_iter::<Row, _>(&mut conn).expect("loads");
    // The proxy holds nearly all of them back.
    let first = rows.next().expect("a row").expect("is read");
    assert_eq!(first, row(1));
    proxy.release();
    assert_all(std::iter::once(Ok(first)).chain(rows));
}

#[test]
fn answer_that_breaks_off_goes_on_where_it_was() {
    let database = Database::with(SCHEMA);
    for length in [70_000, 200_000, 350_000] {
        let (_proxy, mut conn) = behind(&database, move |query| match query {
            1 | 2 => Fate::Cut(length * query),
            _ => Fate::Pass,
        });
        let before = conn.http_requests();
        let rows = all().load_iter::<Row, _>(&mut conn).expect("loads");
        assert_all(rows);
        assert_eq!(conn.http_requests() - before, 3);
    }
}

#[test]
fn answer_that_always_breaks_off_is_an_error() {
    let database = Database::with(SCHEMA);
    let (_proxy, mut conn) = behind(&database, |_| Fate::Cut(200_000));
    let mut rows = all().load_iter::<Row, _>(&mut conn).expect("loads");
    let mut good = 0;
    let error = loop {
        match rows.next().expect("a row or an error") {
            Ok(found) => {
                good += 1;
                assert_eq!(found, row(good));
            }
            Err(error) => break error,
        }
    };
    assert_kind!(Err::<(), _>(error), UnableToSendCommand);
    assert!(good > 0);
    assert!(rows.next().is_none(), "nothing comes behind an error");
    drop(rows);
    assert_eq!(
        t::table.filter(t::id.lt(0)).count().get_result(&mut conn),
        Ok(0)
    );
}

#[test]
fn rows_that_changed_meanwhile_are_no_rows_of_one_answer() {
    let mut database = Database::with(SCHEMA);
    for change in [
        "UPDATE t SET name = 'other' WHERE id = 7",
        "DELETE FROM t WHERE id = 8",
        "DELETE FROM t WHERE id > 9",
    ] {
        let (proxy, mut conn) = behind(&database, |query| match query {
            1 => Fate::PartThenCut(200_000),
            _ => Fate::Pass,
        });
        let mut rows = all().load_iter::<Row, _>(&mut conn).expect("loads");
        assert_eq!(rows.next().expect("a row").expect("is read").0, 1);
        database.batch_execute(change).expect("changes");
        proxy.release();
        let error = rows.find_map(Result::err).expect("an error");
        assert_kind!(Err::<(), _>(error), SerializationFailure);
        assert!(rows.next().is_none());
    }
}

#[test]
fn value_that_does_not_come_as_it_is_stored_is_asked_for_again() {
    let mut database = Database::with(SCHEMA);
    let odd = "2024-02-29T10:11:12Z";
    diesel::update(t::table.find(15_000))
        .set(t::name.eq(odd))
        .execute(&mut *database)
        .expect("updates");
    let exact = |found: QueryResult<Row>| {
        found.map(|mut found| {
            if found.0 == 15_000 {
                assert_eq!(found.1, odd);
                found.1 = row(15_000).1;
            }
            found
        })
    };
    // First in the exact form, then as it is stored until that value comes, then without any doubt.
    for wanted in [1, 2, 1] {
        let (rows, requests) = database.requests(|conn| {
            let rows = all().load_iter::<Row, _>(conn).expect("loads");
            rows.collect::<Vec<_>>()
        });
        assert_all(rows.into_iter().map(exact));
        if TELLS_TYPES {
            assert_eq!(requests, wanted);
        }
    }
}

#[test]
fn rows_that_nobody_reads_hinder_nobody() {
    let mut database = Database::with(SCHEMA);
    for _ in 0..3 {
        let mut rows = all().load_iter::<Row, _>(&mut *database).expect("loads");
        assert_eq!(rows.next().expect("a row").expect("is read"), row(1));
        drop(rows);
        assert_eq!(
            t::table.count().get_result(&mut *database),
            Ok(i64::from(ROWS))
        );
    }
}

#[test]
fn answer_is_no_longer_than_it_may_be() {
    let database = Database::with(SCHEMA);
    let mut conn = database.another_with("max_answer=200000");
    let mut rows = all().load_iter::<Row, _>(&mut conn).expect("loads");
    let error = rows.find_map(Result::err).expect("an error");
    assert!(error.to_string().contains("max_answer"), "{error}");
    assert!(rows.next().is_none());
}

#[test]
fn transaction_reads_all_rows() {
    let mut database = Database::with(SCHEMA);
    database
        .transaction(|conn| {
            let rows = all().load_iter::<Row, _>(conn)?;
            assert_all(rows);
            QueryResult::Ok(())
        })
        .expect("commits");
}

/// What becomes of the leader while it answers.
fn leader_in_the_middle_of_an_answer(harm: impl FnOnce(&mut Rqlited)) {
    let mut cluster = Cluster::builder().default_raft_timeouts().start(3);
    let leader = cluster.leader();
    let mut conn = connect(&cluster.url(leader));
    conn.batch_execute(SCHEMA).expect("creates");
    // More than any buffer on the way holds.
    let long = "UPDATE t SET data = zeroblob(600) WHERE id > 10";
    conn.batch_execute(long).expect("updates");
    let mut rows = all().load_iter::<Row, _>(&mut conn).expect("loads");
    assert_eq!(rows.next().expect("a row").expect("is read"), row(1));
    harm(cluster.node_mut(leader));
    let ids: QueryResult<Vec<_>> = rows.map(|row| row.map(|row| row.0)).collect();
    assert_eq!(ids.expect("goes on"), (2..=ROWS).collect::<Vec<_>>());
}

#[test]
fn leader_that_dies_in_the_middle_of_an_answer_costs_no_row() {
    leader_in_the_middle_of_an_answer(Rqlited::kill);
}

#[test]
fn leader_that_hangs_in_the_middle_of_an_answer_costs_no_row() {
    leader_in_the_middle_of_an_answer(|leader| leader.pause());
}

#[test]
fn long_answer_is_whole_over_tls() {
    let node = Rqlited::builder().tls().start();
    let file = node.ca_certificate().expect("has TLS");
    let mut conn = connect(&format!("{}?ca_cert={}", node.url(), file.display()));
    conn.batch_execute(SCHEMA).expect("creates");
    for _ in 0..2 {
        let rows = all().load_iter::<Row, _>(&mut conn).expect("loads");
        assert_all(rows);
    }
}

diesel::table! {
    late (id) {
        id -> Integer,
        at -> Nullable<Text>,
    }
}

/// rqlite may convert any value of a column that is declared as a time, but NULL.
#[test]
fn column_of_nulls_is_not_asked_for_again() {
    let mut database = Database::with(
        "CREATE TABLE late (id INTEGER PRIMARY KEY, at DATETIME);
        INSERT INTO late WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        SELECT i, NULL FROM n",
    );
    // First in the exact form, then as it is stored.
    for _ in 0..3 {
        let (rows, requests) =
            database.requests(|conn| late::table.load::<(i32, Option<String>)>(conn));
        let rows = rows.expect("loads");
        assert_eq!(rows.len(), 20_000);
        assert!(rows.iter().all(|(_, at)| at.is_none()));
        assert_eq!(requests, 1);
    }
    diesel::update(late::table.find(15_000))
        .set(late::at.eq("12:00"))
        .execute(&mut *database)
        .expect("updates");
    // A value is still right.
    for _ in 0..2 {
        let rows = late::table.load::<(i32, Option<String>)>(&mut *database);
        let found = rows.expect("loads").into_iter().find_map(|(_, at)| at);
        assert_eq!(found.as_deref(), Some("12:00"));
    }
}
