//! The rows of one result, decoded directly from the JSON into three buffers: cells, text and bytes.
//!
//! [`reader`] reads a JSON array of rows. For each value, [`cell`] takes the encoding of its column, and appends a cell:
//! numbers are in the cell itself, texts and BLOBs are ranges of two buffers that all rows share. So a result takes
//! three allocations that grow, not one for each value. Names and types of the columns are in a [`Header`], which all
//! rows of an answer share, and which those of other answers may share.
//!
//! While they are decoded, it is found out whether the JSON tells the stored values:
//!
//! * In the form [`Encoding::Stored`], a value that rqlite may have converted makes its column doubtful
//!   (`Rows::doubtful`).
//! * U+FFFD in a text may stand for bytes that are not UTF-8 ([`Rows::has_replacement_character`]).
//! * A number without a fraction may be an INTEGER or a REAL. If any type is wanted, that is decided at the end, when
//!   the types of the columns are known.
//!
//! What to do with such an answer is left to the session. Rows may also be built by hand, which `sql::cells` does: by
//! [`Rows::named`], then `push` for each value and `end_row` for each row.
//!
//! Invariants: between rows, there are `rows * width` cells, row by row. Ranges are within their buffers, at borders of
//! characters. Nothing that a server sends makes the decoder panic.

mod cell;
mod reader;

use std::hash::Hasher;
use std::sync::Arc;

pub(super) use self::reader::text;
use super::encoding::{Affinity, Doubtful, Encoding, Wanted};
use crate::hex;

/// Up to this number, a REAL represents each INTEGER exactly.
pub(crate) const EXACT: u64 = 1 << 53;

/// A value as SQLite stores it. NULL is represented by `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Binary(&'a [u8]),
}

/// The names and the types of the columns of an answer.
///
/// The types are those that the server reports: the declared type of a column, in lower case, or the class of the first
/// value of an expression.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Header {
    pub(super) columns: Vec<String>,
    pub(super) types: Vec<String>,
}

/// The rows that one statement returned.
///
/// `cells`, `text` and `bytes` are the three buffers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    header: Arc<Header>,
    cells: Vec<Cell>,
    text: String,
    bytes: Vec<u8>,
    rows: usize,
    /// Set if a text contains U+FFFD, which rqlite also writes for bytes that are not UTF-8.
    replacement_character: bool,
    /// The storage classes of the row that is being decoded, if the answer contains them.
    classes: String,
    /// The cells that hold the bytes of a text that is not UTF-8.
    broken_text: Vec<usize>,
    /// The columns in the form [`Encoding::Stored`] whose values may differ from the stored ones.
    doubtful: Doubtful,
    /// The columns that are read as any type and contain numbers that are either an INTEGER or a REAL without a
    /// fraction.
    whole: Doubtful,
}

/// One value. `start` and `end` are positions in the buffer for text, or in that for bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text { start: usize, end: usize },
    Binary { start: usize, end: usize },
}

/// What there was before a row.
struct Mark {
    cells: usize,
    text: usize,
    bytes: usize,
    broken_text: usize,
    replacement_character: bool,
    doubtful: Doubtful,
    whole: Doubtful,
}

impl Default for Rows {
    fn default() -> Self {
        Rows::with_room(Arc::default(), 0)
    }
}

impl Rows {
    /// Creates an empty result with this header, and with room for so many bytes of text.
    fn with_room(header: Arc<Header>, text: usize) -> Self {
        Rows {
            header,
            cells: Vec::new(),
            text: String::with_capacity(text),
            bytes: Vec::new(),
            rows: 0,
            replacement_character: false,
            classes: String::new(),
            broken_text: Vec::new(),
            doubtful: Doubtful::default(),
            whole: Doubtful::default(),
        }
    }

    /// Decides what only the header, and the number of the rows, can tell. `is_complete` tells that no other rows of the
    /// answer follow.
    fn completed(mut self, encodings: &[Encoding], is_complete: bool) -> Self {
        if !self.whole.is_empty() {
            let is_only = is_complete && self.rows == 1;
            self.decide_whole_numbers(encodings, is_only);
        }
        self
    }

    /// Returns the header that these rows share.
    pub(crate) fn header(&self) -> &Arc<Header> {
        &self.header
    }

    /// Returns the names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.header.columns
    }

    /// Gives the columns other names. Their number is that of the columns.
    pub(crate) fn rename(&mut self, names: &[String]) {
        Arc::make_mut(&mut self.header).columns = names.to_vec();
    }

    /// Decides the class of whole numbers, because rqlite writes the REAL 1.0 as 1. The class follows from the affinity
    /// of the column, or, for the first value of an expression, from its type. `is_only` tells that the answer has a
    /// single row.
    ///
    /// Columns that stay undecided become doubtful. `encodings` may begin with the one of a column of classes, which is
    /// no column of the rows.
    fn decide_whole_numbers(&mut self, encodings: &[Encoding], is_only: bool) {
        let width = self.width();
        let stored = encodings
            .iter()
            .filter(|encoding| **encoding != Encoding::Classes);
        for (column, encoding) in stored.enumerate().take(width) {
            if !self.whole.contains(column) {
                continue;
            }
            let declared = self.header.types.get(column).map(String::as_str);
            let affinity = Affinity::of(declared.unwrap_or_default());
            let is_of_one = is_only || *encoding == Encoding::Stored(Wanted::AnyOfColumn);
            match affinity {
                Affinity::Integer if is_of_one => {}
                Affinity::Real if is_of_one => self.make_real(column),
                _ => self.doubtful.insert(column),
            }
        }
    }

    /// Makes all INTEGERs of a column REALs.
    fn make_real(&mut self, column: usize) {
        let width = self.width();
        for cell in self.cells.iter_mut().skip(column).step_by(width) {
            if let Cell::Integer(value) = *cell {
                #[allow(clippy::cast_precision_loss)]
                let real = value as f64;
                *cell = Cell::Real(real);
            }
        }
    }

    /// Returns the columns in the form [`Encoding::Stored`] whose values may differ from the stored ones.
    pub(crate) fn doubtful(&self) -> Doubtful {
        self.doubtful
    }

    /// Returns the columns that contain BLOBs.
    pub(crate) fn blobs(&self) -> Doubtful {
        let mut blobs = Doubtful::default();
        let width = self.width().max(1);
        for (place, cell) in self.cells.iter().enumerate() {
            if matches!(cell, Cell::Binary { .. }) {
                blobs.insert(place % width);
            }
        }
        blobs
    }

    /// Returns the total length of the BLOBs, in bytes.
    pub(crate) fn blob_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Creates an empty result with these columns.
    ///
    /// Values are then added by `push`, and each row is closed by `end_row`.
    pub(crate) fn named(columns: Vec<String>) -> Self {
        let types = Vec::new();
        Rows::with_room(Arc::new(Header { columns, types }), 0)
    }

    /// Adds a value to the row under construction.
    ///
    /// The caller pushes one value for each column, in order.
    pub(crate) fn push(&mut self, value: Option<Value<'_>>) {
        match value {
            None => self.cells.push(Cell::Null),
            Some(Value::Integer(value)) => self.cells.push(Cell::Integer(value)),
            Some(Value::Real(value)) => self.cells.push(Cell::Real(value)),
            Some(Value::Text(value)) => self.push_text(value),
            Some(Value::Binary(value)) => {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(value);
                let end = self.bytes.len();
                self.cells.push(Cell::Binary { start, end });
            }
        }
    }

    /// Adds a BLOB. Returns `None` if these are not hexadecimal digits.
    ///
    /// After `None`, the rows are of no use: some bytes may have been added.
    pub(crate) fn push_hex_blob(&mut self, hex: &str) -> Option<()> {
        self.push_hex::<serde_json::Error>(hex).ok()
    }

    /// Adds text. Returns `None` if these are not hexadecimal digits.
    ///
    /// Text that is not UTF-8 is kept as bytes, and [`Rows::is_text`] tells that it is text.
    pub(crate) fn push_hex_text(&mut self, hex: &str) -> Option<()> {
        self.push_hex_blob(hex)?;
        self.binary_to_text();
        Some(())
    }

    /// Removes the first rows.
    ///
    /// Removes all rows if there are fewer. The text and the bytes of removed rows stay in the buffers.
    pub(crate) fn skip(&mut self, rows: usize) {
        let cells = (rows * self.width()).min(self.cells.len());
        self.cells.drain(..cells);
        self.rows = self.rows.saturating_sub(rows);
        self.broken_text.retain(|cell| *cell >= cells);
        self.broken_text.iter_mut().for_each(|cell| *cell -= cells);
    }

    /// Adds the values of the first rows to a digest, regardless of their encoding. `reals` are the columns that are
    /// read as REALs. For these, rqlite may write different digits of the same REAL.
    ///
    /// Two answers to the same query have the same digest if their values are equal, even if one is decoded from
    /// another form. Panics if there are fewer rows.
    pub(crate) fn digest(&self, rows: usize, reals: Doubtful, digest: &mut impl Hasher) {
        let width = self.width();
        let columns = (0..width).cycle();
        for (column, cell) in columns.zip(&self.cells[..rows * width]) {
            match *cell {
                Cell::Null => digest.write_u8(0),
                // The length keeps a text apart from the one that follows, and its lowest bit from a BLOB.
                Cell::Text { start, end } => {
                    digest.write_usize((end - start) << 1);
                    digest.write(&self.text.as_bytes()[start..end]);
                }
                Cell::Binary { start, end } => {
                    digest.write_usize((end - start) << 1 | 1);
                    digest.write(&self.bytes[start..end]);
                }
                #[allow(clippy::cast_precision_loss)]
                Cell::Integer(value) if reals.contains(column) => {
                    digest.write_u64((value as f64).to_bits());
                }
                Cell::Real(value) if reals.contains(column) => digest.write_u64(value.to_bits()),
                Cell::Integer(value) => digest.write_i64(value),
                Cell::Real(value) => match whole(value) {
                    Some(value) => digest.write_i64(value),
                    None => digest.write_u64(value.to_bits()),
                },
            }
        }
    }

    /// Removes the last column from all rows, and its name. The types and the list of broken texts stay as they are, so
    /// `is_text` may be wrong after it for texts that are not UTF-8.
    pub(crate) fn drop_last_column(&mut self) {
        let width = self.width();
        if width == 0 {
            return;
        }
        let mut place = 0;
        self.cells.retain(|_| {
            place += 1;
            place % width != 0
        });
        Arc::make_mut(&mut self.header).columns.pop();
    }

    /// Returns what there is, to which [`undo`](Self::undo) returns.
    fn mark(&self) -> Mark {
        Mark {
            cells: self.cells.len(),
            text: self.text.len(),
            bytes: self.bytes.len(),
            broken_text: self.broken_text.len(),
            replacement_character: self.replacement_character,
            doubtful: self.doubtful,
            whole: self.whole,
        }
    }

    /// Removes what was added since then.
    fn undo(&mut self, to: Mark) {
        self.cells.truncate(to.cells);
        self.text.truncate(to.text);
        self.bytes.truncate(to.bytes);
        self.broken_text.truncate(to.broken_text);
        self.replacement_character = to.replacement_character;
        self.doubtful = to.doubtful;
        self.whole = to.whole;
    }

    /// Makes room for so many rows like those that there are.
    fn reserve(&mut self, rows: usize) {
        if let Some(of_one) = self.text.len().checked_div(self.rows) {
            self.text.reserve(of_one * rows);
            self.cells.reserve(self.width() * rows);
        }
    }

    /// Ends the row under construction.
    pub(crate) fn end_row(&mut self) {
        self.rows += 1;
    }

    /// Returns whether a text may stand for bytes that are not UTF-8.
    pub(crate) fn has_replacement_character(&self) -> bool {
        self.replacement_character
    }

    /// Returns whether a value of an answer in a known form may differ from the stored one: its column is doubtful, or a
    /// text may stand for bytes that are not UTF-8.
    pub(crate) fn may_differ(&self) -> bool {
        self.replacement_character || !self.doubtful.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(crate) fn width(&self) -> usize {
        self.header.columns.len()
    }

    /// Returns a value, or `None` for NULL. Panics if there is no such row or column.
    pub(crate) fn value(&self, row: usize, column: usize) -> Option<Value<'_>> {
        self.of(self.cells[row * self.width() + column])
    }

    /// Returns the value of a cell of these rows.
    fn of(&self, cell: Cell) -> Option<Value<'_>> {
        match cell {
            Cell::Null => None,
            Cell::Integer(value) => Some(Value::Integer(value)),
            Cell::Real(value) => Some(Value::Real(value)),
            Cell::Text { start, end } => Some(Value::Text(&self.text[start..end])),
            Cell::Binary { start, end } => Some(Value::Binary(&self.bytes[start..end])),
        }
    }

    /// Returns whether a value of raw SQL may differ from the stored one. rqlite converts values of columns with certain
    /// declared types, except NULL, and bytes that are not UTF-8.
    pub(crate) fn may_be_converted(&self) -> bool {
        self.replacement_character || (0..self.width()).any(|column| self.is_converted(column))
    }

    /// Returns whether rqlite converts the values of this column, and it has any.
    fn is_converted(&self, column: usize) -> bool {
        let declared = self.header.types.get(column).map(String::as_str);
        let has_values = || {
            let mut cells = self.cells.iter().skip(column).step_by(self.width());
            cells.any(|cell| *cell != Cell::Null)
        };
        matches!(
            declared,
            Some("date" | "datetime" | "timestamp" | "boolean")
        ) && has_values()
    }

    /// Restores whole REALs, because rqlite writes the REAL 1.0 as 1. rqlite does report the declared type of a column,
    /// or the class of an expression's first value. This is for rows of raw SQL, for which no other types are known.
    ///
    /// Does nothing if no column is declared as a REAL, or if the answer has no types.
    pub(crate) fn with_whole_reals(mut self) -> Self {
        let is_real = |declared: &String| {
            ["real", "floa", "doub"]
                .iter()
                .any(|name| declared.contains(name))
        };
        let reals: Vec<bool> = self.header.types.iter().map(is_real).collect();
        if !reals.contains(&true) || reals.len() != self.width() {
            return self;
        }
        for (cell, is_real) in self.cells.iter_mut().zip(reals.iter().cycle()) {
            if let Cell::Integer(value) = *cell
                && *is_real
                // Beyond this number, a REAL may differ from the digits that it is written with.
                && value.unsigned_abs() <= EXACT
            {
                #[allow(clippy::cast_precision_loss)]
                let real = value as f64;
                *cell = Cell::Real(real);
            }
        }
        self
    }

    /// Returns the encoding of the value at this position of the row.
    ///
    /// `place` counts the columns that have a class. A BLOB is tagged, a REAL may be infinite, and any other value is
    /// as rqlite writes it.
    fn by_class(&self, place: usize) -> Encoding {
        match self.classes.as_bytes().get(place) {
            Some(b'b') => Encoding::Tagged,
            Some(b'r') => Encoding::Real,
            _ => Encoding::Plain,
        }
    }

    fn push_text(&mut self, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.cells.push(Cell::Text {
            start,
            end: self.text.len(),
        });
    }

    /// Appends a BLOB. Fails unless these are pairs of hexadecimal digits.
    fn push_hex<E: serde::de::Error>(&mut self, hex: &str) -> Result<(), E> {
        let start = self.bytes.len();
        if !hex.len().is_multiple_of(2) {
            return Err(E::custom("an odd number of hexadecimal digits"));
        }
        for pair in hex.as_bytes().chunks_exact(2) {
            let byte = hex::byte(pair[0], pair[1]);
            let byte = byte.ok_or_else(|| E::custom("not a hexadecimal digit"))?;
            self.bytes.push(byte);
        }
        self.cells.push(Cell::Binary {
            start,
            end: self.bytes.len(),
        });
        Ok(())
    }

    /// Appends a value after its letter: `b` and `t` precede hexadecimal digits, `r` a REAL as text. Fails for anything
    /// else.
    fn push_tagged<E: serde::de::Error>(&mut self, tagged: &str) -> Result<(), E> {
        match (tagged.get(..1), tagged.get(1..)) {
            (Some("b"), Some(hex)) => self.push_hex(hex),
            (Some("t"), Some(hex)) => {
                self.push_hex(hex)?;
                self.binary_to_text();
                Ok(())
            }
            (Some("r"), Some(real)) => {
                let real = real.parse().map_err(|_| E::custom("not a REAL"))?;
                self.cells.push(Cell::Real(real));
                Ok(())
            }
            _ => Err(E::custom("a value without its storage class")),
        }
    }

    /// Converts the last value to text. Text that is not UTF-8 stays as bytes, so that reading it as text is an error.
    ///
    /// The last cell must be one of bytes, at the end of the buffer.
    fn binary_to_text(&mut self) {
        if let Some(Cell::Binary { start, end }) = self.cells.last().copied()
            && let Ok(text) = std::str::from_utf8(&self.bytes[start..end])
        {
            let at = self.text.len();
            self.text.push_str(text);
            self.bytes.truncate(start);
            self.cells.pop();
            self.cells.push(Cell::Text {
                start: at,
                end: self.text.len(),
            });
        } else {
            self.broken_text.push(self.cells.len() - 1);
        }
    }

    /// Returns whether SQLite stores the value as text, even if it is not UTF-8.
    ///
    /// Panics if there is no such row or column.
    pub(crate) fn is_text(&self, row: usize, column: usize) -> bool {
        let cell = row * self.width() + column;
        matches!(self.cells[cell], Cell::Text { .. }) || self.broken_text.contains(&cell)
    }
}

/// Returns the integer that a REAL stands for, if it is one.
pub(crate) fn whole(number: f64) -> Option<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    #[allow(clippy::cast_possible_truncation)]
    let integer = number as i64;
    (number.fract() == 0.0 && (-BOUND..BOUND).contains(&number)).then_some(integer)
}
