//! What workers say, a line each.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The transfer begins, for the first time or again.
    Attempt,
    Committed,
    /// It was found that an earlier attempt had been applied.
    Found,
    /// Somebody else had written meanwhile: nothing was applied.
    Conflict,
    /// So had somebody taken the lock, or could have.
    LockLost,
    /// No answer came to what was sent.
    Unknown,
    /// No node, or no lock, was to be had.
    NotSent,
    /// Waits for a SIGCONT.
    Stopped,
    /// Not said by the worker.
    Killed,
}

impl Event {
    pub(crate) const ALL: [Self; 9] = [
        Self::Attempt,
        Self::Committed,
        Self::Found,
        Self::Conflict,
        Self::LockLost,
        Self::Unknown,
        Self::NotSent,
        Self::Stopped,
        Self::Killed,
    ];

    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut events = Self::ALL.into_iter();
        events.find(|event| format!("{event:?}") == line)
    }
}

/// How often each was said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally([u32; Event::ALL.len()]);

impl Tally {
    pub(crate) fn add(&mut self, event: Event) {
        self.0[event as usize] += 1;
    }

    pub(crate) fn of(&self, event: Event) -> u32 {
        self.0[event as usize]
    }

    /// Attempts that were not the first one of their transfer.
    pub(crate) fn retries(&self) -> u32 {
        self.of(Event::Attempt) - self.of(Event::Committed) - self.of(Event::Found)
    }

    pub(crate) fn sum<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Self {
        let mut sum = Tally::default();
        for Tally(counts) in tallies {
            for (total, count) in sum.0.iter_mut().zip(counts) {
                *total += count;
            }
        }
        sum
    }
}
