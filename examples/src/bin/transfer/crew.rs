//! Servers, and the processes of the workers.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use diesel_rqlite_examples::{Failure, LockKind, Server};
use diesel_rqlite_tests::Cluster;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::event::{Event, Tally};
use crate::options::Options;
use crate::worker::IN_PLACE;

pub(crate) struct Servers {
    nodes: Nodes,
    lock: Option<Server>,
}

enum Nodes {
    One(Server),
    Three(Cluster),
}

impl Servers {
    pub(crate) fn start(options: &Options) -> Result<Self, Failure> {
        let nodes = match options.stop_leader {
            true => Nodes::Three(Cluster::start(3)),
            false => Nodes::One(Server::rqlite()?),
        };
        let lock = options.lock.server()?;
        Ok(Servers { nodes, lock })
    }

    /// For the worker with this number.
    pub(crate) fn url(&self, worker: u32) -> String {
        match &self.nodes {
            Nodes::One(server) => server.url().to_owned(),
            // A stopped leader does not answer. Not to be waited for all of the usual 30 seconds.
            Nodes::Three(cluster) => {
                let place = worker as usize % 3;
                format!("{}&request_timeout=2s", cluster.url(place))
            }
        }
    }
}

/// Lets all workers do their transfers. Returns what each of them said.
pub(crate) fn run(options: &Options, servers: &Servers) -> Result<Vec<Tally>, Failure> {
    let done = &AtomicU32::new(0);
    thread::scope(|scope| {
        let mut crew = Vec::new();
        for worker in 0..options.workers {
            let (trouble, over) = channel();
            crew.push(scope.spawn(move || employ(worker, options, servers, done, trouble)));
            if options.trouble(worker).is_some() {
                // Others begin when it is in trouble: until then the lock is all its own.
                let _ = over.recv();
            }
        }
        if let Nodes::Three(cluster) = &servers.nodes {
            stop_leader(cluster, || {
                let is_ended = crew.iter().all(|worker| worker.is_finished());
                is_ended || done.load(Ordering::Relaxed) >= options.workers * options.transfers / 4
            });
        }
        let mut tallies = Vec::new();
        for worker in crew {
            tallies.push(worker.join().map_err(|_| "a worker's thread panicked")??);
        }
        Ok(tallies)
    })
}

/// Runs a worker, and another in its place when it dies. Says when it was in trouble.
fn employ(
    worker: u32,
    options: &Options,
    servers: &Servers,
    done: &AtomicU32,
    trouble: Sender<()>,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    loop {
        let in_place = tally.of(Event::Killed) > 0;
        let mut child = start(worker, options.lock, servers, in_place)?;
        let output = child.stdout.take().ok_or("a worker without output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            let event = Event::from_line(&line).ok_or(line)?;
            tally.add(event);
            match event {
                Event::Committed | Event::Found => {
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Event::Stopped => {
                    let _ = trouble.send(());
                    thread::sleep(options.lease * 2);
                    wake(&child)?;
                }
                _ => {}
            }
        }
        let _ = trouble.send(());
        let status = child.wait()?;
        match status.code() {
            Some(0) => return Ok(tally),
            Some(_) => return Err(format!("worker {worker}: {status}").into()),
            // By a signal.
            None => tally.add(Event::Killed),
        }
    }
}

/// The same program with the same options.
fn start(worker: u32, lock: LockKind, servers: &Servers, in_place: bool) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(std::env::args().skip(1))
        .args(["--worker", &worker.to_string()])
        .env("RQLITE_URL", servers.url(worker))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    match (lock, &servers.lock) {
        (LockKind::Redis, Some(server)) => command.env("REDIS_URL", server.url()),
        (LockKind::Valkey, Some(server)) => command.env("VALKEY_URL", server.url()),
        _ => &mut command,
    };
    if in_place {
        command.env(IN_PLACE, "1");
    }
    Ok(command.spawn()?)
}

fn wake(child: &Child) -> Result<(), Failure> {
    let process = Pid::from_raw(i32::try_from(child.id())?);
    Ok(kill(process, Signal::SIGCONT)?)
}

/// When it is time. It goes on as soon as another node leads, and believes for a moment that it still does.
fn stop_leader(cluster: &Cluster, is_time: impl Fn() -> bool) {
    while !is_time() {
        thread::sleep(Duration::from_millis(1));
    }
    let leader = cluster.leader();
    cluster.node(leader).pause();
    while cluster.leader() == leader {
        thread::sleep(Duration::from_millis(20));
    }
    cluster.node(leader).resume();
}
