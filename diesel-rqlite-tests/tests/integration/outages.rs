//! Nodes that die, hang, or can't be reached at the address they give: what is left of the cluster is used.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConfig;
use diesel_rqlite_tests::{Cluster, Link, Rqlited};

use super::RqliteConnection;
use super::database::connect;
use crate::proxy::{Fate, Proxy};
use crate::support::assert_kind;

diesel::table! {
    t (id) {
        id -> Integer,
        n -> Integer,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)";
/// Far below `request_timeout`, far above what it takes.
const SOON: Duration = Duration::from_secs(20);

fn insert(conn: &mut RqliteConnection, n: i32) -> QueryResult<usize> {
    diesel::insert_into(t::table)
        .values(t::n.eq(n))
        .execute(conn)
}

fn count(conn: &mut RqliteConnection) -> QueryResult<i64> {
    t::table.count().get_result(conn)
}

/// Waits until the connection knows the other nodes: it asks for them beside its requests.
fn learn(conn: &mut RqliteConnection, cluster: &Cluster) {
    let ends = Instant::now() + SOON;
    let knows = |conn: &RqliteConnection, address: &String| format!("{conn:?}").contains(address);
    while !cluster
        .addresses()
        .iter()
        .all(|address| knows(conn, address))
    {
        assert!(Instant::now() < ends, "{conn:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn hung_leader_is_left_on_old_and_new_connections() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    let url = cluster.url(leader);
    let mut old = connect(&url);
    old.batch_execute(SCHEMA).expect("creates");
    let mut idle = connect(&url);
    cluster.node(leader).pause();
    let began = Instant::now();
    assert_eq!(count(&mut old), Ok(0));
    assert_eq!(insert(&mut old, 1), Ok(1));
    assert_eq!(insert(&mut idle, 2), Ok(1));
    assert_eq!(count(&mut connect(&url)), Ok(2));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    cluster.node(leader).resume();
}

#[test]
fn write_to_a_hung_leader_is_unknown_soon() {
    let cluster = Cluster::start(3);
    let leader = cluster.leader();
    let mut conn = connect(&cluster.url(leader));
    conn.batch_execute(SCHEMA).expect("creates");
    cluster.node(leader).pause();
    let began = Instant::now();
    let information = assert_kind!(insert(&mut conn, 1), ClosedConnection);
    assert!(
        information.message().contains("given up"),
        "{}",
        information.message()
    );
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(insert(&mut conn, 2), Ok(1));
    cluster.node(leader).resume();
}

#[test]
fn one_node_in_the_url_may_die() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let mut conn = connect(&cluster.node(leader).url());
    conn.batch_execute(SCHEMA).expect("creates");
    learn(&mut conn, &cluster);
    cluster.node_mut(leader).kill();
    assert_eq!(count(&mut conn), Ok(0));
    assert_eq!(insert(&mut conn, 1), Ok(1));
    // What one connection knows, a new one begins with.
    assert_eq!(count(&mut connect(&cluster.node(leader).url())), Ok(1));
}

#[test]
fn nodes_are_learnt_and_turned_to_by_tls() {
    let mut cluster = Cluster::builder().tls().start(3);
    let leader = cluster.leader();
    let url = format!(
        "rqlites://{}?leader_timeout=4s",
        cluster.address((leader + 1) % 3)
    );
    let config: RqliteConfig = url.parse().expect("a URL");
    let config = config.ca_certificates(cluster.ca_certificates());
    let mut conn = super::connect_by(&config).expect("follows a redirect to the leader");
    conn.batch_execute(SCHEMA).expect("creates");
    learn(&mut conn, &cluster);
    // Who trusts one node only does not go to others.
    let one = cluster.node(leader).ca_certificate_pem();
    let url = format!("rqlites://{}?leader_timeout=4s", cluster.address(leader));
    let config: RqliteConfig = url.parse().expect("a URL");
    let config = config.ca_certificates(one.expect("has TLS"));
    let mut distrustful = super::connect_by(&config).expect("trusts the leader");
    assert_eq!(count(&mut distrustful), Ok(0));
    learn(&mut distrustful, &cluster);
    cluster.node_mut(leader).kill();
    assert_eq!(count(&mut conn), Ok(0));
    assert_eq!(insert(&mut conn, 1), Ok(1));
    let information = assert_kind!(insert(&mut distrustful, 2), UnableToSendCommand);
    let message = information.message();
    assert!(message.contains("ertificate"), "{message}");
}

#[test]
fn without_discovery_only_the_nodes_of_the_url_are_used() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let url = cluster.node(leader).url();
    let mut conn = connect(&format!("{url}?discovery=false&leader_timeout=500ms"));
    conn.batch_execute(SCHEMA).expect("creates");
    cluster.node_mut(leader).kill();
    assert_kind!(count(&mut conn), UnableToSendCommand);
}

#[test]
fn all_nodes_may_restart() {
    let mut node = Rqlited::start();
    let mut conn = connect(&node.url());
    conn.batch_execute(SCHEMA).expect("creates");
    node.kill();
    node.start_again();
    assert_eq!(count(&mut conn), Ok(0));
    assert_eq!(insert(&mut conn, 1), Ok(1));
}

#[test]
fn wrong_address_fails_at_once_and_the_error_names_all() {
    let free = || {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        listener.local_addr().expect("is bound").to_string()
    };
    let (one, other) = (free(), free());
    let began = Instant::now();
    let url = format!("rqlite://{one}?nodes={other}&leader_timeout=1m");
    let error = RqliteConnection::establish(&url).expect_err("nobody is there");
    let error = error.to_string();
    assert!(error.contains(&one) && error.contains(&other), "{error}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn nodes_that_give_addresses_of_their_own_network_are_used_through_each_other() {
    let cluster = Cluster::builder().unreachable_advertised().start(3);
    for place in 0..3 {
        let mut conn = connect(&format!("rqlite://{}", cluster.address(place)));
        if place == 0 {
            conn.batch_execute(SCHEMA).expect("creates");
        }
        assert_eq!(insert(&mut conn, 1), Ok(1));
        assert_eq!(
            count(&mut conn),
            Ok(i64::try_from(place).expect("small") + 1)
        );
    }
}

#[test]
fn balancer_may_go_on_sending_connections_to_a_node_that_hangs() {
    let cluster = Cluster::builder().unreachable_advertised().start(3);
    let addresses = cluster.addresses();
    let balancer = Link::balancing(addresses.iter().map(String::as_str));
    // Who waits for the node that hangs waits for longer than this test.
    let url = format!(
        "rqlite://{}?request_timeout=3m&connect_timeout=20s",
        balancer.address()
    );
    let mut connections: Vec<_> = (0..4).map(|_| connect(&url)).collect();
    connections[0].batch_execute(SCHEMA).expect("creates");
    let hung = cluster.leader();
    cluster.node(hung).pause();
    let began = Instant::now();
    let (mut acknowledged, mut unknown) = (0, 0);
    for round in 0..4 {
        for (number, conn) in (0..).zip(&mut connections) {
            match insert(conn, 10 * round + number) {
                Ok(1) => acknowledged += 1,
                outcome => {
                    assert_kind!(outcome, ClosedConnection);
                    unknown += 1;
                }
            }
        }
    }
    assert!(began.elapsed() < 4 * SOON, "{:?}", began.elapsed());
    // What was under way when it was hung, at most on each connection.
    assert!(unknown <= 4, "{unknown} of {}", acknowledged + unknown);
    let rows: Vec<i32> = t::table
        .select(t::n)
        .order(t::n)
        .load(&mut connections[0])
        .expect("reads");
    assert!(rows.is_sorted_by(|a, b| a < b), "doubled: {rows:?}");
    assert!((acknowledged..=acknowledged + unknown).contains(&rows.len()));
    cluster.node(hung).resume();
}

#[test]
fn forwarding_can_be_switched_off() {
    let cluster = Cluster::builder().unreachable_advertised().start(3);
    let follower = (cluster.leader() + 1) % 3;
    let address = cluster.address(follower);
    let url = format!("rqlite://{address}?forwarding=never&leader_timeout=500ms");
    assert!(RqliteConnection::establish(&url).is_err());
}

#[test]
fn change_of_members_on_a_quiet_cluster_is_no_outage() {
    let mut cluster = Cluster::start(3);
    let url = cluster.url(0);
    connect(&url).batch_execute(SCHEMA).expect("creates");
    cluster.add_read_only();
    let began = Instant::now();
    assert_eq!(count(&mut connect(&url)), Ok(0));
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

/// Waits until a count is this one.
fn counts(conn: &mut RqliteConnection, wanted: i64) {
    let ends = Instant::now() + 2 * SOON;
    loop {
        let counted = count(conn);
        if counted == Ok(wanted) {
            return;
        }
        assert!(Instant::now() < ends, "{counted:?} instead of {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn preferred_node_is_read_from_left_and_returned_to() {
    // Nobody but the node that is cut off may be lost, however busy this machine is.
    let cluster = Cluster::builder().links().patient().start(3);
    let leader = cluster.leader();
    let near = (leader + 1) % 3;
    let url = cluster.url(leader);
    let mut writer = connect(&url);
    writer.batch_execute(SCHEMA).expect("creates");
    let prefer = cluster.address(near);
    let mut reader = connect(&format!("{url}&level=none&prefer={prefer}"));
    counts(&mut reader, 0);
    // It hears of nothing any more, which tells its answers from those of the others.
    cluster.cut_off_from_peers(near);
    assert_eq!(insert(&mut writer, 1), Ok(1));
    for go_away in [Link::refuse, Link::cut, Link::mute] {
        for _ in 0..5 {
            assert_eq!(count(&mut reader), Ok(0), "it is there, and is asked");
        }
        go_away(cluster.client_link(near));
        // Two others answer; the leader has the row, and the third in a moment.
        counts(&mut reader, 1);
        cluster.client_link(near).heal();
        counts(&mut reader, 0);
    }
}

#[test]
fn slow_statement_is_waited_for() {
    let cluster = Cluster::start(3);
    let mut conn = connect(&cluster.url(0));
    let began = Instant::now();
    let mut rows = 4_000_000_u64;
    // As many rows as keep this machine busy for longer than a node is left in peace.
    while began.elapsed() < Duration::from_secs(4) {
        rows *= 2;
        let sql = format!(
            "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {rows}) SELECT count(*) FROM c"
        );
        diesel::sql_query(sql)
            .execute(&mut conn)
            .expect("is waited for");
    }
}

#[test]
fn server_stops_a_statement_that_takes_too_long() {
    let node = Rqlited::start();
    let mut conn = connect(&format!("{}?db_timeout=100ms", node.url()));
    let endless =
        "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    let began = Instant::now();
    assert!(diesel::sql_query(endless).execute(&mut conn).is_err());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn request_timeout_means_what_it_says() {
    let node = Rqlited::start();
    let mut conn = connect(&format!(
        "{}?request_timeout=500ms&connect_timeout=9s",
        node.url()
    ));
    conn.batch_execute(SCHEMA).expect("creates");
    node.pause();
    let began = Instant::now();
    assert_kind!(insert(&mut conn, 1), ClosedConnection);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    node.resume();
}

/// A server that answers each request with a redirect.
fn redirecting(location: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    let address = listener.local_addr().expect("is bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(stream.try_clone().expect("is cloned")).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            // By then the real node has answered the survey, so that this answer comes last.
            std::thread::sleep(Duration::from_millis(4));
            let answer = format!(
                "HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn redirects_that_lead_nowhere_are_passed_over_for_another_node() {
    let node = Rqlited::start();
    for location in [
        "http://[",
        "/db/query",
        "/elsewhere",
        "http://x:99999/db/query",
    ] {
        let useless = redirecting(location);
        let url = format!(
            "rqlite://{useless}?nodes={}&forwarding=never",
            node.address()
        );
        let mut conn = connect(&url);
        diesel::sql_query("SELECT 1")
            .execute(&mut conn)
            .expect(location);
    }
}

#[test]
fn read_without_an_answer_in_a_transaction_runs_it_again() {
    let node = Rqlited::start();
    connect(&node.url()).batch_execute(SCHEMA).expect("creates");
    // The first attempt's read gets no answer, however often it is asked.
    let proxy = Proxy::start(node.address(), |number, request| {
        let is_peek = request.contains("transaction");
        if is_peek && number <= 3 {
            Fate::HoldAnswer
        } else {
            Fate::Pass
        }
    });
    let mut conn = connect(&format!(
        "{}?request_timeout=300ms&discovery=false",
        proxy.url()
    ));
    let outcome = conn.build_transaction().retries(5).run(|conn| {
        let counted = count(conn)?;
        insert(conn, i32::try_from(counted).expect("small"))
    });
    assert_eq!(outcome, Ok(1));
    assert_eq!(count(&mut conn), Ok(1));
}
