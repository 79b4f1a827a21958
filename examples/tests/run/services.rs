//! The services: the same is true of each, whatever its framework.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::{Cluster, Flow, Link, Rqlited};

use crate::run;
use crate::running::{Client, Running, until};

/// It has a second, and else all the time that a request to the database may take.
const HEALTH_LIMIT: Duration = Duration::from_secs(8);

macro_rules! services {
    ($($name:ident: $program:literal,)*) => {$(
        mod $name {
            const PROGRAM: &str = env!(concat!("CARGO_BIN_EXE_", $program));

            #[test]
            fn keeps_its_word_under_load() {
                super::keeps_its_word_under_load(PROGRAM);
            }

            #[test]
            fn tells_what_became_of_a_request() {
                super::tells_what_became_of_a_request(PROGRAM);
            }

            #[test]
            fn answers_what_it_has_begun_before_it_ends() {
                super::answers_what_it_has_begun_before_it_ends(PROGRAM);
            }

            #[test]
            fn is_well_while_its_database_is() {
                super::is_well_while_its_database_is(PROGRAM);
            }

            #[test]
            fn migrates_once_where_two_start() {
                super::migrates_once_where_two_start(PROGRAM);
            }
        }
    )*};
}

services! {
    axum: "axum_service",
    actix: "actix_service",
    rocket: "rocket_service",
}

fn count(node: &Rqlited, table: &str) -> i64 {
    let mut conn = RqliteConnection::establish(&node.url()).expect("runs");
    let count = diesel::dsl::sql::<BigInt>(&format!("SELECT count(*) FROM {table}"));
    count.get_result(&mut conn).expect("there is the table")
}

/// A node, and a link to it that the service can't pass by.
fn linked() -> (Rqlited, Link, String) {
    let node = Rqlited::start();
    let link = Link::start(&node.address());
    let url = format!("rqlite://{}?discovery=false", link.address());
    (node, link, url)
}

/// Sends an account whose answer does not come: it is in the database, and the service does not know yet.
fn leave_under_way(client: &mut Client, node: &Rqlited, link: &Link) {
    let before = count(node, "bank_accounts");
    link.set(Flow::Open, Flow::Cut);
    client.begin_post("/accounts", &account("late"));
    until("it is written", || count(node, "bank_accounts") > before);
}

fn account(owner: &str) -> String {
    format!(r#"{{"owner":"{owner}","cents":123457}}"#)
}

fn transfer(id: &str, cents: i64) -> String {
    format!(r#"{{"id":"{id}","source":1,"target":2,"cents":{cents}}}"#)
}

fn keeps_its_word_under_load(program: &str) {
    let text = run(program, "--load --clients 8 --requests 400");
    assert!(text.contains("none was lost, none done twice"), "{text}");
}

fn tells_what_became_of_a_request(program: &str) {
    let (node, link, url) = linked();
    let mut service = Running::start(program, &url);
    let mut client = Client::new(&service.address());
    for (path, body, status, applied) in [
        ("/accounts", account("ada"), 201, ""),
        ("/accounts", account("ada"), 409, "no"),
        ("/accounts", account("bob"), 201, ""),
        ("/transfers", transfer("rent", 1), 201, ""),
        // Sent again, it is the same one.
        ("/transfers", transfer("rent", 1), 201, ""),
        ("/transfers", transfer("rent", 2), 409, "no"),
        ("/transfers", transfer("nothing", 0), 422, "no"),
        ("/transfers", transfer("all", 123_457), 422, "no"),
    ] {
        let answer = client.post(path, &body);
        assert_eq!(answer.status, status, "{path} {body}: {answer:?}");
        let told = answer.body.contains(&format!(r#""applied":"{applied}""#));
        assert!(applied.is_empty() || told, "{path} {body}: {answer:?}");
    }
    assert_eq!(client.get("/accounts/7").status, 404);
    assert_eq!(
        client.get("/accounts").body,
        r#"[{"id":1,"owner":"ada","cents":123456},{"id":2,"owner":"bob","cents":123458}]"#
    );
    leave_under_way(&mut client, &node, &link);
    link.refuse();
    let answer = client.answer();
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(answer.body.contains(r#""applied":"unknown""#), "{answer:?}");
    link.heal();
    let page = client.get("/metrics").body;
    assert!(
        page.contains("diesel_rqlite_unknown_outcomes_total 1"),
        "{page}"
    );
}

fn answers_what_it_has_begun_before_it_ends(program: &str) {
    let (node, link, url) = linked();
    let mut service = Running::start(program, &url);
    let address = service.address();
    // The part of the service that is the first to have a connection to the database has nothing to do at the end, and may
    // be gone before the other has its answer.
    let (mut idle, mut client) = (Client::new(&address), Client::new(&address));
    assert_eq!(idle.post("/accounts", &account("early")).status, 201);
    assert_eq!(client.get("/accounts/1").status, 200);
    leave_under_way(&mut client, &node, &link);
    service.ask_to_end();
    until("it takes no more clients", || {
        TcpStream::connect(&address).is_err()
    });
    link.heal();
    let answer = client.answer();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(answer.body.contains(r#""owner":"late""#), "{answer:?}");
    service.ended();
}

fn is_well_while_its_database_is(program: &str) {
    let mut node = Rqlited::start();
    let mut service = Running::start(program, &node.url());
    let mut client = Client::new(&service.address());
    assert_eq!(client.get("/health").status, 200);
    node.kill();
    let answer = client.get("/health");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    // Others than those who look after it read this.
    assert!(!answer.body.contains("127.0.0.1"), "{answer:?}");
    node.restart();
    until("it is well again", || client.get("/health").status == 200);
    // It hangs: nothing is refused.
    node.pause();
    let asked = Instant::now();
    let answer = client.get("/health");
    node.resume();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(asked.elapsed() < HEALTH_LIMIT, "{:?}", asked.elapsed());
    until("it is well again", || client.get("/health").status == 200);
}

fn migrates_once_where_two_start(program: &str) {
    let (node, link, url) = linked();
    node.pause();
    let mut services = [(); 2].map(|()| Running::start(program, &url));
    until("both have come", || link.connections() >= services.len());
    node.resume();
    for service in &mut services {
        let mut client = Client::new(&service.address());
        assert_eq!(client.post("/accounts", "{}").status / 100, 4);
        assert_eq!(client.get("/accounts").body, "[]");
    }
    // Its tables can't be made twice.
    assert_eq!(count(&node, "__diesel_schema_migrations"), 1);
}

#[test]
fn rocket_is_configured_as_rocket_is() {
    let (named, other) = (Rqlited::start(), Rqlited::start());
    let databases = format!("[default.databases.bank]\nurl = \"{}\"\n", named.url());
    let (directory, of) = (env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let file = format!("{directory}/Rocket-{of}.toml");
    fs::write(&file, databases).expect("is a directory of the tests");
    let in_environment = format!("{{bank={{url=\"{}\"}}}}", other.url());
    for (variables, node) in [
        ([("ROCKET_CONFIG", &*file), ("RQLITE_URL", "")], &named),
        (
            [
                ("ROCKET_CONFIG", &*file),
                ("ROCKET_DATABASES", &*in_environment),
            ],
            &other,
        ),
    ] {
        let program = env!("CARGO_BIN_EXE_rocket_service");
        let mut service = Running::start_with(program, variables);
        let mut client = Client::new(&service.address());
        assert_eq!(client.post("/accounts", &account("ada")).status, 201);
        assert_eq!(count(node, "bank_accounts"), 1);
    }
    fs::remove_file(&file).expect("was written");
}

/// A span that ended, on one line: what is around it, and its fields.
fn is_span(line: &str, around: &[&str], fields: &[&str]) -> bool {
    let mut at = 0;
    let in_order = around.iter().all(|name| {
        let found = line[at..].find(&format!("{name}{{"));
        found.is_some_and(|found| {
            at += found;
            true
        })
    });
    in_order && fields.iter().all(|field| line.contains(field))
}

#[test]
fn the_service_shows_what_it_does_while_the_leader_dies() {
    let mut cluster = Cluster::start(3);
    let mut service = Running::start(env!("CARGO_BIN_EXE_axum_service"), &cluster.url(0));
    let mut client = Client::new(&service.address());
    for owner in ["ada", "bob"] {
        let answer = client.post("/accounts", &account(owner));
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let (killed, transfers) = (10, 30);
    for number in 0..transfers {
        if number == killed {
            let leader = cluster.leader();
            cluster.node_mut(leader).kill();
        }
        let transfer = transfer(&format!("t-{number}"), 1);
        // By the same id it is made once.
        while client.post("/transfers", &transfer).status != 201 {}
    }
    let page = client.get("/metrics").body;
    service.ask_to_end();
    let traces = service.ended();
    for wanted in [
        "# TYPE db_client_operation_duration_seconds histogram",
        "db_client_operation_duration_seconds_count{db_system_name=\"rqlite\",db_operation_name=\"COMMIT\"}",
        "http_client_request_duration_seconds_count{http_request_method=\"POST\",server_address=\"127.0.0.1\"",
        "# HELP diesel_rqlite_requests_total HTTP requests with statements",
        "\ndiesel_rqlite_commits_total ",
        "\ndiesel_rqlite_retries_total ",
        "\ndiesel_rqlite_fail_overs_total ",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    for (around, fields) in [
        (
            &["http", "transaction", "commit", "request"][..],
            &["url.full=", "http.response.status_code=200", "server.port="][..],
        ),
        (
            &["http", "query"],
            &[
                "db.query.summary=\"INSERT bank_accounts\"",
                "rqlite.requests=1",
            ],
        ),
        (
            &["http", "transaction"],
            &["rqlite.transaction.outcome=\"committed\""],
        ),
        (&["request"], &["otel.status_code=\"ERROR\""]),
    ] {
        let mut lines = traces.lines();
        assert!(
            lines.any(|line| is_span(line, around, fields)),
            "{around:?} {fields:?}\n{traces}"
        );
    }
    // Whose name it was, and how much, is nobody's business.
    assert!(
        !traces.contains("ada") && !traces.contains("123457"),
        "{traces}"
    );
}
