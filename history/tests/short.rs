//! A short history of each kind. Long ones are for the program.

use diesel_rqlite_history::{Fault, Mode, Options, Report, run};

fn report(options: &Options) -> Report {
    let report = run(options).unwrap_or_else(|error| panic!("{error}"));
    assert!(report.counts.commits > 0, "nothing was committed");
    report
}

/// How it is printed, if there is anything to see.
fn shown(report: &Report) -> String {
    let mut text = Vec::new();
    report.write(&mut text).expect("writes to memory");
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn transactions_without_a_lock_are_serializable() {
    for mode in [Mode::Interactive, Mode::Eager] {
        let report = report(&Options {
            seconds: 5,
            nodes: 1,
            writers: 4,
            strict: true,
            mode,
            ..Options::default()
        });
        assert!(report.anomalies.is_empty(), "{}", shown(&report));
        assert!(
            report.counts.conflicts > 0,
            "there was nothing to guard against"
        );
    }
}

#[test]
fn they_are_while_the_leader_is_killed_and_stopped() {
    let report = report(&Options {
        seconds: 15,
        nodes: 3,
        writers: 4,
        faults: vec![Fault::Kill, Fault::Stop],
        strict: true,
        ..Options::default()
    });
    assert!(report.anomalies.is_empty(), "{}", shown(&report));
    assert_eq!(report.counts.unknown, 0, "every lost commit is settled");
}

#[test]
fn they_are_while_links_fail_also_with_a_pool() {
    for unsettled in [false, true] {
        let report = report(&Options {
            seconds: 12,
            nodes: 3,
            writers: 4,
            pool: Some(3),
            faults: vec![Fault::Cut, Fault::Mute, Fault::Slow],
            strict: true,
            unsettled,
            ..Options::default()
        });
        assert!(report.anomalies.is_empty(), "{}", shown(&report));
        assert!(
            unsettled || report.counts.unknown == 0,
            "every lost commit is settled"
        );
    }
}

#[test]
fn without_guards_they_are_not() {
    let report = report(&Options {
        seconds: 5,
        nodes: 1,
        writers: 4,
        unguarded: true,
        ..Options::default()
    });
    assert!(!report.anomalies.is_empty(), "the checker sees nothing");
}
