//! What goes wrong with the servers meanwhile.

use std::ops::Range;
use std::time::{Duration, Instant};

use diesel_rqlite_tests::{Cluster, Flow};

/// Something that happens to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL, and a restart with the same data.
    Kill,
    /// SIGSTOP, and SIGCONT: it still believes to lead when it goes on.
    Stop,
    /// Packets are lost between it and the other nodes, clients, or both; also in one direction only.
    Cut,
    /// What is sent to it arrives, and its answers are lost; or the connections to it are half-open.
    Mute,
    /// Packets come late, sometimes so late that another leader is elected.
    Slow,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 5] = [
        Fault::Kill,
        Fault::Stop,
        Fault::Cut,
        Fault::Mute,
        Fault::Slow,
    ];

    /// The fault with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "kill",
            Fault::Stop => "stop",
            Fault::Cut => "cut",
            Fault::Mute => "mute",
            Fault::Slow => "slow",
        }
    }

    /// Whether it needs a cluster with links.
    pub fn is_of_links(self) -> bool {
        matches!(self, Fault::Cut | Fault::Mute | Fault::Slow)
    }

    /// Happens to the leader, and is over when this returns. `sleep` is told how many milliseconds it may last.
    ///
    /// # Panics
    ///
    /// Where the kit does: when there is no leader, or a node does not start again.
    pub fn strike(
        self,
        cluster: &mut Cluster,
        random: &mut fastrand::Rng,
        sleep: &mut dyn FnMut(&mut fastrand::Rng, Range<u64>),
    ) {
        let leader = cluster.leader();
        match self {
            Fault::Kill => {
                cluster.node_mut(leader).kill();
                sleep(random, 200..2500);
                cluster.node_mut(leader).restart();
            }
            Fault::Stop => {
                cluster.node(leader).pause();
                sleep(random, 200..4000);
                cluster.node(leader).resume();
            }
            Fault::Cut => {
                cut(cluster, leader, random);
                sleep(random, 200..4000);
                cluster.heal();
            }
            Fault::Mute => {
                match random.bool() {
                    true => cluster.client_link(leader).mute(),
                    false => cluster.client_link(leader).half_open(),
                }
                sleep(random, 200..4000);
                cluster.heal();
            }
            Fault::Slow => {
                let mut delay = || Flow::Slow(Duration::from_millis(random.u64(1..150)));
                let (forth, back) = (delay(), delay());
                cluster.client_link(leader).set(forth, back);
                cluster.set_peers(leader, delay(), delay());
                sleep(random, 500..4000);
                cluster.heal();
            }
        }
    }
}

fn cut(cluster: &Cluster, leader: usize, random: &mut fastrand::Rng) {
    match random.u8(0..6) {
        0 => cluster.cut_off_from_peers(leader),
        1 => cluster.cut_off(leader),
        2 => cluster.client_link(leader).cut(),
        3 => cluster.client_link(leader).set(Flow::Open, Flow::Cut),
        4 => cluster.set_peers(leader, Flow::Cut, Flow::Open),
        _ => cluster.set_peers(leader, Flow::Open, Flow::Cut),
    }
}

/// How often each fault happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected([u32; Fault::ALL.len()]);

impl Injected {
    /// Once more.
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Each fault with its number.
    pub fn each(&self) -> impl Iterator<Item = (Fault, u32)> {
        Fault::ALL.into_iter().zip(self.0)
    }
}

/// Lets faults happen until the deadline, with pauses in which the cluster recovers. All nodes run, and all links are well,
/// when it returns.
pub(crate) fn inject(
    cluster: &mut Cluster,
    faults: &[Fault],
    random: &mut fastrand::Rng,
    deadline: Instant,
) -> Injected {
    let mut injected = Injected::default();
    while sleep(random, 1500..4000, deadline) {
        let Some(fault) = random.choice(faults) else {
            continue;
        };
        fault.strike(cluster, random, &mut |random, milliseconds| {
            sleep(random, milliseconds, deadline);
        });
        injected.count(*fault);
    }
    injected
}

/// For so many milliseconds. Whether there is time left.
fn sleep(random: &mut fastrand::Rng, milliseconds: Range<u64>, deadline: Instant) -> bool {
    let wanted = Duration::from_millis(random.u64(milliseconds));
    let left = deadline.saturating_duration_since(Instant::now());
    std::thread::sleep(wanted.min(left));
    wanted < left
}
