//! Histories by hand: one that is right, and one for each anomaly.

use crate::history::{Cause, History, Operation, Outcome, State, Transaction};

use super::{Anomaly, Kind, check};

fn read(list: i64, items: &[i64]) -> Operation {
    let items = items.to_vec();
    Operation::Read { list, items }
}

fn append(list: i64, item: i64) -> Operation {
    Operation::Append { list, item }
}

/// Committed, and at the same time as all others.
fn transaction(id: i64, operations: &[Operation]) -> Transaction {
    Transaction {
        id,
        worker: 0,
        start: 0,
        end: 100,
        operations: operations.to_vec(),
        outcome: Outcome::Committed,
    }
}

fn at(moments: (u64, u64), transaction: Transaction) -> Transaction {
    let (start, end) = moments;
    Transaction {
        start,
        end,
        ..transaction
    }
}

fn ended(outcome: Outcome, transaction: Transaction) -> Transaction {
    Transaction {
        outcome,
        ..transaction
    }
}

fn aborted(transaction: Transaction) -> Transaction {
    ended(Outcome::Aborted(Cause::Conflict), transaction)
}

fn history(lists: &[(i64, &[i64])], transactions: Vec<Transaction>) -> History {
    let lists = lists.iter().map(|(list, items)| (*list, items.to_vec()));
    let state = State {
        lists: lists.collect(),
        ..State::default()
    };
    History {
        transactions,
        state,
        total: 0,
    }
}

fn kinds(anomalies: &[Anomaly]) -> Vec<Kind> {
    anomalies.iter().map(|anomaly| anomaly.kind).collect()
}

/// The only anomaly, strict or not.
#[track_caller]
fn only(history: &History) -> Anomaly {
    let mut found = check(history, true);
    assert_eq!(kinds(&found), kinds(&check(history, false)));
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn serial_transactions_are_clean() {
    let history = history(
        &[(1, &[11, 12, 13]), (2, &[21])],
        vec![
            at((0, 1), transaction(1, &[read(1, &[]), append(1, 11)])),
            at(
                (2, 5),
                transaction(
                    2,
                    &[
                        append(1, 12),
                        append(1, 13),
                        read(1, &[11, 12, 13]),
                        append(2, 21),
                    ],
                ),
            ),
            at((3, 4), transaction(3, &[read(2, &[]), read(1, &[11])])),
            at(
                (6, 7),
                transaction(4, &[read(2, &[21]), read(1, &[11, 12, 13])]),
            ),
            at(
                (6, 7),
                aborted(transaction(5, &[read(2, &[]), append(2, 22)])),
            ),
        ],
    );
    assert_eq!(check(&history, true), []);
}

#[test]
fn write_skew_is_a_cycle_of_overwritten_reads() {
    let history = history(
        &[(1, &[11]), (2, &[21])],
        vec![
            transaction(1, &[read(1, &[]), read(2, &[]), append(1, 11)]),
            transaction(2, &[read(1, &[]), read(2, &[]), append(2, 21)]),
        ],
    );
    let anomaly = only(&history);
    assert_eq!(anomaly.kind, Kind::WriteSkew);
    assert_eq!(anomaly.transactions.len(), 2);
}

#[test]
fn lost_update_by_blind_append_is_a_cycle() {
    let history = history(
        &[(1, &[11, 12])],
        vec![
            transaction(1, &[read(1, &[]), append(1, 11)]),
            transaction(2, &[read(1, &[]), append(1, 12)]),
        ],
    );
    assert_eq!(only(&history).kind, Kind::LostUpdate);
}

#[test]
fn lost_update_by_overwriting_is_a_lost_append() {
    let history = history(
        &[(1, &[12])],
        vec![
            transaction(1, &[read(1, &[]), append(1, 11)]),
            transaction(2, &[read(1, &[]), append(1, 12)]),
        ],
    );
    let anomaly = only(&history);
    assert_eq!(
        (anomaly.kind, anomaly.transactions),
        (Kind::LostAppend, vec![1])
    );
}

#[test]
fn read_skew_is_a_cycle_with_one_overwritten_read() {
    let history = history(
        &[(1, &[11]), (2, &[21])],
        vec![
            transaction(1, &[append(1, 11), append(2, 21)]),
            transaction(2, &[read(1, &[11]), read(2, &[])]),
        ],
    );
    assert_eq!(only(&history).kind, Kind::ReadSkew);
}

#[test]
fn write_cycle_and_circular_information_need_no_overwritten_read() {
    let crosswise = history(
        &[(1, &[11, 12]), (2, &[22, 21])],
        vec![
            transaction(1, &[append(1, 11), append(2, 21)]),
            transaction(2, &[append(1, 12), append(2, 22)]),
        ],
    );
    assert_eq!(only(&crosswise).kind, Kind::WriteCycle);
    let mutual = history(
        &[(1, &[11]), (2, &[21])],
        vec![
            transaction(1, &[append(1, 11), read(2, &[21])]),
            transaction(2, &[append(2, 21), read(1, &[11])]),
        ],
    );
    assert_eq!(only(&mutual).kind, Kind::CircularInformation);
}

#[test]
fn longer_cycles_are_found() {
    let lists: Vec<(i64, Vec<i64>)> = (0..50).map(|list| (list, vec![100 + list])).collect();
    let lists: Vec<_> = lists
        .iter()
        .map(|(list, items)| (*list, items.as_slice()))
        .collect();
    let transactions = (0..50).map(|place| {
        transaction(
            place,
            &[append(place, 100 + place), read((place + 1) % 50, &[])],
        )
    });
    let anomaly = only(&history(&lists, transactions.collect()));
    assert_eq!(
        (anomaly.kind, anomaly.transactions.len()),
        (Kind::WriteSkew, 50)
    );
}

#[test]
fn aborted_append_must_not_be_read_nor_stay() {
    let writer = || aborted(transaction(1, &[append(1, 11)]));
    let read_by = transaction(2, &[read(1, &[11])]);
    let dirty = history(&[], vec![writer(), read_by.clone()]);
    // It is also no beginning of the final list, which is empty.
    assert_eq!(
        kinds(&check(&dirty, false)),
        [Kind::AbortedRead, Kind::IncompatibleOrder]
    );
    let stayed = history(&[(1, &[11])], vec![writer(), read_by]);
    let anomaly = only(&stayed);
    assert_eq!(
        (anomaly.kind, anomaly.transactions),
        (Kind::AbortedRead, vec![1, 2])
    );
}

#[test]
fn intermediate_contents_must_not_be_read() {
    let history = history(
        &[(1, &[11, 12])],
        vec![
            transaction(1, &[append(1, 11), append(1, 12)]),
            transaction(2, &[read(1, &[11])]),
        ],
    );
    let found = check(&history, false);
    assert_eq!(kinds(&found), [Kind::IntermediateRead, Kind::ReadSkew]);
    assert_eq!(found[0].transactions, [1, 2]);
}

#[test]
fn append_applied_twice_is_found() {
    let history = history(&[(1, &[11, 11])], vec![transaction(1, &[append(1, 11)])]);
    assert_eq!(only(&history).kind, Kind::DoubledAppend);
}

#[test]
fn item_of_nobody_is_found() {
    assert_eq!(
        only(&history(&[(1, &[7])], Vec::new())).kind,
        Kind::ForeignItem
    );
}

#[test]
fn reads_that_disagree_about_the_order_are_found() {
    let history = history(
        &[(1, &[11, 12])],
        vec![
            transaction(1, &[append(1, 11)]),
            transaction(2, &[append(1, 12)]),
            transaction(3, &[read(1, &[12])]),
        ],
    );
    let anomaly = only(&history);
    assert_eq!(
        (anomaly.kind, anomaly.transactions),
        (Kind::IncompatibleOrder, vec![3])
    );
}

#[test]
fn transaction_sees_its_own_appends_and_no_change_by_others() {
    let blind = history(
        &[(1, &[11])],
        vec![transaction(1, &[append(1, 11), read(1, &[])])],
    );
    assert_eq!(only(&blind).kind, Kind::Internal);
    let unrepeatable = history(
        &[(1, &[11])],
        vec![
            transaction(1, &[append(1, 11)]),
            transaction(2, &[read(1, &[]), read(1, &[11])]),
        ],
    );
    assert_eq!(only(&unrepeatable).kind, Kind::Internal);
}

#[test]
fn stale_read_is_an_anomaly_only_if_strict() {
    let history = |reader: (u64, u64)| {
        history(
            &[(1, &[11])],
            vec![
                at((0, 10), transaction(1, &[append(1, 11)])),
                // Others between them, so that the edge is not a direct one.
                at((11, 12), transaction(3, &[read(2, &[])])),
                at((13, 14), transaction(4, &[read(2, &[])])),
                at(reader, transaction(2, &[read(1, &[])])),
            ],
        )
    };
    assert_eq!(check(&history((20, 30)), false), []);
    let found = check(&history((20, 30)), true);
    assert_eq!(kinds(&found), [Kind::RealTime]);
    assert_eq!(found[0].transactions.len(), 2, "{found:?}");
    assert_eq!(check(&history((5, 30)), true), [], "they overlap");
}

#[test]
fn unknown_outcome_is_decided_by_what_was_seen() {
    let unknown = |lists: &[(i64, &[i64])]| {
        let operations = [read(3, &[]), append(1, 11), append(2, 21)];
        let transactions = vec![
            at((0, 1), ended(Outcome::Unknown, transaction(1, &operations))),
            at((2, 3), transaction(2, &[read(1, &[])])),
        ];
        history(lists, transactions)
    };
    assert_eq!(check(&unknown(&[]), true), []);
    // Applied after the reader, though its client had given up before.
    assert_eq!(check(&unknown(&[(1, &[11]), (2, &[21])]), true), []);
    let torn = only(&unknown(&[(1, &[11])]));
    assert_eq!((torn.kind, torn.transactions), (Kind::LostAppend, vec![1]));
}

#[test]
fn invariants_hold_for_what_committed_transactions_saw() {
    let audit = |total, lowest| Operation::Audit { total, lowest };
    for (operation, kind) in [
        (audit(1, 0), Kind::WrongTotal),
        (audit(0, -1), Kind::Overdraft),
        (Operation::OnCall { pair: 1, count: 0 }, Kind::NobodyOnCall),
    ] {
        let seen = transaction(1, &[operation]);
        assert_eq!(only(&history(&[], vec![seen.clone()])).kind, kind);
        assert_eq!(check(&history(&[], vec![aborted(seen)]), true), []);
    }
    let mut final_state = history(&[], Vec::new());
    final_state.state.balances = vec![1, 2];
    final_state.state.on_call.insert(1, 0);
    assert_eq!(
        kinds(&check(&final_state, false)),
        [Kind::WrongTotal, Kind::NobodyOnCall]
    );
}

#[test]
fn tickets_are_unique_and_without_gaps() {
    let with = |counter, tickets: &[(i64, i64)], outcome: Outcome| {
        let draw = |id, number| transaction(id, &[Operation::Ticket { number }]);
        let mut history = history(&[], vec![draw(1, 1), ended(outcome, draw(2, 2))]);
        history.state.counter = counter;
        history.state.tickets = tickets.to_vec();
        kinds(&check(&history, true))
    };
    let failed = || Outcome::Aborted(Cause::NotSent);
    assert_eq!(with(2, &[(1, 1), (2, 2)], Outcome::Committed), []);
    assert_eq!(with(2, &[(1, 1), (2, 2)], Outcome::Unknown), []);
    assert_eq!(with(1, &[(1, 1)], Outcome::Unknown), []);
    assert_eq!(with(1, &[(1, 1)], failed()), []);
    assert_eq!(with(1, &[(1, 1)], Outcome::Committed), [Kind::LostTicket]);
    assert_eq!(with(2, &[(1, 1)], failed()), [Kind::TicketGap]);
    assert_eq!(with(2, &[(1, 1), (2, 2)], failed()), [Kind::AbortedRead]);
    assert_eq!(with(1, &[(1, 1), (1, 1)], failed()), [Kind::DoubledTicket]);
}
