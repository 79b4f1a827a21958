//! Dates and times of jiff: what one connection wrote, the other one reads, and the texts are the same.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Date, Time, Timestamp, Timestamptz, TimestamptzSqlite};
use diesel_rqlite_tests::Rqlited;
use jiff_diesel::{NullableTimestamp, ToDiesel};

use crate::kit::connect;

const CREATE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v DATETIME)";

/// Every text that is in the table, as SQL that another database can run.
const DUMP: &str =
    "SELECT 'INSERT INTO t VALUES (' || id || ', ' || quote(v) || ')' AS line FROM t ORDER BY id";

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

/// Values in a column of a type, by its name on SQLite and its name here.
macro_rules! the_same_file {
    ($on_sqlite:ident, $on_rqlite:ident, $wrapper:ty, $values:expr) => {{
        mod on_sqlite {
            diesel::table! { use diesel::sql_types::*; t { id -> Integer, v -> Nullable<$on_sqlite>, } }
        }
        mod on_rqlite {
            diesel::table! { use diesel::sql_types::*; t { id -> Integer, v -> Nullable<$on_rqlite>, } }
        }
        let node = Rqlited::start();
        let (mut rqlite, mut sqlite) = (connect(&node), memory());
        rqlite.batch_execute(CREATE).expect("creates");
        sqlite.batch_execute(CREATE).expect("creates");
        let values: Vec<Option<$wrapper>> = $values.into_iter().map(|text| Some(text.parse::<<$wrapper as OfJiff>::Of>().expect(text).to_diesel())).chain([None]).collect();
        for value in &values {
            let row = on_sqlite::t::v.eq(value);
            diesel::insert_into(on_sqlite::t::table).values(row).execute(&mut sqlite).expect("inserts");
            let row = on_rqlite::t::v.eq(value);
            diesel::insert_into(on_rqlite::t::table).values(row).execute(&mut rqlite).expect("inserts");
        }
        let by_sqlite: Vec<Line> = diesel::sql_query(DUMP).load(&mut sqlite).expect("dumps");
        let by_rqlite: Vec<Line> = diesel::sql_query(DUMP).load(&mut rqlite).expect("dumps");
        let texts = |lines: &[Line]| lines.iter().map(|line| line.line.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&by_rqlite), texts(&by_sqlite));
        // Each reads what the other wrote.
        for conn in [&mut rqlite as &mut dyn SimpleConnection, &mut sqlite] {
            conn.batch_execute("DELETE FROM t").expect("deletes");
        }
        rqlite.batch_execute(&texts(&by_sqlite).join(";")).expect("loads");
        sqlite.batch_execute(&texts(&by_rqlite).join(";")).expect("loads");
        let read: Vec<Option<$wrapper>> = on_rqlite::t::table.order(on_rqlite::t::id).select(on_rqlite::t::v).load(&mut rqlite).expect("reads");
        assert_eq!(read, values);
        let read: Vec<Option<$wrapper>> = on_sqlite::t::table.order(on_sqlite::t::id).select(on_sqlite::t::v).load(&mut sqlite).expect("reads");
        assert_eq!(read, values);
        let found: i64 = on_rqlite::t::table.filter(on_rqlite::t::v.eq_any(&values)).count().get_result(&mut rqlite).expect("counts");
        assert_eq!(usize::try_from(found), Ok(values.len() - 1));
    }};
}

/// The type of jiff that a wrapper is of.
trait OfJiff {
    type Of;
}

macro_rules! of_jiff {
    ($($wrapper:ident: $of:ty;)*) => {$(
        impl OfJiff for jiff_diesel::$wrapper {
            type Of = $of;
        }
    )*};
}

of_jiff! {
    Date: jiff::civil::Date;
    Time: jiff::civil::Time;
    DateTime: jiff::civil::DateTime;
    Timestamp: jiff::Timestamp;
}

fn memory() -> SqliteConnection {
    SqliteConnection::establish(":memory:").expect("opens")
}

#[test]
fn a_file_is_read_by_the_other() {
    the_same_file!(
        Date,
        Date,
        jiff_diesel::Date,
        ["2024-02-29", "0001-01-01", "9999-12-31"]
    );
    the_same_file!(
        Time,
        Time,
        jiff_diesel::Time,
        ["00:00", "23:59:59.999999999", "12:30:00.5", "01:02"]
    );
    the_same_file!(
        Timestamp,
        Timestamp,
        jiff_diesel::DateTime,
        [
            "2024-02-29T13:14:15.123456",
            "0001-01-01T00:00",
            "9999-12-31T23:59:59.999999999",
            "2000-01-01T12:00"
        ]
    );
    the_same_file!(
        TimestamptzSqlite,
        Timestamptz,
        jiff_diesel::Timestamp,
        [
            "2024-02-29T13:14:15.123456+05:30",
            "1970-01-01T00:00Z",
            "9999-12-30T21:59:59.999999999Z",
            "2000-01-01T12:00-11"
        ]
    );
}

/// Texts that other programs may have stored: where jiff-diesel reads one on SQLite, it is the same value here.
macro_rules! read_by_both {
    ($on_sqlite:ident, $on_rqlite:ident, $wrapper:ty, $rqlite:expr, $more:expr) => {{
        let (mut sqlite, mut only_here) = (memory(), Vec::new());
        for text in OTHERS {
            let theirs = diesel::select(diesel::dsl::sql::<$on_sqlite>(text))
                .get_result::<$wrapper>(&mut sqlite);
            let ours = diesel::select(diesel::dsl::sql::<$on_rqlite>(text))
                .get_result::<$wrapper>($rqlite);
            match (theirs, ours) {
                (Ok(theirs), ours) => assert_eq!(ours, Ok(theirs), "{text}"),
                (Err(_), Ok(_)) => only_here.push(text),
                (Err(_), Err(_)) => {}
            }
        }
        assert_eq!(only_here, $more);
    }};
}

const OTHERS: [&str; 16] = [
    "'2024-02-29'",
    "'2024-02-30'",
    "'2024-02-29 13:14'",
    "'2024-02-29 13:14:15'",
    "'2024-02-29 13:14:15.5'",
    "'2024-02-29T13:14:15.25+05:30'",
    "'2024-02-29T13:14:15Z'",
    "'2024-02-29 13:14:15-01:00'",
    "'13:14'",
    "'13:14:15.123456'",
    "'25:00'",
    "'now'",
    "''",
    "2460369.5",
    "'2460369.5'",
    "2460370",
];

#[test]
fn texts_of_others_are_read_alike() {
    let node = Rqlited::start();
    let rqlite = &mut connect(&node);
    let none: [&str; 0] = [];
    read_by_both!(Date, Date, jiff_diesel::Date, rqlite, none);
    read_by_both!(Time, Time, jiff_diesel::Time, rqlite, none);
    let days = ["2460369.5", "'2460369.5'", "2460370"];
    read_by_both!(Timestamp, Timestamp, jiff_diesel::DateTime, rqlite, days);
    let without_offset = [
        "'2024-02-29'",
        "'2024-02-29 13:14'",
        "'2024-02-29 13:14:15'",
        "'2024-02-29 13:14:15.5'",
    ];
    read_by_both!(
        TimestamptzSqlite,
        Timestamptz,
        jiff_diesel::Timestamp,
        rqlite,
        without_offset
    );
}

#[test]
fn options_have_their_wrapper() {
    diesel::table! { t { id -> Integer, v -> Nullable<Timestamptz>, } }
    let node = Rqlited::start();
    let mut rqlite = connect(&node);
    rqlite.batch_execute(CREATE).expect("creates");
    let at: jiff::Timestamp = "2024-02-29T13:14:15Z".parse().expect("a time");
    for value in [Some(at), None] {
        let value: NullableTimestamp = value.to_diesel();
        diesel::insert_into(t::table)
            .values(t::v.eq(value))
            .execute(&mut rqlite)
            .expect("inserts");
    }
    let read: Vec<NullableTimestamp> = t::table
        .order(t::id)
        .select(t::v)
        .load(&mut rqlite)
        .expect("reads");
    let read: Vec<_> = read.into_iter().map(NullableTimestamp::to_jiff).collect();
    assert_eq!(read, [Some(at), None]);
}
