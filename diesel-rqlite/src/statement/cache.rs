//! Statements that were parsed before, by their text. rqlite has no prepared statements. The cache keeps the client's
//! parse of a text, and the form in which the answers to it are exact.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Query;
use crate::mutex::locked;
use crate::protocol::encoding::Doubtful;

/// The number of statements that are certainly kept. At most twice as many are.
const GENERATION: usize = 256;
/// The length in bytes above which a text is not kept: each such text is likely to be different.
const LONGEST: usize = 8 * 1024;

/// The statements of all connections of one configuration.
#[derive(Debug, Default)]
pub(crate) struct Statements(Mutex<Generations>);

/// The statements used recently, and older ones that were not used since.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Kept>>,
    old: HashMap<Box<str>, Arc<Kept>>,
}

/// A text that was parsed.
#[derive(Debug)]
pub(crate) struct Kept {
    query: Query<'static>,
    learnt: Arc<Learnt>,
}

/// Knowledge of a query, from its answers.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// The columns whose values do not come back as they are stored.
    doubtful: Mutex<Doubtful>,
    /// `true` if it has returned more than one row.
    several: AtomicBool,
}

impl Statements {
    /// Returns the statement with this text, if it is kept.
    pub(crate) fn get(&self, sql: &str) -> Option<Arc<Kept>> {
        let mut generations = locked(&self.0);
        if let Some(kept) = generations.young.get(sql) {
            return Some(Arc::clone(kept));
        }
        let (text, kept) = generations.old.remove_entry(sql)?;
        generations.insert(text, Arc::clone(&kept));
        Some(kept)
    }

    /// Keeps a statement. Returns `false` if its text is too long.
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
    /// Returns the query, to run it again.
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

/// Queries are equal regardless of what was learnt about them.
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
