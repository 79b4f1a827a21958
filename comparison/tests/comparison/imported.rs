//! Databases that another program wrote into a file, loaded into a node: they read as Diesel's own connection reads
//! the file.
//!
//! With one exception. Where Diesel's SQLite makes a value fit that does not (the INTEGER 300 becomes an i16, the text
//! `abc` the number 0), ours is an error that names the column.

use std::fmt::Debug;

use bigdecimal::BigDecimal;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::backend::Backend;
use diesel::connection::SimpleConnection;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

use crate::kit::connect;

/// As SQL.
const LITERALS: [&str; 22] = [
    "1",
    "-7",
    "70000",
    "5000000000",
    "123456789012",
    "0",
    "1.0",
    "2.5",
    "-0.5",
    "1e10",
    "0.125",
    "'1'",
    "' 2 '",
    "'2.5'",
    "'abc'",
    "''",
    "'12abc'",
    "'x''41'''",
    "'true'",
    "x'00ff'",
    "x'31'",
    "NULL",
];

const TIMES: [&str; 30] = [
    "'2024-02-29'",
    "'2024-02-30'",
    "'2024-2-9'",
    "'0001-01-01'",
    "'9999-12-31'",
    "'2024-02-29 13:14'",
    "'2024-02-29 13:14:15'",
    "'2024-02-29 13:14:15.5'",
    "'2024-02-29 13:14:15.123456789'",
    "'2024-02-29T13:14'",
    "'2024-02-29T13:14:15'",
    "'2024-02-29T13:14:15Z'",
    "'2024-02-29T13:14:15.25+05:30'",
    "'2024-02-29 13:14:15-01:00'",
    "'2024-02-29 24:00:00'",
    "'13:14'",
    "'13:14:15'",
    "'13:14:15.123456'",
    "'13:14Z'",
    "'13:14:15+02:00'",
    "'25:00'",
    "'now'",
    "''",
    "'2460369.5'",
    "2460369.5",
    "2460370",
    "1709212455",
    "0",
    "x'323032342d30322d3239'",
    "NULL",
];

const DECLARED: [&str; 15] = [
    "INTEGER",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "TEXT",
    "VARCHAR(9)",
    "BLOB",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "TIME",
    "NUMERIC",
    "DECIMAL(10,2)",
    "",
];

/// A value, or that it can't be read.
#[derive(Debug, PartialEq, FromSqlRow)]
enum Seen<T> {
    Value(T),
    DoesNotFit,
}

impl<T, ST, DB> FromSql<ST, DB> for Seen<T>
where
    T: FromSql<ST, DB>,
    DB: Backend,
{
    fn from_sql(value: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(T::from_sql(value).map_or(Seen::DoesNotFit, Seen::Value))
    }
}

/// A table `t0`, `t1`, … for each declared type, with all of these values.
fn file(literals: &[&str]) -> (SqliteConnection, Vec<u8>) {
    let mut sqlite = SqliteConnection::establish(":memory:").expect("opens");
    for (place, declared) in DECLARED.iter().enumerate() {
        let rows: Vec<_> = literals
            .iter()
            .map(|literal| format!("({literal})"))
            .collect();
        let rows = rows.join(", ");
        sqlite
            .batch_execute(&format!(
                "CREATE TABLE t{place} (id INTEGER PRIMARY KEY, v {declared}); INSERT INTO t{place} (v) VALUES {rows}"
            ))
            .expect("creates");
    }
    let bytes = sqlite.serialize_database_to_buffer().to_vec();
    (sqlite, bytes)
}

/// A node with that database.
fn load(bytes: &[u8], endpoint: &str) -> (Rqlited, RqliteConnection) {
    let node = Rqlited::start();
    let answer = ureq::post(format!("{}/{endpoint}", node.http_url()))
        .header("content-type", "application/octet-stream")
        .send(bytes)
        .expect("loads");
    assert_eq!(answer.status(), 200);
    let connection = connect(&node);
    (node, connection)
}

type Column<T> = QueryResult<Vec<Option<Seen<T>>>>;

/// Reads all values as one type, typed and raw. `differs`: what Diesel makes of a value that does not fit.
macro_rules! reads_alike {
    ($sqlite:expr, $rqlite:expr, $literals:expr, $sql_type:ident, $rust_type:ty, $differs:expr) => {{
        use diesel::sql_types::{Nullable, $sql_type};
        #[derive(QueryableByName)]
        struct Named {
            #[diesel(sql_type = Nullable<$sql_type>)]
            v: Option<Seen<$rust_type>>,
        }
        let raw_values = |rows: QueryResult<Vec<Named>>| rows.map(|rows| rows.into_iter().map(|row| row.v).collect());
        for (place, declared) in DECLARED.iter().enumerate() {
            let sql = format!("SELECT v FROM t{place} ORDER BY id");
            let query = || diesel::dsl::sql::<Nullable<$sql_type>>(&sql);
            let reference: Column<$rust_type> = query().load($sqlite);
            let ours: Column<$rust_type> = query().load($rqlite);
            // A whole REAL comes as an INTEGER to raw SQL, unless the column's declared type says that it is none.
            let sql = match *declared {
                "" | "BLOB" => format!("SELECT CASE WHEN v = 1 OR v = 1e10 THEN CAST(v AS TEXT) ELSE v END AS v FROM t{place} ORDER BY id"),
                _ => sql.clone(),
            };
            let raw: Column<$rust_type> = raw_values(diesel::sql_query(&sql).load($rqlite));
            let differs: fn(&$rust_type, &str) -> bool = $differs;
            let place = concat!(stringify!($rust_type), " from ");
            compare(&ours, &reference, $literals, &format!("{place}{declared:?}"), differs);
            compare(&raw, &reference, $literals, &format!("raw {place}{declared:?}"), differs);
        }
    }};
}

fn compare<T: Debug + PartialEq>(
    ours: &Column<T>,
    reference: &Column<T>,
    literals: &[&str],
    what: &str,
    differs: fn(&T, &str) -> bool,
) {
    let (Ok(ours), Ok(reference)) = (ours, reference) else {
        panic!("{what}: {ours:?} {reference:?}");
    };
    assert_eq!(ours.len(), literals.len());
    for ((ours, reference), literal) in ours.iter().zip(reference).zip(literals) {
        let refused = match (ours, reference) {
            (Some(Seen::DoesNotFit), Some(Seen::Value(made))) => differs(made, literal),
            _ => false,
        };
        assert!(
            refused || ours == reference,
            "{literal} as {what}: {ours:?}, and {reference:?} by Diesel's SQLite"
        );
    }
}

/// What SQLite makes a number of although it is none, or none that fits.
fn is_no<T: PartialEq + TryFrom<i64>>(made: &T, literal: &str) -> bool {
    let exact = literal.trim_matches(['\'', ' ']).parse::<f64>().ok();
    let exact = exact
        .filter(|number| number.fract() == 0.0 && number.abs() < 9e18)
        .map(|number| number as i64);
    exact
        .and_then(|number| T::try_from(number).ok())
        .is_none_or(|exact| exact != *made)
}

#[test]
fn values_of_other_classes_than_declared() {
    let (mut sqlite, bytes) = file(&LITERALS);
    let (_node, mut rqlite) = load(&bytes, "db/load");
    let (sqlite, rqlite) = (&mut sqlite, &mut rqlite);
    reads_alike!(sqlite, rqlite, &LITERALS, Text, String, |_, _| false);
    reads_alike!(sqlite, rqlite, &LITERALS, Binary, Vec<u8>, |_, _| false);
    reads_alike!(sqlite, rqlite, &LITERALS, BigInt, i64, is_no);
    reads_alike!(sqlite, rqlite, &LITERALS, Integer, i32, is_no);
    reads_alike!(sqlite, rqlite, &LITERALS, SmallInt, i16, is_no);
    reads_alike!(sqlite, rqlite, &LITERALS, Bool, bool, |_, literal| is_no::<
        i64,
    >(
        &i64::MIN,
        literal
    ));
    reads_alike!(sqlite, rqlite, &LITERALS, Double, f64, |_, literal| literal
        .trim_matches(['\'', ' '])
        .parse::<f64>()
        .is_err());
    reads_alike!(sqlite, rqlite, &LITERALS, Float, f32, |_, literal| literal
        .trim_matches(['\'', ' '])
        .parse::<f64>()
        .is_err());
}

#[test]
fn dates_and_times_in_all_formats() {
    let (mut sqlite, bytes) = file(&TIMES);
    let (_node, mut rqlite) = load(&bytes, "boot");
    let (sqlite, rqlite) = (&mut sqlite, &mut rqlite);
    reads_alike!(sqlite, rqlite, &TIMES, Text, String, |_, _| false);
    reads_alike!(sqlite, rqlite, &TIMES, Date, NaiveDate, |_, _| false);
    reads_alike!(sqlite, rqlite, &TIMES, Time, NaiveTime, |_, _| false);
    reads_alike!(sqlite, rqlite, &TIMES, Timestamp, NaiveDateTime, |_, _| {
        false
    });
    reads_alike!(sqlite, rqlite, &TIMES, Date, time::Date, |_, _| false);
    reads_alike!(sqlite, rqlite, &TIMES, Time, time::Time, |_, _| false);
    reads_alike!(
        sqlite,
        rqlite,
        &TIMES,
        Timestamp,
        time::PrimitiveDateTime,
        |_, _| false
    );
}

/// Diesel's SQLite reads decimals as REALs.
#[test]
fn decimals_and_documents() {
    const NUMBERS: [&str; 8] = ["1", "-7", "2.5", "0.125", "1e10", "'2.5'", "'12'", "NULL"];
    let (mut sqlite, bytes) = file(&NUMBERS);
    let (_node, mut rqlite) = load(&bytes, "db/load");
    reads_alike!(
        &mut sqlite,
        &mut rqlite,
        &NUMBERS,
        Numeric,
        BigDecimal,
        |_, _| false
    );
    const DOCUMENTS: [&str; 8] = [
        "'{\"a\": [1, 2.5]}'",
        "'[]'",
        "'null'",
        "'{'",
        "7",
        "'\"x\"'",
        "''",
        "NULL",
    ];
    let (mut sqlite, bytes) = file(&DOCUMENTS);
    let (_node, mut rqlite) = load(&bytes, "db/load");
    reads_alike!(
        &mut sqlite,
        &mut rqlite,
        &DOCUMENTS,
        Json,
        serde_json::Value,
        |_, _| false
    );
}
