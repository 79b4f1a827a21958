//! The forms in which values are transferred.

/// The form in which one column of an answer is requested and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// The value as rqlite writes it, without the declared type.
    Plain,
    /// Like [`Plain`](Self::Plain), but an infinite REAL is written as text, and a whole REAL as an INTEGER. rqlite
    /// writes the shortest digits of a REAL and pads them with zeros, which beyond 2^53 is another integer. (No text
    /// that SQLite makes of a REAL is exact on all versions.)
    Integer,
    /// The value as text, as SQLite converts it.
    Text,
    /// Text and BLOBs are written in hexadecimal, after a letter for their storage class. Infinite and whole REALs are
    /// written as text, because they would not be valid JSON, or would be read as INTEGERs. 0.0 is the exception: no
    /// SQL tells it from -0.0, and as a number it keeps its sign.
    Tagged,
    /// Like [`Tagged`](Self::Tagged), but a whole REAL is written as an INTEGER. A transaction shows and compares
    /// values in this form.
    Compared,
    /// Like [`Tagged`](Self::Tagged), but numbers are written as text.
    TaggedText,
    /// The storage classes of the values that follow in the row, one letter each. This column precedes the others.
    Classes,
    /// The value as rqlite writes it, or tagged if rqlite can't write it. The column of [`Classes`](Self::Classes)
    /// tells which of the two it is.
    Classed,
    /// A value that is a REAL according to its storage class.
    Real,
    /// The stored value as rqlite writes it, which may be another value. [`Doubtful`] records the columns where it may
    /// be.
    Stored(Wanted),
}

/// The type that a value in the form [`Encoding::Stored`] is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Integer,
    Real,
    Text,
    Binary,
    /// Any type. The value is that of a column.
    AnyOfColumn,
    /// Any type. The value is that of an expression, whose declared type is the class of its first value.
    AnyOfExpression,
}

/// The columns of an answer whose values may differ from the stored ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubtful(u128);

impl Doubtful {
    /// The number of columns that can be told apart.
    pub(crate) const MOST: usize = 128;

    pub(crate) const ALL: Doubtful = Doubtful(u128::MAX);

    pub(crate) fn insert(&mut self, column: usize) {
        self.0 |= u32::try_from(column)
            .ok()
            .and_then(|column| 1_u128.checked_shl(column))
            .unwrap_or(u128::MAX);
    }

    pub(crate) fn contains(self, column: usize) -> bool {
        match u32::try_from(column) {
            Ok(column) if column < u128::BITS => self.0 >> column & 1 == 1,
            _ => !self.is_empty(),
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub(crate) fn with(self, other: Doubtful) -> Self {
        Doubtful(self.0 | other.0)
    }
}

/// The conversion that SQLite applies to numbers that are stored in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    Text,
    /// Numbers stay as they are.
    Blob,
    /// A REAL without a fraction becomes an INTEGER.
    Integer,
    /// An INTEGER becomes a REAL.
    Real,
}

impl Affinity {
    /// Returns the affinity of a declared type. See SQLite's "Datatypes In SQLite", section 3.1. INTEGER and NUMERIC
    /// are not distinguished.
    pub(crate) fn of(declared: &str) -> Self {
        let has = |names: &[&str]| names.iter().any(|name| declared.contains(name));
        match declared {
            _ if has(&["int"]) => Affinity::Integer,
            _ if has(&["char", "clob", "text"]) => Affinity::Text,
            "" => Affinity::Blob,
            _ if has(&["blob"]) => Affinity::Blob,
            _ if has(&["real", "floa", "doub"]) => Affinity::Real,
            _ => Affinity::Integer,
        }
    }
}
