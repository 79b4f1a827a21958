//! The rows and fields that Diesel reads.

use std::sync::Arc;

use diesel::row::{Field, IntoOwnedRow, PartialRow, Row, RowIndex, RowSealed};

use crate::backend::Rqlite;
use crate::protocol::rows::Rows;
use crate::value::RqliteValue;

/// One row of an answer. The rows of an answer share its memory.
#[derive(Clone, Debug)]
pub struct RqliteRow {
    rows: Arc<Rows>,
    row: usize,
}

impl RowSealed for RqliteRow {}

impl RowIndex<usize> for RqliteRow {
    fn idx(&self, index: usize) -> Option<usize> {
        (index < self.rows.width()).then_some(index)
    }
}

impl<'n> RowIndex<&'n str> for RqliteRow {
    fn idx(&self, name: &'n str) -> Option<usize> {
        let columns = self.rows.columns();
        let exact = columns.iter().position(|column| column == name);
        // The name in the answer is that of the table or, in raw SQL, the one that was written. Its case may differ.
        exact.or_else(|| {
            columns
                .iter()
                .position(|column| column.eq_ignore_ascii_case(name))
        })
    }
}

impl<'a> Row<'a, Rqlite> for RqliteRow {
    type Field<'f>
        = RqliteField<'f>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        self.rows.width()
    }

    fn get<'b, I>(&'b self, index: I) -> Option<RqliteField<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let column = self.idx(index)?;
        Some(RqliteField { row: self, column })
    }

    fn partial_row(&self, range: std::ops::Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}

impl<'a> IntoOwnedRow<'a, Rqlite> for RqliteRow {
    type OwnedRow = Self;
    type Cache = ();

    fn into_owned(self, _cache: &mut ()) -> Self {
        self
    }
}

/// A value of a row, with its column's name.
#[derive(Debug)]
pub struct RqliteField<'a> {
    row: &'a RqliteRow,
    column: usize,
}

impl Field<'_, Rqlite> for RqliteField<'_> {
    fn field_name(&self) -> Option<&str> {
        let name = self.row.rows.columns().get(self.column)?;
        (!name.is_empty()).then_some(name)
    }

    fn value(&self) -> Option<RqliteValue<'_>> {
        self.row
            .rows
            .value(self.row.row, self.column)
            .map(RqliteValue::new)
    }
}

/// The rows that have been received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    results: std::vec::IntoIter<Arc<Rows>>,
    current: Option<Arc<Rows>>,
    row: usize,
}

impl Received {
    pub(crate) fn new(results: Vec<Rows>) -> Self {
        let results: Vec<_> = results.into_iter().map(Arc::new).collect();
        Received {
            results: results.into_iter(),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, rows: Rows) {
        self.current = Some(Arc::new(rows));
        self.row = 0;
    }
}

impl Iterator for Received {
    type Item = RqliteRow;

    fn next(&mut self) -> Option<RqliteRow> {
        loop {
            match &self.current {
                Some(rows) if self.row < rows.len() => {
                    let rows = Arc::clone(rows);
                    self.row += 1;
                    return Some(RqliteRow {
                        rows,
                        row: self.row - 1,
                    });
                }
                _ => {
                    self.current = Some(self.results.next()?);
                    self.row = 0;
                }
            }
        }
    }
}
