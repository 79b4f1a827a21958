//! Statements that were parsed before, by their text. rqlite has no prepared statements. The cache keeps the client's
//! parse of a text, and the form in which the answers to it are exact.
//!
//! `Statements::get` is asked with the exact text; a hit yields a `Query` that borrows from the cache. After a miss the
//! caller parses the text and passes it to `Statements::keep`. The caller decides which texts are worth keeping.
//!
//! There are two generations of at most [`GENERATION`] texts each. A text that is used moves to the young generation.
//! When that is full, it becomes the old one, and the former old one is dropped. So a text is dropped only after it was
//! not used while [`GENERATION`] others were, and no order of use has to be kept.
//!
//! What is learnt about a text is only ever about the form in which it is sent. It may be out of date after a change of
//! the schema, and it may be lost at any time. So no result may depend on it: a wrong form shows in the answer, which
//! is then asked for again.

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
///
/// The lock is held only to look up or to insert, never while a text is parsed.
#[derive(Debug, Default)]
pub(crate) struct Statements(Mutex<Generations>);

/// The statements used recently, and older ones that were not used since.
///
/// A text is in one of them only, unless two connections parse it at the same time.
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
///
/// All connections of the configuration share it, and each may add to it while others read it. Nothing is ever
/// unlearnt.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// The columns whose values do not come back as they are stored.
    doubtful: Mutex<Doubtful>,
    /// `true` if it has returned more than one row.
    several: AtomicBool,
}

impl Statements {
    /// Returns the statement with this text, if it is kept.
    ///
    /// A text of the old generation moves to the young one.
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
    ///
    /// The caller has parsed the text. If it is kept already, the new entry replaces it, and what was learnt is lost.
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

    /// Adds columns to those whose values do not come back as they are stored.
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
