//! What a transaction knows without asking.

use std::collections::HashMap;

use diesel_rqlite_sql::ByKey;

use crate::bind_collector::Bind;

/// A row by its table and primary key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowKey(String);

/// What the transaction knows without asking. The count of an UPDATE by key is told from it, and guarded.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Whether a row is there.
    rows: HashMap<RowKey, bool>,
    /// UPDATEs and DELETEs by key, by their text, and how often a server said that they found their row.
    texts: HashMap<String, u32>,
}

impl Known {
    /// A statement that has found two rows will find the next, too.
    const ENOUGH: u32 = 2;

    /// Whether an UPDATE or DELETE by key will find its row. `None`: a server has to be asked.
    pub(crate) fn finds_its_row(&self, sql: &str, row: &RowKey) -> Option<bool> {
        match self.rows.get(row) {
            Some(true) => Some(true),
            // Somebody may have brought it back: a trigger.
            Some(false) => None,
            None => (self.texts.get(sql) >= Some(&Self::ENOUGH)).then_some(true),
        }
    }

    /// A server said that this UPDATE or DELETE found its row, or that it did not.
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

    /// Any row may be gone.
    pub(crate) fn forget(&mut self) {
        *self = Known::default();
    }
}

/// The columns of primary keys, by table.
pub(crate) type PrimaryKeys = HashMap<String, Vec<String>>;

/// The row that a statement is about, where it names the whole key.
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
    Some(RowKey(format!("{} {values:?}", by_key.table)))
}
