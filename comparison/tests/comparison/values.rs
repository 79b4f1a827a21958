//! Values: dates and times, and what is stored otherwise than declared.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{
    BigInt, Binary, Bool, Date, Double, Float, Nullable, SmallInt, Text, Time, Timestamp,
};
use jiff::civil::{DateTime, date, time};

use crate::kit::same;

same! {
    // A Julian day with a fraction differs: Diesel keeps the noise of the REAL, we round to SQLite's milliseconds.
    fn text_of_dates_and_times(conn, shown) {
        for text in [
            "2024-02-29 13:14:15", "2024-02-29 13:14:15.123456", "2024-02-29T13:14:15", "2024-02-29 13:14", "2024-02-29 13:14Z",
            "2024-02-29T13:14:15.5Z", "2024-02-29 13:14:15+05:30", "2024-02-29T13:14:15.25-01:00", "2460369.5", "2024-02-29",
            "29.2.2024", "", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999",
        ] {
            let timestamp = diesel::select(diesel::dsl::sql::<Timestamp>("").bind::<Text, _>(text));
            shown.add(timestamp.get_result::<NaiveDateTime>(conn));
        }
        for text in ["2024-02-29", "2024-02-30", "2024-2-9", "2024-02-29 00:00:00"] {
            let date = diesel::select(diesel::dsl::sql::<Date>("").bind::<Text, _>(text));
            shown.add(date.get_result::<NaiveDate>(conn));
        }
        for text in ["13:14:15", "13:14", "13:14:15.5", "13:14Z", "13:14:15+02:00", "13", "25:00"] {
            let time = diesel::select(diesel::dsl::sql::<Time>("").bind::<Text, _>(text));
            shown.add(time.get_result::<NaiveTime>(conn));
        }
    }

    fn values_of_other_storage_classes(conn, shown) {
        conn.batch_execute("CREATE TABLE odd (id INTEGER PRIMARY KEY, v); INSERT INTO odd (v) VALUES (1), (1.0), (2.5), ('3'), (x'34'), (-0.0), (1e300)")
            .expect("creates");
        let text = diesel::dsl::sql::<Text>("SELECT v FROM odd ORDER BY id");
        shown.add(text.load::<String>(conn));
        let bytes = diesel::dsl::sql::<Binary>("SELECT v FROM odd ORDER BY id");
        shown.add(bytes.load::<Vec<u8>>(conn));
        let reals = diesel::dsl::sql::<Double>("SELECT v FROM odd WHERE typeof(v) <> 'blob' ORDER BY id");
        shown.add(reals.load::<f64>(conn));
        let integers = diesel::dsl::sql::<BigInt>("SELECT v FROM odd WHERE id IN (1, 2, 4) ORDER BY id");
        shown.add(integers.load::<i64>(conn));
        shown.add(diesel::select(3_i16.into_sql::<SmallInt>()).get_result::<i16>(conn));
        shown.add(diesel::select(0.1_f32.into_sql::<Float>()).get_result::<f32>(conn));
        shown.add(diesel::select(true.into_sql::<Bool>()).get_result::<bool>(conn));
        shown.add(diesel::select(f64::NAN.into_sql::<Nullable<Double>>()).get_result::<Option<f64>>(conn));
        shown.add(diesel::select(f64::INFINITY.into_sql::<Double>()).get_result::<f64>(conn));
        shown.add(diesel::select("a\0b".into_sql::<Text>()).get_result::<String>(conn));
    }
}

/// Writes each value, shows what is stored, and reads it.
macro_rules! stored {
    ($conn:ident, $shown:ident, $sql_type:ty, $wrapper:ty, $declared:literal, $values:expr) => {{
        let table = concat!(
            "DROP TABLE IF EXISTS times; CREATE TABLE times (id INTEGER PRIMARY KEY, v ",
            $declared,
            ")"
        );
        $conn.batch_execute(table).expect("creates");
        for value in $values {
            let insert = diesel::sql_query("INSERT INTO times (v) VALUES (?)");
            let value = <$wrapper>::from(value);
            $shown.add(insert.bind::<$sql_type, _>(value).execute($conn));
        }
        let stored =
            diesel::dsl::sql::<Text>("SELECT typeof(v) || ' ' || v FROM times ORDER BY id");
        $shown.add(stored.load::<String>($conn));
        let read = diesel::dsl::sql::<$sql_type>("SELECT v FROM times ORDER BY id");
        $shown.add(read.load::<$wrapper>($conn));
    }};
}

/// Texts of others, read as dates and times.
macro_rules! read {
    ($conn:ident, $shown:ident, $sql_type:ty, $wrapper:ty, $texts:expr) => {
        for text in $texts {
            let value = diesel::select(diesel::dsl::sql::<$sql_type>("").bind::<Text, _>(text));
            $shown.add(value.get_result::<$wrapper>($conn));
        }
    };
}

same! {
    // What differs: a text without an offset and a Julian day are no error here, a REAL has SQLite's milliseconds.
    fn times_of_jiff(conn, shown) {
        let (before, after) = (date(2024, 2, 29), time(13, 14, 15, 123_456_789));
        stored!(conn, shown, Date, jiff_diesel::Date, "DATE", [before, date(1, 1, 1), date(9999, 12, 31), date(-44, 3, 15)]);
        stored!(conn, shown, Time, jiff_diesel::Time, "TIME", [after, time(0, 0, 0, 0), time(23, 59, 59, 500_000_000)]);
        let at = before.to_datetime(after);
        stored!(conn, shown, Timestamp, jiff_diesel::DateTime, "TIMESTAMP",
            [at, DateTime::MIN, DateTime::MAX, date(1969, 12, 31).at(0, 0, 0, 1_000)]);
        let instant = "2024-02-29T13:14:15.5+05:30".parse::<jiff::Timestamp>().expect("a point in time");
        stored!(conn, shown, own::PointInTime, jiff_diesel::Timestamp, "TIMESTAMPTZ",
            [instant, jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::MIN, jiff::Timestamp::MAX]);
        read!(conn, shown, Date, jiff_diesel::Date, ["2024-02-29", "2024-02-29T13:14:15", "2024-02-30", "20240229", ""]);
        read!(conn, shown, Time, jiff_diesel::Time, ["13:14:15", "13:14", "T13:14", "13:14:15.5", "25:00", "2024-02-29T13:14:15", ""]);
        read!(conn, shown, Timestamp, jiff_diesel::DateTime,
            ["2024-02-29 13:14:15", "2024-02-29T13:14:15.123456", "2024-02-29", "2024-02-29T13:14:15+01:00", "2024-02-29T13:14:15Z", "yesterday", ""]);
        read!(conn, shown, own::PointInTime, jiff_diesel::Timestamp,
            ["2024-02-29T13:14:15Z", "2024-02-29 13:14:15+05:30", "2024-02-29 13:14:15.5-01", "yesterday", ""]);
    }
}
