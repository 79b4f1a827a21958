//! Rust types and how SQLite stores them.
//!
//! A file per foreign crate, behind a feature with its name.

#[cfg(feature = "chrono")]
mod chrono;

use diesel::deserialize::{self, FromSql, FromSqlRef};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary, Bool, Double, Float, Integer, SmallInt, Text};

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
        // The nearest f32, as everywhere in Diesel.
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

/// NaN is stored as NULL, as SQLite does.
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

impl ToSql<Text, Rqlite> for str {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self);
        Ok(IsNull::No)
    }
}

impl<'a> FromSqlRef<'a, Binary, Rqlite> for &'a [u8] {
    fn from_sql(value: &'a mut RqliteValue<'_>) -> deserialize::Result<Self> {
        value.read_blob()
    }
}

impl ToSql<Binary, Rqlite> for [u8] {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self);
        Ok(IsNull::No)
    }
}
