//! Every example runs, and finds its own result right.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use diesel_rqlite_tests::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// None takes a tenth of it, unless the machine is busy.
const LIMIT: Duration = Duration::from_secs(60);

fn start(program: &str, arguments: &str) -> Child {
    Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("can be started")
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("a pid is an i32"))
}

fn wait(child: Child, what: &str) -> Output {
    let pid = pid(&child);
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(LIMIT) {
        Ok(output) => output.expect("can be waited for"),
        Err(_) => {
            let _ = kill(pid, Signal::SIGKILL);
            panic!("{what} did not end");
        }
    }
}

/// What it printed. It must end well.
fn run(program: &str, arguments: &str) -> String {
    let what = format!("{program} {arguments}");
    let output = wait(start(program, arguments), &what);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{what}: {}\n{text}{errors}",
        output.status
    );
    text
}

fn transfer(arguments: &str) -> String {
    run(env!("CARGO_BIN_EXE_transfer"), arguments)
}

#[test]
fn quickstart() {
    run(env!("CARGO_BIN_EXE_quickstart"), "");
}

#[test]
fn basic() {
    run(env!("CARGO_BIN_EXE_basic"), "");
}

#[test]
fn orm() {
    run(env!("CARGO_BIN_EXE_orm"), "");
}

#[test]
fn lending() {
    run(env!("CARGO_BIN_EXE_lending"), "");
}

#[test]
fn blobs() {
    run(env!("CARGO_BIN_EXE_blobs"), "");
}

#[test]
fn every_lock_both_ways() {
    let text = run(env!("CARGO_BIN_EXE_locks"), "");
    assert_eq!(text.lines().count(), 1 + 5 * 2, "{text}");
}

#[test]
fn transfers_without_a_lock_are_all_made() {
    transfer("");
}

#[test]
fn transfers_without_transactions_lose_money() {
    let text = transfer("--no-lock");
    assert!(text.contains("money was lost"), "{text}");
}

#[test]
fn a_killed_worker_loses_nothing() {
    for lock in ["none", "valkey"] {
        transfer(&format!("--lock {lock} --lease 500 --kill-worker"));
    }
}

#[test]
fn who_lost_its_lease_is_refused() {
    for lock in ["rqlite", "redis"] {
        transfer(&format!("--lock {lock} --lease 500 --expire-lease"));
    }
}

#[test]
fn a_stopped_leader_loses_nothing() {
    transfer("--lock rqlite --stop-leader");
}

#[test]
fn the_service_keeps_its_word_under_load() {
    let text = run(
        env!("CARGO_BIN_EXE_axum_service"),
        "--load --clients 8 --requests 400",
    );
    assert!(text.contains("none was lost, none done twice"), "{text}");
}

#[test]
fn the_service_ends_when_it_is_asked_to() {
    let program = env!("CARGO_BIN_EXE_axum_service");
    let mut child = start(program, "--listen 127.0.0.1:0");
    let mut output = BufReader::new(child.stdout.take().expect("is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("says where it listens");
    let (_, address) = line.trim().split_once("http://").expect("an address");
    let answer = ask(address, "GET /accounts/7 HTTP/1.1");
    assert!(answer.contains("404 Not Found"), "{answer}");
    kill(pid(&child), Signal::SIGTERM).expect("runs");
    let status = wait(child, program).status;
    assert!(status.success(), "{status}");
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
    let program = env!("CARGO_BIN_EXE_axum_service");
    let mut child = Command::new(program)
        .args(["--listen", "127.0.0.1:0"])
        .env("RQLITE_URL", cluster.url(0))
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("can be started");
    // More than a pipe holds.
    let mut traces = child.stderr.take().expect("is piped");
    let traces = thread::spawn(move || {
        let mut text = String::new();
        traces.read_to_string(&mut text).map(|_| text)
    });
    let mut output = BufReader::new(child.stdout.take().expect("is piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("says where it listens");
    let (_, address) = line.trim().split_once("http://").expect("an address");
    for owner in ["ada", "bob"] {
        let account = format!(r#"{{"owner":"{owner}","cents":100000}}"#);
        let answer = post(address, "/accounts", &account);
        assert!(answer.contains("201 Created"), "{answer}");
    }
    let (killed, transfers) = (10, 30);
    for number in 0..transfers {
        if number == killed {
            let leader = cluster.leader();
            cluster.node_mut(leader).kill();
        }
        let transfer = format!(r#"{{"id":"t-{number}","source":1,"target":2,"cents":1}}"#);
        // By the same id it is made once.
        while !post(address, "/transfers", &transfer).contains("201 Created") {}
    }
    let page = ask(address, "GET /metrics HTTP/1.1");
    kill(pid(&child), Signal::SIGTERM).expect("runs");
    let output = wait(child, program);
    let traces = traces.join().expect("no panic").expect("is text");
    assert!(output.status.success(), "{}", output.status);
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
                "db.query.summary=\"INSERT axum_accounts\"",
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
        !traces.contains("ada") && !traces.contains("100000"),
        "{traces}"
    );
}

fn post(address: &str, path: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close");
    let head = format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {length}");
    send(address, &format!("{head}\r\n\r\n{body}"))
}

fn ask(address: &str, request: &str) -> String {
    send(
        address,
        &format!("{request}\r\nhost: {address}\r\nconnection: close\r\n\r\n"),
    )
}

fn send(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("listens");
    stream.write_all(request.as_bytes()).expect("is read");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("is text");
    answer
}
