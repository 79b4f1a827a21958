//! A cluster is asked and changed by methods of a connection, and each node sees what was done.

use std::io::{self, Cursor, Read};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::{BackupOptions, ClusterError, ClusterNodes, NodeRole, RaftState, ReadyOptions};
use diesel_rqlite_tests::{Cluster, Rqlited, User, rqlited_binary};

use super::RqliteConnection;
use super::database::{Database, connect, one};
use crate::front::{Act, Front};
use crate::proxy::Fate;
use crate::recorder::Recorder;

const PASSWORD: &str = "not-to-be-shown";

/// Rows of every storage class, in more pages than are read at once.
const FILLED: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB, c REAL);
    CREATE TABLE pairs (a INTEGER NOT NULL, b TEXT NOT NULL, PRIMARY KEY (b, a)) WITHOUT ROWID;
    CREATE INDEX t_a ON t (a);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
        INSERT INTO t (a, b, c) SELECT 'it''s ' || i, CAST(i AS BLOB), i / 3.0 FROM n;
    INSERT INTO t (a) VALUES (NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO pairs SELECT i, 'a text that makes a row longer: ' || i FROM n;";

/// All of a database that was filled so, as one text for each table, and its schema.
fn contents(conn: &mut RqliteConnection) -> Vec<String> {
    #[derive(QueryableByName)]
    struct All {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    let texts = [
        "SELECT group_concat(quote(id) || quote(a) || quote(b) || quote(c)) AS value FROM (SELECT * FROM t ORDER BY id)",
        "SELECT group_concat(quote(a) || quote(b)) AS value FROM (SELECT * FROM pairs ORDER BY b, a)",
        "SELECT group_concat(sql) AS value FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)",
    ];
    let all = texts.map(|sql| diesel::sql_query(sql).get_result::<All>(conn));
    all.map(|all| all.expect("is filled").value).into()
}

/// What is true in a while, and fails with what is not after half a minute.
fn eventually<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match look() {
            Ok(value) => return value,
            Err(reason) if Instant::now() > end => panic!("{reason}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn is(condition: bool, what: impl std::fmt::Debug) -> Result<(), String> {
    match condition {
        true => Ok(()),
        false => Err(format!("{what:?}")),
    }
}

fn ids(nodes: &ClusterNodes) -> Vec<&str> {
    nodes.iter().map(|node| node.id.as_str()).collect()
}

fn id_of(place: usize) -> String {
    (place + 1).to_string()
}

fn has_leadership_transfer() -> bool {
    let binary = rqlited_binary().as_ref().expect("is there");
    !binary.version.contains(" 8") && !binary.version.contains(" v8")
}

#[test]
fn a_status_is_that_of_the_node_that_is_asked() {
    let cluster = Cluster::builder().foreign_keys().start(3);
    let leader = cluster.leader();
    let mut conn = connect(&cluster.url(0));
    conn.batch_execute("CREATE TABLE t (a)").expect("creates");
    assert_eq!(conn.cluster().node(), cluster.node(leader).http_url());
    for place in 0..3 {
        let mut asked = conn.cluster().at(&cluster.address(place)).expect("is one");
        assert_eq!(asked.node(), cluster.node(place).http_url());
        let status = asked.status().expect("answers");
        assert_eq!(status.node_id, id_of(place));
        assert_eq!(status.http_address, cluster.address(place));
        let wanted = match place == leader {
            true => RaftState::Leader,
            false => RaftState::Follower,
        };
        assert_eq!(status.state, wanted);
        assert_eq!(status.leader_id, Some(id_of(leader)));
        assert!(status.is_ready && status.foreign_keys, "{status:?}");
        assert!(status.sqlite_version.starts_with("3."), "{status:?}");
        assert!(!status.version.is_empty(), "{status:?}");
        assert!(status.database_size >= 512, "{status:?}");
        assert!(
            status.raft_term >= 1 && status.commit_index >= 3,
            "{status:?}"
        );
        assert!(status.applied_index <= status.commit_index, "{status:?}");
        let uptime = status.uptime;
        assert!(
            uptime > Duration::ZERO && uptime < Duration::from_secs(600),
            "{uptime:?}"
        );
        let json: serde_json::Value = serde_json::from_str(status.json()).expect("is JSON");
        assert_eq!(json["store"]["node_id"], status.node_id);
    }
    let mut alone = Database::new();
    let status = alone.cluster().status().expect("answers");
    assert!(!status.foreign_keys);
    assert_eq!(status.http_address, alone.node.address());
}

#[test]
fn every_node_lists_all_nodes() {
    let mut cluster = Cluster::start(3);
    cluster.add_read_only();
    let leader = cluster.leader();
    let mut conn = connect(&cluster.url(0));
    for place in 0..4 {
        let mut asked = conn.cluster().at(&cluster.address(place)).expect("is one");
        let nodes = eventually(|| {
            let nodes = asked.nodes().map_err(|error| error.to_string())?;
            is(nodes.len() == 4 && nodes.leader().is_some(), &nodes)?;
            Ok(nodes)
        });
        for (at, node) in nodes.iter().enumerate() {
            assert_eq!(node.id, id_of(at));
            assert_eq!(node.api_address, Some(cluster.node(at).http_url()));
            assert!(node.raft_address.starts_with("127.0.0.1:"), "{node:?}");
            let wanted = match at {
                3 => NodeRole::NonVoter,
                at if at == leader => NodeRole::Leader,
                _ => NodeRole::Voter,
            };
            assert_eq!(node.role, wanted, "{node:?}");
            assert!(node.is_reachable && node.error.is_none(), "{node:?}");
            assert!(node.response_time.is_some(), "{node:?}");
            assert_eq!(
                node.version.is_some(),
                has_leadership_transfer(),
                "{node:?}"
            );
        }
        let json: serde_json::Value = serde_json::from_str(nodes.json()).expect("is JSON");
        assert_eq!(json["nodes"][3]["id"], "4");
        let led = asked.leader().expect("answers").expect("there is one");
        assert_eq!(led.id, id_of(leader));
    }
}

#[test]
fn a_dead_node_is_shown_as_such() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let dead = (leader + 1) % 3;
    let mut conn = connect(&format!("{}&level=none", cluster.url(dead)));
    assert_eq!(conn.cluster().node(), cluster.node(dead).http_url());
    let listed = conn.cluster().nodes().expect("answers");
    assert!(listed.iter().all(|node| node.is_reachable), "{listed:?}");
    cluster.node_mut(dead).kill();
    let error = conn.cluster().status().expect_err("nobody is there");
    assert!(matches!(error, ClusterError::NoAnswer(_)), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with(&cluster.node(dead).http_url()),
        "{error}"
    );
    assert!(!error.is_unknown());
    // Another one answers, whoever it is.
    let nodes = conn.cluster().nodes().expect("answers");
    let gone = &nodes[dead];
    assert!(!gone.is_reachable && gone.error.is_some(), "{gone:?}");
    assert_eq!((&gone.api_address, gone.role), (&None, NodeRole::Voter));
    let led = conn.cluster().leader().expect("answers");
    assert_eq!(led.map(|node| node.id), Some(id_of(leader)));
    // But not for the one that was named.
    let named = conn
        .cluster()
        .at(&cluster.address(dead))
        .expect("is one")
        .nodes();
    assert!(matches!(named, Err(ClusterError::NoAnswer(_))), "{named:?}");
    conn.cluster()
        .backup(BackupOptions::new())
        .expect("is the leader's");
}

#[test]
fn a_node_says_whether_it_is_ready() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let last = (leader + 1) % 3;
    let mut conn = connect(&cluster.url(last));
    for options in [
        ReadyOptions::new(),
        ReadyOptions::new().sync(),
        ReadyOptions::new().no_leader(),
    ] {
        let mut asked = conn.cluster().at(&cluster.address(last)).expect("is one");
        let readiness = asked.ready(options).expect("answers");
        assert!(readiness.is_ready(), "{readiness:?}");
        assert!(
            readiness.report().starts_with("[+]node ok"),
            "{readiness:?}"
        );
        let is_synced = readiness.report().contains("[+]sync ok");
        assert_eq!(is_synced, options == ReadyOptions::new().sync());
    }
    for place in (0..3).filter(|place| *place != last) {
        cluster.node_mut(place).kill();
    }
    let mut asked = conn.cluster().at(&cluster.address(last)).expect("is one");
    let quick = ReadyOptions::new().timeout(Duration::from_millis(300));
    eventually(|| {
        let readiness = asked.ready(quick).map_err(|error| error.to_string())?;
        is(
            !readiness.is_ready() && !readiness.report().is_empty(),
            readiness,
        )
    });
    let readiness = asked.ready(quick.no_leader()).expect("answers");
    assert!(readiness.is_ready(), "{readiness:?}");
}

#[test]
fn transferred_leadership_is_seen_by_all_nodes() {
    let cluster = Cluster::builder().patient().start(3);
    let first = cluster.leader();
    let wanted = (first + 1) % 3;
    let mut conn = connect(&cluster.url(wanted));
    conn.batch_execute("CREATE TABLE t (a)").expect("creates");
    let transferred = conn.cluster().transfer_leadership(Some(&id_of(wanted)));
    if !has_leadership_transfer() {
        assert!(
            matches!(transferred, Err(ClusterError::Unsupported(_))),
            "{transferred:?}"
        );
        let led = conn.cluster().leader().expect("answers");
        assert_eq!(led.map(|node| node.id), Some(id_of(first)));
        return;
    }
    let transferred = transferred.expect("is transferred");
    assert_eq!(
        (transferred.id, transferred.role),
        (id_of(wanted), NodeRole::Leader)
    );
    let seen = |conn: &mut RqliteConnection, id: &str| {
        for place in 0..3 {
            let mut asked = conn.cluster().at(&cluster.address(place)).expect("is one");
            eventually(|| {
                let status = asked.status().map_err(|error| error.to_string())?;
                let leads = (status.state == RaftState::Leader) == (status.node_id == id);
                is(status.leader_id.as_deref() == Some(id) && leads, status)?;
                let nodes = asked.nodes().map_err(|error| error.to_string())?;
                is(nodes.leader().is_some_and(|leader| leader.id == id), nodes)
            });
        }
    };
    seen(&mut conn, &id_of(wanted));
    conn.batch_execute("INSERT INTO t VALUES (1)")
        .expect("writes go on");
    assert_eq!(one(&mut conn, "SELECT count(*) AS value FROM t"), 1);

    for wrong in [id_of(wanted), "nobody".to_owned()] {
        let refused = conn.cluster().transfer_leadership(Some(&wrong));
        assert!(
            matches!(refused, Err(ClusterError::Refused(_))),
            "{refused:?}"
        );
    }
    let any = conn
        .cluster()
        .transfer_leadership(None)
        .expect("is transferred");
    assert_ne!(any.id, id_of(wanted));
    seen(&mut conn, &any.id);
    let mut alone = Database::new();
    let refused = alone.cluster().transfer_leadership(None);
    assert!(
        matches!(refused, Err(ClusterError::Refused(_))),
        "{refused:?}"
    );
}

#[test]
fn a_node_that_is_removed_is_in_no_list_any_more() {
    let mut cluster = Cluster::start(3);
    let leader = cluster.leader();
    let (gone, left) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut conn = connect(&cluster.url(left));
    cluster.node_mut(gone).kill();
    conn.cluster()
        .remove_node(&id_of(gone))
        .expect("is removed");
    let mut wanted = [id_of(leader), id_of(left)];
    wanted.sort();
    for place in [leader, left] {
        let mut asked = conn.cluster().at(&cluster.address(place)).expect("is one");
        eventually(|| {
            let nodes = asked.nodes().map_err(|error| error.to_string())?;
            is(ids(&nodes) == wanted, nodes)
        });
    }
    conn.cluster().remove_node("nobody").expect("is no error");
    conn.batch_execute("CREATE TABLE t (a)")
        .expect("two nodes go on");
}

#[test]
fn a_backup_is_the_same_database_elsewhere() {
    let mut from = Database::with(FILLED);
    let wanted = contents(&mut from);
    let backup = |conn: &mut RqliteConnection, options| {
        let mut bytes = Vec::new();
        let mut backup = conn.cluster().backup(options).expect("begins");
        backup.read_to_end(&mut bytes).expect("is whole");
        bytes
    };
    let plain = backup(&mut from, BackupOptions::new());
    let vacuumed = backup(&mut from, BackupOptions::new().vacuum());
    for file in [&plain, &vacuumed] {
        let mut to = Database::with("CREATE TABLE gone (a)");
        to.cluster().load(Cursor::new(file.clone())).expect("loads");
        assert_eq!(contents(&mut to), wanted);
        // In a while it is the same after a restart.
        to.node.restart();
        assert_eq!(contents(&mut to.another()), wanted);
    }
    assert_eq!(vacuumed[18..20], [1, 1], "a file without a write-ahead log");
    let packed = backup(&mut from, BackupOptions::new().compress());
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    let smallest = backup(&mut from, BackupOptions::new().compress().vacuum());
    assert!(smallest.len() < vacuumed.len() && smallest[..2] == packed[..2]);
    let sql = backup(&mut from, BackupOptions::new().sql());
    let mut to = Database::new();
    let sql = String::from_utf8(sql).expect("is text");
    to.batch_execute(&sql).expect("runs");
    assert_eq!(contents(&mut to), wanted);
    for wrong in [
        BackupOptions::new().sql().vacuum(),
        BackupOptions::new().sql().compress(),
    ] {
        let refused = from.cluster().backup(wrong).map(|_| ());
        assert!(
            matches!(refused, Err(ClusterError::Invalid(_))),
            "{refused:?}"
        );
    }
    let empty = backup(&mut Database::new(), BackupOptions::new());
    assert!(empty.starts_with(b"SQLite format 3"));
}

#[test]
fn a_cluster_takes_a_file_on_every_node() {
    let mut from = Database::with(FILLED);
    let wanted = contents(&mut from);
    let cluster = Cluster::start(3);
    let follower = (cluster.leader() + 1) % 3;
    let mut conn = connect(&cluster.url(follower));
    conn.batch_execute("CREATE TABLE gone (a)")
        .expect("creates");
    let backup = from.cluster().backup(BackupOptions::new()).expect("begins");
    conn.cluster().load(backup).expect("loads");
    for place in 0..3 {
        let url = format!("{}&level=none", cluster.url(place));
        eventually(|| {
            let mut local = connect(&url);
            let tables = one(&mut local, "SELECT count(*) AS value FROM sqlite_schema");
            is(tables == 3 && contents(&mut local) == wanted, tables)
        });
    }
    // The backup of a node that does not lead is its own.
    let mut asked = conn
        .cluster()
        .at(&cluster.address(follower))
        .expect("is one");
    let mut backup = asked.backup(BackupOptions::new()).expect("begins");
    let mut bytes = Vec::new();
    backup.read_to_end(&mut bytes).expect("is whole");
    let mut again = Database::new();
    again.cluster().load(Cursor::new(bytes)).expect("loads");
    assert_eq!(contents(&mut again), wanted);
    conn.batch_execute("INSERT INTO t (a) VALUES ('more')")
        .expect("writes go on");
}

/// Fails in the middle.
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
fn a_file_that_is_not_whole_changes_nothing() {
    let mut from = Database::with(FILLED);
    let mut file = Vec::new();
    let mut backup = from.cluster().backup(BackupOptions::new()).expect("begins");
    backup.read_to_end(&mut file).expect("is whole");
    let half = file[..file.len() / 2].to_vec();
    let cluster = Cluster::start(3);
    let single = Rqlited::start();
    for url in [single.url(), cluster.url(1)] {
        let mut conn = connect(&url);
        conn.batch_execute("CREATE TABLE kept (a); INSERT INTO kept VALUES (1)")
            .expect("creates");
        for (bytes, reason) in [
            (half.clone(), "is cut off"),
            (b"CREATE TABLE t (a);".to_vec(), "it is no SQLite file"),
            (Vec::new(), "it is no SQLite file"),
        ] {
            let error = conn.cluster().load(Cursor::new(bytes)).expect_err(reason);
            assert!(matches!(error, ClusterError::File(_)), "{error:?}");
            assert!(error.to_string().contains(reason), "{error}");
        }
        let error = conn
            .cluster()
            .load(Broken(Cursor::new(half.clone())))
            .expect_err("is broken");
        assert!(matches!(error, ClusterError::File(_)), "{error:?}");
        assert!(error.to_string().contains("the disk is broken"), "{error}");
        assert_eq!(one(&mut conn, "SELECT count(*) AS value FROM kept"), 1);
        conn.batch_execute("INSERT INTO kept VALUES (2)")
            .expect("the node is of use");
    }
}

#[test]
fn what_a_user_may_not_do_is_told_as_that() {
    let node = Rqlited::builder()
        .user(User::new("admin", "secret", &["all"]))
        .user(User::new("reader", PASSWORD, &["query", "execute"]))
        .start();
    let mut conn = connect(&format!("rqlite://reader:{PASSWORD}@{}", node.address()));
    let shown = format!("{:?}", conn.cluster());
    assert!(!shown.contains(PASSWORD), "{shown}");
    // More than a node reads of what it refuses.
    let mut file = vec![0; 4 << 20];
    file[..16].copy_from_slice(b"SQLite format 3\0");
    let mut cluster = conn.cluster();
    let outcomes = [
        cluster.status().map(|_| ()),
        cluster.nodes().map(|_| ()),
        cluster.leader().map(|_| ()),
        cluster.ready(ReadyOptions::new()).map(|_| ()),
        cluster.backup(BackupOptions::new()).map(|_| ()),
        cluster.remove_node("1"),
        cluster.transfer_leadership(None).map(|_| ()),
        cluster.load(Cursor::new(file)),
    ];
    for outcome in outcomes {
        assert!(
            matches!(outcome, Err(ClusterError::Unauthorized(_))),
            "{outcome:?}"
        );
        let error = outcome.expect_err("is refused");
        let text = format!("{error:?} {error}");
        assert!(!text.contains(PASSWORD) && text.contains("401"), "{text}");
    }
    let mut admin = connect(&node.url());
    assert_eq!(admin.cluster().status().expect("answers").node_id, "1");
}

#[test]
fn a_user_without_the_state_of_the_cluster_may_load() {
    let mut from = Database::with(FILLED);
    let wanted = contents(&mut from);
    let node = Rqlited::builder()
        .user(User::new("admin", "secret", &["all"]))
        .user(User::new("loader", PASSWORD, &["query", "load"]))
        .start();
    let mut conn = connect(&format!("rqlite://loader:{PASSWORD}@{}", node.address()));
    let backup = from.cluster().backup(BackupOptions::new()).expect("begins");
    conn.cluster().load(backup).expect("loads");
    assert_eq!(contents(&mut conn), wanted);
}

#[test]
fn a_stranger_is_not_told_who_asks() {
    let node = Rqlited::builder()
        .user(User::new("admin", PASSWORD, &["all"]))
        .start();
    let mut conn = connect(&node.url());
    let stranger = TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    stranger.set_nonblocking(true).expect("is set");
    let address = stranger.local_addr().expect("is bound").to_string();
    let mut asked = conn.cluster().at(&address).expect("is an address");
    let outcomes = [
        asked.status().map(|_| ()),
        asked.nodes().map(|_| ()),
        asked.backup(BackupOptions::new()).map(|_| ()),
    ];
    for outcome in outcomes {
        assert!(
            matches!(outcome, Err(ClusterError::NotTrusted(_))),
            "{outcome:?}"
        );
    }
    let came = stranger.accept().expect_err("nobody comes");
    assert_eq!(came.kind(), io::ErrorKind::WouldBlock);
    for wrong in ["", "ftp://a", "http://", "http://u:secret@a:1", "a b"] {
        let error = conn.cluster().at(wrong).expect_err(wrong);
        assert!(matches!(error, ClusterError::Invalid(_)), "{error:?}");
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn a_transaction_is_left_alone() {
    let mut database = Database::with("CREATE TABLE t (a)");
    let counted = database.transaction(|conn| {
        diesel::sql_query("INSERT INTO t VALUES (1)").execute(conn)?;
        assert!(conn.cluster().status().is_ok());
        assert!(
            conn.cluster()
                .at("127.0.0.1:1")
                .expect("is one")
                .status()
                .is_err()
        );
        diesel::sql_query("INSERT INTO t VALUES (2)").execute(conn)
    });
    assert_eq!(counted, Ok(1));
    assert_eq!(database.count("t"), 2);
}

/// How often leadership was asked to be transferred.
fn transfers(recorder: &Recorder) -> usize {
    let sent = recorder.sent();
    let transfers = sent.iter().filter(|sent| sent.path.starts_with("/leader"));
    transfers.count()
}

#[test]
fn a_change_whose_answer_is_lost_may_have_been_done() {
    for (to, fate) in [
        (None, Fate::Lose),
        (None, Fate::Cut(0)),
        (Some("2"), Fate::Lose),
    ] {
        let recorder = Recorder::with(Rqlited::builder(), move |sent| {
            match sent.path.starts_with("/leader") {
                true => fate,
                false => Fate::Pass,
            }
        });
        let mut conn = connect(&recorder.url());
        let error = conn.cluster().transfer_leadership(to);
        let error = error.expect_err("is lost");
        assert!(error.is_unknown(), "{to:?}, {fate:?}: {error:?}");
        assert_eq!(transfers(&recorder), 1, "{to:?}, {fate:?}");
    }
}

#[test]
fn a_change_that_never_left_was_not_done() {
    for to in [None, Some("2")] {
        let node = Rqlited::start();
        let front = Front::start(node.address(), |request| {
            // This is what comes before the change.
            match request.starts_with("GET /nodes") {
                true => Act::Last,
                false => Act::Pass,
            }
        });
        let url = format!(
            "rqlite://{}?discovery=false&leader_timeout=300ms",
            front.address
        );
        let mut conn = connect(&url);
        let error = conn.cluster().transfer_leadership(to);
        let error = error.expect_err("nobody is there");
        assert!(matches!(error, ClusterError::NoAnswer(_)), "{error:?}");
    }
}

#[test]
fn a_transfer_of_which_nobody_tells_more_may_have_been_done() {
    let node = Rqlited::start();
    let front = Front::start(node.address(), |request| {
        match request.starts_with("POST /leader") {
            true => Act::LastWith(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            false => Act::Pass,
        }
    });
    let url = format!(
        "rqlite://{}?discovery=false&leader_timeout=300ms",
        front.address
    );
    let mut conn = connect(&url);
    let error = conn.cluster().transfer_leadership(None);
    let error = error.expect_err("nobody is there");
    match &error {
        ClusterError::Unknown(cause) => {
            assert!(matches!(**cause, ClusterError::NoAnswer(_)), "{cause:?}");
        }
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_node_that_stalls_in_its_answer_is_not_waited_for() {
    let node = Rqlited::start();
    let front = Front::start(node.address(), |request| {
        match request.starts_with("GET /") {
            true => Act::Stall,
            false => Act::Pass,
        }
    });
    let url = format!(
        "rqlite://{}?discovery=false&request_timeout=500ms",
        front.address
    );
    let mut conn = connect(&url);
    let mut cluster = conn.cluster();
    for outcome in [
        cluster.status().map(|_| ()),
        cluster.nodes().map(|_| ()),
        cluster.leader().map(|_| ()),
        cluster.ready(ReadyOptions::new()).map(|_| ()),
    ] {
        let error = outcome.expect_err("stalls");
        assert!(matches!(error, ClusterError::NoAnswer(_)), "{error:?}");
        assert!(error.to_string().contains("timeout"), "{error}");
    }
    // A backup may take any time.
    let mut backup = cluster.backup(BackupOptions::new()).expect("begins");
    std::thread::sleep(Duration::from_secs(1));
    front.release();
    let mut bytes = Vec::new();
    backup.read_to_end(&mut bytes).expect("is whole");
    assert!(bytes.starts_with(b"SQLite format 3"));
}

#[test]
fn a_node_that_stalls_in_its_answer_to_a_load_is_not_waited_for() {
    // Without the permission `status`, the file is loaded as into a cluster, which has an answer with a body.
    let node = Rqlited::builder()
        .user(User::new("loader", PASSWORD, &["query", "load"]))
        .start();
    let front = Front::start(node.address(), |request| {
        match request.starts_with("POST /db/load") {
            true => Act::Stall,
            false => Act::Pass,
        }
    });
    let mut conn = connect(&format!(
        "rqlite://loader:{PASSWORD}@{}?discovery=false&request_timeout=500ms",
        front.address
    ));
    let mut from = Database::with("CREATE TABLE t (a)");
    let file = from.cluster().backup(BackupOptions::new()).expect("begins");
    let loaded = conn.cluster().load(file);
    let error = loaded.expect_err("nobody tells its end");
    assert!(error.is_unknown(), "{error:?}");
    assert!(error.to_string().contains("timeout"), "{error}");
}
