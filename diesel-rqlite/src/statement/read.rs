//! A query, which may be sent in several forms.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Statement, pin_time_values};
use crate::backend::RqliteType;
use crate::bind_collector::Bind;
use crate::protocol::rows::Rows;
use crate::sql::SqlError;
use crate::sql::cells::{self, Classes, TextCell};
use crate::sql::key::{ByKey, by_key};
use crate::sql::pin::{Entropy, pin};
use crate::sql::placeholders::{check_count, numbers};
use crate::sql::results::{self, Encoded};
use crate::sql::scan::{Scanned, Verb, scan_one, unquoted};
use crate::sql::tokens::Tokens;
use crate::sql::unstable::{Comparable, Unstable};
use crate::sql::volatile::{self, Volatile};

/// A query, which may be sent in several forms.
#[derive(Debug, PartialEq)]
pub(crate) struct Read<'a> {
    scanned: Scanned<'a>,
    binds: Vec<Bind<'a>>,
}

impl<'a> Read<'a> {
    pub(super) fn new(scanned: Scanned<'a>, binds: Vec<Bind<'a>>) -> Result<Self, SqlError> {
        check_count(&scanned, binds.len())?;
        Ok(Read { scanned, binds })
    }

    /// Whether it can stand inside a subquery: `SELECT` or `VALUES`, not PRAGMA or EXPLAIN.
    pub(crate) fn is_wrappable(&self) -> bool {
        self.scanned.verb == Verb::Select
    }

    /// As written.
    pub(crate) fn plain(&self) -> Statement<'a> {
        self.with(Statement::plain(self.scanned.text))
    }

    /// In a form in which nearly all values are exact, and one that is not shows. `None`: there is none, since it can't
    /// stand inside a subquery, or neither types nor the text tell how many columns it has.
    pub(crate) fn exact(&self, types: Option<&[RqliteType]>) -> Option<Statement<'a>> {
        // SQLite has a limit for how deep an expression is, which a concatenation of so many classes is.
        const MOST: usize = 250;
        match types {
            _ if !self.is_wrappable() => None,
            Some(types) => Some(self.encoded(results::typed_query(&self.scanned, types))),
            None => {
                let names = self.column_names().filter(|names| names.len() <= MOST)?;
                Some(self.encoded(results::classed(&self.scanned, names)))
            }
        }
    }

    /// Exact for every value, with the names of its columns.
    pub(crate) fn tagged(&self, types: Option<&[RqliteType]>, names: Vec<String>) -> Statement<'a> {
        self.encoded(results::tagged(&self.scanned, types, names))
    }

    /// No rows, but its columns.
    pub(crate) fn columns(&self) -> Statement<'a> {
        let sql = format!("SELECT * FROM ({}) LIMIT 0", self.scanned.text);
        self.with(Statement::plain(sql))
    }

    fn encoded(&self, encoded: Encoded) -> Statement<'a> {
        let mut statement = Statement::plain("");
        statement.encode(encoded);
        self.with(statement)
    }

    fn with(&self, mut statement: Statement<'a>) -> Statement<'a> {
        statement.bind(self.binds.clone());
        statement
    }
}

/// A query inside a transaction.
#[derive(Debug)]
pub(crate) struct GuardedRead {
    /// Its rows are in a fixed order, or compared in any.
    text: String,
    binds: Vec<Bind<'static>>,
    width: usize,
    ordered: bool,
    /// What it returns depends on the database alone, so that it may be asked again at the commit.
    pub(crate) is_stable: bool,
}

impl<'a> Read<'a> {
    pub(crate) fn text(&self) -> &'a str {
        self.scanned.text
    }

    /// Whether it asks for what the connection did last.
    pub(crate) fn asks_for_counters(&self) -> bool {
        self.scanned.counters
    }

    /// The names of the columns, if the text tells how many there are.
    pub(crate) fn column_names(&self) -> Option<Vec<String>> {
        results::known_names(&self.scanned)
    }

    pub(crate) fn typed_names(&self, width: usize) -> Vec<String> {
        results::item_names(&self.scanned, width)
    }

    /// What of its rows may be compared later.
    pub(crate) fn comparable(&self, unstable: &Unstable, names: &[String]) -> Comparable {
        unstable.comparable(self.scanned.text, &self.scanned.items, names)
    }

    /// The row it is about, if it finds it by a key.
    pub(crate) fn by_key(&self) -> Option<ByKey> {
        by_key(self.scanned.text)
    }

    /// The value of a placeholder, by its place.
    pub(crate) fn bound(&self, place: usize) -> Option<Bind<'static>> {
        let number = *numbers(&self.scanned).ok()?.get(place)?;
        self.binds.get(number - 1).cloned().map(Bind::into_owned)
    }

    /// With this many columns.
    pub(crate) fn in_transaction(&self, entropy: &impl Entropy, width: usize) -> GuardedRead {
        let binds = self.binds.iter().cloned().map(Bind::into_owned);
        let mut read = GuardedRead {
            text: in_fixed_order(&self.scanned, width),
            binds: binds.collect(),
            width,
            ordered: self.scanned.ordered || self.scanned.limit_at.is_some(),
            is_stable: !self.scanned.local,
        };
        if self.scanned.suspicious {
            read.pin(entropy);
        }
        read
    }
}

impl GuardedRead {
    /// `now` is the transaction's own. What has another value each time can't be compared later.
    fn pin(&mut self, entropy: &impl Entropy) {
        let found = volatile::find(&self.text);
        let is_time = |volatile: &Volatile| {
            !matches!(
                volatile,
                Volatile::Random | Volatile::RandomBlob(_) | Volatile::Refused(_)
            )
        };
        let pinned = || -> Result<(String, Vec<Bind<'static>>), SqlError> {
            let mut binds = self.binds.clone();
            pin_time_values(&scan_one(&self.text)?, &found, &mut binds, entropy)?;
            let text = pin(&self.text, &found, &mut Moment(entropy))?;
            Ok((text, binds))
        };
        match pinned() {
            Ok((text, binds)) if found.values.iter().all(|(_, volatile)| is_time(volatile)) => {
                self.text = text;
                self.binds = binds;
            }
            _ => self.is_stable = false,
        }
    }

    /// The query that returns each row as one text.
    pub(crate) fn rows(&self, text: TextCell) -> Statement<'static> {
        let sql = cells::query(&self.text, self.width, text);
        Statement::with_binds(sql, self.binds.clone())
    }

    /// The statement that fails unless the query returns these rows, given as their texts, and as what they mean. `None`:
    /// nothing of them may be compared.
    /// `inserted_into`: what it asks for is the rowid of the last INSERT, which the table may not have; then it is
    /// anything, and another thing on each node.
    pub(crate) fn guard(
        &self,
        texts: Vec<&str>,
        rows: &Rows,
        form: TextCell,
        inserted_into: Option<&str>,
        compared: &Comparable,
    ) -> Option<Statement<'static>> {
        let unless = inserted_into.map(without_rowid).unwrap_or_default();
        let mut columns = cells::columns(&Classes::of(rows));
        let (form, expected) = match compared {
            Comparable::Nothing => return None,
            Comparable::All => (form, cells::expected(texts, self.ordered)),
            Comparable::Some(compared) => {
                let mut compared = compared.iter();
                columns.retain(|_| compared.next() == Some(&true));
                (TextCell::Hex, self.expected_of(rows, &columns))
            }
        };
        let sql = cells::guard(
            &self.text,
            self.width,
            &columns,
            form,
            self.ordered,
            &unless,
        );
        let mut binds = self.binds.clone();
        binds.push(Bind::Text(Cow::Owned(expected)));
        Some(Statement::with_binds(sql, binds))
    }

    /// The text of all rows with these columns only.
    fn expected_of(&self, rows: &Rows, columns: &[(String, Classes)]) -> String {
        let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let is_wanted = |column: usize| names.contains(&format!("c{column}").as_str());
        let texts = (0..rows.len()).map(|row| cells::row_text(rows, row, is_wanted));
        let texts: Vec<_> = texts.collect();
        cells::expected(texts.iter().map(String::as_str).collect(), self.ordered)
    }
}

/// The condition that a table, named as in the INSERT, has no rowid.
fn without_rowid(table: &str) -> String {
    let name = Tokens::new(table).map_while(Result::ok).last();
    let name = name.map_or("", |name| unquoted(&table[name.range]));
    format!(
        " OR EXISTS (SELECT 1 FROM pragma_table_list WHERE name='{}' COLLATE NOCASE AND wr)",
        name.replace('\'', "''")
    )
}

/// Replaces times, and nothing that is random.
struct Moment<'e, E>(&'e E);

impl<E: Entropy> Entropy for Moment<'_, E> {
    fn now(&self) -> std::time::SystemTime {
        self.0.now()
    }

    fn random(&mut self) -> u64 {
        0
    }
}

/// Rows that are equal under ORDER BY, or which of them a LIMIT takes, may differ between nodes, which do not
/// always choose the same index: then a guard would pass on one and fail on another. The columns themselves
/// decide where the query does not.
fn in_fixed_order(scanned: &Scanned<'_>, width: usize) -> String {
    if !scanned.ordered && scanned.limit_at.is_none() {
        return scanned.text.to_owned();
    }
    let at = scanned.limit_at.unwrap_or(scanned.text.len());
    let mut text = scanned.text[..at].trim_end().to_owned();
    text.push_str(if scanned.ordered { "," } else { " ORDER BY " });
    for column in 1..=width {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "{}{column} COLLATE BINARY",
            if column == 1 { "" } else { "," }
        );
    }
    text.push(' ');
    text.push_str(&scanned.text[at..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(sql: &str) -> String {
        in_fixed_order(&scan_one(sql).expect("scans"), 2)
    }

    #[test]
    fn what_is_of_one_node_is_not_compared() {
        let local = |sql| scan_one(sql).expect("scans").local;
        assert!(local("SELECT SQLite_Version()"));
        assert!(local("SELECT file FROM pragma_database_list"));
        assert!(local("SELECT rootpage FROM sqlite_master"));
        assert!(!local("SELECT name FROM pragma_table_info('t')"));
        assert!(!local("SELECT 'sqlite_version()'"));
    }

    #[test]
    fn the_columns_decide_where_the_query_does_not() {
        assert_eq!(fixed("SELECT a, b FROM t"), "SELECT a, b FROM t");
        assert_eq!(
            fixed("SELECT a, b FROM t ORDER BY a DESC LIMIT ?"),
            "SELECT a, b FROM t ORDER BY a DESC,1 COLLATE BINARY,2 COLLATE BINARY LIMIT ?"
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
