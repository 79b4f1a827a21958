//! Values that do not fit the type they are read as: an error that names the column and the value. Never a panic, a part
//! of the value or a default.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;

use super::database::Database;

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn says_what_does_not_fit<T>(outcome: QueryResult<T>, shown: &str, case: &str) {
    let error = match outcome {
        Err(error) => error,
        Ok(_) => panic!("{case} was read"),
    };
    assert!(
        matches!(error, Error::DeserializationError(_)),
        "{case}: {error:?}"
    );
    let said = chain(&error);
    // Diesel names no column for rows by name, nor for NULL, on no backend.
    let named = said.contains("'misfit'") || case.starts_with("raw") || shown == "null";
    assert!(named && said.contains(shown), "{case}: {said}");
}

/// Each literal, in a column without a type, is read as the type: by SELECT, by RETURNING, by raw SQL, and as a part of
/// an `Option`.
macro_rules! misfits {
    ($conn:expr, $sql_type:ident as $rust_type:ty: $(($literal:literal, $shown:literal)),* $(,)?) => {{
        diesel::table! {
            use diesel::sql_types::*;
            t (id) { id -> Integer, misfit -> $sql_type, }
        }
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::$sql_type)]
            #[allow(dead_code)]
            misfit: $rust_type,
        }
        $(
            let case = format!("{} as {} {}", $literal, stringify!($sql_type), stringify!($rust_type));
            $conn.batch_execute(&format!("DELETE FROM t; INSERT INTO t VALUES (1, {})", $literal)).expect("inserts");
            says_what_does_not_fit(t::table.select(t::misfit).first::<$rust_type>($conn), $shown, &format!("SELECT: {case}"));
            says_what_does_not_fit(t::table.select(t::misfit.nullable()).first::<Option<$rust_type>>($conn), $shown, &format!("Option: {case}"));
            says_what_does_not_fit(t::table.select((t::id, t::misfit)).load::<(i32, $rust_type)>($conn), $shown, &format!("tuple: {case}"));
            let returned = diesel::update(t::table).set(t::id.eq(1)).returning(t::misfit).get_result::<$rust_type>($conn);
            says_what_does_not_fit(returned, $shown, &format!("RETURNING: {case}"));
            says_what_does_not_fit(diesel::sql_query("SELECT misfit FROM t").load::<Row>($conn), $shown, &format!("raw: {case}"));
            let inside = $conn.transaction(|conn| t::table.select(t::misfit).first::<$rust_type>(conn));
            says_what_does_not_fit(inside, $shown, &format!("transaction: {case}"));
        )*
        $conn.batch_execute("DELETE FROM t; INSERT INTO t VALUES (1, NULL)").expect("inserts");
        says_what_does_not_fit(t::table.select(t::misfit).first::<$rust_type>($conn), "null", stringify!($rust_type));
    }};
}

fn database() -> Database {
    Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, misfit)")
}

#[test]
fn numbers_that_do_not_fit() {
    let mut db = database();
    let conn = &mut *db;
    misfits!(conn, SmallInt as i16: ("32768", "32768"), ("-32769", "-32769"), ("1.5", "1.5"), ("'x'", "x"), ("x'ff'", "is not a"));
    misfits!(conn, Integer as i32: ("2147483648", "2147483648"), ("0.5", "0.5"), ("''", "text"), ("x'ff'", "is not a"));
    misfits!(conn, BigInt as i64: ("9.3e18", "9300000000000000000"), ("1.5", "1.5"), ("'1x'", "1x"), ("9e999", "nf"), ("x'ff'", "is not a"));
    misfits!(conn, Bool as bool: ("'true'", "true"), ("0.5", "0.5"), ("x'ff'", "is not a"));
    misfits!(conn, Double as f64: ("'x'", "x"), ("''", "text"), ("x'ff'", "is not a"));
    misfits!(conn, Float as f32: ("'1,5'", "1,5"), ("x'ff'", "is not a"));
    misfits!(conn, Numeric as bigdecimal::BigDecimal: ("'x'", "x"), ("9e999", "nf"), ("x'ff'", "utf-8"));
}

#[test]
fn texts_that_do_not_fit() {
    let mut db = database();
    let conn = &mut *db;
    misfits!(conn, Text as String: ("x'ff'", "utf-8"), ("CAST(x'61ff' AS TEXT)", "utf-8"));
    misfits!(conn, Uuid as uuid::Uuid: ("'x'", "x"), ("1", "1"), ("x'ff'", "BLOB"), ("'abcdefghijklmnop'", "abcdef"));
    misfits!(conn, Json as serde_json::Value: ("'{'", "EOF"), ("''", "EOF"), ("x'ff'", "utf-8"));
    misfits!(conn, Jsonb as serde_json::Value: ("x'ff'", "BLOB"), ("'{'", "EOF"));
}

#[test]
fn dates_and_times_that_do_not_fit() {
    use ::time::{Date, OffsetDateTime, PrimitiveDateTime, Time};
    use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
    let mut db = database();
    let conn = &mut *db;
    misfits!(conn, Date as NaiveDate: ("'2024-02-30'", "2024-02-30"), ("'soon'", "soon"), ("7", "7"), ("x'ff'", "utf-8"));
    misfits!(conn, Time as NaiveTime: ("'25:00'", "25:00"), ("''", "text"), ("0.5", "0.5"));
    misfits!(conn, Timestamp as NaiveDateTime: ("'2024-02-30 00:00'", "2024-02-30"), ("'now'", "now"), ("1e300", "1"));
    misfits!(conn, Timestamptz as DateTime<Utc>: ("'yesterday'", "yesterday"), ("1e300", "1"));
    misfits!(conn, Date as Date: ("'2024-02-30'", "2024-02-30"), ("7", "7"));
    misfits!(conn, Time as Time: ("'25:00'", "25:00"), ("x'ff'", "utf-8"));
    misfits!(conn, Timestamp as PrimitiveDateTime: ("'2024-13-01 00:00'", "2024-13"), ("-1e300", "-1"));
    misfits!(conn, Timestamptz as OffsetDateTime: ("'2024-02-29 13:14+99:00'", "+99:00"), ("1e300", "1"));
}
