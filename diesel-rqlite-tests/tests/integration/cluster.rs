//! Several nodes: writes go to the leader, whoever was asked, and are applied once.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite_tests::Cluster;

use super::database::connect;

diesel::table! {
    t (id) {
        id -> Integer,
        n -> Integer,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)";

#[test]
fn follower_sends_the_connection_to_the_leader() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    let mut conn = connect(&cluster.node(follower).url());
    conn.batch_execute(SCHEMA).expect("creates");
    // Redirected once, when it connected.
    let before = conn.http_requests();
    for n in 0..10 {
        diesel::insert_into(t::table)
            .values(t::n.eq(n))
            .execute(&mut conn)
            .expect("inserts");
    }
    assert_eq!(conn.http_requests() - before, 10);
    assert_eq!(t::table.count().get_result(&mut conn), Ok(10_i64));
    // Level `none` stays at the node that was named.
    let mut local = connect(&format!("{}?level=none", cluster.node(follower).url()));
    let counted: i64 = t::table
        .count()
        .get_result(&mut local)
        .expect("the node has the table");
    assert!(counted <= 10, "a follower may be behind, not ahead");
    assert_eq!(local.http_requests(), 2);
    // Nothing passes the follower any more.
    cluster.node_mut(follower).kill();
    let inserted = diesel::insert_into(t::table)
        .values(t::n.eq(10))
        .execute(&mut conn);
    assert_eq!(inserted, Ok(1));
}

#[test]
fn writes_go_on_when_the_leader_dies() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let mut conn = connect(&cluster.url(leader));
    conn.batch_execute(SCHEMA).expect("creates");
    let mut acknowledged = 0;
    let mut unknown = 0;
    for n in 0..40 {
        if n == 10 {
            cluster.node_mut(leader).kill();
        }
        match diesel::insert_into(t::table)
            .values(t::n.eq(n))
            .execute(&mut conn)
        {
            Ok(1) => acknowledged += 1,
            Err(diesel::result::Error::DatabaseError(
                diesel::result::DatabaseErrorKind::ClosedConnection,
                _,
            )) => unknown += 1,
            other => panic!("insert {n}: {other:?}"),
        }
    }
    // Only what was under way when the leader died may be unknown.
    assert!(unknown <= 1, "{unknown} unknown");
    let rows: Vec<i32> = t::table.select(t::n).load(&mut conn).expect("reads");
    let mut distinct = rows.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(rows.len(), distinct.len(), "nothing is doubled");
    assert!(
        (acknowledged..=acknowledged + unknown).contains(&rows.len()),
        "{} rows",
        rows.len()
    );
}

#[test]
fn without_a_leader_nothing_is_applied_and_the_error_says_so() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let follower = (leader + 1) % 3;
    let url = format!("{}?leader_timeout=1s", cluster.node(follower).url());
    let mut conn = connect(&url);
    conn.batch_execute(SCHEMA).expect("creates");
    cluster.node_mut(leader).kill();
    cluster.node_mut((leader + 2) % 3).kill();
    let mut last = None;
    for _ in 0..3 {
        let outcome = diesel::insert_into(t::table)
            .values(t::n.eq(1))
            .execute(&mut conn);
        last = Some(crate::support::database_error(outcome).0);
    }
    assert!(
        matches!(
            last,
            Some(diesel::result::DatabaseErrorKind::UnableToSendCommand)
        ),
        "{last:?}"
    );
}
