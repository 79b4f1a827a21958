//! Short outages with rqlite's default timeouts and default options. Whatever happens: no program stands still for long,
//! and no write is lost, doubled, or denied when it is there.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Held by the outage that is measured: two at a time would measure each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs the program; with what it printed, if it did not find all in order.
fn outage(line: &str) {
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_outage"))
        .args(line.split_whitespace())
        .output();
    let output = output.expect("runs");
    assert!(
        output.status.success(),
        "{line}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

// A fault lasts longer than a program may stand still: who waits for its end fails.
macro_rules! outages {
    ($($name:ident: $line:expr;)+) => {
        $(#[test] fn $name() { outage($line); })+
    };
}

outages! {
    leader_hangs: "--fault leader-hung --seconds 10 --workers 2 --at-most 9s";
    leader_is_cut_off: "--fault leader-cut-from-followers --seconds 10 --workers 2 --at-most 9s";
    leader_dies_that_alone_was_named:
        "--fault leader-killed --url one --seconds 10 --workers 2 --at-most 9s";
    leader_dies_behind_a_balancer:
        "--fault leader-killed --url balancer --seconds 10 --workers 2 --at-most 9s";
    node_joins_and_nobody_writes:
        "--fault quiet-membership-change --seconds 1 --workers 2 --at-most 5s";
    statement_takes_long: "--fault slow-statement --seconds 4";
}

/// What it says of an outage is true.
#[test]
fn outage_is_told() {
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(env!("CARGO_BIN_EXE_outage"))
        .args("--fault all-restart --seconds 1 --workers 1 --at-most 1ms --json".split(' '))
        .output();
    let output = output.expect("runs");
    assert!(!output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("is JSON");
    let programs = report["programs"].as_array().expect("has programs");
    assert_eq!(programs.len(), 4);
    for program in programs {
        let longest = program["longest_seconds"].as_f64().expect("is a number");
        assert!(longest > 0.001, "{report}");
        assert_eq!(program["lost"], 0, "{report}");
    }
}
