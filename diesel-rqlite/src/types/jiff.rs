//! Dates and times of jiff, and the wrappers of jiff-diesel, in the text formats that jiff-diesel uses on SQLite.

use diesel::deserialize::{self, FromSql, Queryable};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{
    Date as DateType, Time as TimeType, Timestamp as DateTimeType, Timestamptz,
};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use crate::backend::Rqlite;
use crate::value::RqliteValue;

static PARSER: DateTimeParser = DateTimeParser::new();

impl FromSql<DateType, Rqlite> for Date {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let parsed = PARSER.parse_date(value.read_text()?);
        parsed.map_err(|_| value.no("a date"))
    }
}

impl FromSql<TimeType, Rqlite> for Time {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let parsed = PARSER.parse_time(value.read_text()?);
        parsed.map_err(|_| value.no("a time of day"))
    }
}

impl FromSql<DateTimeType, Rqlite> for DateTime {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let text = value.read_text()?;
        let parsed = PARSER.parse_datetime(text).ok();
        let parsed = parsed.or_else(|| Some(in_utc(from_julian(text)?)));
        parsed.ok_or_else(|| value.no("a timestamp"))
    }
}

/// Reads a time without an offset as UTC, as in SQLite's `CURRENT_TIMESTAMP`.
impl FromSql<Timestamptz, Rqlite> for Timestamp {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let text = value.read_text()?;
        if let Ok(parsed) = PARSER.parse_timestamp(text) {
            return Ok(parsed);
        }
        let parsed = PARSER.parse_datetime(text).ok();
        let parsed = parsed.and_then(|utc| Some(utc.to_zoned(TimeZone::UTC).ok()?.timestamp()));
        let parsed = parsed.or_else(|| from_julian(text));
        parsed.ok_or_else(|| value.no("a point in time"))
    }
}

fn in_utc(at: Timestamp) -> DateTime {
    at.to_zoned(TimeZone::UTC).datetime()
}

/// Reads a REAL or INTEGER as a Julian day number, as SQLite's date functions do.
fn from_julian(text: &str) -> Option<Timestamp> {
    let milliseconds = super::julian_milliseconds(text.parse().ok()?)?;
    Timestamp::from_millisecond(milliseconds).ok()
}

/// Implements the conversions for jiff's own type and for its wrapper in jiff-diesel. The wrapper has the derives
/// that make a value an expression of a query. Only the crate of a type can provide these.
macro_rules! written_as_displayed {
    ($($sql_type:ty: $of_jiff:ty, $wrapper:ty;)*) => {$(
        impl ToSql<$sql_type, Rqlite> for $of_jiff {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
                out.set_value(self.to_string());
                Ok(IsNull::No)
            }
        }

        impl ToSql<$sql_type, Rqlite> for $wrapper {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
                out.set_value(self.to_jiff().to_string());
                Ok(IsNull::No)
            }
        }

        impl FromSql<$sql_type, Rqlite> for $wrapper {
            fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
                <$of_jiff as FromSql<$sql_type, Rqlite>>::from_sql(value).map(Self::from)
            }
        }

        impl Queryable<$sql_type, Rqlite> for $of_jiff {
            type Row = Self;

            fn build(row: Self) -> deserialize::Result<Self> {
                Ok(row)
            }
        }
    )*};
}

written_as_displayed! {
    DateType: Date, jiff_diesel::Date;
    TimeType: Time, jiff_diesel::Time;
    DateTimeType: DateTime, jiff_diesel::DateTime;
    Timestamptz: Timestamp, jiff_diesel::Timestamp;
}
