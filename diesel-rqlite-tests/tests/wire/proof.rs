//! The proof of a commit whose answer was lost: who may delete it, and what becomes of the commit then.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

use crate::database::{Database, connect};
use crate::proxy::{Fate, Proxy};
use crate::support::assert_kind;

diesel::table! { t (id) { id -> Integer, n -> Integer, } }

fn database() -> Database {
    Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
}

fn is_commit(request: &str) -> bool {
    request.contains("/db/execute") && request.contains("INSERT INTO \\\"t\\\"")
}

fn insert(conn: &mut RqliteConnection) -> QueryResult<usize> {
    diesel::insert_into(t::table)
        .values(t::n.eq(1))
        .execute(conn)
}

const FATES: [Fate; 3] = [Fate::Answer(b""), Fate::Lose, Fate::Keep];

/// Before the outcome of the first commit is asked for, another client does this.
fn meanwhile(db: &Database, fate: Fate, run: impl Fn(&str) + Send + Sync + 'static) -> Proxy {
    let url = db.node.url();
    let commits = std::sync::Mutex::new(0);
    Proxy::start(db.node.address(), move |_, request| {
        if request.contains("SELECT applied FROM __diesel_rqlite_commits") {
            run(&url);
        }
        if !is_commit(request) {
            return Fate::Pass;
        }
        let mut commits = commits.lock().expect("no panic");
        *commits += 1;
        if *commits == 1 { fate } else { Fate::Pass }
    })
}

/// Whoever deletes what a client may still need, by a clock that is days ahead, say: the commit is not sent again.
#[test]
fn a_lost_commit_whose_proof_is_gone_is_unknown() {
    for sql in [
        "DELETE FROM __diesel_rqlite_commits",
        "DROP TABLE __diesel_rqlite_commits",
    ] {
        for fate in FATES {
            let mut db = database();
            let proxy = meanwhile(&db, fate, move |url| {
                connect(url).batch_execute(sql).expect("runs");
            });
            let mut conn = connect(&format!(
                "{}?exactly_once=true&discovery=false",
                proxy.url()
            ));
            let information = assert_kind!(conn.transaction(insert), ClosedConnection);
            assert!(
                information.message().contains("is gone"),
                "{}",
                information.message()
            );
            let applied = i64::from(fate == Fate::Answer(b""));
            assert_eq!(db.count("t"), applied, "{fate:?}");
            // A late copy is refused, since it has no row to write its number to.
            let late = proxy.deliver();
            assert!(
                late.iter().all(|answer| answer.contains("error")),
                "{late:?}"
            );
            assert_eq!(db.count("t"), applied, "{fate:?}");
            assert_eq!(conn.transaction(insert), Ok(1), "{fate:?}");
            assert_eq!(db.count("t"), applied + 1, "{fate:?}");
        }
    }
}

const OTHERS: &str = "INSERT INTO __diesel_rqlite_commits VALUES ('r0000000000004900-another', 1, 1), \
     ('0000000001-of-an-earlier-version', 1, 1), ('9999999999-of-an-earlier-version', 1, 1)";

#[test]
fn proof_of_a_commit_outlasts_thousands_of_connections() {
    for fate in FATES {
        let mut db = database();
        // The last of them registers by itself, and deletes what is no longer kept.
        let proxy = meanwhile(&db, fate, |url| {
            connect(url).batch_execute(OTHERS).expect("runs");
            let mut last = connect(&format!("{url}?exactly_once=true"));
            assert_eq!(last.transaction(insert), Ok(1));
        });
        let mut conn = connect(&format!(
            "{}?exactly_once=true&discovery=false",
            proxy.url()
        ));
        assert_eq!(conn.transaction(insert), Ok(1), "{fate:?}");
        assert_eq!(db.count("t"), 2, "{fate:?}");
    }
}

#[test]
fn a_row_that_is_about_to_be_forgotten_is_renewed() {
    let options = "exactly_once=true";
    let mut db = Database::with_options(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)",
        options,
    );
    for (others, kept) in [("r0000000000005500-b", 1), ("r0000000000090000-c", 0)] {
        let mut first = db.another_with(options);
        assert_eq!(first.transaction(insert), Ok(1));
        let row = "SELECT count(*) AS value FROM __diesel_rqlite_commits WHERE applied = 1";
        let before = db.one(row);
        // As many others register.
        db.batch_execute(&format!(
            "INSERT INTO __diesel_rqlite_commits VALUES ('{others}', 1, 0)"
        ))
        .expect("inserts");
        let mut another = db.another_with(options);
        assert_eq!(another.transaction(insert), Ok(1));
        assert_eq!(db.one(row), before * kept + 1, "{others}");
        let requests = first.http_requests();
        assert_eq!(first.transaction(insert), Ok(1));
        assert_eq!(first.http_requests() - requests, 3, "a new row");
        assert_eq!(first.transaction(insert), Ok(1));
        assert_eq!(first.http_requests() - requests, 4, "and no other");
    }
    assert_eq!(db.count("t"), 8);
}

/// Versions with other rows in the same table run beside this one, or did.
#[test]
fn rows_of_earlier_versions_are_theirs() {
    let options = "exactly_once=true";
    let mut db = Database::with_options(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); \
         CREATE TABLE __diesel_rqlite_commits (client TEXT PRIMARY KEY, number INTEGER NOT NULL, \
         applied INTEGER NOT NULL) WITHOUT ROWID; \
         INSERT INTO __diesel_rqlite_commits VALUES ('0000000001-a', 1, 1), ('9999999999-b', 1, 1)",
        options,
    );
    assert_eq!(db.transaction(insert), Ok(1));
    assert_eq!(db.count("__diesel_rqlite_commits"), 3);
    // What they do with the first commit of a day, by a clock that is wrong by centuries.
    db.batch_execute("DELETE FROM __diesel_rqlite_commits WHERE client < '9999999999-'")
        .expect("deletes");
    let requests = db.http_requests();
    assert_eq!(db.transaction(insert), Ok(1));
    assert_eq!(db.http_requests() - requests, 1, "the row is still there");
    assert_eq!(db.count("__diesel_rqlite_commits"), 2);
}

/// What decides how long a proof is kept is a count: no clock of a client or of a node is in a row.
#[test]
fn row_of_a_connection_holds_a_count_and_nothing_of_a_clock() {
    #[derive(QueryableByName)]
    struct Client {
        #[diesel(sql_type = diesel::sql_types::Text)]
        client: String,
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        number: i64,
    }
    let options = "exactly_once=true";
    let mut db = Database::with_options(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)",
        options,
    );
    let mut connections: Vec<_> = (0..3).map(|_| db.another_with(options)).collect();
    for conn in &mut connections {
        assert_eq!(conn.transaction(insert), Ok(1));
        assert_eq!(conn.transaction(insert), Ok(1));
    }
    let rows = diesel::sql_query("SELECT * FROM __diesel_rqlite_commits ORDER BY client");
    let rows: Vec<Client> = rows.load(&mut *db).expect("loads");
    assert_eq!(rows.len(), connections.len());
    for (place, row) in (1..).zip(rows) {
        let (count, random) = row.client.split_once('-').expect("has two parts");
        assert_eq!(count, format!("r{place:016}"));
        assert_eq!(random.len(), 32, "128 random bits: {random}");
        assert_eq!(row.number, 2);
    }
}
