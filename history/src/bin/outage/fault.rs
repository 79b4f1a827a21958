//! What happens to the cluster.

/// What happens to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    LeaderKilled,
    LeaderHung,
    LeaderCutFromFollowers,
    LeaderCutFromAll,
    ClientCutFromLeader,
    LeaderSlow,
    LeaderMute,
    LeaderForgets,
    AllRestart,
    QuietMembershipChange,
    SlowStatement,
}

impl Fault {
    const ALL: [Fault; 12] = [
        Fault::None,
        Fault::LeaderKilled,
        Fault::LeaderHung,
        Fault::LeaderCutFromFollowers,
        Fault::LeaderCutFromAll,
        Fault::ClientCutFromLeader,
        Fault::LeaderSlow,
        Fault::LeaderMute,
        Fault::LeaderForgets,
        Fault::AllRestart,
        Fault::QuietMembershipChange,
        Fault::SlowStatement,
    ];

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::LeaderKilled => "leader-killed",
            Fault::LeaderHung => "leader-hung",
            Fault::LeaderCutFromFollowers => "leader-cut-from-followers",
            Fault::LeaderCutFromAll => "leader-cut-from-all",
            Fault::ClientCutFromLeader => "client-cut-from-leader",
            Fault::LeaderSlow => "leader-slow",
            Fault::LeaderMute => "leader-mute",
            Fault::LeaderForgets => "leader-forgets",
            Fault::AllRestart => "all-restart",
            Fault::QuietMembershipChange => "quiet-membership-change",
            Fault::SlowStatement => "slow-statement",
        }
    }

    /// Whether it happens before the programs start: nobody must write after it.
    pub(crate) fn comes_first(self) -> bool {
        self == Fault::QuietMembershipChange
    }

    /// Whether nothing else can happen in the same run.
    pub(crate) fn stands_alone(self) -> bool {
        self.comes_first() || self == Fault::SlowStatement
    }
}
