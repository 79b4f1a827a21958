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
}
