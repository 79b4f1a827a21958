//! What goes wrong meanwhile.

use std::ops::Range;
use std::thread;
use std::time::Duration;

use diesel_rqlite_history::{Fault as LeaderFault, Injected as OfLeaders};
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
    /// Of the leader.
    Leader(LeaderFault),
    /// The lock's server forgets who holds it.
    LoseLock,
}

impl Fault {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "kill-worker" => Fault::KillWorker,
            "stop-worker" => Fault::StopWorker,
            "kill-leader" => Fault::Leader(LeaderFault::Kill),
            "stop-leader" => Fault::Leader(LeaderFault::Stop),
            "lose-lock" => Fault::LoseLock,
            name => Fault::Leader(LeaderFault::from_name(name)?),
        })
    }

    /// Whether it needs a cluster with links.
    pub(crate) fn is_of_links(self) -> bool {
        matches!(self, Fault::Leader(fault) if fault.is_of_links())
    }
}

/// How often each fault happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Injected {
    pub(crate) workers_killed: u32,
    pub(crate) workers_stopped: u32,
    pub(crate) of_leaders: OfLeaders,
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
            Fault::Leader(fault) => {
                self.sleep(500..1500);
                fault.strike(cluster, &mut self.random, &mut |random, milliseconds| {
                    sleep(random, milliseconds);
                });
                self.injected.of_leaders.count(fault);
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
        sleep(&mut self.random, milliseconds);
    }
}

fn sleep(random: &mut fastrand::Rng, milliseconds: Range<u64>) {
    thread::sleep(Duration::from_millis(random.u64(milliseconds)));
}
