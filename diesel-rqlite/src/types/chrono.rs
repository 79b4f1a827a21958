//! Dates and times of chrono, as text in the formats of Diesel's SQLite backend.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Date, Time, Timestamp};

use crate::backend::Rqlite;
use crate::value::RqliteValue;

const DATE: &str = "%F";
const TIME: &str = "%T%.f";
const TIMESTAMP: &str = "%F %T%.f";

/// SQLite's formats of a time of day, the most likely ones first. An offset or `Z` is ignored, as in Diesel.
const TIMES: [&str; 6] = ["%T%.f", "%R", "%RZ", "%R%:z", "%T%.fZ", "%T%.f%:z"];

/// `YYYY-MM-DD` followed by a blank or a `T` and one of [`TIMES`].
const TIMESTAMPS: [&str; 12] = [
    "%F %T%.f",
    "%F %T%.f%:z",
    "%F %R",
    "%F %RZ",
    "%F %R%:z",
    "%F %T%.fZ",
    "%FT%R",
    "%FT%RZ",
    "%FT%R%:z",
    "%FT%T%.f",
    "%FT%T%.fZ",
    "%FT%T%.f%:z",
];

impl FromSql<Date, Rqlite> for NaiveDate {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let parsed = NaiveDate::parse_from_str(value.read_text()?, DATE);
        parsed.map_err(|_| value.no("a date"))
    }
}

impl ToSql<Date, Rqlite> for NaiveDate {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self.format(DATE).to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Time, Rqlite> for NaiveTime {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let text = value.read_text()?;
        let parsed = TIMES
            .iter()
            .find_map(|format| NaiveTime::parse_from_str(text, format).ok());
        parsed.ok_or_else(|| value.no("a time of day"))
    }
}

impl ToSql<Time, Rqlite> for NaiveTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self.format(TIME).to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Timestamp, Rqlite> for NaiveDateTime {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let text = value.read_text()?;
        let parsed = TIMESTAMPS
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| text.parse().ok().and_then(from_julian));
        parsed.ok_or_else(|| value.no("a timestamp"))
    }
}

impl ToSql<Timestamp, Rqlite> for NaiveDateTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self.format(TIMESTAMP).to_string());
        Ok(IsNull::No)
    }
}

/// Reads a REAL or INTEGER as a Julian day number, as SQLite's date functions do.
fn from_julian(days: f64) -> Option<NaiveDateTime> {
    let milliseconds = super::julian_milliseconds(days)?;
    Some(chrono::DateTime::from_timestamp_millis(milliseconds)?.naive_utc())
}

#[cfg(feature = "timestamptz")]
mod timestamptz {
    use chrono::{DateTime, FixedOffset, TimeZone, Utc};
    use diesel::sql_types::Timestamptz;

    use super::*;

    const WRITTEN: &str = "%F %T%.f%:z";

    /// [`TIMESTAMPS`] with an offset, or `Z`.
    const OFFSETS: [&str; 4] = ["%F %T%.f%#z", "%FT%T%.f%#z", "%F %R%#z", "%FT%R%#z"];

    /// Reads a time without an offset as UTC.
    impl FromSql<Timestamptz, Rqlite> for DateTime<FixedOffset> {
        fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
            let text = value.read_text()?;
            let parsed = OFFSETS
                .iter()
                .find_map(|format| DateTime::parse_from_str(text, format).ok());
            if let Some(parsed) = parsed {
                return Ok(parsed);
            }
            let parsed: NaiveDateTime = FromSql::<Timestamp, Rqlite>::from_sql(value)?;
            Ok(parsed.and_utc().fixed_offset())
        }
    }

    impl FromSql<Timestamptz, Rqlite> for DateTime<Utc> {
        fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
            let parsed: DateTime<FixedOffset> = FromSql::<Timestamptz, Rqlite>::from_sql(value)?;
            Ok(parsed.to_utc())
        }
    }

    /// Stores the time in UTC, so that text sorts by time.
    impl<Tz: TimeZone> ToSql<Timestamptz, Rqlite> for DateTime<Tz> {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
            out.set_value(self.to_utc().format(WRITTEN).to_string());
            Ok(IsNull::No)
        }
    }

    /// Reads the time in UTC.
    impl FromSql<Timestamptz, Rqlite> for NaiveDateTime {
        fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
            let parsed: DateTime<Utc> = FromSql::<Timestamptz, Rqlite>::from_sql(value)?;
            Ok(parsed.naive_utc())
        }
    }

    impl ToSql<Timestamptz, Rqlite> for NaiveDateTime {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
            out.set_value(self.and_utc().format(WRITTEN).to_string());
            Ok(IsNull::No)
        }
    }
}
