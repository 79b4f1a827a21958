//! Values on their way into a column and back, by every way back there is. Columns of all declared types that users
//! write; where SQLite changes a value, Diesel's own connection says to what.
//!
//! The values are random, and the same in each run: `PROPTEST_RNG_SEED` gives others, `PROPTEST_CASES` more of them.

use std::cell::RefCell;
use std::fmt::Debug;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value as Document;
use uuid::Uuid;

use crate::kit::connect;

/// With the affinity NUMERIC, INTEGER or REAL: text that is a number becomes one.
const NUMBERS: [&str; 16] = [
    "INTEGER",
    "INT",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "DOUBLE PRECISION",
    "FLOAT",
    "NUMERIC",
    "DECIMAL(10,2)",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "TIME",
    "JSON",
    "UUID",
];
/// Where numbers become text.
const TEXTS: [&str; 4] = ["TEXT", "VARCHAR(9)", "CHAR(36)", "CLOB"];
/// Where everything stays what it is.
const ANY: [&str; 4] = ["", "BLOB", "BINARY", "STRICT ANY"];
/// A REAL there is an integer no more.
const REALS: [&str; 4] = ["REAL", "DOUBLE", "DOUBLE PRECISION", "FLOAT"];

/// A value, or that it can't be read.
#[derive(Clone, PartialEq, FromSqlRow)]
struct Seen<T>(Option<T>);

impl<T: Debug> Debug for Seen<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("does not fit"),
        }
    }
}

impl<T, ST, DB> FromSql<ST, DB> for Seen<T>
where
    T: FromSql<ST, DB>,
    DB: Backend,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Seen(T::from_sql(value).ok()))
    }
}

fn runner() -> TestRunner {
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(1);
    }
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 2;
    }
    TestRunner::new(config)
}

/// `STRICT TEXT` is a column TEXT in a STRICT table.
fn create(conn: &mut impl SimpleConnection, declared: &str) {
    let (declared, strict) = match declared.strip_prefix("STRICT ") {
        Some(declared) => (declared, "STRICT"),
        None => (declared, ""),
    };
    conn.batch_execute(&format!(
        "DROP VIEW IF EXISTS w; DROP TABLE IF EXISTS t;
         CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared}) {strict}; CREATE VIEW w AS SELECT id, v FROM t"
    ))
    .expect("creates");
}

/// What the ways back show, each as text.
macro_rules! ways_back {
    ($conn:expr, $sql_type:ident, $rust_type:ty, $values:expr, $returned:expr) => {{
        use diesel::sql_types::{Nullable, $sql_type};
        type Row = Option<Seen<$rust_type>>;
        #[derive(QueryableByName)]
        struct Named {
            #[diesel(sql_type = Nullable<$sql_type>)]
            v: Option<Seen<$rust_type>>,
        }
        let conn = $conn;
        let by_id = |sql: &str| diesel::dsl::sql::<Nullable<$sql_type>>(sql);
        let raw = diesel::sql_query("SELECT v FROM t ORDER BY id").load::<Named>(conn);
        let union = by_id("SELECT v FROM t UNION SELECT v FROM w ORDER BY 1");
        let all = |rows: QueryResult<Vec<Row>>| format!("{rows:?}");
        vec![
            ("RETURNING", all($returned)),
            ("SELECT", all(t::table.order(t::id).select(t::v).load(conn))),
            ("view", all(w::table.order(w::id).select(w::v).load(conn))),
            (
                "expression",
                all(t::table
                    .order(t::id)
                    .select(by_id("CASE WHEN id > 0 THEN v END"))
                    .load(conn)),
            ),
            (
                "subquery",
                all(t::table
                    .order(t::id)
                    .select(by_id("(SELECT i.v FROM t AS i WHERE i.id = t.id)"))
                    .load(conn)),
            ),
            (
                "aggregate",
                all(t::table.select(by_id("max(v)")).load(conn)),
            ),
            (
                "least",
                all(t::table
                    .group_by(t::id)
                    .order(t::id)
                    .select(by_id("min(v)"))
                    .load(conn)),
            ),
            ("union", all(union.load(conn))),
            (
                "raw",
                all(raw.map(|rows| rows.into_iter().map(|row| row.v).collect())),
            ),
            (
                "class",
                format!(
                    "{:?}",
                    t::table
                        .order(t::id)
                        .select(diesel::dsl::sql::<diesel::sql_types::Text>("typeof(v)"))
                        .load::<String>(conn)
                ),
            ),
            (
                "found",
                format!(
                    "{:?}",
                    t::table
                        .filter(t::v.eq_any($values))
                        .order(t::id)
                        .select(t::id)
                        .load::<i32>(conn)
                ),
            ),
        ]
    }};
}

/// Random values and the edges, through columns of these types, on both connections.
///
/// `refused`: columns where ours may say that a value does not fit when Diesel's SQLite has another one for it.
macro_rules! round_trip {
    ($sql_type:ident, $rust_type:ty, $declared:expr, refused: $refused:expr, $edges:expr, $any:expr) => {{
        diesel::table! {
            t (id) { id -> Integer, v -> Nullable<$sql_type>, }
        }
        diesel::table! {
            w (id) { id -> Integer, v -> Nullable<$sql_type>, }
        }
        let node = Rqlited::start();
        let rqlite = RefCell::new(connect(&node));
        let sqlite = RefCell::new(SqliteConnection::establish(":memory:").expect("opens"));
        let edges: Vec<$rust_type> = $edges;
        let declared: Vec<&str> = $declared.to_vec();
        let run = |random: Vec<$rust_type>| {
            let values: Vec<_> = edges
                .iter()
                .cloned()
                .chain(random)
                .map(Some)
                .chain([None])
                .collect();
            for declared in &declared {
                let sqlite = &mut *sqlite.borrow_mut();
                create(sqlite, declared);
                let returned = values.iter().map(|value| {
                    diesel::insert_into(t::table)
                        .values(t::v.eq(value))
                        .returning(t::v)
                        .get_result(sqlite)
                });
                let returned = returned.collect();
                let reference = ways_back!(sqlite, $sql_type, $rust_type, &values, returned);

                let rqlite: &mut RqliteConnection = &mut rqlite.borrow_mut();
                create(rqlite, declared);
                let rows: Vec<_> = values.iter().map(|value| t::v.eq(value)).collect();
                let returned = diesel::insert_into(t::table)
                    .values(rows)
                    .returning(t::v)
                    .get_results(rqlite);
                let ours = ways_back!(rqlite, $sql_type, $rust_type, &values, returned);
                for ((way, ours), (_, reference)) in ours.iter().zip(&reference) {
                    let refused = $refused.contains(declared) && ours.contains("does not fit");
                    prop_assert!(
                        refused || ours == reference,
                        "{way} from {declared:?}:\n{ours}\n{reference}"
                    );
                    prop_assert!(ours.starts_with("Ok"), "{way} from {declared:?}: {ours}");
                }
            }
            Ok(())
        };
        runner()
            .run(&vec($any, 20..40), run)
            .unwrap_or_else(|failure| panic!("{failure}"));
    }};
}

const NONE: [&str; 0] = [];

fn columns(groups: &[&[&'static str]]) -> Vec<&'static str> {
    groups.concat()
}

#[test]
fn bigints() {
    let declared = columns(&[&NUMBERS, &TEXTS, &ANY, &["STRICT INTEGER"]]);
    let edges = vec![
        0,
        1,
        -1,
        i64::MAX,
        i64::MIN,
        (1 << 53) + 1,
        -(1 << 53) - 1,
        253_402_300_800,
        1_709_212_455_123_456,
    ];
    // 2^63 as a REAL is no i64; SQLite takes the nearest.
    round_trip!(BigInt, i64, declared, refused: REALS, edges, any::<i64>());
}

#[test]
fn integers_and_smallints() {
    let declared = columns(&[&NUMBERS, &TEXTS, &ANY, &["STRICT INT"]]);
    round_trip!(Integer, i32, declared, refused: NONE, vec![0, i32::MIN, i32::MAX], any::<i32>());
    round_trip!(SmallInt, i16, declared, refused: NONE, vec![0, i16::MIN, i16::MAX], any::<i16>());
    round_trip!(Bool, bool, declared, refused: NONE, vec![true, false], any::<bool>());
}

#[test]
fn doubles_and_floats() {
    let declared = columns(&[&NUMBERS, &ANY, &["STRICT REAL"]]);
    let edges = vec![
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.1,
        1e15,
        1e20,
        1e21,
        5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        9_007_199_254_740_993.0,
        9_223_372_036_854_775_808.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    round_trip!(Double, f64, declared, refused: NONE, edges.clone(), any::<f64>());
    let edges = vec![
        0.0,
        -0.0,
        0.1,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-45,
        f32::INFINITY,
        f32::NAN,
    ];
    round_trip!(Float, f32, declared, refused: NONE, edges, any::<f32>());
    // Longer ones are other texts with other versions of SQLite.
    let short = (-8_000_000_i32..8_000_000).prop_map(|eighths| f64::from(eighths) / 8.0);
    round_trip!(Double, f64, columns(&[&TEXTS]), refused: NONE, vec![0.0, -1.5], short);
}

/// Text that SQLite may take for something else, or rqlite.
const TEXT_EDGES: [&str; 30] = [
    "",
    " ",
    "a\0b",
    "\0",
    "'",
    "\"",
    "`",
    "it's; -- /* */",
    "x'41'",
    " X'00fF' ",
    "x''",
    "now",
    "NULL",
    "?",
    ":a",
    "CURRENT_TIMESTAMP",
    "random()",
    "<&>\u{2028}",
    "\u{FFFD}",
    "\u{feff}",
    "naïve 🦀",
    "tab\tnew\nline\r",
    "1",
    "-7",
    "1.5",
    " 2 ",
    "1e3",
    "0x10",
    "+3",
    "2024-02-29",
];

#[test]
fn texts() {
    let declared = columns(&[&NUMBERS, &TEXTS, &ANY, &["STRICT TEXT"]]);
    let edges = TEXT_EDGES.map(str::to_owned).to_vec();
    // No digits: of a long number, each version of SQLite makes another REAL.
    round_trip!(Text, String, declared, refused: NONE, edges, "[^0-9iInN]{0,30}");
}

#[test]
fn blobs() {
    let declared = columns(&[&NUMBERS, &TEXTS, &ANY, &["STRICT BLOB"]]);
    let edges = vec![
        vec![],
        vec![0],
        (0..=255).collect(),
        b"text".to_vec(),
        b"12".to_vec(),
        vec![0xff, 0xfe],
    ];
    round_trip!(Binary, Vec<u8>, declared, refused: NONE, edges, vec(any::<u8>(), 0..60));
}

#[test]
fn large_blobs_and_texts() {
    diesel::table! { t (id) { id -> Integer, b -> Binary, s -> Text, } }
    let node = Rqlited::start();
    let mut conn = connect(&node);
    conn.batch_execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB, s TEXT)")
        .expect("creates");
    let bytes: Vec<u8> = (0..10_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let text: String = (0..3_000_000_u32)
        .map(|n| if n % 1000 == 0 { '🦀' } else { 'x' })
        .collect();
    let returned = diesel::insert_into(t::table)
        .values((t::b.eq(&bytes), t::s.eq(&text)))
        .returning(t::b)
        .get_result::<Vec<u8>>(&mut conn);
    assert!(returned == Ok(bytes.clone()));
    let read = t::table
        .select((t::b, t::s))
        .first::<(Vec<u8>, String)>(&mut conn);
    assert!(read == Ok((bytes, text)));
}

fn any_date() -> impl Strategy<Value = NaiveDate> {
    let first = NaiveDate::from_ymd_opt(1, 1, 1).expect("a date");
    (0..3_652_059_u64).prop_map(move |days| first + chrono::Days::new(days))
}

/// Nanoseconds are cut to none, milli- or microseconds in most.
fn any_time() -> impl Strategy<Value = NaiveTime> {
    let unit = prop_oneof![
        Just(1_000_000_000_u32),
        Just(1_000_000),
        Just(1000),
        Just(1)
    ];
    (0..86_400_u32, 0..1_000_000_000_u32, unit).prop_map(|(seconds, nanoseconds, unit)| {
        NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanoseconds / unit * unit)
            .expect("a time")
    })
}

fn any_timestamp() -> impl Strategy<Value = NaiveDateTime> {
    (any_date(), any_time()).prop_map(|(date, time)| date.and_time(time))
}

fn end_of_time() -> NaiveDateTime {
    let date = NaiveDate::from_ymd_opt(9999, 12, 31).expect("a date");
    date.and_hms_micro_opt(23, 59, 59, 999_999).expect("a time")
}

#[test]
fn dates_and_times_of_chrono() {
    let declared = columns(&[&NUMBERS, &TEXTS, &ANY, &["STRICT TEXT"]]);
    let end = end_of_time();
    let first = NaiveDate::from_ymd_opt(1, 1, 1).expect("a date");
    round_trip!(Date, NaiveDate, declared, refused: NONE, vec![first, end.date()], any_date());
    round_trip!(Time, NaiveTime, declared, refused: NONE, vec![NaiveTime::MIN, end.time()], any_time());
    round_trip!(Timestamp, NaiveDateTime, declared, refused: NONE, vec![first.and_time(NaiveTime::MIN), end], any_timestamp());
}

fn date_of_time(date: NaiveDate) -> time::Date {
    use chrono::Datelike;
    let day = u16::try_from(date.ordinal()).expect("a day of the year");
    time::Date::from_ordinal_date(date.year(), day).expect("a date")
}

fn time_of_time(time: NaiveTime) -> time::Time {
    use chrono::Timelike;
    let small = |number: u32| u8::try_from(number).expect("below 60");
    time::Time::from_hms_nano(
        small(time.hour()),
        small(time.minute()),
        small(time.second()),
        time.nanosecond(),
    )
    .expect("a time")
}

#[test]
fn dates_and_times_of_time() {
    use time::macros::{date, datetime, time};
    let declared = columns(&[
        &["DATE", "DATETIME", "TIMESTAMP", "TIME", "NUMERIC"],
        &TEXTS,
        &ANY,
    ]);
    let dates = any_date().prop_map(date_of_time);
    round_trip!(Date, time::Date, declared, refused: NONE, vec![date!(0001 - 01 - 01), date!(9999 - 12 - 31)], dates);
    let times = any_time().prop_map(time_of_time);
    round_trip!(Time, time::Time, declared, refused: NONE, vec![time!(00:00), time!(23:59:59.999999)], times);
    let timestamps = any_timestamp().prop_map(|at| {
        time::PrimitiveDateTime::new(date_of_time(at.date()), time_of_time(at.time()))
    });
    let edges = vec![
        datetime!(0001-01-01 00:00),
        datetime!(9999-12-31 23:59:59.999999),
    ];
    round_trip!(Timestamp, time::PrimitiveDateTime, declared, refused: NONE, edges, timestamps);
}

fn any_document() -> impl Strategy<Value = Document> {
    let leaf = prop_oneof![
        Just(Document::Null),
        any::<bool>().prop_map(Document::from),
        any::<i64>().prop_map(Document::from),
        (-1e300..1e300).prop_map(Document::from),
        any::<String>().prop_map(Document::from),
    ];
    let tree = leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Document::from),
            vec((any::<String>(), inner), 0..5).prop_map(|members| members.into_iter().collect()),
        ]
    });
    // Alone, a number or a text would be a number to some columns.
    vec(tree, 0..3).prop_map(Document::from)
}

#[test]
fn documents() {
    let declared = columns(&[&["JSON", "NUMERIC", "DATETIME"], &TEXTS, &ANY]);
    let edges = [
        "null",
        "true",
        "[]",
        "{}",
        "\"x'41'\"",
        "\"a\\u0000b\"",
        "[-1.5e300, 9223372036854775807]",
    ];
    let edges = edges
        .map(|text| serde_json::from_str(text).expect("JSON"))
        .to_vec();
    round_trip!(Json, Document, declared, refused: NONE, edges, any_document());
}

/// What SQLite's Diesel does not have, or keeps otherwise: what is bound is what comes back.
macro_rules! comes_back {
    ($sql_type:ident, $rust_type:ty, $declared:expr, $edges:expr, $any:expr) => {{
        diesel::table! {
            t (id) { id -> Integer, v -> Nullable<$sql_type>, }
        }
        diesel::table! {
            w (id) { id -> Integer, v -> Nullable<$sql_type>, }
        }
        let node = Rqlited::start();
        let rqlite = RefCell::new(connect(&node));
        let edges: Vec<$rust_type> = $edges;
        let run = |random: Vec<$rust_type>| {
            let values: Vec<_> = edges.iter().cloned().chain(random).map(Some).collect();
            for declared in $declared {
                let rqlite: &mut RqliteConnection = &mut rqlite.borrow_mut();
                create(rqlite, declared);
                let rows: Vec<_> = values.iter().map(|value| t::v.eq(value)).collect();
                let returned = diesel::insert_into(t::table)
                    .values(rows)
                    .returning(t::v)
                    .get_results(rqlite);
                let wanted: QueryResult<Vec<_>> = Ok(values
                    .iter()
                    .cloned()
                    .map(|value| value.map(|value| Seen(Some(value))))
                    .collect());
                prop_assert_eq!(&returned, &wanted, "RETURNING from {}", declared);
                let selected = t::table
                    .order(t::id)
                    .select(t::v)
                    .load::<Option<Seen<$rust_type>>>(rqlite);
                prop_assert_eq!(&selected, &wanted, "SELECT from {}", declared);
                let viewed = w::table
                    .order(w::id)
                    .select(w::v)
                    .load::<Option<Seen<$rust_type>>>(rqlite);
                prop_assert_eq!(&viewed, &wanted, "view of {}", declared);
                let found = t::table
                    .filter(t::v.eq_any(&values))
                    .count()
                    .get_result::<i64>(rqlite);
                prop_assert_eq!(
                    found,
                    Ok(i64::try_from(values.len()).expect("few")),
                    "found in {}",
                    declared
                );
            }
            Ok(())
        };
        runner()
            .run(&vec($any, 20..40), run)
            .unwrap_or_else(|failure| panic!("{failure}"));
    }};
}

#[test]
fn uuids() {
    let declared = ["UUID", "TEXT", "BLOB", "", "CHAR(36)", "STRICT TEXT"];
    comes_back!(
        Uuid,
        Uuid,
        declared,
        vec![Uuid::nil(), Uuid::max()],
        any::<u128>().prop_map(Uuid::from_u128)
    );
}

#[test]
fn points_in_time() {
    let declared = [
        "TIMESTAMPTZ",
        "TIMESTAMP",
        "DATETIME",
        "TEXT",
        "",
        "STRICT TEXT",
    ];
    let edges = vec![DateTime::UNIX_EPOCH, end_of_time().and_utc()];
    comes_back!(
        Timestamptz,
        DateTime<Utc>,
        declared,
        edges,
        any_timestamp().prop_map(|at| at.and_utc())
    );
}

fn number(text: &str) -> BigDecimal {
    text.parse().expect(text)
}

#[test]
fn decimals() {
    let with_digits = |digits: u32| {
        let most = 10_i64.pow(digits);
        (-most..most, 0..i64::from(digits))
            .prop_map(|(digits, scale)| BigDecimal::new(digits.into(), scale))
    };
    let edges = || {
        [
            "0",
            "1.50",
            "-0.1",
            "9223372036854775807",
            "-9223372036854775808",
        ]
        .map(number)
        .to_vec()
    };
    comes_back!(
        Numeric,
        BigDecimal,
        ["NUMERIC", "DECIMAL(10,2)", "", "STRICT ANY"],
        edges(),
        with_digits(15)
    );
    // Bound as a REAL, of which a TEXT column makes text. From 14 digits on, new versions of SQLite write 17.
    comes_back!(
        Numeric,
        BigDecimal,
        ["TEXT", "VARCHAR(9)"],
        edges(),
        with_digits(12)
    );
    let long = "-?[1-9][0-9]{20,30}\\.[0-9]{0,9}[1-9]".prop_map(|text| number(&text));
    let edges = vec![
        number("1234567890123456789012345678.901234567890"),
        number("18446744073709551617"),
    ];
    comes_back!(Numeric, BigDecimal, ["TEXT", "", "BLOB"], edges, long);
}

#[test]
fn binary_documents() {
    comes_back!(
        Jsonb,
        Document,
        ["JSONB", "BLOB", ""],
        vec![Document::Null, Document::from("x'41'"), Document::from(1.5)],
        any_document()
    );
}
