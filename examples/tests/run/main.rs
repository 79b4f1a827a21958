//! Every example runs, and finds its own result right.

use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod running;
mod services;

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
