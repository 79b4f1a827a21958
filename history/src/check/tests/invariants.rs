//! Accounts, doctors and tickets.

use super::*;

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
