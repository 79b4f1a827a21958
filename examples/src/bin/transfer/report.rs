//! What came of it.

use diesel_rqlite_examples::LockKind;

use crate::bank::{AMOUNT, State};
use crate::event::{Event, Tally};
use crate::options::Options;

pub(crate) fn table(options: &Options, tallies: &[Tally]) {
    let how = match (options.unguarded, options.lock) {
        (true, _) => "without transactions".to_owned(),
        (false, LockKind::None) => "in transactions, without a lock".to_owned(),
        (false, lock) => format!("in transactions, under a lock in {}", lock.name()),
    };
    println!(
        "{} workers, {} transfers of {} each, {how}\n",
        options.workers,
        options.transfers,
        money(AMOUNT)
    );
    println!(
        "worker   attempts  commits  conflicts  locks lost  not sent  unknown  found done  retries"
    );
    for (worker, tally) in tallies.iter().enumerate() {
        row(&worker.to_string(), tally);
    }
    row("all", &Tally::sum(tallies));
    println!();
}

fn row(name: &str, tally: &Tally) {
    println!(
        "{name:<6} {:>10} {:>8} {:>10} {:>11} {:>9} {:>8} {:>11} {:>8}",
        tally.of(Event::Attempt),
        tally.of(Event::Committed),
        tally.of(Event::Conflict),
        tally.of(Event::LockLost),
        tally.of(Event::NotSent),
        tally.of(Event::Unknown),
        tally.of(Event::Found),
        tally.retries(),
    );
}

/// Prints whether all money is where it belongs. Returns whether that is as it should be: for transactions that
/// nothing is lost, for code without them that this can be seen.
pub(crate) fn check(options: &Options, tallies: &[Tally], state: &State) -> bool {
    let total = options.total();
    let sum = state.source + state.target;
    let claimed = state.logged * AMOUNT;
    println!(
        "sum of both accounts   {:>10} of {:>10}",
        money(sum),
        money(total)
    );
    println!(
        "moved, by the accounts {:>10} of {:>10}",
        money(state.target),
        money(total)
    );
    println!(
        "moved, by the log      {:>10} of {:>10}",
        money(claimed),
        money(total)
    );
    let is_right = [sum, state.target, claimed] == [total; 3] && state.source == 0;
    match (options.unguarded, is_right) {
        (false, true) => println!("right: every transfer was made once"),
        (false, false) => println!("WRONG"),
        (true, false) => println!("money was lost, and no error told: {}", loss(total, state)),
        (true, true) => println!("nothing was lost, this time: try more workers"),
    }
    is_right != options.unguarded && has_happened(options, &Tally::sum(tallies))
}

fn loss(total: i64, state: &State) -> String {
    let sum = state.source + state.target;
    let undone = (total - state.target) / AMOUNT;
    let off = money(sum - total);
    format!("{undone} transfers were overwritten, and the sum is off by {off}")
}

/// Whether there was the trouble that was asked for.
fn has_happened(options: &Options, all: &Tally) -> bool {
    let killed = all.of(Event::Killed);
    let lost = all.of(Event::LockLost) + all.of(Event::Conflict);
    if options.kill_worker {
        println!("workers killed: {killed}");
    }
    if options.expire_lease {
        println!(
            "stopped in the middle: {}, refused: {lost}",
            all.of(Event::Stopped)
        );
    }
    killed == u32::from(options.kill_worker) && (lost > 0 || !options.expire_lease)
}

/// Cents as people write them.
fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}
