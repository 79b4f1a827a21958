//! Dates and times of the crate `time`, in the same text formats as those of chrono.

use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Date as DateType, Time as TimeType, Timestamp};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, PrimitiveDateTime, Time};

use crate::backend::Rqlite;
use crate::value::RqliteValue;

type Format = &'static [BorrowedFormatItem<'static>];

const DATE: Format = format_description!("[year]-[month]-[day]");
const TIME: Format = format_description!("[hour]:[minute]:[second].[subsecond]");
const WHOLE_TIME: Format = format_description!("[hour]:[minute]:[second]");
const TIMESTAMP: Format =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");
const WHOLE_TIMESTAMP: Format =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");

/// SQLite's formats of a time of day. An offset or `Z` is ignored, as in Diesel.
const TIMES: Format = format_description!(
    version = 2,
    "[hour]:[minute][optional [:[second][optional [.[subsecond]]]]][optional [Z]][optional [[offset_hour sign:mandatory]:[offset_minute]]]"
);
/// A date followed by a blank or a `T` and one of these times.
const TIMESTAMPS: Format = format_description!(
    version = 2,
    "[year]-[month]-[day][first [ ] [T]][hour]:[minute][optional [:[second][optional [.[subsecond]]]]][optional [Z]][optional [[offset_hour sign:mandatory]:[offset_minute]]]"
);

impl FromSql<DateType, Rqlite> for Date {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let parsed = Date::parse(value.read_text()?, DATE);
        parsed.map_err(|_| value.no("a date"))
    }
}

impl ToSql<DateType, Rqlite> for Date {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self.format(DATE)?);
        Ok(IsNull::No)
    }
}

impl FromSql<TimeType, Rqlite> for Time {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let parsed = Time::parse(value.read_text()?, TIMES);
        parsed.map_err(|_| value.no("a time of day"))
    }
}

impl ToSql<TimeType, Rqlite> for Time {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        let format = if self.nanosecond() == 0 {
            WHOLE_TIME
        } else {
            TIME
        };
        out.set_value(self.format(format)?);
        Ok(IsNull::No)
    }
}

impl FromSql<Timestamp, Rqlite> for PrimitiveDateTime {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let text = value.read_text()?;
        let parsed = PrimitiveDateTime::parse(text, TIMESTAMPS).ok();
        let parsed = parsed.or_else(|| text.parse().ok().and_then(from_julian));
        parsed.ok_or_else(|| value.no("a timestamp"))
    }
}

impl ToSql<Timestamp, Rqlite> for PrimitiveDateTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        let whole = self.nanosecond() == 0;
        out.set_value(self.format(if whole { WHOLE_TIMESTAMP } else { TIMESTAMP })?);
        Ok(IsNull::No)
    }
}

/// Reads a REAL or INTEGER as a Julian day number, as SQLite's date functions do.
fn from_julian(days: f64) -> Option<PrimitiveDateTime> {
    // Before 1677 and after 2262, the value does not fit into 64 bits.
    let nanoseconds = i128::from(super::julian_milliseconds(days)?) * 1_000_000;
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?;
    Some(PrimitiveDateTime::new(time.date(), time.time()))
}

#[cfg(feature = "timestamptz")]
mod timestamptz {
    use diesel::sql_types::Timestamptz;
    use time::{OffsetDateTime, UtcOffset};

    use super::*;

    const OFFSET: Format = format_description!(
        version = 2,
        "[year]-[month]-[day][first [ ] [T]][hour]:[minute][optional [:[second][optional [.[subsecond]]]]][offset_hour sign:mandatory]:[offset_minute]"
    );
    const WRITTEN: Format =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]+00:00");
    const WRITTEN_WHOLE: Format =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second]+00:00");

    /// Reads a time without an offset as UTC.
    impl FromSql<Timestamptz, Rqlite> for OffsetDateTime {
        fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
            if let Ok(parsed) = OffsetDateTime::parse(value.read_text()?, OFFSET) {
                return Ok(parsed);
            }
            let parsed: PrimitiveDateTime = FromSql::<Timestamp, Rqlite>::from_sql(value)?;
            Ok(parsed.assume_utc())
        }
    }

    /// Stores the time in UTC, so that text sorts by time.
    impl ToSql<Timestamptz, Rqlite> for OffsetDateTime {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
            let utc = self.checked_to_offset(UtcOffset::UTC);
            let utc = utc.ok_or("a time that in UTC is beyond the year 9999")?;
            let whole = utc.nanosecond() == 0;
            out.set_value(utc.format(if whole { WRITTEN_WHOLE } else { WRITTEN })?);
            Ok(IsNull::No)
        }
    }
}
