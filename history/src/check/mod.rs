//! Whether some serial order explains a history. Pure.

mod anomaly;
mod appends;
mod cycles;
mod graph;
mod invariants;
mod reads;
#[cfg(test)]
mod tests;

pub use self::anomaly::{Anomaly, Kind};

use crate::history::History;

use self::appends::Appends;
use self::graph::Graph;

/// What no serial order of the committed transactions explains. With `strict`, the order must also be one in which a
/// transaction that began after another one ended comes behind it.
///
/// An attempt with an unknown outcome counts as committed if one of its appends was seen by anybody.
pub fn check(history: &History, strict: bool) -> Vec<Anomaly> {
    let (appends, mut anomalies) = Appends::of(history);
    let (reads, found) = reads::check(history, &appends);
    anomalies.extend(found);
    let mut graph = Graph::new(history.transactions.len());
    graph.add_versions(history, &appends);
    graph.add_reads(history, &appends, &reads);
    if strict {
        graph.add_real_time(history, &appends);
    }
    anomalies.extend(cycles::find(&graph, history));
    anomalies.extend(invariants::check(history, &appends));
    anomalies
}
