//! A run: programs at work, a fault, its end, and what came of it.

use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::rqlited_binary;
use tokio::runtime::Runtime;

use crate::Error;
use crate::attempt::SCHEMA;
use crate::check;
use crate::fault::Fault;
use crate::newcomers::{KINDS, Newcomers};
use crate::options::Options;
use crate::programs::{NAMES, Programs};
use crate::report::{Arrivals, Program, Report};
use crate::scene::Scene;
use crate::slow_statement;

/// How long all goes well before.
const BEFORE: Duration = Duration::from_secs(3);

/// How long programs may take to go on after all is healed: longer than any timeout of theirs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(options: &Options) -> Result<Report, Error> {
    let runtime = Runtime::new()?;
    let mut scene = Scene::set(options.way, &options.faults);
    let url = scene.url(options);
    // Past the client that is to be seen at work.
    let leader = scene.cluster.node(scene.cluster.leader()).url();
    RqliteConnection::establish(&leader)?.batch_execute(SCHEMA)?;
    let mut report = Report {
        server: rqlited_binary()
            .as_ref()
            .map_err(Clone::clone)?
            .version
            .clone(),
        faults: options.sequence().into_iter().map(Fault::name).collect(),
        url: options.way.name(),
        fault_seconds: 0.0,
        programs: Vec::new(),
        newcomers: Vec::new(),
        slow_statements: Vec::new(),
    };
    match options.faults[..] {
        [Fault::SlowStatement] => {
            report.slow_statements = slow_statement::all(&runtime, &url, options.lasts)?;
        }
        _ => outage(options, &runtime, &mut scene, &url, &mut report)?,
    }
    Ok(report)
}

fn outage(
    options: &Options,
    runtime: &Runtime,
    scene: &mut Scene,
    url: &str,
    report: &mut Report,
) -> Result<(), Error> {
    let first = options.faults.first().filter(|fault| fault.comes_first());
    let began = Instant::now();
    if let Some(fault) = first {
        scene.harm(*fault);
    }
    let programs = Programs::start(runtime, url, options)?;
    if first.is_none() {
        wait(|| programs.all_succeeded_since(began));
        thread::sleep(BEFORE);
    }
    let fault = Instant::now();
    let newcomers = Newcomers::start(url);
    for (number, fault) in options.sequence().into_iter().enumerate() {
        if number > 0 {
            thread::sleep(BEFORE);
            scene.find_leader();
        }
        let harmed = Instant::now();
        if first.is_none() {
            scene.harm(fault);
        }
        thread::sleep(options.lasts);
        scene.heal(fault);
        report.fault_seconds += harmed.elapsed().as_secs_f64();
        let healed = Instant::now();
        wait(|| programs.all_succeeded_since(healed));
    }
    let newcomers = newcomers.end()?;
    let diaries = programs.end(runtime)?;
    let stored = check::settled(&scene.cluster)?;
    let programs = NAMES.into_iter().zip(&diaries);
    report.programs = programs
        .map(|(name, diaries)| Program::new(name, diaries, fault, &stored))
        .collect();
    let newcomers = KINDS.into_iter().zip(&newcomers);
    report.newcomers = newcomers
        .map(|(name, arrivals)| Arrivals::new(name, arrivals, fault))
        .collect();
    Ok(())
}

/// Waits for a time that ends in any case.
fn wait(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
}
