//! Values: what is bound is what is read, through every declared type and every way back.

use super::RqliteConnection;
use chrono::{NaiveDate, NaiveDateTime};
use diesel::connection::SimpleConnection;
use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::sql_types::{self, BigInt, Binary, Bool, Double, Nullable, SingleValue, Text};
use diesel_rqlite::Rqlite;

use super::database::Database;

/// Declared types whose values rqlite converts, and some that it does not.
const DECLARED: [&str; 14] = [
    "",
    "BLOB",
    "TEXT",
    "VARCHAR(9)",
    "JSON",
    "INTEGER",
    "REAL",
    "NUMERIC",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "TIME",
    "DECIMAL(10,2)",
];

/// Declared types without a numeric affinity: text is stored as text there, whatever it looks like.
const TEXTUAL: [&str; 5] = ["", "BLOB", "TEXT", "VARCHAR(9)", "CLOB"];

/// Stores a value in a column of each declared type, and reads it by RETURNING, by SELECT, through an
/// expression and through a view.
macro_rules! round_trips {
    ($sql_type:ty, $rust_type:ty, $declared:expr, $values:expr) => {{
        diesel::table! {
            use diesel::sql_types::*;
            t { id -> Integer, v -> Nullable<$sql_type>, }
        }
        diesel::table! {
            use diesel::sql_types::*;
            w (id) { id -> Integer, v -> Nullable<$sql_type>, }
        }
        let mut db = Database::new();
        let values: Vec<$rust_type> = $values;
        for declared in $declared {
            db.batch_execute(&format!(
                "DROP VIEW IF EXISTS w; DROP TABLE IF EXISTS t;
                 CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared}); CREATE VIEW w AS SELECT id, v FROM t"
            ))
            .expect("creates");
            let rows: Vec<_> = values.iter().map(|value| t::v.eq(Some(value.clone()))).collect();
            let returned = diesel::insert_into(t::table)
                .values(&rows)
                .returning(t::v)
                .get_results::<Option<$rust_type>>(&mut *db)
                .expect("inserts");
            let selected = t::table.order(t::id).select(t::v).load::<Option<$rust_type>>(&mut *db).expect("selects");
            let viewed = w::table.order(w::id).select(w::v).load::<Option<$rust_type>>(&mut *db).expect("selects");
            let found: Vec<bool> = values
                .iter()
                .map(|value| {
                    let matching = t::table.filter(t::v.eq(value.clone())).select(diesel::dsl::count_star());
                    matching.get_result::<i64>(&mut *db).expect("counts") > 0
                })
                .collect();
            for (index, value) in values.iter().enumerate() {
                let wanted = Some(value.clone());
                assert_eq!(returned[index], wanted, "RETURNING from {declared:?}");
                assert_eq!(selected[index], wanted, "SELECT from {declared:?}");
                assert_eq!(viewed[index], wanted, "view on {declared:?}");
                assert!(found[index], "{value:?} = itself in {declared:?}");
            }
            diesel::insert_into(t::table).values(t::v.eq(None::<$rust_type>)).execute(&mut *db).expect("inserts NULL");
            let null = t::table.filter(t::v.is_null()).select(t::v).first::<Option<$rust_type>>(&mut *db);
            assert_eq!(null, Ok(None), "NULL in {declared:?}");
        }
    }};
}

#[test]
fn integers_keep_all_64_bits() {
    let exact = DECLARED
        .iter()
        .filter(|declared| **declared != "REAL" && !TEXTUAL[2..].contains(declared));
    round_trips!(
        BigInt,
        i64,
        exact,
        vec![
            0,
            1,
            -1,
            2,
            i64::MAX,
            i64::MIN,
            9_007_199_254_740_993,
            253_402_300_800,
            1_709_212_455_123_456
        ]
    );
}

#[test]
fn doubles_keep_all_their_bits() {
    let exact = DECLARED
        .iter()
        .filter(|declared| !TEXTUAL[2..].contains(declared));
    round_trips!(
        Double,
        f64,
        exact,
        vec![
            0.0,
            1.0,
            -1.5,
            0.1,
            1e20,
            1e21,
            1e-7,
            5e-324,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            1e300,
            0.1 + 0.2,
            9_007_199_254_740_993.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ]
    );
}

#[test]
fn booleans() {
    round_trips!(
        Bool,
        bool,
        ["", "BOOLEAN", "BOOL", "INTEGER", "TINYINT"],
        vec![true, false]
    );
}

#[test]
fn text_is_text_whatever_it_looks_like() {
    let texts = [
        "",
        "a",
        "'",
        "\"",
        "`",
        "it's; -- /* */",
        "x'41'",
        " X'00fF' ",
        "x''",
        "x'4'",
        "naïve 🦀",
        "tab\tnewline\n",
        "\u{FFFD}",
        "now",
        "NULL",
        "?",
        ":a",
        "<&>\u{2028}",
        "CURRENT_TIMESTAMP",
        "random()",
        "Inf",
        "tFF",
    ];
    round_trips!(
        Text,
        String,
        TEXTUAL,
        texts.iter().map(|text| (*text).to_owned()).collect()
    );
    round_trips!(
        Text,
        String,
        ["DATE", "DATETIME", "TIMESTAMP", "BOOLEAN", "JSON"],
        vec![
            "garbage".to_owned(),
            String::new(),
            "2024-02-29".to_owned(),
            "x'41'".to_owned()
        ]
    );
}

#[test]
fn text_with_nul_is_whole() {
    round_trips!(
        Text,
        String,
        TEXTUAL,
        vec!["a\0b".to_owned(), "\0".to_owned()]
    );
}

#[test]
fn blobs_are_blobs_in_every_column() {
    let all: Vec<u8> = (0..=255).collect();
    let blobs = vec![
        vec![],
        vec![0],
        all,
        b"text".to_vec(),
        vec![0xff, 0xfe],
        vec![7; 100_000],
    ];
    round_trips!(Binary, Vec<u8>, DECLARED, blobs);
}

fn timestamp(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").expect(text)
}

#[test]
fn timestamps_in_columns_declared_as_such_and_not() {
    let values = [
        "2024-02-29 13:14:15.123456",
        "1970-01-01 00:00:00",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59.999999",
        "2024-01-01 00:00:00.100",
        "2024-01-01 12:00:00.123456789",
    ];
    round_trips!(
        Timestamp,
        NaiveDateTime,
        [
            "TIMESTAMP",
            "DATETIME",
            "TEXT",
            "",
            "DATE",
            "NUMERIC",
            "BOOLEAN"
        ],
        values.iter().map(|text| timestamp(text)).collect()
    );
}

#[test]
fn dates_in_columns_declared_as_such_and_not() {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a date");
    round_trips!(
        Date,
        NaiveDate,
        ["DATE", "DATETIME", "TIMESTAMP", "TEXT", "", "NUMERIC"],
        vec![
            day(2024, 2, 29),
            day(1, 1, 1),
            day(9999, 12, 31),
            day(1970, 1, 1)
        ]
    );
}

#[test]
fn times_of_the_crate_time() {
    use ::time::macros::{date, datetime, time};
    round_trips!(
        Date,
        ::time::Date,
        ["DATE", "TIMESTAMP", "TEXT", "", "NUMERIC"],
        vec![
            date!(2024 - 02 - 29),
            date!(0001 - 01 - 01),
            date!(9999 - 12 - 31)
        ]
    );
    round_trips!(
        Time,
        ::time::Time,
        ["TIME", "TEXT", "", "DATETIME"],
        vec![time!(00:00:00), time!(23:59:59.999999), time!(12:30:00.5)]
    );
    round_trips!(
        Timestamp,
        ::time::PrimitiveDateTime,
        ["DATETIME", "TIMESTAMP", "TEXT", "", "NUMERIC"],
        vec![
            datetime!(2024-02-29 13:14:15.123456),
            datetime!(0001-01-01 00:00),
            datetime!(9999-12-31 23:59:59.999999)
        ]
    );
    round_trips!(
        Timestamptz,
        ::time::OffsetDateTime,
        ["TIMESTAMPTZ", "TIMESTAMP", "TEXT", ""],
        vec![
            datetime!(2024-02-29 13:14:15.123456 +05:30),
            datetime!(1970-01-01 00:00 UTC),
            datetime!(2000-01-01 00:00:00.1 -11:00)
        ]
    );
}

#[test]
fn places_in_the_answer_are_read() {
    diesel::table! {
        t { id -> Integer, name -> Text, bytes -> Binary, }
    }
    /// How many bytes there are at these places.
    #[derive(Debug, PartialEq)]
    struct Lengths(i32, usize, usize);
    impl Queryable<(sql_types::Integer, Text, Binary), Rqlite> for Lengths {
        type Row = (i32, *const str, *const [u8]);

        fn build((id, name, bytes): Self::Row) -> diesel::deserialize::Result<Self> {
            Ok(Lengths(id, (name as *const [u8]).len(), bytes.len()))
        }
    }
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, name, bytes)");
    db.batch_execute("INSERT INTO t VALUES (1, 'four', x'00ff'), (2, '', x''), (3, 12, 'text')")
        .expect("inserts");
    let read = |db: &mut Database, id: i32| t::table.find(id).first::<Lengths>(&mut **db);
    assert_eq!(read(&mut db, 1), Ok(Lengths(1, 4, 2)));
    assert_eq!(read(&mut db, 2), Ok(Lengths(2, 0, 0)));
    // A number has no text in the answer, unless it was asked for as one.
    let number = read(&mut db, 3);
    let is_refused = matches!(number, Err(diesel::result::Error::DeserializationError(_)));
    assert!(is_refused || number == Ok(Lengths(3, 2, 4)), "{number:?}");
}

/// The wrappers of jiff-diesel in expressions, jiff's own types in structs.
#[test]
fn times_of_jiff() {
    use jiff::civil;
    use jiff_diesel::ToDiesel;
    round_trips!(
        Date,
        jiff_diesel::Date,
        ["DATE", "TIMESTAMP", "TEXT", "", "NUMERIC"],
        vec![civil::Date::new(2024, 2, 29).expect("a date").to_diesel()]
    );
    round_trips!(
        Time,
        jiff_diesel::Time,
        ["TIME", "TEXT", "", "DATETIME"],
        vec![
            civil::time(23, 59, 59, 999_999_999).to_diesel(),
            civil::Time::midnight().to_diesel()
        ]
    );
    let at = civil::datetime(2024, 2, 29, 13, 14, 15, 123_456_000);
    let earliest = civil::datetime(1, 1, 1, 0, 0, 0, 0);
    round_trips!(
        Timestamp,
        jiff_diesel::DateTime,
        ["DATETIME", "TIMESTAMP", "TEXT", "", "NUMERIC"],
        vec![at.to_diesel(), earliest.to_diesel()]
    );
    let instant: jiff::Timestamp = "2024-02-29T13:14:15.123456+05:30".parse().expect("a time");
    round_trips!(
        Timestamptz,
        jiff_diesel::Timestamp,
        ["TIMESTAMPTZ", "TIMESTAMP", "TEXT", ""],
        vec![instant.to_diesel(), jiff::Timestamp::UNIX_EPOCH.to_diesel()]
    );

    diesel::table! {
        meetings { id -> Integer, at -> Timestamp, reminded -> Nullable<Timestamptz>, }
    }
    #[derive(Debug, PartialEq, Queryable, Selectable, Insertable)]
    struct Meeting {
        id: i32,
        #[diesel(serialize_as = jiff_diesel::DateTime)]
        at: civil::DateTime,
        #[diesel(serialize_as = jiff_diesel::NullableTimestamp)]
        reminded: Option<jiff::Timestamp>,
    }
    let mut db = Database::new();
    db.batch_execute("CREATE TABLE meetings (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL, reminded TIMESTAMPTZ)")
        .expect("creates");
    let meetings =
        || [(1, Some(instant)), (2, None)].map(|(id, reminded)| Meeting { id, at, reminded });
    for meeting in meetings() {
        diesel::insert_into(meetings::table)
            .values(meeting)
            .execute(&mut *db)
            .expect("inserts");
    }
    let read = meetings::table
        .order(meetings::id)
        .select(Meeting::as_select())
        .load(&mut *db);
    assert_eq!(read.as_deref(), Ok(&meetings()[..]));
    // CURRENT_TIMESTAMP has no offset, and is UTC.
    let sql = diesel::dsl::sql::<sql_types::Timestamptz>("'2024-02-29 07:44:15.123456'");
    assert_eq!(diesel::select(sql).get_result(&mut *db), Ok(instant));
}

#[test]
fn points_in_time_of_chrono() {
    use chrono::{DateTime, Utc};
    let instant = |text: &str| DateTime::parse_from_rfc3339(text).expect(text);
    let values = [
        "2024-02-29T13:14:15.123456+05:30",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    round_trips!(
        Timestamptz,
        DateTime<Utc>,
        ["TIMESTAMPTZ", "TIMESTAMP", "DATETIME", "TEXT", ""],
        values.iter().map(|text| instant(text).to_utc()).collect()
    );
    let mut db = Database::new();
    for (stored, wanted) in [
        ("2024-01-01 12:00:00+05:30", "2024-01-01T06:30:00Z"),
        ("2024-01-01T12:00:00.5Z", "2024-01-01T12:00:00.5Z"),
        ("2024-01-01 12:00", "2024-01-01T12:00:00Z"),
        ("2024-01-01 12:00-01:00", "2024-01-01T13:00:00Z"),
    ] {
        let sql = diesel::dsl::sql::<sql_types::Timestamptz>(&format!("'{stored}'"));
        let chrono: QueryResult<DateTime<Utc>> = diesel::select(sql.clone()).get_result(&mut *db);
        assert_eq!(chrono, Ok(instant(wanted).to_utc()), "{stored}");
        let time: QueryResult<::time::OffsetDateTime> = diesel::select(sql).get_result(&mut *db);
        let time = time.map(|time| time.unix_timestamp_nanos());
        assert_eq!(
            time.ok(),
            instant(wanted).timestamp_nanos_opt().map(i128::from),
            "{stored}"
        );
    }
}

#[test]
fn uuids() {
    use uuid::Uuid;
    let values = vec![
        Uuid::nil(),
        Uuid::max(),
        Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
    ];
    round_trips!(Uuid, Uuid, ["UUID", "TEXT", "BLOB", "", "CHAR(36)"], values);
    let mut db = Database::new();
    let blob = diesel::dsl::sql::<sql_types::Uuid>("x'00112233445566778899aabbccddeeff'");
    let read: QueryResult<Uuid> = diesel::select(blob).get_result(&mut *db);
    assert_eq!(
        read,
        Ok(Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff))
    );
}

#[test]
fn decimals_are_exact_where_the_column_is() {
    use bigdecimal::BigDecimal;
    let number = |text: &str| text.parse::<BigDecimal>().expect(text);
    let short = [
        "0",
        "1.50",
        "-0.1",
        "123456.789",
        "9223372036854775807",
        "-9223372036854775808",
        "1e-7",
        "0.000001",
    ];
    round_trips!(
        Numeric,
        BigDecimal,
        ["NUMERIC", "DECIMAL(10,2)", "", "BLOB", "TEXT"],
        short.iter().map(|text| number(text)).collect()
    );
    let long = [
        "1234567890123456789012345678.901234567890",
        "-0.1000000000000000055511151231257827",
        "18446744073709551617",
    ];
    round_trips!(
        Numeric,
        BigDecimal,
        ["", "BLOB", "TEXT"],
        long.iter().map(|text| number(text)).collect()
    );
}

#[test]
fn json_and_jsonb() {
    use serde_json::{Value, json};
    let values = vec![
        json!(null),
        json!(true),
        json!(1),
        // A column that takes numbers for numbers stores this one exactly on all versions; SQLite 3.51 not -1.5e300.
        json!(-1.5e20),
        json!(i64::MAX),
        json!(""),
        json!("x'41'"),
        json!("quote \" \\ \n é 🦀"),
        json!([]),
        json!({}),
        json!({"a": [1, 2.5, {"b": null}], "": "x".repeat(300), "long": vec![7; 70_000]}),
    ];
    // In a column that takes numbers for numbers, the text 1 is one; it is still JSON.
    round_trips!(Json, Value, ["JSON", "TEXT", "", "BLOB"], values.clone());
    round_trips!(Jsonb, Value, ["JSONB", "BLOB", ""], values);
    let mut db = Database::new();
    let stored = diesel::select(json!({"a": 1}).into_sql::<sql_types::Jsonb>());
    let kind: i64 = db.one("SELECT typeof(jsonb('{}')) = 'blob' AS value");
    assert_eq!(
        (kind, stored.get_result::<Value>(&mut *db)),
        (1, Ok(json!({"a": 1})))
    );
    let json5 = diesel::dsl::sql::<sql_types::Jsonb>(
        r#"jsonb('{a: 0x1F, ''b'': [.5, +7, ''it\''s \x41'']}')"#,
    );
    let read: QueryResult<Value> = diesel::select(json5).get_result(&mut *db);
    assert_eq!(read, Ok(json!({"a": 31, "b": [0.5, 7, "it's A"]})));
}

/// Reads `SELECT {expression}` as a typed and as a raw query.
fn selected<ST, T>(conn: &mut RqliteConnection, expression: &str) -> (T, T)
where
    ST: SingleValue + diesel::sql_types::SqlType + diesel::query_builder::QueryId + 'static,
    ST: diesel::expression::TypedExpressionType,
    T: FromSql<ST, Rqlite> + FromSqlRow<ST, Rqlite> + Queryable<ST, Rqlite> + 'static,
    Rqlite: diesel::sql_types::HasSqlType<ST>,
{
    struct Raw<T>(T);
    impl<T> Raw<T> {
        fn into_inner(self) -> T {
            self.0
        }
    }
    struct Wrapped<ST, T>(T, std::marker::PhantomData<ST>);
    impl<ST, T> QueryableByName<Rqlite> for Wrapped<ST, T>
    where
        T: FromSql<ST, Rqlite>,
    {
        fn build<'a>(
            row: &impl diesel::row::NamedRow<'a, Rqlite>,
        ) -> diesel::deserialize::Result<Self> {
            Ok(Wrapped(
                diesel::row::NamedRow::get::<ST, T>(row, "v")?,
                std::marker::PhantomData,
            ))
        }
    }
    let typed: T = diesel::dsl::sql::<ST>(&format!("SELECT {expression} AS v"))
        .get_result(conn)
        .expect("typed");
    let raw: Wrapped<ST, T> = diesel::sql_query(format!("SELECT {expression} AS v"))
        .get_result(conn)
        .expect("raw");
    (typed, Raw(raw.0).into_inner())
}

#[test]
fn expressions_are_exact_too() {
    let mut db = Database::with(
        "CREATE TABLE t (b BLOB, s TEXT, d DATETIME); INSERT INTO t VALUES (x'ff00', 'a', 'garbage')",
    );
    let both = |value: Vec<u8>| (value.clone(), value);
    assert_eq!(
        selected::<Binary, Vec<u8>>(&mut db, "x'fffe00'"),
        both(vec![255, 254, 0])
    );
    assert_eq!(
        selected::<Binary, Vec<u8>>(&mut db, "(SELECT coalesce(b, x'') FROM t)"),
        both(vec![255, 0])
    );
    assert_eq!(
        selected::<Binary, Vec<u8>>(&mut db, "CAST(x'ff' AS BLOB)"),
        both(vec![255])
    );
    assert_eq!(
        selected::<Double, f64>(&mut db, "9e999"),
        (f64::INFINITY, f64::INFINITY)
    );
    assert_eq!(
        selected::<Double, f64>(&mut db, "-9e999"),
        (f64::NEG_INFINITY, f64::NEG_INFINITY)
    );
    let garbage = "garbage".to_owned();
    assert_eq!(
        selected::<Text, String>(&mut db, "(SELECT d FROM t)"),
        (garbage.clone(), garbage)
    );
    assert_eq!(selected::<Bool, bool>(&mut db, "1 = 1"), (true, true));
    assert_eq!(
        selected::<BigInt, i64>(&mut db, "9223372036854775807"),
        (i64::MAX, i64::MAX)
    );
}

#[test]
fn returning_is_exact_for_expressions_with_values() {
    diesel::table! { t (id) { id -> Integer, a -> Double, b -> Nullable<Binary>, s -> Nullable<Text>, } }
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, a REAL, b BLOB, s)");
    let blob = vec![0_u8, 255, 254];
    let returned = diesel::insert_into(t::table)
        .values((t::a.eq(f64::INFINITY), t::b.eq(&blob)))
        .returning((
            t::a + 1.0,
            diesel::dsl::sql::<Binary>("coalesce(b, ")
                .bind::<Binary, _>(vec![1_u8])
                .sql(")"),
            diesel::dsl::sql::<Double>("-a"),
        ))
        .get_result::<(f64, Vec<u8>, f64)>(&mut *db);
    assert_eq!(returned, Ok((f64::INFINITY, blob, f64::NEG_INFINITY)));
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Double)]
        v: f64,
    }
    let raw = diesel::sql_query("UPDATE t SET s = x'ff00' RETURNING a + 1 AS v")
        .get_result::<Row>(&mut *db);
    assert_eq!(raw.map(|row| row.v), Ok(f64::INFINITY));
    let text = diesel::update(t::table)
        .set(t::id.eq(1))
        .returning(t::s)
        .get_result::<Option<String>>(&mut *db);
    assert!(text.is_err(), "no UTF-8, no text: {text:?}");
}

#[test]
fn text_is_converted_as_sqlite_converts_it() {
    diesel::table! { t (id) { id -> Integer, v -> Text, } }
    let values = "(1, 1), (2, x'6869'), (3, 1.0), (4, 'x'), (5, -0.5)";
    let mut db = Database::with(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES {values}"
    ));
    let wanted = ["1", "hi", "1.0", "x", "-0.5"].map(str::to_owned).to_vec();
    let selected = t::table.order(t::id).select(t::v).load::<String>(&mut *db);
    assert_eq!(selected, Ok(wanted.clone()));
    let returned = diesel::update(t::table)
        .set(t::id.eq(t::id + 10))
        .returning(t::v)
        .get_results::<String>(&mut *db);
    let mut returned = returned.expect("updates");
    returned.sort();
    let mut sorted = wanted;
    sorted.sort();
    assert_eq!(returned, sorted);
}

#[test]
fn storage_classes_are_told_apart() {
    use serde_json::{Value, json};
    let mut db = Database::new();
    for (stored, wanted) in [
        ("'\"a\"'", json!("a")),
        ("3123", json!(3123)),
        ("'{\"a\":1}'", json!({"a": 1})),
        ("jsonb('[1]')", json!([1])),
    ] {
        let read = diesel::select(diesel::dsl::sql::<sql_types::Jsonb>(stored))
            .get_result::<Value>(&mut *db);
        assert_eq!(read, Ok(wanted), "{stored}");
    }
    let text = diesel::dsl::sql::<sql_types::Uuid>("'abcdefghijklmnop'");
    assert!(
        diesel::select(text)
            .get_result::<uuid::Uuid>(&mut *db)
            .is_err(),
        "16 letters are no UUID"
    );
    let large = diesel::dsl::sql::<BigInt>("1234567890123456768.0");
    assert_eq!(
        diesel::select(large).get_result::<i64>(&mut *db),
        Ok(1_234_567_890_123_456_768)
    );
    let fraction = diesel::dsl::sql::<BigInt>("1.5");
    assert!(
        diesel::select(fraction)
            .get_result::<i64>(&mut *db)
            .is_err()
    );
}

#[test]
fn an_expression_is_evaluated_once() {
    let mut db = Database::new();
    let rows = "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a WHERE x < 200) \
        SELECT CASE WHEN random() % 2 = 0 THEN x'01' END FROM a";
    let read = diesel::dsl::sql::<Nullable<Binary>>(rows)
        .load::<Option<Vec<u8>>>(&mut *db)
        .expect("loads");
    assert_eq!(read.len(), 200);
    assert!(read.iter().flatten().all(|value| *value == [1]));
}

#[test]
fn bytes_that_are_no_text_are_not_replaced() {
    diesel::table! { t (id) { id -> Integer, v -> Text, } }
    let mut db = Database::with(
        "CREATE TABLE t (id INTEGER, v TEXT); INSERT INTO t VALUES (1, x'ff61'), (2, CAST(x'ff61' AS TEXT))",
    );
    for id in 1..=2 {
        let read = t::table
            .filter(t::id.eq(id))
            .select(t::v)
            .first::<String>(&mut *db);
        assert!(
            matches!(read, Err(diesel::result::Error::DeserializationError(_))),
            "{read:?}"
        );
    }
}

#[test]
fn times_rqlite_can_not_write_are_read_in_another_way() {
    let mut db =
        Database::with("CREATE TABLE t (v DATETIME); INSERT INTO t VALUES (253402300800), (7)");
    assert_eq!(
        db.one("SELECT v AS value FROM t WHERE v > 7"),
        253_402_300_800
    );
    let none: Result<NaiveDateTime, _> =
        diesel::select(diesel::dsl::sql::<sql_types::Timestamp>("'nan'")).get_result(&mut *db);
    assert!(none.is_err(), "{none:?}");
}

#[test]
fn nan_is_null() {
    let mut db = Database::new();
    let nan =
        diesel::select(f64::NAN.into_sql::<Nullable<Double>>()).get_result::<Option<f64>>(&mut *db);
    assert_eq!(nan, Ok(None));
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[test]
fn what_does_not_fit_names_its_column() {
    diesel::table! { t (id) { id -> Integer, small -> SmallInt, day -> Date, } }
    let mut db = Database::with(
        "CREATE TABLE t (id INTEGER, small INTEGER, day TEXT);
         INSERT INTO t VALUES (1, 70000, 'soon'), (5000000000, 1, '2024-01-01')",
    );
    let first = t::table.order(t::id);
    for (outcome, column, value) in [
        (
            first.select(t::small).first::<i16>(&mut *db).map(|_| ()),
            "small",
            "70000",
        ),
        (
            first
                .select((t::id, t::day))
                .first::<(i32, NaiveDate)>(&mut *db)
                .map(|_| ()),
            "day",
            "soon",
        ),
        (
            t::table
                .filter(t::small.eq(1))
                .select(t::id)
                .first::<i32>(&mut *db)
                .map(|_| ()),
            "id",
            "5000000000",
        ),
    ] {
        let error = outcome.expect_err("does not fit");
        assert!(
            matches!(error, diesel::result::Error::DeserializationError(_)),
            "{error:?}"
        );
        let said = chain(&error);
        assert!(
            said.contains(&format!("'{column}'")) && said.contains(value),
            "{said}"
        );
    }
}

#[test]
fn the_schema_may_change_under_a_connection() {
    diesel::table! { t (id) { id -> Integer, v -> Binary, } }
    let mut db =
        Database::with("CREATE TABLE t (id INTEGER, v TEXT); INSERT INTO t VALUES (1, x'ff')");
    for declared in ["BLOB", "TEXT", "DATETIME", "BLOB"] {
        let read = t::table.select(t::v).first::<Vec<u8>>(&mut *db);
        assert_eq!(read, Ok(vec![255]));
        db.batch_execute(&format!("DROP TABLE t; CREATE TABLE t (id INTEGER, v {declared}); INSERT INTO t VALUES (1, x'ff')"))
            .expect("changes");
    }
}

#[test]
fn raw_star_shows_the_columns_of_today() {
    #[derive(Debug, PartialEq, QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        a: i64,
        #[diesel(sql_type = Text)]
        c: String,
    }
    let mut db = Database::with(
        "CREATE TABLE t (a INTEGER, b REAL, c TEXT); INSERT INTO t VALUES (1, 2.5, 'three')",
    );
    let star = || diesel::sql_query("SELECT * FROM t");
    let wanted = || {
        Ok(Row {
            a: 1,
            c: "three".to_owned(),
        })
    };
    assert_eq!(star().get_result::<Row>(&mut *db), wanted());
    db.batch_execute("ALTER TABLE t DROP COLUMN b")
        .expect("alters");
    for _ in 0..5 {
        assert_eq!(star().get_result::<Row>(&mut *db), wanted());
    }
}

#[test]
fn own_types_work_by_derives() {
    #[derive(Clone, Copy, Debug, PartialEq, AsExpression, FromSqlRow)]
    #[diesel(sql_type = sql_types::Text)]
    enum Colour {
        Red,
        Green,
    }
    impl diesel::serialize::ToSql<Text, Rqlite> for Colour {
        fn to_sql<'b>(
            &'b self,
            out: &mut diesel::serialize::Output<'b, '_, Rqlite>,
        ) -> diesel::serialize::Result {
            out.set_value(match self {
                Colour::Red => "red",
                Colour::Green => "green",
            });
            Ok(diesel::serialize::IsNull::No)
        }
    }
    impl FromSql<Text, Rqlite> for Colour {
        fn from_sql(
            mut value: diesel_rqlite::RqliteValue<'_>,
        ) -> diesel::deserialize::Result<Self> {
            match value.read_text()? {
                "red" => Ok(Colour::Red),
                "green" => Ok(Colour::Green),
                other => Err(format!("{other} is no colour").into()),
            }
        }
    }
    diesel::table! { t (id) { id -> Integer, colour -> Text, } }
    let mut db = Database::with("CREATE TABLE t (id INTEGER PRIMARY KEY, colour TEXT)");
    let stored = diesel::insert_into(t::table)
        .values(t::colour.eq(Colour::Green))
        .returning(t::colour)
        .get_result::<Colour>(&mut *db);
    assert_eq!(stored, Ok(Colour::Green));
    assert_eq!(
        t::table
            .filter(t::colour.eq(Colour::Red))
            .count()
            .get_result(&mut *db),
        Ok(0_i64)
    );
}
