//! What can be wrong with a history.

use std::fmt;

/// Something that no serial order explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Which of the known ones.
    pub kind: Kind,
    /// Who takes part, by id; for a cycle in its order.
    pub transactions: Vec<i64>,
    /// What was seen.
    pub detail: String,
}

/// The known anomalies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What an aborted transaction wrote was seen, or stayed (G1a).
    AbortedRead,
    /// What a transaction had written before its last write to the same list was seen (G1b).
    IntermediateRead,
    /// A committed append is not there.
    LostAppend,
    /// An append was applied twice.
    DoubledAppend,
    /// An item is there that nobody appended.
    ForeignItem,
    /// What was read is no beginning of the final list.
    IncompatibleOrder,
    /// A transaction did not see its own appends, or read the same list twice with different contents.
    Internal,
    /// Appends of transactions lie crosswise (G0).
    WriteCycle,
    /// Transactions saw each other's appends (G1c).
    CircularInformation,
    /// Two appended behind the same contents (G-single).
    LostUpdate,
    /// A transaction saw another one in part (G-single).
    ReadSkew,
    /// Transactions overwrote what the others had read (G2).
    WriteSkew,
    /// A serial order exists, but not one that agrees with the clock.
    RealTime,
    /// The accounts did not hold together what they must.
    WrongTotal,
    /// An account went below zero.
    Overdraft,
    /// No doctor of a pair was on call.
    NobodyOnCall,
    /// A number was given twice, or to an aborted transaction.
    DoubledTicket,
    /// A number was skipped.
    TicketGap,
    /// A committed ticket is not there.
    LostTicket,
    /// Nodes hold different data, or changed it after all was said to be over.
    ReplicasDiffer,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Kind::AbortedRead => "aborted read (G1a)",
            Kind::IntermediateRead => "intermediate read (G1b)",
            Kind::LostAppend => "lost append",
            Kind::DoubledAppend => "doubled append",
            Kind::ForeignItem => "item of nobody",
            Kind::IncompatibleOrder => "incompatible order",
            Kind::Internal => "own writes or repeated read",
            Kind::WriteCycle => "write cycle (G0)",
            Kind::CircularInformation => "circular information (G1c)",
            Kind::LostUpdate => "lost update (G-single)",
            Kind::ReadSkew => "read skew (G-single)",
            Kind::WriteSkew => "write skew (G2)",
            Kind::RealTime => "real time",
            Kind::WrongTotal => "wrong total",
            Kind::Overdraft => "overdraft",
            Kind::NobodyOnCall => "nobody on call",
            Kind::DoubledTicket => "doubled ticket",
            Kind::TicketGap => "gap in the tickets",
            Kind::LostTicket => "lost ticket",
            Kind::ReplicasDiffer => "replicas differ",
        })
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind, self.detail)
    }
}

impl Anomaly {
    pub(crate) fn new(kind: Kind, transactions: Vec<i64>, detail: String) -> Self {
        Anomaly {
            kind,
            transactions,
            detail,
        }
    }
}
