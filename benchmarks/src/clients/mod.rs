//! What is measured.

pub mod asynchronous;
pub mod bare;
pub mod blocking;
pub mod peers;
pub mod sqlite;

pub trait Client {
    fn name(&self) -> String;

    /// Does a task so many times. `false`: it does not take part.
    fn run(&mut self, task: &str, operations: usize) -> bool;
}

/// Another row each time.
pub fn key(operation: usize) -> i64 {
    (operation as i64 * 7919) % 100_000 + 1
}
