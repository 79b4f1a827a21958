//! Statements that were read before, by their text. rqlite has no prepared statements; what is kept is what the client
//! makes of a text, and in which form its answers are exact.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Query;
use crate::mutex::locked;
use crate::protocol::encoding::Doubtful;

/// So many statements are kept for certain; at most twice as many.
const GENERATION: usize = 256;
/// Longer texts are not kept, in bytes: each is likely to be another one.
const LONGEST: usize = 8 * 1024;

/// The statements of the connections of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Statements(Mutex<Generations>);

/// Those of late, and those of before that were not used since.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Kept>>,
    old: HashMap<Box<str>, Arc<Kept>>,
}

/// A text that was read.
#[derive(Debug)]
pub(crate) struct Kept {
    query: Query<'static>,
    learnt: Arc<Learnt>,
}

/// What the answers to a query have shown.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// The columns whose values do not come back as they are stored.
    doubtful: Mutex<Doubtful>,
    /// It has returned more than one row.
    several: AtomicBool,
}

impl Statements {
    /// A statement that is known by its text.
    pub(crate) fn get(&self, sql: &str) -> Option<Arc<Kept>> {
        let mut generations = locked(&self.0);
        if let Some(kept) = generations.young.get(sql) {
            return Some(Arc::clone(kept));
        }
        let (text, kept) = generations.old.remove_entry(sql)?;
        generations.insert(text, Arc::clone(&kept));
        Some(kept)
    }

    /// Whether it is kept from now on.
    pub(crate) fn keep(&self, sql: &str, query: &Query<'_>) -> bool {
        if sql.len() > LONGEST {
            return false;
        }
        let kept = Kept {
            query: query.to_owned(),
            learnt: Arc::default(),
        };
        locked(&self.0).insert(sql.into(), Arc::new(kept));
        true
    }
}

impl Generations {
    fn insert(&mut self, sql: Box<str>, kept: Arc<Kept>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(sql, kept);
    }
}

impl Kept {
    /// The same query again.
    pub(crate) fn query(&self) -> Query<'_> {
        self.query.again(Arc::clone(&self.learnt))
    }
}

impl Learnt {
    pub(crate) fn doubtful(&self) -> Doubtful {
        *locked(&self.doubtful)
    }

    pub(crate) fn learn(&self, doubtful: Doubtful) {
        let mut known = locked(&self.doubtful);
        *known = known.with(doubtful);
    }

    pub(crate) fn returns_several_rows(&self) -> bool {
        self.several.load(Ordering::Relaxed)
    }

    pub(crate) fn has_returned_several_rows(&self) {
        self.several.store(true, Ordering::Relaxed);
    }
}

/// What was learnt makes no query another one.
impl PartialEq for Learnt {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays() {
        let statements = Statements::default();
        let keep = |sql: &str| statements.keep(sql, &Query::parse(sql).expect("parses"));
        assert!(keep("SELECT 'used'"));
        for number in 0..10 * GENERATION {
            assert!(keep(&format!("SELECT {number}")));
            assert!(statements.get("SELECT 'used'").is_some(), "{number}");
        }
        assert!(statements.get("SELECT 0").is_none());
        let kept = locked(&statements.0);
        assert!(kept.young.len() + kept.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn long_text_is_not_kept() {
        let statements = Statements::default();
        let sql = format!("SELECT '{}'", "x".repeat(LONGEST));
        assert!(!statements.keep(&sql, &Query::parse(&sql).expect("parses")));
        assert!(statements.get(&sql).is_none());
    }

    #[test]
    fn what_is_learnt_is_learnt_for_all() {
        let statements = Statements::default();
        let sql = "SELECT a FROM t WHERE b = ?";
        statements.keep(sql, &Query::parse(sql).expect("parses"));
        let kept = || statements.get(sql).expect("is kept");
        let mut doubtful = Doubtful::default();
        doubtful.insert(0);
        kept().learnt.learn(doubtful);
        assert!(kept().learnt.doubtful().contains(0));
        assert!(!kept().learnt.doubtful().contains(1));
    }
}
