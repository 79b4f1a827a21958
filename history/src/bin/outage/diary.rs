//! What a worker of a program has lived through.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::attempt::{Attempt, Said};

/// Numbers of writes, by program and worker.
pub(crate) const PER_PROGRAM: i64 = 1_000_000_000;
const PER_WORKER: i64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Diary {
    began: Instant,
    ended: Instant,
    next: i64,
    successes: Vec<Instant>,
    pub(crate) said: BTreeMap<i64, Said>,
    /// Reads that did not see a write that was acknowledged before.
    pub(crate) stale: usize,
    pub(crate) errors: BTreeMap<String, usize>,
}

impl Diary {
    pub(crate) fn new(program: usize, worker: u32) -> Self {
        let program = i64::try_from(program).unwrap_or(i64::MAX) + 1;
        let now = Instant::now();
        Diary {
            began: now,
            ended: now,
            next: program * PER_PROGRAM + i64::from(worker) * PER_WORKER,
            successes: Vec::new(),
            said: BTreeMap::new(),
            stale: 0,
            errors: BTreeMap::new(),
        }
    }

    /// The number of the next write.
    pub(crate) fn next(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn note(&mut self, id: i64, attempt: Attempt) {
        if attempt.has_succeeded() {
            self.successes.push(Instant::now());
        }
        self.said.insert(id, attempt.said);
        self.stale += usize::from(attempt.seen == Some(0));
        if let Some(error) = attempt.error {
            *self.errors.entry(without_numbers(&error)).or_default() += 1;
        }
    }

    pub(crate) fn close(&mut self) {
        self.ended = Instant::now();
    }

    /// The longest time between two successes, and when it began.
    pub(crate) fn longest_gap(&self) -> (Instant, Duration) {
        let begins = std::iter::once(&self.began).chain(&self.successes);
        let ends = self.successes.iter().chain(std::iter::once(&self.ended));
        let gaps = begins.zip(ends);
        let gaps = gaps.map(|(begin, end)| (*begin, end.saturating_duration_since(*begin)));
        gaps.max_by_key(|(_, gap)| *gap)
            .unwrap_or((self.began, Duration::ZERO))
    }

    pub(crate) fn has_succeeded_since(&self, time: Instant) -> bool {
        self.successes.last().is_some_and(|last| *last > time)
    }
}

/// So that errors that say the same are counted together.
fn without_numbers(text: &str) -> String {
    let mut digits = false;
    let mut short = String::new();
    for letter in text.chars() {
        if !letter.is_ascii_digit() {
            short.push(letter);
        } else if !digits {
            short.push('#');
        }
        digits = letter.is_ascii_digit();
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_reach_from_the_beginning_to_the_end() {
        let second = Duration::from_secs(1);
        let mut diary = Diary::new(0, 0);
        let began = diary.began;
        diary.ended = began + 10 * second;
        assert_eq!(diary.longest_gap(), (began, 10 * second));
        diary.successes = vec![began + second, began + 5 * second, began + 9 * second];
        assert_eq!(diary.longest_gap().1, 4 * second);
        diary.ended = began + 20 * second;
        assert_eq!(diary.longest_gap(), (began + 9 * second, 11 * second));
        assert!(diary.has_succeeded_since(began + 8 * second));
        assert!(!diary.has_succeeded_since(began + 9 * second));
    }

    #[test]
    fn errors_are_counted_by_what_they_say() {
        assert_eq!(
            without_numbers("127.0.0.1:4001 took 30s"),
            "#.#.#.#:# took #s"
        );
    }
}
