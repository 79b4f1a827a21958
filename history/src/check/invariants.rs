//! What a program relies on: accounts, doctors on call, ticket numbers.

use std::collections::{HashMap, HashSet};

use crate::history::{History, Operation};

use super::anomaly::{Anomaly, Kind};
use super::appends::Appends;

/// Everything the committed transactions and the final state have against it.
pub(crate) fn check(history: &History, appends: &Appends) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    for (place, transaction) in history.transactions.iter().enumerate() {
        if appends.is_committed(place) {
            let seen = transaction.operations.iter();
            let broken = seen.filter_map(|operation| broken(operation, history.total));
            anomalies.extend(broken.map(|(kind, what)| {
                let detail = format!("{} saw {what}", transaction.id);
                Anomaly::new(kind, vec![transaction.id], detail)
            }));
        }
    }
    anomalies.extend(state(history));
    anomalies.extend(tickets(history, appends));
    anomalies
}

fn broken(operation: &Operation, wanted: i64) -> Option<(Kind, String)> {
    match *operation {
        Operation::Audit { total, .. } if total != wanted => {
            Some((Kind::WrongTotal, format!("{total} instead of {wanted}")))
        }
        Operation::Audit { lowest, .. } if lowest < 0 => {
            Some((Kind::Overdraft, format!("an account with {lowest}")))
        }
        Operation::OnCall { pair, count: 0 } => Some((Kind::NobodyOnCall, format!("pair {pair}"))),
        _ => None,
    }
}

fn state(history: &History) -> Vec<Anomaly> {
    let state = &history.state;
    let audit = Operation::Audit {
        total: state.balances.iter().sum(),
        lowest: state.balances.iter().copied().min().unwrap_or_default(),
    };
    let pairs = state.on_call.iter();
    let pairs = pairs.map(|(&pair, &count)| Operation::OnCall { pair, count });
    let operations = std::iter::once(audit).chain(pairs);
    operations
        .filter_map(|operation| broken(&operation, history.total))
        .map(|(kind, what)| Anomaly::new(kind, Vec::new(), format!("the final read saw {what}")))
        .collect()
}

/// Numbers are those from 1 to the counter, each held by one committed transaction.
fn tickets(history: &History, appends: &Appends) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    let mut holders: HashMap<i64, Vec<i64>> = HashMap::new();
    for &(number, holder) in &history.state.tickets {
        holders.entry(number).or_default().push(holder);
    }
    for (number, holders) in &holders {
        if holders.len() > 1 || !(1..=history.state.counter).contains(number) {
            let detail = format!("number {number}, held by {holders:?}");
            anomalies.push(Anomaly::new(Kind::DoubledTicket, holders.clone(), detail));
        }
    }
    for number in (1..=history.state.counter).filter(|number| !holders.contains_key(number)) {
        let detail = format!("number {number} is nobody's");
        anomalies.push(Anomaly::new(Kind::TicketGap, Vec::new(), detail));
    }
    let held: HashSet<_> = history.state.tickets.iter().copied().collect();
    for (place, transaction) in history.transactions.iter().enumerate() {
        for operation in &transaction.operations {
            let Operation::Ticket { number } = *operation else {
                continue;
            };
            let kind = match (
                appends.is_committed(place),
                held.contains(&(number, transaction.id)),
            ) {
                (true, false) => Kind::LostTicket,
                (false, true) => Kind::AbortedRead,
                _ => continue,
            };
            let detail = format!("ticket {number} of {}", transaction.id);
            anomalies.push(Anomaly::new(kind, vec![transaction.id], detail));
        }
    }
    anomalies
}
