//! Lists whose contents are wrong in themselves.

use super::*;

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
