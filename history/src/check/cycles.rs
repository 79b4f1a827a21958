//! Cycles in the graph: transactions of which each must come before itself.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::history::History;

use super::anomaly::{Anomaly, Kind};
use super::graph::{Dependency, Graph};

/// From how many transactions of a knot the shortest cycle is looked for.
const STARTS: usize = 64;

/// How often the graph is searched again without the cycles found.
const ROUNDS: usize = 32;

/// A cycle: each transaction, and why it comes before the next one.
type Cycle = Vec<(usize, Dependency)>;

/// Cycles that share no transaction; not all, where there are many. Those of writes alone are looked for first, then those that need reads, those
/// that need overwritten reads, and those that need the clock: so each is called by the least that explains it.
pub(crate) fn find(graph: &Graph, history: &History) -> Vec<Anomaly> {
    let mut open = vec![true; graph.len()];
    let mut anomalies = Vec::new();
    for level in 0..=Dependency::RealTime.level() {
        for _ in 0..ROUNDS {
            let knots = knots(graph, &open, level);
            if knots.is_empty() {
                break;
            }
            for knot in knots {
                let Some(cycle) = shortest(graph, &knot, level) else {
                    continue;
                };
                for (transaction, _) in &cycle {
                    open[*transaction] = false;
                }
                anomalies.push(anomaly(&cycle, level, history));
            }
        }
    }
    anomalies
}

/// The strongly connected components of more than one transaction, by Tarjan's algorithm, on a stack of our own:
/// histories are longer than a thread's.
fn knots(graph: &Graph, open: &[bool], level: usize) -> Vec<Vec<usize>> {
    let mut search = Search {
        index: vec![None; graph.len()],
        low: vec![0; graph.len()],
        on_stack: vec![false; graph.len()],
        stack: Vec::new(),
        next: 0,
        knots: Vec::new(),
    };
    for root in 0..graph.len() {
        if open[root] && search.index[root].is_none() {
            search.from(root, graph, open, level);
        }
    }
    search.knots
}

struct Search {
    index: Vec<Option<usize>>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    next: usize,
    knots: Vec<Vec<usize>>,
}

impl Search {
    fn from(&mut self, root: usize, graph: &Graph, open: &[bool], level: usize) {
        // Each with how many of its edges were followed.
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            let Some(&(to, dependency)) = graph.behind(node).get(*followed) else {
                path.pop();
                self.leave(node);
                if let Some(&(parent, _)) = path.last() {
                    self.low[parent] = self.low[parent].min(self.low[node]);
                }
                continue;
            };
            *followed += 1;
            if !open[to] || dependency.level() > level {
                continue;
            }
            match self.index[to] {
                None => {
                    self.enter(to);
                    path.push((to, 0));
                }
                Some(index) if self.on_stack[to] => self.low[node] = self.low[node].min(index),
                Some(_) => {}
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.index[node] = Some(self.next);
        self.low[node] = self.next;
        self.next += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    /// Takes the component off the stack of which this node was found first.
    fn leave(&mut self, node: usize) {
        if self.index[node] != Some(self.low[node]) {
            return;
        }
        let place = self.stack.iter().rposition(|&other| other == node);
        let component = self.stack.split_off(place.unwrap_or_default());
        for &member in &component {
            self.on_stack[member] = false;
        }
        if component.len() > 1 {
            self.knots.push(component);
        }
    }
}

/// The shortest cycle within a knot, from some of its transactions.
fn shortest(graph: &Graph, knot: &[usize], level: usize) -> Option<Cycle> {
    let members: HashSet<usize> = knot.iter().copied().collect();
    let starts = knot.iter().take(STARTS);
    starts
        .filter_map(|&start| cycle_from(graph, &members, start, level))
        .min_by_key(Vec::len)
}

fn cycle_from(
    graph: &Graph,
    members: &HashSet<usize>,
    start: usize,
    level: usize,
) -> Option<Cycle> {
    // From where, and why, each was reached.
    let mut reached = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &(to, dependency) in graph.behind(node) {
            if dependency.level() > level || !members.contains(&to) || reached.contains_key(&to) {
                continue;
            }
            reached.insert(to, (node, dependency));
            if to == start {
                return back(&reached, start);
            }
            queue.push_back(to);
        }
    }
    None
}

/// The way from `start` to itself.
fn back(reached: &HashMap<usize, (usize, Dependency)>, start: usize) -> Option<Cycle> {
    let mut cycle = Vec::new();
    let mut node = start;
    loop {
        let (from, dependency) = *reached.get(&node)?;
        cycle.push((from, dependency));
        node = from;
        if node == start {
            cycle.reverse();
            return Some(cycle);
        }
    }
}

fn anomaly(cycle: &Cycle, level: usize, history: &History) -> Anomaly {
    let id = |place: usize| history.transactions[place].id;
    // "Ended before" holds across several as it does from one to the next.
    let mut before = None;
    let told = cycle.iter().filter(|(_, dependency)| {
        let again = before == Some(Dependency::RealTime) && *dependency == Dependency::RealTime;
        before = Some(*dependency);
        !again
    });
    let told: Vec<_> = told.copied().collect();
    let steps = told.iter().map(|&(node, dependency)| {
        let why = match dependency {
            Dependency::Write(list) => format!("ww list {list}"),
            Dependency::Read(list) => format!("wr list {list}"),
            Dependency::Overwritten(list) => format!("rw list {list}"),
            Dependency::RealTime => "ended before".to_owned(),
        };
        format!("{} -[{why}]-> ", id(node))
    });
    let first = cycle.first().map_or(0, |&(node, _)| id(node));
    let detail = format!("{}{first}", steps.collect::<String>());
    let transactions = told.iter().map(|&(node, _)| id(node)).collect();
    Anomaly::new(kind(cycle, level), transactions, detail)
}

fn kind(cycle: &Cycle, level: usize) -> Kind {
    let overwritten = |edge: &&(usize, Dependency)| matches!(edge.1, Dependency::Overwritten(_));
    match (level, cycle.iter().filter(overwritten).count()) {
        (0, _) => Kind::WriteCycle,
        (1, _) => Kind::CircularInformation,
        (2, 1) if is_lost_update(cycle) => Kind::LostUpdate,
        (2, 1) => Kind::ReadSkew,
        (2, _) => Kind::WriteSkew,
        _ => Kind::RealTime,
    }
}

/// Two transactions, of which one appended behind what the other one had read and appended to.
fn is_lost_update(cycle: &Cycle) -> bool {
    let lists = |pick: fn(&Dependency) -> Option<i64>| {
        cycle.iter().find_map(|(_, dependency)| pick(dependency))
    };
    let written = lists(|dependency| match dependency {
        Dependency::Write(list) => Some(*list),
        _ => None,
    });
    let overwritten = lists(|dependency| match dependency {
        Dependency::Overwritten(list) => Some(*list),
        _ => None,
    });
    cycle.len() == 2 && written.is_some() && written == overwritten
}
