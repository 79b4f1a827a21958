//! Commits whose answer is lost: unknown, or settled.

use super::RqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

use super::database::{Database, connect};
use crate::proxy::{Fate, Proxy};
use crate::support::assert_kind;

diesel::table! { t (id) { id -> Integer, n -> Integer, } }

fn database() -> Database {
    Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)")
}

fn is_commit(request: &str) -> bool {
    request.contains("/db/execute") && request.contains("INSERT INTO \\\"t\\\"")
}

/// The first commit has this fate; the others pass.
fn first_commit(db: &Database, fate: Fate) -> Proxy {
    let commits = std::sync::Mutex::new(0);
    Proxy::start(db.node.address(), move |_, request| {
        if !is_commit(request) {
            return Fate::Pass;
        }
        let mut commits = commits.lock().expect("no panic");
        *commits += 1;
        if *commits == 1 { fate } else { Fate::Pass }
    })
}

fn insert(conn: &mut RqliteConnection) -> QueryResult<usize> {
    let count: i64 = t::table.count().get_result(conn)?;
    diesel::insert_into(t::table)
        .values(t::n.eq(i32::try_from(count).expect("a few")))
        .execute(conn)
}

const FATES: [Fate; 3] = [Fate::Answer(b""), Fate::Lose, Fate::Keep];

#[test]
fn a_lost_commit_is_unknown() {
    for fate in FATES {
        let mut db = database();
        let proxy = first_commit(&db, fate);
        let mut conn = connect(&proxy.url());
        let before = conn.http_requests();
        let information = assert_kind!(conn.transaction(insert), ClosedConnection);
        assert!(
            information
                .details()
                .is_some_and(|details| details.contains("unknown"))
        );
        assert_eq!(conn.http_requests() - before, 2, "it is not sent again");
        assert_eq!(db.count("t"), i64::from(fate == Fate::Answer(b"")));
    }
}

#[test]
fn exactly_once_settles_a_lost_commit() {
    for fate in FATES {
        let mut db = database();
        let proxy = first_commit(&db, fate);
        let mut conn = connect(&format!("{}?exactly_once=true", proxy.url()));
        assert_eq!(conn.transaction(insert), Ok(1), "{fate:?}");
        assert_eq!(db.count("t"), 1, "{fate:?}");
        // A copy that was under way comes in late, and is refused.
        let late = proxy.deliver();
        assert_eq!(late.len(), usize::from(fate == Fate::Keep));
        assert!(
            late.iter().all(|answer| answer.contains("drq:number")),
            "{late:?}"
        );
        assert_eq!(db.count("t"), 1, "{fate:?}");
        assert_eq!(conn.transaction(insert), Ok(1), "{fate:?}");
        assert_eq!(db.count("t"), 2, "{fate:?}");
        assert_eq!(
            db.count("__diesel_rqlite_commits"),
            1,
            "one row for the connection"
        );
    }
}

#[test]
fn exactly_once_finds_out_about_a_conflict() {
    let mut db = database();
    let proxy = first_commit(&db, Fate::Lose);
    let mut conn = connect(&proxy.url());
    let mut runs = 0;
    let outcome = conn
        .build_transaction()
        .exactly_once()
        .retries(3)
        .run(|conn| {
            runs += 1;
            let inserted = insert(conn);
            if runs == 1 {
                db.batch_execute("INSERT INTO t (n) VALUES (7)")?;
            }
            inserted
        });
    assert_eq!((outcome, runs), (Ok(1), 2));
    assert_eq!(db.count("t"), 2);
    assert_eq!(db.one("SELECT max(n) + min(n) AS value FROM t"), 8);
}

#[test]
fn an_outcome_that_can_not_be_found_out_is_unknown() {
    let db = database();
    let proxy = Proxy::start(db.node.address(), |_, request| {
        match is_commit(request) || request.contains("SELECT applied FROM __diesel_rqlite_commits")
        {
            true => Fate::Lose,
            false => Fate::Pass,
        }
    });
    let mut conn = connect(&format!(
        "{}?exactly_once=true&discovery=false&leader_timeout=100ms",
        proxy.url()
    ));
    let outcome = conn.transaction(insert);
    let information = assert_kind!(outcome, ClosedConnection);
    assert!(
        information
            .details()
            .is_some_and(|details| details.contains("unknown"))
    );
    assert!(conn.transaction(|_| Ok::<_, Error>(())).is_ok());
}

/// Nothing of the transaction has been sent then.
#[test]
fn a_commit_without_a_number_is_not_sent() {
    let mut db = database();
    let proxy = Proxy::start(db.node.address(), |_, request| {
        match request.contains("__diesel_rqlite_commits") {
            true => Fate::Lose,
            false => Fate::Pass,
        }
    });
    let mut conn = connect(&format!(
        "{}?exactly_once=true&discovery=false&leader_timeout=100ms",
        proxy.url()
    ));
    assert_kind!(conn.transaction(insert), UnableToSendCommand);
    assert_eq!(db.count("t"), 0);
}
