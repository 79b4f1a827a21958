//! A query, which may be sent in several forms.
//!
//! A [`Read`] holds the parsed text and its values. Each of its methods writes one form from scratch, so a read can be
//! sent any number of times and in any order of forms:
//!
//! | method | form |
//! |---|---|
//! | `plain` | as it is written, except that the number of a limit may replace its parameter; for raw SQL, PRAGMA and EXPLAIN |
//! | `stored` | like `plain`, and the answer shows where a value may differ from the stored one |
//! | `exact` | with SQL around it; nearly all values are exact, and the answer shows where one is not |
//! | `tagged` | with SQL around it; all values are exact |
//! | `columns` | without rows, for the names of the columns |
//! | `in_transaction` | as the base of a `GuardedRead` |
//!
//! `session::autocommit` and `session::guarded` decide which form is sent, and which follows if the answer is in doubt. The
//! SQL of the forms is that of `sql::results` and `sql::cells`.
//!
//! Invariants: no form changes the rows that the query yields, and only `in_transaction` may change their order, where
//! the query leaves it open. Values are bound in the same order in all forms. Outside of transactions, times and random
//! values are left to the server, since one node evaluates them once.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use diesel_rqlite_sql::{ByKey, Classes, Entropy, Form, Parsed, Pin, Scan, SqlError, find, pins};

use super::guarded::GuardedRead;
use super::wire::KeptText;
use super::writer::Values;
use super::{Learnt, Statement, pin_time_values, wire};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::protocol::encoding::{Doubtful, Encoding};
use crate::sql::results::{self, Encoded};
use crate::sql::unstable::{Comparable, Unstable};

/// What the text of a read tells. Each is found when it is first asked for, and once for all runs of a text that is
/// kept.
#[derive(Debug, Default)]
pub(super) struct ReadFacts {
    names: OnceLock<Option<Vec<String>>>,
    by_key: OnceLock<Option<ByKey>>,
    scan: OnceLock<Option<Scan>>,
    /// The encodings of its columns when it is sent as it is, and their types are not known.
    stored: OnceLock<Vec<Encoding>>,
    /// The text as JSON.
    kept: OnceLock<KeptText>,
    /// The text as JSON up to its limit, if the limit can be written out.
    unlimited: OnceLock<Option<KeptText>>,
}

/// The facts follow from the text, whether they were asked for or not.
impl PartialEq for ReadFacts {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// A query with its values. It does not write, except that EXPLAIN may be of a write, which is not run.
#[derive(Debug, PartialEq)]
pub(crate) struct Read<'a> {
    parsed: Parsed<'a>,
    /// Those of `parsed`.
    facts: Arc<ReadFacts>,
    values: Values<'a>,
    learnt: Option<Arc<Learnt>>,
}

impl<'a> Read<'a> {
    /// Creates a read. `learnt` is `Some` if the query was run before.
    ///
    /// Fails unless there is one value for each placeholder.
    pub(super) fn new(
        parsed: Parsed<'a>,
        facts: Arc<ReadFacts>,
        binds: Vec<Bind<'a>>,
        learnt: Option<Arc<Learnt>>,
    ) -> Result<Self, SqlError> {
        let values = Values::of(&parsed, binds)?;
        Ok(Read {
            parsed,
            facts,
            values,
            learnt,
        })
    }

    /// Returns what is known of the query, if it was run before.
    pub(crate) fn learnt(&self) -> Option<&Learnt> {
        self.learnt.as_deref()
    }

    pub(crate) fn shared_learnt(&self) -> Option<Arc<Learnt>> {
        self.learnt.clone()
    }

    /// Returns whether it can be a subquery: `SELECT` or `VALUES`, not PRAGMA or EXPLAIN.
    pub(crate) fn is_wrappable(&self) -> bool {
        self.parsed.form() == Form::Select
    }

    /// Returns its text, with SQL around the placeholders of values that JSON can't carry.
    fn written(&self) -> Cow<'a, str> {
        let written = self.values.writer(&self.parsed).all(&[]);
        written.map_or_else(|| self.parsed.shared_text(), Cow::Owned)
    }

    fn statement(&self, sql: impl Into<Cow<'a, str>>) -> Statement<'a> {
        Statement::with_written(sql, self.values.binds.clone())
    }

    /// Returns the query as it is written.
    pub(crate) fn plain(&self) -> Statement<'a> {
        if self.parsed.form() == Form::Explain {
            return self.explain();
        }
        let written = self.written();
        let is_kept = self.learnt.is_some() && matches!(written, Cow::Borrowed(_));
        Statement {
            may_be_rowless: !self.is_wrappable(),
            kept: is_kept.then(|| self.kept_text()),
            ..self.statement(written)
        }
    }

    /// Returns its text as JSON, with its limit written out if possible.
    fn kept_text(&self) -> KeptText {
        let facts = &self.facts;
        let unlimited = facts.unlimited.get_or_init(|| self.unlimited());
        let kept = unlimited
            .as_ref()
            .filter(|kept| kept.takes(&self.values.binds));
        let kept = kept.unwrap_or_else(|| facts.kept.get_or_init(|| KeptText::new(self.text(), 0)));
        kept.clone()
    }

    /// Returns its text up to a limit that can be written out, as that of `find(key).first()`. Returns `None` unless the
    /// query finds rows by a key, and ends with `LIMIT ?` or `LIMIT ? OFFSET ?`.
    ///
    /// SQLite since 3.47 prepares a statement again when a limit is bound, since its plan may depend on the number. That
    /// takes a tenth of the time of a point read. Before 3.47, a limit that is bound has no influence on the plan, but
    /// one that is written out has: it may prefer another index and sort the rows. Rows that are found by a key, in no
    /// order, have one plan.
    fn unlimited(&self) -> Option<KeptText> {
        let limits = self.parsed.placeholders_of_limit()?;
        self.by_key()?;
        let text = self.parsed.span(self.parsed.before(self.parsed.limit()?));
        Some(KeptText::new(text, limits))
    }

    /// Returns an EXPLAIN, which may be of a write. Servers before 9 look at the first statement of a text to see
    /// whether it only reads, and SQLite says that an explained write does not. They return the rows of the last
    /// statement. Values that need SQL around them are left out: that SQL would be explained as well, and no plan
    /// depends on such values.
    fn explain(&self) -> Statement<'a> {
        let binds = self.values.binds.iter();
        let binds = binds.map(|bind| match wire::conversion(bind) {
            Some(_) => Bind::Null,
            None => bind.clone(),
        });
        let sql = format!("SELECT 1; {}", self.parsed.shared_text());
        Statement::with_written(sql, binds.collect())
    }

    /// Returns the query as it is written, except for columns known not to be exact that way. The answer shows where a
    /// value may differ from the stored one. Returns `None` if the text does not tell the number of columns, or there
    /// are too many.
    ///
    /// `doubtful` are the columns that a former answer has shown to be inexact. Only those get SQL around them, so a
    /// query without any is sent as plain text.
    pub(crate) fn stored(
        &self,
        types: Option<&[RqliteType]>,
        doubtful: Doubtful,
    ) -> Option<Statement<'a>> {
        let encodings = self.as_stored(types)?;
        if !doubtful.is_empty() {
            let written = self.written();
            let encoded = results::partly_stored(&self.parsed, &written, types, doubtful);
            return Some(self.encoded(encoded));
        }
        let mut statement = self.plain();
        statement.encodings = encodings;
        Some(statement)
    }

    /// Returns the encodings of its columns when it is sent as it is. Returns `None` if the text does not tell the
    /// number of columns, or there are too many.
    ///
    /// PRAGMA and EXPLAIN, and a query with `*`, have no such encodings. With `types`, their number must be that of the
    /// columns.
    pub(crate) fn as_stored(&self, types: Option<&[RqliteType]>) -> Option<Vec<Encoding>> {
        let items = self.column_names()?.len();
        if !self.is_wrappable() || items > Doubtful::MOST {
            return None;
        }
        match types {
            Some(types) if types.len() != items => None,
            Some(types) => Some(results::stored(types)),
            None => {
                let stored = || results::stored_anyhow(&self.parsed);
                Some(self.facts.stored.get_or_init(stored).clone())
            }
        }
    }

    /// Returns the query in a form in which nearly all values are exact, and the others are recognizable. Returns
    /// `None` if it can't be a subquery, or if neither `types` nor the text tells the number of columns.
    ///
    /// With `types` the text need not tell the number of columns. If the query then has another number, SQLite reports
    /// an error about the subquery. Without types, the answer has one more column at its start, with the storage
    /// classes of each row.
    pub(crate) fn exact(&self, types: Option<&[RqliteType]>) -> Option<Statement<'a>> {
        // SQLite limits the depth of an expression, and this is a concatenation of one term for each column.
        const MOST: usize = 250;
        match types {
            _ if !self.is_wrappable() => None,
            Some(types) => {
                let encoded = results::typed_query(&self.parsed, &self.written(), types);
                Some(self.encoded(encoded))
            }
            None => {
                let names = self.column_names().filter(|names| names.len() <= MOST)?;
                let encoded = results::classed(&self.parsed, &self.written(), names.to_vec());
                Some(self.encoded(encoded))
            }
        }
    }

    /// Returns the query in the form that is exact for every value, with the names of its columns.
    ///
    /// Without `types`, `names` must have one name for each column: their number is the width of the query. Call it
    /// only if the query can be a subquery.
    pub(crate) fn tagged(&self, types: Option<&[RqliteType]>, names: Vec<String>) -> Statement<'a> {
        self.encoded(results::tagged(&self.parsed, &self.written(), types, names))
    }

    /// Returns the query without rows, for the names of its columns.
    ///
    /// Call it only if the query can be a subquery.
    pub(crate) fn columns(&self) -> Statement<'a> {
        self.statement(format!("SELECT * FROM ({}) LIMIT 0", self.written()))
    }

    fn encoded(&self, encoded: Encoded) -> Statement<'a> {
        let mut statement = self.statement("");
        statement.encode(encoded);
        statement
    }

    pub(crate) fn text(&self) -> &str {
        self.parsed.text()
    }

    /// Returns whether it asks for what the connection did last.
    pub(crate) fn asks_for_counters(&self) -> bool {
        self.parsed.classes().contains(Classes::CONNECTION)
    }

    /// Returns the names of the columns, if the text tells their number. There is at least one.
    pub(crate) fn column_names(&self) -> Option<&[String]> {
        let names = self.facts.names.get_or_init(|| self.parsed.known_names());
        names.as_deref()
    }

    /// Returns as many names as there are columns. A name is empty if the text does not tell it.
    pub(crate) fn typed_names(&self, width: usize) -> Vec<String> {
        self.parsed.item_names(width)
    }

    /// Returns which of its rows' values may be compared later.
    pub(crate) fn comparable(&self, unstable: &Unstable, names: &[String]) -> Comparable {
        unstable.comparable(&self.parsed, names)
    }

    /// Returns the row that it finds by a key, if it does.
    pub(crate) fn by_key(&self) -> Option<&ByKey> {
        let by_key = self.facts.by_key.get_or_init(|| ByKey::of(&self.parsed));
        by_key.as_ref()
    }

    /// Returns the value of a placeholder, by its place.
    pub(crate) fn bound(&self, place: usize) -> Option<Bind<'static>> {
        let number = *self.values.numbers.get(place)?;
        let bind = self.values.binds.get(number - 1);
        bind.cloned().map(Bind::into_owned)
    }

    /// Returns the order that SQLite uses where the query states none: the rowid of the only table that it reads.
    ///
    /// Returns SQL for ORDER BY. Returns `None` unless the query returns the rows of one table one for one, and the
    /// schema says that the table has rowids.
    pub(crate) fn natural_order(&self, schema: Option<&Unstable>) -> Option<String> {
        let scan = self.facts.scan.get_or_init(|| self.parsed.scan());
        let scan = scan.as_ref()?;
        let has_rowids = schema?.has_rowids(&scan.table);
        has_rowids.then(|| format!("{}._rowid_", scan.qualifier))
    }

    /// Returns the query for a transaction, with this many columns, and in this order where it states none. `now` is
    /// the moment of the transaction. A query with another value each time can't be compared later.
    ///
    /// All times in the query are replaced by `now`, or none if something else in it is volatile. Then, or if the query
    /// is about the node, the result is marked as not stable, and gets no guard.
    pub(crate) fn in_transaction(
        &self,
        entropy: &impl Entropy,
        width: usize,
        order: Option<&str>,
    ) -> GuardedRead {
        let mut values = self.values.clone();
        let pins = pinned_time(&self.parsed, &mut values, entropy);
        let is_local = self.parsed.classes().contains(Classes::NODE);
        let is_stable = pins.is_some() && !is_local;
        // If only some of the times were replaced, they would differ from the rest.
        let values = if pins.is_some() {
            &values
        } else {
            &self.values
        };
        let binds = values.binds.iter().cloned().map(Bind::into_owned);
        GuardedRead {
            text: in_fixed_order(
                &self.parsed,
                values,
                &pins.unwrap_or_default(),
                width,
                order,
            ),
            binds: binds.collect(),
            width,
            ordered: self.parsed.is_ordered() || self.parsed.limit().is_some(),
            is_stable,
        }
    }
}

/// Returns the replacements of the times in a query. Returns `None` if something else in it is volatile.
///
/// Bound values of `now` are replaced in `values`, even if the result is `None`. The caller then has to use the
/// original values.
fn pinned_time(
    parsed: &Parsed<'_>,
    values: &mut Values<'_>,
    entropy: &impl Entropy,
) -> Option<Vec<Pin>> {
    if !parsed.classes().contains(Classes::VOLATILE) {
        return Some(Vec::new());
    }
    let found = find(parsed);
    let is_time = found.values.iter().all(|(_, volatile)| volatile.is_time());
    pin_time_values(values, &found, entropy).ok()?;
    pins(&found, &mut Moment(entropy)).ok().filter(|_| is_time)
}

/// Replaces times, and no random values.
struct Moment<'e, E>(&'e E);

impl<E: Entropy> Entropy for Moment<'_, E> {
    fn now(&self) -> std::time::SystemTime {
        self.0.now()
    }

    fn random(&mut self) -> Result<u64, SqlError> {
        Ok(0)
    }
}

/// Puts rows into an order that is the same on all nodes. Nodes do not always choose the same index. So the order of
/// rows that are equal under ORDER BY, and the rows that a LIMIT takes, may differ; then a guard would pass on one node
/// and fail on another. Where the query leaves the order open, the rowid decides, as on SQLite for most queries of one
/// table, or else the columns themselves.
///
/// A query that has neither ORDER BY nor LIMIT stays as it is: its rows are compared in any order. `order` is SQL for
/// the rowid, if there is one. Otherwise all `width` columns are added by their numbers, compared as bytes.
fn in_fixed_order(
    parsed: &Parsed<'_>,
    values: &Values<'_>,
    pins: &[Pin],
    width: usize,
    order: Option<&str>,
) -> String {
    let writer = values.writer(parsed);
    if !parsed.is_ordered() && parsed.limit().is_none() {
        return writer.part(parsed.all(), pins);
    }
    let end = parsed.tokens().len();
    let limit = parsed.limit().unwrap_or(end);
    let mut text = writer.part(parsed.before(limit), pins);
    text.push_str(if parsed.is_ordered() {
        ","
    } else {
        " ORDER BY "
    });
    if let Some(order) = order {
        text.push_str(order);
    }
    let columns = if order.is_some() { 0 } else { width };
    for column in 1..=columns {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "{}{column} COLLATE BINARY",
            if column == 1 { "" } else { "," }
        );
    }
    text.push(' ');
    text.push_str(&writer.part(limit..end, pins));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::one;

    fn fixed(sql: &str) -> String {
        let parsed = one(sql).expect("parses");
        let values = parsed.variables();
        let values = Values::of(&parsed, vec![Bind::Null; values]).expect("as many");
        in_fixed_order(&parsed, &values, &[], 2, None)
    }

    #[test]
    fn what_is_of_one_node_is_not_compared() {
        let local = |sql| one(sql).expect("parses").classes().contains(Classes::NODE);
        assert!(local("SELECT SQLite_Version()"));
        assert!(local("SELECT file FROM pragma_database_list"));
        assert!(local("SELECT rootpage FROM sqlite_master"));
        assert!(!local("SELECT name FROM pragma_table_info('t')"));
        assert!(!local("SELECT 'sqlite_version()'"));
    }

    #[test]
    fn the_rowid_decides_where_there_is_one() {
        let parsed = one("SELECT a FROM t ORDER BY a LIMIT 1 OFFSET 2").expect("parses");
        let values = Values::of(&parsed, Vec::new()).expect("as many");
        assert_eq!(
            in_fixed_order(&parsed, &values, &[], 1, Some("t._rowid_")),
            "SELECT a FROM t ORDER BY a,t._rowid_ LIMIT 1 OFFSET 2"
        );
    }

    #[test]
    fn the_columns_decide_where_the_query_does_not() {
        assert_eq!(fixed("SELECT a, b FROM t"), "SELECT a, b FROM t");
        assert_eq!(
            fixed("SELECT a, b FROM t ORDER BY a DESC LIMIT ?"),
            "SELECT a, b FROM t ORDER BY a DESC,1 COLLATE BINARY,2 COLLATE BINARY LIMIT ?"
        );
        assert_eq!(
            fixed("SELECT a, b FROM t ORDER BY a -- c\n LIMIT 2"),
            "SELECT a, b FROM t ORDER BY a,1 COLLATE BINARY,2 COLLATE BINARY LIMIT 2"
        );
        assert_eq!(
            fixed("SELECT a, b FROM t LIMIT 1 OFFSET 2"),
            "SELECT a, b FROM t ORDER BY 1 COLLATE BINARY,2 COLLATE BINARY LIMIT 1 OFFSET 2"
        );
        assert_eq!(
            fixed("SELECT a, b FROM (SELECT a, b FROM t ORDER BY a LIMIT 1)"),
            "SELECT a, b FROM (SELECT a, b FROM t ORDER BY a LIMIT 1)"
        );
        assert_eq!(
            fixed("SELECT a, b FROM t ORDER BY a"),
            "SELECT a, b FROM t ORDER BY a,1 COLLATE BINARY,2 COLLATE BINARY "
        );
    }
}
