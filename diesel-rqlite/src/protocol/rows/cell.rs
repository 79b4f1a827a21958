//! What one value of an answer means.
//!
//! A value is JSON, and its encoding decides how it is read. [`CellSeed`] appends it to the rows, and notes what is doubtful
//! about it: see [the rows](super).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::super::encoding::{Encoding, Wanted};
use super::{Cell, EXACT, Rows, whole};

/// The types for which a number is what was wanted.
const NUMBERS: &[Wanted] = &[
    Wanted::Integer,
    Wanted::Real,
    Wanted::AnyOfColumn,
    Wanted::AnyOfExpression,
];

/// The decoder of one value. Its encoding decides how a JSON string is read: as it is, as hexadecimal digits after a
/// letter, or as the classes of the row. Numbers and NULL mean the same in nearly every encoding; [`Encoding::Real`]
/// makes all numbers REALs.
pub(super) struct CellSeed<'r> {
    rows: &'r mut Rows,
    column: usize,
    encoding: Encoding,
}

impl<'r> CellSeed<'r> {
    pub(super) fn new(rows: &'r mut Rows, column: usize, encoding: Encoding) -> Self {
        CellSeed {
            rows,
            column,
            encoding,
        }
    }

    /// Marks the column as doubtful.
    fn doubt(&mut self) {
        self.rows.doubtful.insert(self.column);
    }

    /// Marks the column as doubtful unless the value was wanted as one of these types.
    fn is_only(&mut self, wanted: &[Wanted]) {
        if let Encoding::Stored(kind) = self.encoding
            && !wanted.contains(&kind)
        {
            self.doubt();
        }
    }

    /// Notes what is uncertain about a number without a fraction, by its encoding.
    fn whole_number(&mut self, value: i64) {
        match self.encoding {
            Encoding::Stored(Wanted::AnyOfColumn | Wanted::AnyOfExpression) => {
                self.rows.whole.insert(self.column);
            }
            Encoding::Stored(Wanted::Text | Wanted::Binary) => self.doubt(),
            _ => {}
        }
        let has_to_be_exact = !matches!(self.encoding, Encoding::Stored(Wanted::Real));
        if matches!(self.encoding, Encoding::Stored(_)) && has_to_be_exact && may_be_padded(value) {
            self.doubt();
        }
    }
}

/// Returns whether rqlite may have written the text for bytes that are not UTF-8.
fn has_replacement_character(text: &str) -> bool {
    !text.is_ascii() && text.contains(char::REPLACEMENT_CHARACTER)
}

/// Returns whether rqlite may have written a REAL like this. It writes the shortest digits that distinguish the REAL
/// from other REALs, padded with zeros, which beyond 2^53 is another number.
fn may_be_padded(value: i64) -> bool {
    #[allow(clippy::cast_precision_loss)]
    let real = value as f64;
    value.unsigned_abs() > EXACT && format!("{real}") == format!("{value}")
}

/// Returns whether rqlite may have made this text of a value in a column declared as a time: RFC 3339. The type in the
/// answer does not tell, because right after a change of the schema it is the old one.
fn may_be_of_time(text: &str) -> bool {
    let text = text.as_bytes();
    let is = |place: usize, byte: u8| text.get(place) == Some(&byte);
    text.len() >= 20 && is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')
}

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.rows.cells.push(Cell::Null);
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        // The column is declared as BOOLEAN, and may hold any number.
        self.is_only(&[]);
        self.rows.cells.push(Cell::Integer(value.into()));
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.whole_number(value);
        #[allow(clippy::cast_precision_loss)]
        let cell = match self.encoding {
            Encoding::Real => Cell::Real(value as f64),
            _ => Cell::Integer(value),
        };
        self.rows.cells.push(cell);
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.whole_number(value),
            Err(_) => self.is_only(NUMBERS),
        }
        // rqlite writes a REAL without a fraction as an integer; an INTEGER always fits an i64.
        #[allow(clippy::cast_precision_loss)]
        let cell = match i64::try_from(value) {
            Ok(value) if self.encoding != Encoding::Real => Cell::Integer(value),
            _ => Cell::Real(value as f64),
        };
        self.rows.cells.push(cell);
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.is_only(NUMBERS);
        self.rows.cells.push(match self.encoding {
            // The value is -0.0, or -2^63, whose digits are beyond an INTEGER's. The other whole ones arrive as
            // integers.
            Encoding::Stored(Wanted::Integer) => {
                whole(value).map_or(Cell::Real(value), Cell::Integer)
            }
            _ => Cell::Real(value),
        });
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(mut self, value: &str) -> Result<(), E> {
        match self.encoding {
            Encoding::Stored(_) => {
                self.is_only(&[Wanted::Text, Wanted::AnyOfColumn, Wanted::AnyOfExpression]);
                if may_be_of_time(value) {
                    self.doubt();
                }
                self.rows.replacement_character |= has_replacement_character(value);
                self.rows.push_text(value);
                Ok(())
            }
            Encoding::Classes => {
                self.rows.classes.clear();
                self.rows.classes.push_str(value);
                Ok(())
            }
            Encoding::Plain | Encoding::Integer | Encoding::Text | Encoding::Classed => {
                self.rows.replacement_character |= has_replacement_character(value);
                self.rows.push_text(value);
                Ok(())
            }
            Encoding::Tagged | Encoding::Compared | Encoding::TaggedText | Encoding::Real => {
                self.rows.push_tagged(value)
            }
        }
    }

    /// Reads a BLOB. Reads request `?blob_array`, which distinguishes BLOBs from text.
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut bytes: A) -> Result<(), A::Error> {
        self.is_only(&[Wanted::Binary, Wanted::AnyOfColumn, Wanted::AnyOfExpression]);
        let start = self.rows.bytes.len();
        while let Some(byte) = bytes.next_element::<u8>()? {
            self.rows.bytes.push(byte);
        }
        self.rows.cells.push(Cell::Binary {
            start,
            end: self.rows.bytes.len(),
        });
        Ok(())
    }
}
