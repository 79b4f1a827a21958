//! The forms in which values travel.

/// How one column of an answer is asked for, and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As rqlite writes it, without the declared type.
    Plain,
    /// The same, with an infinite REAL as text, and a whole one as INTEGER: rqlite writes the shortest digits of a REAL
    /// and pads them with zeros, which beyond 2^53 is another integer. (No text SQLite makes of a REAL is exact on all
    /// versions.)
    Integer,
    /// As text, the way SQLite converts to it.
    Text,
    /// Text and BLOBs in hexadecimal behind a letter for their storage class; infinite and whole REALs as text, or
    /// they would be no JSON, or INTEGERs. (But 0.0: no SQL tells it from -0.0, and as a number it keeps its sign.)
    Tagged,
    /// The same with a whole REAL as INTEGER, as a transaction shows and compares it.
    Compared,
    /// As [`Tagged`](Self::Tagged), with numbers as text.
    TaggedText,
    /// In front of others: the storage classes of the values behind it, a letter for each.
    Classes,
    /// As rqlite writes it, and what it can't write as if tagged; which of both is in the classes.
    Classed,
    /// What the classes say is a REAL.
    Real,
    /// As rqlite writes what is stored, which may be another value: [`Doubtful`] tells where.
    Stored(Wanted),
}

/// What a value is wanted as that came as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Integer,
    Real,
    Text,
    Binary,
    /// Whatever it is; it is of a column.
    AnyOfColumn,
    /// Whatever it is; it is of an expression, whose declared type is the class of its first value.
    AnyOfExpression,
}

/// Columns of an answer in which a value may not be what is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doubtful(u128);

impl Doubtful {
    /// How many columns it can tell apart.
    pub(crate) const MOST: usize = 128;

    pub(crate) const ALL: Doubtful = Doubtful(u128::MAX);

    pub(crate) fn insert(&mut self, column: usize) {
        self.0 |= u32::try_from(column)
            .ok()
            .and_then(|column| 1_u128.checked_shl(column))
            .unwrap_or(u128::MAX);
    }

    pub(crate) fn contains(self, column: usize) -> bool {
        let mut one = Doubtful::default();
        one.insert(column);
        self.0 & one.0 != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub(crate) fn with(self, other: Doubtful) -> Self {
        Doubtful(self.0 | other.0)
    }
}

/// What SQLite makes of the numbers that are stored in a column.
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
    /// By the declared type, see SQLite's "Datatypes In SQLite", section 3.1. INTEGER and NUMERIC are one.
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
