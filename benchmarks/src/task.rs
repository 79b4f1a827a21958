//! What is measured.

use std::fmt;

use crate::schema::{BATCH, ROWS};

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Insert,
    Select,
    Batch,
    Load,
    Transaction,
}

/// An operation, done so many times by so many workers at a time.
#[derive(Clone, Copy)]
pub struct Task {
    pub kind: Kind,
    pub workers: usize,
    pub nodes: usize,
    /// Of all workers together.
    pub operations: usize,
    pub rounds: usize,
}

impl Kind {
    /// How many rows an operation has: times are given per row.
    pub fn rows(self) -> usize {
        match self {
            Kind::Batch => BATCH,
            Kind::Load => ROWS,
            Kind::Insert | Kind::Select | Kind::Transaction => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Insert => "insert one",
            Kind::Select => "select one by key",
            Kind::Batch => "insert 10,000, per row",
            Kind::Load => "load 100,000 x 4, per row",
            Kind::Transaction => "transaction: 2 reads, 3 writes",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.name())?;
        if self.workers > 1 {
            write!(formatter, ", {} at a time", self.workers)?;
        }
        if self.nodes > 1 {
            write!(formatter, ", {} nodes", self.nodes)?;
        }
        Ok(())
    }
}

pub fn tasks() -> Vec<Task> {
    let alone = |kind, operations, rounds| Task {
        kind,
        workers: 1,
        nodes: 1,
        operations,
        rounds,
    };
    let mut tasks = vec![
        alone(Kind::Insert, 500, 7),
        alone(Kind::Select, 2_000, 9),
        alone(Kind::Batch, 1, 7),
        alone(Kind::Load, 1, 7),
        alone(Kind::Transaction, 200, 7),
    ];
    for nodes in [1, 3] {
        for (kind, workers) in [
            (Kind::Insert, 1),
            (Kind::Insert, 8),
            (Kind::Insert, 64),
            (Kind::Insert, 256),
            (Kind::Select, 8),
            (Kind::Select, 64),
        ] {
            let task = Task {
                workers,
                nodes,
                // Each worker has some.
                ..alone(kind, 500.max(16 * workers), 7)
            };
            if (workers, nodes) != (1, 1) {
                tasks.push(task);
            }
        }
    }
    tasks
}
