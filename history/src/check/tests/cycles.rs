//! Orders that no serial one explains.

use super::*;

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
