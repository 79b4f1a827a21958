//! Who is told user and password, and what is shown of an address.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::RunQueryDsl as _;
use diesel_rqlite::{Credentials, Forwarding, RqliteConfig};
use diesel_rqlite_tests::{Cluster, Rqlited, User};

use crate::any::{KINDS, Kind, message};
use crate::server::{FalseServer, GREETING, Reply, not_found, redirect};

/// Somebody who answers all there is to ask.
fn stranger() -> FalseServer {
    FalseServer::start(|request| match request.starts_with("GET ") {
        true => Reply::Http(not_found()),
        false => Reply::Json(GREETING.to_owned()),
    })
}

/// A node that sends everybody there, and may list it as its cluster's leader.
fn redirecting(location: String, listed: Option<String>) -> FalseServer {
    FalseServer::start(move |request| {
        if request.starts_with("GET /nodes") {
            return match &listed {
                None => Reply::Http(not_found()),
                Some(address) => Reply::Json(format!(
                    r#"{{"2":{{"id":"2","api_addr":"http://{address}","voter":true,"reachable":true,"leader":true}}}}"#
                )),
            };
        }
        Reply::Http(redirect(&location))
    })
}

fn config(server: &FalseServer) -> RqliteConfig {
    let url = format!("{}&forwarding=never&level=strong", server.url());
    url.parse::<RqliteConfig>()
        .expect("a URL")
        .credentials("user", "hunter2")
}

const AUTHORIZATION: &str = "dXNlcjpodW50ZXIy";

#[test]
fn password_is_not_sent_where_a_redirect_leads() {
    for kind in KINDS {
        let stranger = stranger();
        let location = format!("http://{}/db/query?redirect", stranger.address);
        let server = redirecting(location, None);
        let refused = message(kind.connect(&config(&server)));
        assert!(refused.contains(&stranger.address), "{refused}");
        assert!(refused.contains("were not sent there"), "{refused}");
        let asked = stranger.seen();
        assert!(asked.is_empty(), "{kind:?}: {asked:?}");
        assert!(
            server
                .seen()
                .iter()
                .any(|request| request.contains(AUTHORIZATION))
        );
        // The user may say that it is meant.
        let (host, port) = stranger.address.split_once(':').expect("an address");
        let both = config(&server).node(host, port.parse().expect("a port"));
        kind.connect(&both).map(|_| ()).expect("connects");
        // Without a password there is nothing to keep.
        let open = format!("{}&forwarding=never&level=strong", server.url());
        kind.connect_url(&open).map(|_| ()).expect("connects");
    }
}

#[test]
fn password_is_sent_to_nodes_that_the_cluster_lists() {
    for kind in KINDS {
        for discovery in [true, false] {
            let leader = stranger();
            let location = format!("http://{}/db/query?redirect", leader.address);
            let server = redirecting(location, Some(leader.address.clone()));
            let connected = kind.connect(&config(&server).discovery(discovery));
            connected.map(|_| ()).expect("connects");
            let asked = leader.seen();
            assert!(
                asked.iter().any(|request| request.contains(AUTHORIZATION)),
                "{asked:?}"
            );
        }
    }
}

/// Nodes that know the user, one that may do all, and one that may not ask for the nodes.
fn guarded() -> Cluster {
    Cluster::builder()
        .default_raft_timeouts()
        .user(User::new("admin", "secret", &["all"]))
        .user(User::new("user", "hunter2", &["all"]))
        .user(User::new("writer", "hunter3", &["query", "execute"]))
        .start(3)
}

fn one_of(cluster: &Cluster, place: usize) -> RqliteConfig {
    let address = cluster.address(place);
    let (host, port) = address.split_once(':').expect("an address");
    let config = RqliteConfig::new(host, port.parse().expect("a port"));
    config
        .credentials("user", "hunter2")
        .forwarding(Forwarding::Never)
}

#[test]
fn nodes_of_a_real_cluster_are_told_who_asks() {
    let mut cluster = guarded();
    let leader = cluster.leader();
    let place = (leader + 1) % 3;
    let mut connected = Vec::new();
    for kind in KINDS {
        for discovery in [true, false] {
            let config = one_of(&cluster, place).discovery(discovery);
            let mut conn = kind.connect(&config).expect("connects");
            let created = conn.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY)");
            created.expect("creates");
            let inserted = conn.execute("INSERT INTO t DEFAULT VALUES");
            assert_eq!(inserted, Ok(1), "{kind:?} {discovery}");
            connected.push((kind, discovery, conn));
            // Who may not ask for the nodes has nobody's word but the redirect's.
            let writer = config.credentials("writer", "hunter3");
            let at_once = writer.clone().leader_timeout(Duration::ZERO);
            let refused = message(kind.connect(&at_once));
            assert!(refused.contains("permission `status`"), "{refused}");
            assert!(refused.contains(&cluster.address(leader)), "{refused}");
            // Then a node hands it on.
            let writer = writer.forwarding(Forwarding::Auto);
            let mut conn = kind.connect(&writer).expect("connects");
            assert_eq!(conn.execute("INSERT INTO t DEFAULT VALUES"), Ok(1));
        }
    }
    cluster.node_mut(leader).kill();
    cluster.next_leader(leader);
    for (kind, discovery, mut conn) in connected {
        let inserted = conn.execute("INSERT INTO t DEFAULT VALUES");
        assert_eq!(inserted, Ok(1), "{kind:?} {discovery}");
    }
}

/// What a node hands on by itself is between the nodes.
#[test]
fn node_hands_on_what_can_not_be_sent_on() {
    for kind in KINDS {
        let stranger = stranger();
        let location = format!("http://{}/db/query?redirect", stranger.address);
        let server = FalseServer::start(move |request| match request.contains("&redirect") {
            _ if request.starts_with("GET ") => Reply::Http(not_found()),
            true => Reply::Http(redirect(&location)),
            false => Reply::Json(GREETING.to_owned()),
        });
        let config = config(&server).forwarding(Forwarding::Auto);
        kind.connect(&config).map(|_| ()).expect("connects");
        assert!(stranger.seen().is_empty());
    }
}

#[test]
fn password_in_a_location_is_not_shown() {
    for location in [
        "http://admin:hunter3@127.0.0.1:1/db/query",
        "http://hunter3@127.0.0.1:1/db/query",
        "//admin:hunter3@127.0.0.1:1/db/query",
        "http://127.0.0.1:1/hunter3@x/db/query",
        "http://127.0.0.1:1/hunter3",
        "hunter3://127.0.0.1:1/db/query",
        "http://127.0.0.1:99999/hunter3",
        "hunter3",
    ] {
        for kind in KINDS {
            let server = redirecting(location.to_owned(), None);
            let open = format!("{}&forwarding=never&level=strong", server.url());
            for config in [config(&server), open.parse().expect("a URL")] {
                let refused = message(kind.connect(&config));
                assert!(!refused.contains("hunter3"), "{location}: {refused}");
            }
        }
    }
}

/// A source of credentials, and how often it was asked.
fn counted(
    passwords: &'static [&'static str],
) -> (
    Arc<AtomicUsize>,
    impl Fn() -> Credentials + Send + Sync + Clone,
) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let next = move || {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        Credentials::new("user", passwords[number.min(passwords.len() - 1)])
    };
    (asked, next)
}

#[test]
fn credentials_are_asked_for_once_more_when_they_are_refused() {
    let node = Rqlited::builder()
        .user(User::new("user", "new", &["all"]))
        .start();
    let address = node.address();
    let (host, port) = address.split_once(':').expect("an address");
    let config = || RqliteConfig::new(host, port.parse().expect("a port"));
    for kind in KINDS {
        for waits in [false, true] {
            let provided = |passwords| {
                let (asked, next) = counted(passwords);
                let config = match waits {
                    false => config().credentials_from(move || Ok(next())),
                    true => config().credentials_from_async(move || {
                        let credentials = next();
                        Box::pin(async move {
                            tokio::task::yield_now().await;
                            Ok(credentials)
                        })
                    }),
                };
                (asked, config)
            };
            let (asked, rotated) = provided(&["old", "new"]);
            if waits && kind == Kind::Blocking {
                let refused = message(kind.connect(&rotated));
                assert!(refused.contains("asynchronous"), "{refused}");
                continue;
            }
            let mut conn = kind.connect(&rotated).expect("connects");
            assert_eq!(asked.load(Ordering::SeqCst), 2);
            assert_eq!(conn.values("SELECT 7 AS value"), Ok(vec![7]));
            assert_eq!(asked.load(Ordering::SeqCst), 2, "kept");
            let (asked, wrong) = provided(&["old"]);
            let refused = message(kind.connect(&wrong));
            assert!(refused.contains("401"), "{refused}");
            assert_eq!(asked.load(Ordering::SeqCst), 2);
        }
        let divided = config().credentials_from(|| Ok(Credentials::new("us:er", "new")));
        let refused = message(kind.connect(&divided));
        assert!(refused.contains("a user has no `:`"), "{refused}");
        let failing = config().credentials_from(|| Err("the vault is sealed".into()));
        let refused = message(kind.connect(&failing));
        assert!(
            refused.contains("no credentials: the vault is sealed"),
            "{refused}"
        );
    }
}

/// The HTTP client sees substitutes of them, of which only some are kept.
#[test]
fn credentials_that_change_often_are_those_of_each_request() {
    let current = Arc::new(AtomicUsize::new(0));
    let (wanted, given) = (Arc::clone(&current), Arc::clone(&current));
    let server = FalseServer::start(move |request| {
        let number = wanted.load(Ordering::SeqCst);
        let wanted = STANDARD.encode(format!("user:password{number}"));
        match request.contains(&format!("Basic {wanted}\r\n")) {
            true => Reply::Json(GREETING.to_owned()),
            false => {
                Reply::Http("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned())
            }
        }
    });
    let config: RqliteConfig = format!("{}&discovery=false", server.url())
        .parse()
        .expect("a URL");
    let config = config.credentials_from(move || {
        let number = given.load(Ordering::SeqCst);
        Ok(Credentials::new("user", format!("password{number}")))
    });
    let mut conn = config.connect().expect("connects");
    let http = conn.node_http();
    for number in 0..20 {
        current.store(number, Ordering::SeqCst);
        diesel::sql_query("DELETE FROM t")
            .execute(&mut conn)
            .expect("has the new password");
        let answer = http.get("/status").expect("answers");
        assert_eq!(answer.status(), 200, "{number}");
        let mut body = &b"x"[..];
        let answer = http.post("/x", "text/plain", &mut body, Some(1));
        assert_eq!(answer.expect("answers").status(), 200, "{number}");
    }
}
