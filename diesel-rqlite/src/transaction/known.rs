//! Facts that a transaction knows without asking.
//!
//! The knowledge saves a peek for an UPDATE or DELETE by primary key: if its row is known to exist, its count is 1. It
//! comes from rows that were read by key and from earlier writes by key. It may be wrong, for example because a trigger
//! or a foreign key has deleted the row. That is harmless: the count is guarded as `Count::Predicted`, and the
//! transaction then fails.
//!
//! A write makes the session forget everything (`session::write`), unless it is an INSERT, or an UPDATE or DELETE by
//! primary key that leaves the key as it is. A rollback does so, too.

use std::collections::HashMap;

use diesel_rqlite_sql::ByKey;

use crate::bind_collector::Bind;

/// A row, by its table and primary key.
///
/// Two of them are equal if the statements give the same values of the same types. `1` and `'1'` are different keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    table: String,
    /// By the names of their columns.
    values: Vec<KeyValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum KeyValue {
    Null,
    Integer(i64),
    /// The bits of a REAL.
    Real(u64),
    Text(String),
    Binary(Vec<u8>),
    #[cfg(feature = "serde_json")]
    Jsonb(String),
}

impl KeyValue {
    fn of(bind: Bind<'_>) -> Self {
        match bind {
            Bind::Null => KeyValue::Null,
            Bind::Integer(value) => KeyValue::Integer(value),
            Bind::Real(value) => KeyValue::Real(value.to_bits()),
            Bind::Text(value) => KeyValue::Text(value.into_owned()),
            Bind::Binary(value) => KeyValue::Binary(value.into_owned()),
            #[cfg(feature = "serde_json")]
            Bind::Jsonb(value) => KeyValue::Jsonb(value),
        }
    }
}

/// Facts that the transaction knows without asking. The count of an UPDATE by key is derived from them, and guarded.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// `true` for a row that exists, `false` for one that is gone.
    rows: HashMap<RowKey, bool>,
    /// The number of times that a server said that an UPDATE or DELETE by key found its row, by the text of the
    /// statement.
    texts: HashMap<String, u32>,
}

impl Known {
    /// The number of rows that a statement must have found before it is expected to find the next one.
    const ENOUGH: u32 = 2;

    /// Returns whether an UPDATE or DELETE by key will find its row. Returns `None` if a server has to be asked.
    pub(crate) fn finds_its_row(&self, sql: &str, row: &RowKey) -> Option<bool> {
        match self.rows.get(row) {
            Some(true) => Some(true),
            // A trigger may have inserted it again.
            Some(false) => None,
            None => (self.texts.get(sql) >= Some(&Self::ENOUGH)).then_some(true),
        }
    }

    /// Notes that, according to a server, this UPDATE or DELETE found its row or did not.
    ///
    /// One that found nothing is no longer assumed to find its row, until it has found enough of them again.
    pub(crate) fn tried(&mut self, sql: &str, found: bool) {
        if found {
            *self.texts.entry(sql.to_owned()).or_default() += 1;
        } else {
            self.texts.remove(sql);
        }
    }

    pub(crate) fn set(&mut self, row: RowKey, is_there: bool) {
        self.rows.insert(row, is_there);
    }

    /// Forgets everything, because any row may be gone.
    pub(crate) fn forget(&mut self) {
        *self = Known::default();
    }
}

/// The columns of primary keys, by table.
pub(crate) type PrimaryKeys = HashMap<String, Vec<String>>;

/// Returns the row that a statement finds, if the statement names the whole primary key.
///
/// `value` returns the value of a placeholder, by its place. Returns `None` if the primary key of the table is not
/// known, if the condition is on other columns, or if a value is missing.
pub(crate) fn row_of(
    by_key: &ByKey,
    keys: &PrimaryKeys,
    value: impl Fn(usize) -> Option<Bind<'static>>,
) -> Option<RowKey> {
    if !by_key.is_by(keys.get(&by_key.table)?) {
        return None;
    }
    let columns = by_key.columns.iter();
    let values: Option<Vec<_>> = columns
        .map(|(column, place)| Some((column, value(*place)?)))
        .collect();
    let mut values = values?;
    values.sort_by_key(|(column, _)| *column);
    let values = values.into_iter().map(|(_, value)| value);
    Some(RowKey {
        table: by_key.table.clone(),
        values: values.map(KeyValue::of).collect(),
    })
}
