//! Dates and times of chrono, as text in the formats Diesel's SQLite backend writes and reads.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Date, Time, Timestamp};

use crate::backend::Rqlite;
use crate::value::RqliteValue;

const DATE: &str = "%F";
const TIME: &str = "%T%.f";
const TIMESTAMP: &str = "%F %T%.f";

/// SQLite's forms of a time of day, the likeliest first. An offset or `Z` is read over, as Diesel does.
const TIMES: [&str; 6] = ["%T%.f", "%R", "%RZ", "%R%:z", "%T%.fZ", "%T%.f%:z"];

/// `YYYY-MM-DD` and one of [`TIMES`] behind a blank or a `T`.
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

/// A REAL or INTEGER is a Julian day number to SQLite's date functions.
fn from_julian(days: f64) -> Option<NaiveDateTime> {
    const UNIX_EPOCH: f64 = 2_440_587.5;
    if !days.is_finite() {
        return None;
    }
    let milliseconds = ((days - UNIX_EPOCH) * 86_400_000.0).round();
    #[allow(clippy::cast_possible_truncation)]
    let milliseconds = milliseconds as i64;
    Some(chrono::DateTime::from_timestamp_millis(milliseconds)?.naive_utc())
}
