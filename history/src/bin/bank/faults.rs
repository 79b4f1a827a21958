//! What goes wrong meanwhile.

use std::ops::Range;
use std::thread;
use std::time::Duration;

use diesel_rqlite_tests::Cluster;
use nix::sys::signal::Signal;

use crate::crew::Crew;
use crate::lock::Site;
use crate::options::Options;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL; another worker goes on in its place.
    KillWorker,
    /// SIGSTOP, and SIGCONT when others may have taken its lock.
    StopWorker,
    /// SIGKILL, and a restart with the same data.
    KillLeader,
    /// SIGSTOP, and SIGCONT: it still believes to lead when it goes on.
    StopLeader,
    /// The lock's server forgets who holds it.
    LoseLock,
}

impl Fault {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "kill-worker" => Fault::KillWorker,
            "stop-worker" => Fault::StopWorker,
            "kill-leader" => Fault::KillLeader,
            "stop-leader" => Fault::StopLeader,
            "lose-lock" => Fault::LoseLock,
            _ => return None,
        })
    }
}

/// How often each fault happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Injected {
    pub(crate) workers_killed: u32,
    pub(crate) workers_stopped: u32,
    pub(crate) leaders_killed: u32,
    pub(crate) leaders_stopped: u32,
    pub(crate) locks_lost: u32,
}

/// Lets faults happen until all work is done. All servers run when it returns.
pub(crate) fn inject(
    options: &Options,
    cluster: &mut Cluster,
    site: &Site,
    crew: &Crew,
) -> Injected {
    let mut injector = Injector {
        random: fastrand::Rng::with_seed(options.seed),
        injected: Injected::default(),
        options,
        crew,
    };
    while crew.is_at_work() {
        match injector.random.choice(&options.faults) {
            Some(fault) => injector.inject(*fault, cluster, site),
            None => injector.sleep(10..20),
        }
    }
    injector.injected
}

struct Injector<'a> {
    random: fastrand::Rng,
    injected: Injected,
    options: &'a Options,
    crew: &'a Crew,
}

impl Injector<'_> {
    fn inject(&mut self, fault: Fault, cluster: &mut Cluster, site: &Site) {
        match fault {
            Fault::KillWorker => {
                self.sleep(50..500);
                let worker = self.worker();
                let killed = self.crew.signal(worker, Signal::SIGKILL);
                self.injected.workers_killed += u32::from(killed);
            }
            Fault::StopWorker => {
                self.sleep(20..200);
                self.stop_worker();
            }
            Fault::KillLeader => {
                self.sleep(500..1500);
                let leader = cluster.leader();
                cluster.node_mut(leader).kill();
                self.sleep(100..1000);
                cluster.node_mut(leader).restart();
                self.injected.leaders_killed += 1;
            }
            Fault::StopLeader => {
                self.sleep(500..1500);
                let leader = cluster.leader();
                cluster.node(leader).pause();
                self.sleep(200..3000);
                cluster.node(leader).resume();
                self.injected.leaders_stopped += 1;
            }
            Fault::LoseLock => {
                self.sleep(20..200);
                site.lose_data();
                self.injected.locks_lost += 1;
            }
        }
    }

    /// For about as long as a lease lasts: the lock is taken by another, who is at work when this one goes on.
    fn stop_worker(&mut self) {
        let worker = self.worker();
        if !self.crew.signal(worker, Signal::SIGSTOP) {
            return;
        }
        let lease = u64::try_from(self.options.lease.as_millis()).unwrap_or(u64::MAX);
        let longest = (lease.saturating_mul(3)).clamp(100, 5000);
        self.sleep(longest / 4..longest);
        self.crew.signal(worker, Signal::SIGCONT);
        self.injected.workers_stopped += 1;
    }

    fn worker(&mut self) -> usize {
        let workers = usize::try_from(self.options.workers).unwrap_or(1);
        self.random.usize(0..workers)
    }

    fn sleep(&mut self, milliseconds: Range<u64>) {
        thread::sleep(Duration::from_millis(self.random.u64(milliseconds)));
    }
}
