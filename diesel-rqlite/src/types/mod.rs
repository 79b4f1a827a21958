//! Rust types and how SQLite stores them.
//!
//! Each foreign crate has a file, which a feature of the same name enables.

#[cfg(feature = "chrono")]
mod chrono;
#[cfg(feature = "jiff")]
mod jiff;
#[cfg(feature = "serde_json")]
mod json;
#[cfg(feature = "numeric")]
mod numeric;
#[cfg(feature = "time")]
mod time;
#[cfg(feature = "uuid")]
mod uuid;

use diesel::deserialize::{self, FromSql, FromSqlRef, Queryable};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{
    BigInt, Binary, Bool, Date, Double, Float, Integer, SmallInt, Text, Time, Timestamp,
};

use crate::backend::Rqlite;
use crate::value::RqliteValue;

impl FromSql<Bool, Rqlite> for bool {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        Ok(value.read_long()? != 0)
    }
}

impl ToSql<Bool, Rqlite> for bool {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(i32::from(*self));
        Ok(IsNull::No)
    }
}

impl FromSql<SmallInt, Rqlite> for i16 {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let number = value.read_long()?;
        number.try_into().map_err(|_| value.no("a 16-bit integer"))
    }
}

impl ToSql<SmallInt, Rqlite> for i16 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(i32::from(*self));
        Ok(IsNull::No)
    }
}

impl FromSql<Integer, Rqlite> for i32 {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        value.read_integer()
    }
}

impl ToSql<Integer, Rqlite> for i32 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(*self);
        Ok(IsNull::No)
    }
}

impl FromSql<BigInt, Rqlite> for i64 {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        value.read_long()
    }
}

impl ToSql<BigInt, Rqlite> for i64 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(*self);
        Ok(IsNull::No)
    }
}

impl FromSql<Float, Rqlite> for f32 {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        // This is the nearest f32, as everywhere in Diesel.
        #[allow(clippy::cast_possible_truncation)]
        let number = value.read_double()? as f32;
        Ok(number)
    }
}

impl ToSql<Float, Rqlite> for f32 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(f64::from(*self));
        Ok(IsNull::No)
    }
}

impl FromSql<Double, Rqlite> for f64 {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        value.read_double()
    }
}

/// Stores NaN as NULL, as SQLite does.
impl ToSql<Double, Rqlite> for f64 {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(*self);
        Ok(IsNull::No)
    }
}

impl<'a> FromSqlRef<'a, Text, Rqlite> for &'a str {
    fn from_sql(value: &'a mut RqliteValue<'_>) -> deserialize::Result<Self> {
        value.read_text()
    }
}

/// Returns a pointer into the answer that is valid as long as the row. It is for a `Queryable` whose `build` copies
/// the text elsewhere. A number that is read as text has no such pointer.
impl FromSql<Text, Rqlite> for *const str {
    fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let stored = value.stored_text();
        stored
            .map(|text| text as *const str)
            .ok_or_else(|| value.no("a text"))
    }
}

impl Queryable<Text, Rqlite> for *const str {
    type Row = Self;

    fn build(row: Self) -> deserialize::Result<Self> {
        Ok(row)
    }
}

impl ToSql<Text, Rqlite> for str {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self);
        Ok(IsNull::No)
    }
}

macro_rules! text_as {
    ($($sql_type:ident)*) => {$(
        /// Returns the text as it is stored.
        impl<'a> FromSqlRef<'a, $sql_type, Rqlite> for &'a str {
            fn from_sql(value: &'a mut RqliteValue<'_>) -> deserialize::Result<Self> {
                value.read_text()
            }
        }

        impl ToSql<$sql_type, Rqlite> for str {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
                out.set_value(self);
                Ok(IsNull::No)
            }
        }

        impl ToSql<$sql_type, Rqlite> for String {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
                out.set_value(self.as_str());
                Ok(IsNull::No)
            }
        }
    )*};
}

text_as!(Date Time Timestamp);

impl<'a> FromSqlRef<'a, Binary, Rqlite> for &'a [u8] {
    fn from_sql(value: &'a mut RqliteValue<'_>) -> deserialize::Result<Self> {
        value.read_blob()
    }
}

/// Returns a pointer into the answer, as for `*const str`.
impl FromSql<Binary, Rqlite> for *const [u8] {
    fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let stored = value.stored_bytes();
        stored
            .map(|bytes| bytes as *const [u8])
            .ok_or_else(|| value.no("a BLOB"))
    }
}

impl Queryable<Binary, Rqlite> for *const [u8] {
    type Row = Self;

    fn build(row: Self) -> deserialize::Result<Self> {
        Ok(row)
    }
}

impl ToSql<Binary, Rqlite> for [u8] {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self);
        Ok(IsNull::No)
    }
}

/// Returns the Unix time, in milliseconds, of a Julian day number.
#[cfg(any(feature = "chrono", feature = "jiff", feature = "time"))]
fn julian_milliseconds(days: f64) -> Option<i64> {
    const UNIX_EPOCH: f64 = 2_440_587.5;
    let milliseconds = ((days - UNIX_EPOCH) * 86_400_000.0).round();
    // The range is that of the years SQLite knows, -4713 to 9999.
    let known = (-2.2e14..2.6e14).contains(&milliseconds);
    #[allow(clippy::cast_possible_truncation)]
    let milliseconds = milliseconds as i64;
    known.then_some(milliseconds)
}
