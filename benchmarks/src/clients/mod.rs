//! Who does it.

pub mod asynchronous;
pub mod bare;
pub mod blocking;
mod diesel_operation;
pub mod rqlite_client;
pub mod rqlite_rs;
pub mod sqlite;
pub mod sqlx;

use std::future::Future;
use std::ops::Range;
use std::thread;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::task::Task;

pub trait Client {
    fn name(&self) -> String;

    /// Does a task. `false`: it does not take part.
    fn run(&mut self, task: &Task) -> bool;
}

/// Another row each time.
pub fn key(operation: usize) -> i64 {
    (operation as i64 * 7919) % 100_000 + 1
}

/// The operations of one worker among those of all.
fn share(task: &Task, worker: usize) -> Range<usize> {
    let each = task.operations / task.workers;
    worker * each..(worker + 1) * each
}

/// Has as many workers as a task needs, each of which does its share, in a thread unless it is the only one.
fn in_threads<W: Send>(
    task: &Task,
    workers: &mut Vec<W>,
    make: impl FnMut() -> W,
    work: impl Fn(&mut W, usize) + Sync,
) {
    workers.resize_with(workers.len().max(task.workers), make);
    let work_all = |(number, worker): (usize, &mut W)| {
        share(task, number).for_each(|operation| work(worker, operation));
    };
    let (work_all, workers) = (&work_all, &mut workers[..task.workers]);
    match workers {
        [alone] => work_all((0, alone)),
        workers => thread::scope(|scope| {
            for worker in workers.iter_mut().enumerate() {
                scope.spawn(move || work_all(worker));
            }
        }),
    }
}

/// The same in tasks of a runtime, as a service does.
fn in_tasks<W, F>(
    runtime: &Runtime,
    task: &Task,
    workers: &mut Vec<W>,
    work: impl Fn(W, Range<usize>) -> F,
) where
    W: Send + 'static,
    F: Future<Output = W> + Send + 'static,
{
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for number in 0..task.workers {
            if let Some(worker) = workers.pop() {
                running.spawn(work(worker, share(task, number)));
            }
        }
        workers.extend(running.join_all().await);
    });
}

/// A runtime of one thread, the caller's, or of several.
fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}

/// How a client of this crate is called.
fn own_name(way: &str, coalescing: bool) -> String {
    let coalescing = if coalescing { ", coalescing" } else { "" };
    format!("diesel-rqlite, {way}{coalescing}")
}

/// The options of such a client.
fn own_options(coalescing: bool) -> &'static str {
    match coalescing {
        true => "&coalesce_writes=true",
        false => "",
    }
}
