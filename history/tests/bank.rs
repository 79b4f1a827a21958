//! The bank, shortly, with each lock. Whatever a fault happens to hit: no money is lost.

use std::process::Command;

/// Runs the program; with what it printed, if it did not find all in order.
fn bank(line: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_bank"))
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

macro_rules! banks {
    ($($(#[$about:meta])* $name:ident: $line:expr;)+) => {
        $($(#[$about])* #[test] fn $name() { bank($line); })+
    };
}

banks! {
    interactive_without_a_lock:
        "--mode interactive --transfers 15 --work 20ms --lease 300ms --faults kill-worker,stop-worker";
    eager_without_a_lock:
        "--mode eager --transfers 10 --work 20ms --lease 300ms --faults kill-worker,stop-worker";
    interactive_with_a_lock_and_leaders_that_die:
        "--mode interactive --lock rqlite --nodes 3 --transfers 15 --lease 500ms --faults kill,stop";
    interactive_without_a_lock_and_links_that_fail:
        "--mode interactive --nodes 3 --transfers 15 --work 20ms --faults cut,mute,slow";
    unsettled_without_a_lock_and_everything_that_fails:
        "--mode eager --nodes 3 --transfers 10 --work 20ms --unsettled --faults kill,stop,cut,mute,slow";
    interactive_with_a_lock_and_links_that_fail:
        "--mode interactive --lock rqlite --nodes 3 --transfers 10 --lease 500ms --faults cut,mute";
    deferred_with_valkey_and_links_that_fail:
        "--mode deferred --lock valkey --nodes 3 --transfers 10 --lease 500ms --work 20ms --faults cut,mute,slow";
    deferred_with_threads_and_links_that_fail:
        "--mode deferred --lock thread --nodes 3 --transfers 10 --work 20ms --faults cut,mute,slow";
    deferred_threads:
        "--mode deferred --lock thread --transfers 20 --work 5ms";
    /// The lease ends before the work does.
    deferred_with_rqlite_and_workers_that_stop:
        "--mode deferred --lock rqlite --workers 3 --transfers 4 --lease 200ms --work 300ms --faults stop-worker,kill-worker";
    deferred_with_redis_and_workers_that_stop:
        "--mode deferred --lock redis --workers 3 --transfers 4 --lease 200ms --work 300ms --faults stop-worker,lose-lock";
    deferred_with_a_cluster_and_workers_that_stop:
        "--mode deferred --lock valkey-cluster --workers 3 --transfers 4 --lease 200ms --work 300ms --faults stop-worker,kill-worker";
    /// Two hold the lock at once, and none of them knows.
    deferred_with_valkey_that_forgets:
        "--mode deferred --lock valkey --workers 3 --transfers 15 --work 30ms --faults lose-lock";
    deferred_with_redis_and_leaders_that_stop:
        "--mode deferred --lock redis --workers 3 --transfers 10 --lease 500ms --work 20ms --faults stop,lose-lock";
}

/// It has no promise to keep. That money is lost is to be seen, and no failure.
#[test]
fn unguarded_it_only_tells() {
    bank("--unguarded --transfers 10 --work 10ms");
}
