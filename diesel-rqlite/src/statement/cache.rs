//! Statements that were parsed before, by their text. rqlite has no prepared statements. The cache keeps the client's
//! parse of a text, and the form in which the answers to it are exact.
//!
//! `Statements::get` is asked with the exact text; a hit yields a `Query` that borrows from the cache. After a miss the
//! caller parses the text and passes it to `Statements::keep`. The caller decides which texts are worth keeping.
//!
//! The text of most queries follows from their Rust type, which Diesel calls a static query id. `Statements::of_type`
//! finds such a statement without its text, so that it need not be rendered again.
//!
//! There are two generations of at most [`GENERATION`] texts each. A text that is used moves to the young generation.
//! When that is full, it becomes the old one, and the former old one is dropped. So a text is dropped only after it was
//! not used while [`GENERATION`] others were, and no order of use has to be kept. Types are all forgotten when there are
//! twice as many: they are noted again when their text is found.
//!
//! What is learnt about a text is only ever about the form in which it is sent. It may be out of date after a change of
//! the schema, and it may be lost at any time. So no result may depend on it: a wrong form shows in the answer, which
//! is then asked for again.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Query;
use crate::mutex::locked;
use crate::protocol::encoding::{Doubtful, Encoding};
use crate::protocol::expected::Expected;
use crate::protocol::rows::{Header, Rows};

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
    by_type: HashMap<TypeId, Arc<Kept>>,
}

/// A text that was parsed.
#[derive(Debug)]
pub(crate) struct Kept {
    sql: Box<str>,
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
    /// The beginning of its last answer in that form.
    expected: Mutex<Option<Arc<Expected>>>,
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

    /// Returns the statement of a type of query, if it is kept.
    pub(crate) fn of_type(&self, id: TypeId) -> Option<Arc<Kept>> {
        locked(&self.0).by_type.get(&id).cloned()
    }

    /// Notes that all queries of this type have the text of this statement.
    pub(crate) fn note_type(&self, id: TypeId, kept: &Arc<Kept>) {
        let mut generations = locked(&self.0);
        if generations.by_type.len() >= 2 * GENERATION {
            generations.by_type.clear();
        }
        generations.by_type.insert(id, Arc::clone(kept));
    }

    /// Keeps a statement. Returns `None` if its text is too long.
    ///
    /// The caller has parsed the text. If it is kept already, the new entry replaces it, and what was learnt is lost.
    pub(crate) fn keep(&self, sql: &str, query: &Query<'_>) -> Option<Arc<Kept>> {
        if sql.len() > LONGEST {
            return None;
        }
        let kept = Arc::new(Kept {
            sql: sql.into(),
            query: query.to_owned(),
            learnt: Arc::default(),
        });
        locked(&self.0).insert(sql.into(), Arc::clone(&kept));
        Some(kept)
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
    /// Returns the text, as it was rendered.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

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

    /// Returns the rows of an answer that begins like the last one. Returns `None` if it has to be parsed as a whole.
    pub(crate) fn rows(&self, answer: &[u8], encodings: &[Encoding]) -> Option<Rows> {
        let expected = locked(&self.expected).clone();
        expected?.rows(answer, encodings)
    }

    /// Notes the columns of an answer, so that the next one is expected to begin like it. See [`Expected::after`].
    pub(crate) fn expect(&self, told: Arc<Header>, named: &Rows) {
        let mut expected = locked(&self.expected);
        if !expected.as_ref().is_some_and(|known| known.is_like(&told)) {
            let named = Arc::clone(named.header());
            *expected = Some(Arc::new(Expected::after(told, named)));
        }
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
    use super::super::{Read, body};
    use super::*;
    use crate::backend::RqliteType;
    use crate::bind_collector::Bind;

    #[test]
    fn what_is_used_stays() {
        let statements = Statements::default();
        let keep = |sql: &str| statements.keep(sql, &Query::parse(sql).expect("parses"));
        assert!(keep("SELECT 'used'").is_some());
        for number in 0..10 * GENERATION {
            assert!(keep(&format!("SELECT {number}")).is_some());
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
        let query = Query::parse(&sql).expect("parses");
        assert!(statements.keep(&sql, &query).is_none());
        assert!(statements.get(&sql).is_none());
    }

    /// The requests of a text that is kept, which has its JSON, are those of one that is not.
    #[test]
    fn kept_text_is_sent_as_any_other() {
        let types = [RqliteType::Text, RqliteType::Binary];
        let texts = [
            r#"SELECT "t"."a", "b\" FROM "t" WHERE "c" = ?"#,
            "SELECT 'x\n\u{1}', \"é\" FROM t -- \"\n WHERE c = ?",
        ];
        let values = [
            Bind::Integer(1),
            Bind::Text("x'41'".into()),
            Bind::Real(f64::INFINITY),
        ];
        for (sql, value) in texts
            .iter()
            .flat_map(|sql| values.iter().map(move |to| (sql, to)))
        {
            let statements = Statements::default();
            let kept = statements.keep(sql, &Query::parse(sql).expect("parses"));
            let kept = kept.expect("is kept");
            for types in [None, Some(&types[..])] {
                for doubtful in [Doubtful::default(), Doubtful::ALL] {
                    let sent = |query: Query<'_>| {
                        let facts = Arc::clone(&query.facts);
                        let learnt = query.learnt.clone();
                        let mut found = query.found;
                        let read = Read::new(found.remove(0), facts, vec![value.clone()], learnt);
                        let read = read.expect("has its value");
                        let statement = read.stored(types, doubtful).expect("has columns");
                        String::from_utf8(body(&[&statement]).json.to_vec())
                    };
                    let other = sent(Query::parse(sql).expect("parses"));
                    assert_eq!(sent(kept.query()), other, "{sql}, {value:?}");
                }
            }
        }
    }

    #[test]
    fn limit_of_rows_found_by_a_key_is_written_out() {
        let integer = Bind::Integer;
        for (sql, binds, wanted) in [
            (
                "SELECT a FROM t WHERE b = ? LIMIT ?",
                vec![integer(7), integer(1)],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT 1",7]]"#,
            ),
            (
                "SELECT a FROM t WHERE \"b\" = ? AND c = ?limit?offset?",
                vec![integer(7), integer(8), integer(0), integer(i64::MAX)],
                r#"[["SELECT a FROM t WHERE \"b\" = ? AND c = ? LIMIT 0 OFFSET 9223372036854775807",7,8]]"#,
            ),
            (
                "SELECT a FROM t WHERE b = ?7 AND c = ?3 LIMIT ?",
                (1..9).map(integer).collect(),
                r#"[["SELECT a FROM t WHERE b = ?7 AND c = ?3 LIMIT 8",1,2,3,4,5,6,7]]"#,
            ),
            // No limit, or no number.
            (
                "SELECT a FROM t WHERE b = ? LIMIT ?",
                vec![integer(7), integer(-1)],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT ?",7,-1]]"#,
            ),
            (
                "SELECT a FROM t WHERE b = ? LIMIT ? OFFSET ?",
                vec![integer(7), integer(1), integer(i64::MIN)],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT ? OFFSET ?",7,1,-9223372036854775808]]"#,
            ),
            (
                "SELECT a FROM t WHERE b = ? LIMIT ?",
                vec![integer(7), Bind::Null],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT ?",7,null]]"#,
            ),
            (
                "SELECT a FROM t WHERE b = ? LIMIT ?",
                vec![integer(7), Bind::Text("1".into())],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT ?",7,"1"]]"#,
            ),
            // The plan may depend on the number.
            (
                "SELECT a FROM t LIMIT ?",
                vec![integer(1)],
                r#"[["SELECT a FROM t LIMIT ?",1]]"#,
            ),
            (
                "SELECT a FROM t WHERE b > ? LIMIT ?",
                vec![integer(7), integer(1)],
                r#"[["SELECT a FROM t WHERE b > ? LIMIT ?",7,1]]"#,
            ),
            (
                "SELECT a FROM t WHERE b = ? ORDER BY a LIMIT ?",
                vec![integer(7), integer(1)],
                r#"[["SELECT a FROM t WHERE b = ? ORDER BY a LIMIT ?",7,1]]"#,
            ),
            // Another end.
            (
                "SELECT a FROM t WHERE b = ? LIMIT ?2",
                vec![integer(7), integer(1)],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT ?2",7,1]]"#,
            ),
            (
                "SELECT a FROM t WHERE b = ? LIMIT ?, ?",
                vec![integer(7), integer(1), integer(2)],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT ?, ?",7,1,2]]"#,
            ),
            (
                "SELECT a FROM t WHERE b = ? LIMIT ? + 1",
                vec![integer(7), integer(1)],
                r#"[["SELECT a FROM t WHERE b = ? LIMIT ? + 1",7,1]]"#,
            ),
        ] {
            let statements = Statements::default();
            let kept = statements.keep(sql, &Query::parse(sql).expect("parses"));
            let kept = kept.expect("is kept");
            // The same text with other values is sent before and after.
            for binds in [vec![Bind::Null; binds.len()], binds.clone(), binds] {
                let mut query = kept.query();
                let learnt = query.learnt.clone();
                let read = Read::new(
                    query.found.remove(0),
                    Arc::clone(&query.facts),
                    binds.clone(),
                    learnt,
                );
                let statement = read.expect("has its values").plain();
                let sent = body(&[&statement]).json;
                if binds.iter().any(|bind| *bind != Bind::Null) {
                    assert_eq!(String::from_utf8_lossy(&sent), wanted);
                }
            }
        }
    }

    #[test]
    fn type_finds_its_statement() {
        let statements = Statements::default();
        let sql = "SELECT 1";
        let kept = statements.keep(sql, &Query::parse(sql).expect("parses"));
        let kept = kept.expect("is kept");
        assert!(statements.of_type(TypeId::of::<u8>()).is_none());
        statements.note_type(TypeId::of::<u8>(), &kept);
        let found = statements.of_type(TypeId::of::<u8>()).expect("is noted");
        assert_eq!(found.sql(), sql);
        for _ in 0..10 * GENERATION {
            statements.note_type(TypeId::of::<u16>(), &kept);
        }
        assert!(statements.of_type(TypeId::of::<u8>()).is_some());
    }

    /// Pairs of types.
    macro_rules! pairs {
        ($($length:literal)*) => {
            fn pairs_with<A: 'static>() -> Vec<TypeId> {
                vec![$(TypeId::of::<(A, [u8; $length])>()),*]
            }

            fn pairs() -> Vec<TypeId> {
                [$(pairs_with::<[u8; $length]>()),*].concat()
            }
        };
    }
    pairs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);

    #[test]
    fn types_are_few() {
        let statements = Statements::default();
        let kept = statements.keep("SELECT 1", &Query::parse("SELECT 1").expect("parses"));
        let kept = kept.expect("is kept");
        let types = pairs();
        assert!(types.len() > 2 * GENERATION);
        for id in types {
            statements.note_type(id, &kept);
            assert!(statements.of_type(id).is_some());
            assert!(locked(&statements.0).by_type.len() <= 2 * GENERATION);
        }
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
