//! What goes wrong with the servers meanwhile.

use std::time::{Duration, Instant};

use diesel_rqlite_tests::Cluster;

/// Something that happens to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, and a restart with the same data.
    Kill,
    /// SIGSTOP, and SIGCONT: it still believes to lead when it goes on.
    Stop,
}

impl Fault {
    /// The fault with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "kill" => Some(Fault::Kill),
            "stop" => Some(Fault::Stop),
            _ => None,
        }
    }
}

/// How often each fault happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    /// Leaders killed.
    pub kills: u32,
    /// Leaders stopped.
    pub stops: u32,
}

/// Lets faults happen until the deadline, with pauses in which the cluster recovers. All nodes run when it returns.
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
        let leader = cluster.leader();
        match fault {
            Fault::Kill => {
                cluster.node_mut(leader).kill();
                sleep(random, 200..2500, deadline);
                cluster.node_mut(leader).restart();
                injected.kills += 1;
            }
            Fault::Stop => {
                cluster.node(leader).pause();
                sleep(random, 200..4000, deadline);
                cluster.node(leader).resume();
                injected.stops += 1;
            }
        }
    }
    injected
}

/// For so many milliseconds. Whether there is time left.
fn sleep(
    random: &mut fastrand::Rng,
    milliseconds: std::ops::Range<u64>,
    deadline: Instant,
) -> bool {
    let wanted = Duration::from_millis(random.u64(milliseconds));
    let left = deadline.saturating_duration_since(Instant::now());
    std::thread::sleep(wanted.min(left));
    wanted < left
}
