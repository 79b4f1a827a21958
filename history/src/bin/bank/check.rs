//! Whether all money is there, and every transfer was made once or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Ended, Outcome, Record};
use crate::schema::{ACCOUNTS, BALANCE, State};

/// What must be true at the end, and whether it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    /// By its name, what is wrong.
    pub(crate) all: Vec<(&'static str, Vec<String>)>,
}

pub(crate) fn check(records: &[Record], state: &State, replicas_differ: bool) -> Checks {
    let replicas = replicas_differ.then(|| "a node has other rows".to_owned());
    Checks {
        all: vec![
            ("the sum is unchanged", sum(state)),
            ("balances are what the log says", balances(state)),
            ("no account is overdrawn", overdrawn(state)),
            ("all audits saw the same sum", audits(records)),
            ("outcomes are what was reported", outcomes(records, state)),
            ("replicas are equal", replicas.into_iter().collect()),
        ],
    }
}

fn sum(state: &State) -> Vec<String> {
    let sum: i64 = state.balances.iter().map(|(_, balance)| balance).sum();
    let wanted = ACCOUNTS * BALANCE;
    let wrong = (sum != wanted).then(|| format!("{sum} instead of {wanted}"));
    wrong.into_iter().collect()
}

fn balances(state: &State) -> Vec<String> {
    let mut wanted: BTreeMap<i64, i64> = (0..ACCOUNTS).map(|id| (id, BALANCE)).collect();
    for row in &state.log {
        *wanted.entry(row.origin).or_default() -= row.amount;
        *wanted.entry(row.target).or_default() += row.amount;
    }
    let found: BTreeMap<i64, i64> = state.balances.iter().copied().collect();
    let accounts: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    accounts
        .into_iter()
        .filter(|&id| wanted.get(id) != found.get(id))
        .map(|id| {
            format!(
                "account {id}: {:?} instead of {:?}",
                found.get(id),
                wanted.get(id)
            )
        })
        .collect()
}

fn overdrawn(state: &State) -> Vec<String> {
    let negative = state.balances.iter().filter(|(_, balance)| *balance < 0);
    negative
        .map(|(id, balance)| format!("account {id}: {balance}"))
        .collect()
}

fn audits(records: &[Record]) -> Vec<String> {
    let wrong = records.iter().filter_map(|record| match record {
        Record::Audited(total) if *total != ACCOUNTS * BALANCE => Some(total.to_string()),
        _ => None,
    });
    wrong.collect()
}

fn outcomes(records: &[Record], state: &State) -> Vec<String> {
    let mut logged: BTreeMap<i64, usize> = BTreeMap::new();
    for row in &state.log {
        *logged.entry(row.transfer).or_default() += 1;
    }
    let mut wrong = Vec::new();
    for (id, outcome) in reported(records) {
        let times = logged.remove(&id).unwrap_or_default();
        let is_right = match outcome {
            Some(Outcome::Committed) => times == 1,
            Some(Outcome::RolledBack(_)) => times == 0,
            // Nobody knows; twice is wrong all the same.
            Some(Outcome::Unknown) | None => times <= 1,
        };
        if !is_right {
            wrong.push(format!("transfer {id}, {outcome:?}: {times} times"));
        }
    }
    let unheard = logged.keys();
    wrong.extend(unheard.map(|id| format!("transfer {id}, never begun, is logged")));
    wrong
}

/// By transfer what its worker said, unless it was killed before.
fn reported(records: &[Record]) -> BTreeMap<i64, Option<Outcome>> {
    let mut reported = BTreeMap::new();
    for record in records {
        match record {
            Record::Begun(id) => {
                reported.entry(*id).or_insert(None);
            }
            Record::Ended(Ended { id, outcome, .. }) => {
                reported.insert(*id, Some(outcome.clone()));
            }
            Record::Audited(_) => {}
        }
    }
    reported
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cause, Seen};
    use crate::schema::Logged;

    fn state(balances: [i64; 2], log: &[i64]) -> State {
        let others = (2..ACCOUNTS).map(|id| (id, BALANCE));
        State {
            balances: [(0, balances[0]), (1, balances[1])]
                .into_iter()
                .chain(others)
                .collect(),
            log: log
                .iter()
                .map(|&transfer| Logged {
                    transfer,
                    origin: 0,
                    target: 1,
                    amount: 10,
                })
                .collect(),
        }
    }

    fn ended(id: i64, outcome: Outcome) -> [Record; 2] {
        let seen = Seen::default();
        [
            Record::Begun(id),
            Record::Ended(Ended { id, outcome, seen }),
        ]
    }

    fn wrong(records: &[Record], state: &State) -> Vec<&'static str> {
        let checks = check(records, state, false).all.into_iter();
        checks
            .filter(|(_, wrong)| !wrong.is_empty())
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn each_kind_of_loss_is_found() {
        const OUTCOMES: &str = "outcomes are what was reported";
        const BALANCES: &str = "balances are what the log says";
        let committed = ended(7, Outcome::Committed);
        assert!(wrong(&committed, &state([990, 1010], &[7])).is_empty());
        assert_eq!(wrong(&committed, &state([1000, 1000], &[])), [OUTCOMES]);
        assert_eq!(wrong(&committed, &state([980, 1020], &[7, 7])), [OUTCOMES]);
        assert_eq!(wrong(&committed, &state([980, 1020], &[7])), [BALANCES]);
        assert_eq!(
            wrong(&committed, &state([990, 1000], &[7])),
            ["the sum is unchanged", BALANCES]
        );
        assert_eq!(wrong(&[], &state([990, 1010], &[7])), [OUTCOMES]);
        let audited = |total| wrong(&[Record::Audited(total)], &state([1000, 1000], &[]));
        assert!(audited(ACCOUNTS * BALANCE).is_empty());
        assert_eq!(audited(1), ["all audits saw the same sum"]);
        let not = ended(7, Outcome::RolledBack(Cause::Conflict));
        assert_eq!(wrong(&not, &state([990, 1010], &[7])), [OUTCOMES]);
        for doubt in [&ended(7, Outcome::Unknown)[..], &[Record::Begun(7)]] {
            assert!(wrong(doubt, &state([990, 1010], &[7])).is_empty());
            assert!(wrong(doubt, &state([1000, 1000], &[])).is_empty());
            assert_eq!(wrong(doubt, &state([980, 1020], &[7, 7])), [OUTCOMES]);
        }
    }
}
