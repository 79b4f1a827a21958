//! The kit leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use diesel_rqlite_tests::{Rqlited, rqlited_binary};

/// Starts a process that starts a node, and returns the node's address.
fn process_with_a_node() -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rqlited-for-a-while"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let output = child.stdout.take().expect("is piped");
    let mut url = String::new();
    BufReader::new(output)
        .read_line(&mut url)
        .expect("prints a URL");
    let address = url.trim().trim_start_matches("rqlite://").to_owned();
    TcpStream::connect(&address).expect("the node is there");
    (child, address)
}

fn wait_until_gone(address: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "{address} still answers");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_process_leaves_no_server() {
    let (mut process, address) = process_with_a_node();
    process.kill().expect("is killed");
    process.wait().expect("ends");
    wait_until_gone(&address);
}

#[test]
fn ended_process_leaves_no_server() {
    let (mut process, address) = process_with_a_node();
    drop(process.stdin.take());
    assert!(process.wait().expect("ends").success());
    wait_until_gone(&address);
}

#[test]
fn missing_server_is_an_error_that_says_what_to_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_rqlited-for-a-while"))
        .env("RQLITED", "/nonexistent/rqlited")
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("RQLITED") && said.contains("/nonexistent/rqlited"),
        "{said}"
    );
}

#[test]
fn dropped_and_paused_nodes_are_gone() {
    let node = Rqlited::start();
    let address = node.address();
    node.pause();
    drop(node);
    wait_until_gone(&address);
    let binary = rqlited_binary().as_ref().expect("was found");
    assert!(binary.version.starts_with("rqlited "));
}
