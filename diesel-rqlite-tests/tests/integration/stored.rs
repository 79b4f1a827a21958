//! A query that comes again is sent as it is written. Its values are those of the form that is exact for all of them.

use std::error::Error;

use diesel::connection::{CacheSize, SimpleConnection};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Double, Text};
use diesel_rqlite::{Rqlite, RqliteValue};

use super::database::{Database, connect};
use super::{RqliteConnection, TELLS_TYPES};
use crate::proxy::{Fate, Proxy};

/// With those that rqlite converts.
const DECLARED: [&str; 16] = [
    "BLOB",
    "TEXT",
    "VARCHAR(9)",
    "JSON",
    "STRING",
    "INTEGER",
    "BIGINT",
    "REAL",
    "DOUBLE PRECISION",
    "NUMERIC",
    "DECIMAL(10,2)",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "",
];

/// Values as SQL, chosen for being hard.
const HARD: [&str; 48] = [
    "NULL",
    "0",
    "1",
    "2",
    "-1",
    "1709212455",
    "1709212455123",
    "253402300800",
    "9007199254740992",
    "9007199254740993",
    "9007199254740994",
    "123456789012345680",
    "123456789012345678",
    "1732633200123456000",
    "9223372036854775807",
    "-9223372036854775808",
    "0.0",
    "-0.0",
    "1.0",
    "2.0",
    "0.1",
    "-1.5",
    "1e15",
    "1e16",
    "123456789012345678.0",
    "1e18",
    "9.2e18",
    "9.3e18",
    "1e19",
    "1e20",
    "1e21",
    "1e300",
    "5e-324",
    "9e999",
    "-9e999",
    "''",
    "'1'",
    "'1.0'",
    "'true'",
    "'2024-02-29'",
    "'2024-02-29 10:11:12.5'",
    "'2024-02-29T10:11:12Z'",
    "'garbage'",
    "'a' || char(0) || 'b' || char(65533)",
    "CAST(x'ff41' AS TEXT)",
    "x''",
    "x'00ff'",
    "x'616263'",
];

/// All that can be read of one value, to the last bit.
#[derive(Clone, Debug, PartialEq, FromSqlRow)]
struct All {
    long: Option<i64>,
    double: Option<u64>,
    text: Option<String>,
    blob: Option<Vec<u8>>,
}

impl All {
    fn of(mut value: RqliteValue<'_>) -> Self {
        All {
            long: value.read_long().ok(),
            double: value.read_double().ok().map(f64::to_bits),
            text: value.read_text().ok().map(str::to_owned),
            blob: value.read_blob().ok().map(<[u8]>::to_vec),
        }
    }
}

macro_rules! read_as {
    ($($sql_type:ty),*) => {
        $(impl FromSql<$sql_type, Rqlite> for All {
            fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
                Ok(All::of(value))
            }
        })*
    };
}
read_as!(BigInt, Double, Text, Binary);

/// What a program gets: `None` where the value can't be had as this type.
type Got = Vec<Option<All>>;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn value(&mut self) -> String {
        let place = usize::try_from(self.next() % 80).expect("fits");
        if let Some(hard) = HARD.get(place) {
            return (*hard).to_owned();
        }
        self.value_like(place)
    }

    /// A value of a class: `like` modulo [`CLASSES`].
    fn value_like(&mut self, like: usize) -> String {
        match like % CLASSES {
            0 => (self.next().cast_signed() >> (self.next() % 63)).to_string(),
            1 => format!("{:?}", f64::from_bits(self.next()))
                .replace("NaN", "NULL")
                .replace("inf", "9e999"),
            2 => format!("{}.0", self.next() % 1_000_000),
            3 => format!("x'{:08X}'", self.next() & 0xffff_ffff),
            4 => format!("'{}'", self.next() % 100_000),
            _ => format!("'text {}'", self.next() % 1000),
        }
    }

    /// Values of one class, or NULL.
    fn values_like(&mut self, like: usize, rows: i64) -> Vec<String> {
        let values = (0..rows).map(|_| match self.next() % 16 {
            0 => "NULL".to_owned(),
            _ => self.value_like(like),
        });
        values.collect()
    }
}

/// The number of classes of random values.
const CLASSES: usize = 6;

/// Reads a column of a type, of the rows with these keys. `variant` makes the text another one.
macro_rules! reads {
    ($name:ident, $sql_type:ty) => {
        fn $name(
            conn: &mut RqliteConnection,
            variant: usize,
            from: i64,
            to: i64,
        ) -> QueryResult<Got> {
            diesel::table! {
                use diesel::sql_types::*;
                t { id -> BigInt, v -> Nullable<$sql_type>, }
            }
            let mut query = t::table.select(t::v).order(t::id).into_boxed();
            query = query.filter(t::id.le(to));
            for _ in 0..=variant {
                query = query.filter(t::id.ge(from));
            }
            query.load(conn)
        }
    };
}
reads!(longs, BigInt);
reads!(doubles, Double);
reads!(texts, Text);
reads!(blobs, Binary);

type Reads = fn(&mut RqliteConnection, usize, i64, i64) -> QueryResult<Got>;

const KINDS: [(&str, Reads); 4] = [
    ("BigInt", longs),
    ("Double", doubles),
    ("Text", texts),
    ("Binary", blobs),
];

/// A table with these values in a column of this type, of the same name each time: a node answers once more with the types
/// of before.
fn make(db: &mut Database, declared: &str, values: &[String]) {
    let rows: Vec<_> = values.iter().map(|value| format!("({value})")).collect();
    db.batch_execute(&format!(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared});
         INSERT INTO t (v) VALUES {}",
        rows.join(", ")
    ))
    .expect("creates");
}

/// How many rounds: each reads some thousand values in each of four types, or nearly ten thousand of one class.
/// `STORED_ROUNDS` says another number.
fn rounds() -> usize {
    let said = std::env::var("STORED_ROUNDS").ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(2)
}

/// How many rows a column of this type may have.
fn rows_in(declared: &str, most: i64) -> i64 {
    // Without types, numbers of several rows in a column without one are taken to be of one class.
    match declared.is_empty() && !TELLS_TYPES {
        true => 1,
        false => most,
    }
}

#[test]
fn plain_answers_are_exact_or_asked_for_again() {
    const ROWS: i64 = 60;
    let mut db = Database::new();
    let mut exact = db.another();
    exact.set_prepared_statement_cache_size(CacheSize::Disabled);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for round in 0..rounds() {
        for (place, declared) in DECLARED.iter().enumerate() {
            let rows = rows_in(declared, ROWS);
            let values: Vec<_> = (0..rows).map(|_| random.value()).collect();
            make(&mut db, declared, &values);
            // More terms are nested too deeply for the parser of SQLite 3.45.
            let variant = (place + DECLARED.len() * round) % 20 * KINDS.len();
            for (number, (kind, reads)) in KINDS.into_iter().enumerate() {
                // What is learnt for one type would hide what is not for another.
                let variant = variant + number;
                let all = |conn: &mut RqliteConnection| {
                    let mut all = vec![reads(conn, variant, 1, rows)];
                    let single = (1..=rows).step_by(7);
                    all.extend(single.map(|id| reads(conn, variant, id, id)));
                    all
                };
                let wanted = all(&mut exact);
                for run in 0..3 {
                    for (got, wanted) in all(&mut db).iter().zip(&wanted) {
                        assert_eq!(
                            got, wanted,
                            "{kind} of {declared:?}, run {run}, among {values:?}"
                        );
                    }
                }
            }
        }
    }
}

/// Connections that know nothing: what they have learnt is shared by those to the same address, as long as there is one.
fn unlearnt(db: &Database) -> impl Fn() -> RqliteConnection + use<> {
    let port = db.node.address();
    let port = port.rsplit(':').next().expect("a port").to_owned();
    move || connect(&format!("rqlite://localhost:{port}?discovery=false"))
}

/// Many values of one class in a column stay in the plain form, where it is exact for all of them.
#[test]
fn plain_answers_of_many_values_alike_are_exact_or_asked_for_again() {
    const ROWS: i64 = 600;
    let mut db = Database::new();
    let unlearnt = unlearnt(&db);
    let mut exact = db.another();
    exact.set_prepared_statement_cache_size(CacheSize::Disabled);
    let mut random = Random(0xD1B5_4A32_D192_ED03);
    for round in 0..rounds() {
        for (place, declared) in DECLARED.iter().enumerate() {
            let rows = rows_in(declared, ROWS);
            let values = random.values_like(place + round, rows);
            make(&mut db, declared, &values);
            for (variant, (kind, reads)) in KINDS.into_iter().enumerate() {
                let wanted = reads(&mut exact, variant, 1, rows);
                let mut conn = unlearnt();
                for run in 0..3 {
                    assert_eq!(
                        reads(&mut conn, variant, 1, rows),
                        wanted,
                        "{kind} of {declared:?}, run {run}, among {values:?}"
                    );
                }
            }
        }
    }
}

/// Each of the hard values by a connection that has learnt nothing from the others.
#[test]
fn plain_answer_of_one_value_is_exact_or_asked_for_again() {
    let mut db = Database::new();
    let unlearnt = unlearnt(&db);
    let values: Vec<_> = HARD.iter().map(|value| (*value).to_owned()).collect();
    for declared in DECLARED {
        make(&mut db, declared, &values);
        db.set_prepared_statement_cache_size(CacheSize::Disabled);
        for (id, value) in (1..).zip(HARD) {
            let mut conn = unlearnt();
            for (variant, (kind, reads)) in KINDS.into_iter().enumerate() {
                let wanted = reads(&mut db, variant, id, id);
                for run in 0..3 {
                    let got = reads(&mut conn, variant, id, id);
                    assert_eq!(got, wanted, "{value} as {kind} of {declared:?}, run {run}");
                }
            }
        }
    }
}

/// What a transaction shows of values that are read as a kind: a REAL that is an integer as that, without a sign of zero,
/// and of the text of a REAL as many digits as SQLite writes.
fn in_transaction(got: &Got, kind: &str) -> Got {
    let number = |text: &str| {
        let value = text.parse::<f64>().ok()?;
        Some(format!("{:.13e}", value + 0.0))
    };
    let shown = |value: &All| {
        let text = value.text.as_deref();
        let blob = |blob: &Vec<u8>| {
            let text = std::str::from_utf8(blob).ok().and_then(number);
            text.map_or_else(|| blob.clone(), String::into_bytes)
        };
        let double = value.double.map(f64::from_bits);
        All {
            long: value.long.filter(|_| kind == "BigInt"),
            double: double
                .filter(|_| kind == "Double")
                .map(|double| (double + 0.0).to_bits()),
            text: text
                .filter(|_| kind == "Text")
                .map(|text| number(text).unwrap_or_else(|| text.to_owned())),
            blob: value.blob.as_ref().filter(|_| kind == "Binary").map(blob),
        }
    };
    got.iter().map(|value| value.as_ref().map(shown)).collect()
}

/// A transaction alone on its node reads what is there, and never conflicts: whatever the value, its guard is true.
#[test]
fn guard_over_a_plain_answer_holds_while_nothing_changes() {
    let mut db = Database::new();
    let unlearnt = unlearnt(&db);
    let values: Vec<_> = HARD.iter().map(|value| (*value).to_owned()).collect();
    db.batch_execute("CREATE TABLE w (n INTEGER)")
        .expect("creates");
    for declared in DECLARED {
        make(&mut db, declared, &values);
        for (id, value) in (1..).zip(HARD) {
            let mut conn = unlearnt();
            let mut wanted = Vec::new();
            // The second time, a text is sent as it is also in a transaction.
            for _ in 0..2 {
                let kinds = KINDS.into_iter().enumerate();
                let read = kinds.map(|(variant, (_, reads))| reads(&mut conn, variant, id, id));
                wanted = read.collect::<QueryResult<_>>().expect("reads");
            }
            let outcome = conn.transaction(|conn| {
                for (variant, (kind, reads)) in KINDS.into_iter().enumerate() {
                    for run in 0..2 {
                        let got = in_transaction(&reads(conn, variant, id, id)?, kind);
                        let wanted = in_transaction(&wanted[variant], kind);
                        assert_eq!(got, wanted, "{value} as {kind} of {declared:?}, run {run}");
                    }
                }
                diesel::sql_query("INSERT INTO w VALUES (1)").execute(conn)
            });
            assert_eq!(outcome, Ok(1), "{value} in {declared:?}");
        }
    }
}

/// What another client makes of a value shows at the commit, wherever it would have shown in the transaction.
#[test]
fn guard_over_a_plain_answer_fails_where_another_value_would_be_read() {
    let mut db = Database::new();
    let unlearnt = unlearnt(&db);
    let mut other = db.another();
    let values: Vec<_> = HARD.iter().map(|value| (*value).to_owned()).collect();
    db.batch_execute("CREATE TABLE w (n INTEGER)")
        .expect("creates");
    let mut conflicts = 0;
    for (place, declared) in DECLARED.into_iter().enumerate() {
        for step in [1, 7] {
            make(&mut db, declared, &values);
            for (number, value) in HARD.iter().enumerate() {
                let id = i64::try_from(number).expect("fits") + 1;
                let variant = (place + number + step) % KINDS.len();
                let (kind, reads) = KINDS[variant];
                let next = HARD[(number + step) % HARD.len()];
                let mut after = Got::new();
                let mut conn = unlearnt();
                reads(&mut conn, variant, id, id).expect("reads");
                let mut before = Got::new();
                let outcome = conn.transaction(|conn| {
                    before = reads(conn, variant, id, id)?;
                    let change = format!("UPDATE t SET v = {next} WHERE id = {id}");
                    other.batch_execute(&change)?;
                    after = reads(&mut other, variant, id, id)?;
                    diesel::sql_query("INSERT INTO w VALUES (1)").execute(conn)
                });
                let what = format!("{value} made {next} as {kind} of {declared:?}");
                if in_transaction(&before, kind) == in_transaction(&after, kind) {
                    continue;
                }
                conflicts += 1;
                match outcome {
                    Err(diesel::result::Error::DatabaseError(
                        diesel::result::DatabaseErrorKind::SerializationFailure,
                        _,
                    )) => {}
                    outcome => panic!("{what}: {outcome:?}, {before:?}, {after:?}"),
                }
            }
        }
    }
    assert!(conflicts > 1000, "only {conflicts}");
}

diesel::table! {
    classes (id) { id -> Integer, other -> Integer, number -> Double, word -> Text, }
}

/// A row is compared in its table where its key was asked for, and around the query otherwise. Both see when a value gets
/// another storage class, though it would be converted to what was read.
#[test]
fn guard_over_a_plain_answer_tells_storage_classes_apart() -> QueryResult<()> {
    let mut db = Database::with(
        "CREATE TABLE classes (id INTEGER PRIMARY KEY, other INTEGER, number, word);
        CREATE TABLE w (n INTEGER)",
    );
    let mut other = db.another();
    let by_key = |conn: &mut RqliteConnection| {
        let row = classes::table.find(1);
        row.select((classes::number, classes::word))
            .first::<(f64, String)>(conn)
    };
    let by_other = |conn: &mut RqliteConnection| {
        let row = classes::table.filter(classes::other.eq(7));
        row.select((classes::number, classes::word))
            .first::<(f64, String)>(conn)
    };
    let write =
        |conn: &mut RqliteConnection| diesel::sql_query("INSERT INTO w VALUES (1)").execute(conn);
    type Read = fn(&mut RqliteConnection) -> QueryResult<(f64, String)>;
    let reads: [(&str, Read); 2] = [("by key", by_key), ("by another column", by_other)];
    for (column, before, after) in [
        ("number", "0.0", "'garbage'"),
        ("number", "0.0", "x''"),
        ("number", "1.5", "'1.5'"),
        ("number", "1.5", "NULL"),
        ("word", "'1'", "1"),
        ("word", "'1.5'", "1.5"),
        ("word", "''", "NULL"),
    ] {
        for (way, read) in reads {
            let what = format!("{column} from {before} to {after}, {way}");
            other.batch_execute(&format!(
                "REPLACE INTO classes VALUES (1, 7, 2.5, 'w');
                UPDATE classes SET {column} = {before}"
            ))?;
            for _ in 0..2 {
                let alone = db.transaction(|conn| read(conn).and_then(|_| write(conn)));
                assert_eq!(alone, Ok(1), "{what}");
            }
            let outcome = db.transaction(|conn| {
                read(conn)?;
                other.batch_execute(&format!("UPDATE classes SET {column} = {after}"))?;
                write(conn)
            });
            let is_conflict = matches!(
                outcome,
                Err(diesel::result::Error::DatabaseError(
                    diesel::result::DatabaseErrorKind::SerializationFailure,
                    _,
                ))
            );
            assert!(is_conflict, "{what}: {outcome:?}");
        }
    }
    Ok(())
}

diesel::table! {
    items (id) {
        id -> Integer,
        name -> Text,
        price -> Nullable<Double>,
        made -> Nullable<Timestamp>,
    }
}

const ITEMS: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, made DATETIME);
    INSERT INTO items VALUES (1, 'one', 1.5, '2024-02-29 10:11:12'), (2, 'two', 2, NULL), (3, '\u{fffd}', 9e999, NULL)";

/// The statements that reach a node, as JSON.
struct Recorded {
    texts: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
    conn: RqliteConnection,
}

impl Recorded {
    fn to(db: &Database) -> Self {
        let texts = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
        let log = std::sync::Arc::clone(&texts);
        let proxy = Proxy::start(db.node.address(), move |_, text| {
            if let Some((_, body)) = text.split_once("\r\n\r\n") {
                log.lock().expect("is not poisoned").push(body.to_owned());
            }
            Fate::Pass
        });
        let conn = connect(&format!(
            "rqlite://{}?level=weak&discovery=false",
            proxy.address
        ));
        Recorded { texts, conn }
    }

    fn sent<T>(&mut self, run: impl FnOnce(&mut RqliteConnection) -> T) -> (T, Vec<String>) {
        self.texts.lock().expect("is not poisoned").clear();
        let value = run(&mut self.conn);
        let sent = std::mem::take(&mut *self.texts.lock().expect("is not poisoned"));
        (value, sent)
    }
}

#[test]
fn query_that_comes_again_is_sent_as_it_is() -> Result<(), Box<dyn Error>> {
    let db = Database::with(ITEMS);
    let mut recorded = Recorded::to(&db);
    let find = |conn: &mut RqliteConnection, id: i32| {
        let item = items::table.find(id);
        item.select((items::name, items::price))
            .first::<(String, Option<f64>)>(conn)
    };
    let (_, first) = recorded.sent(|conn| find(conn, 1));
    assert_eq!(first.len(), 1, "{first:?}");
    let plain = r#"[["SELECT \"items\".\"name\", \"items\".\"price\" FROM \"items\" WHERE (\"items\".\"id\" = ?) LIMIT 1",2]]"#;
    for _ in 0..3 {
        let (two, sent) = recorded.sent(|conn| find(conn, 2));
        assert_eq!(two?, ("two".to_owned(), Some(2.0)));
        assert_eq!(sent, [plain]);
    }
    // An infinite number is no JSON: it is asked for again.
    let (three, sent) = recorded.sent(|conn| find(conn, 3));
    assert_eq!(three?, ("\u{fffd}".to_owned(), Some(f64::INFINITY)));
    assert!(sent.len() > 1, "{sent:?}");
    Ok(())
}

#[test]
fn column_that_is_not_exact_is_encoded_the_next_time() -> Result<(), Box<dyn Error>> {
    let db = Database::with(ITEMS);
    let mut recorded = Recorded::to(&db);
    let find = |conn: &mut RqliteConnection| {
        let item = items::table
            .find(1)
            .select((items::id, items::name, items::made));
        item.first::<(i32, String, Option<chrono::NaiveDateTime>)>(conn)
    };
    let mut requests = Vec::new();
    for _ in 0..4 {
        let (item, sent) = recorded.sent(find);
        assert_eq!(
            item?.2.map(|made| made.to_string()).as_deref(),
            Some("2024-02-29 10:11:12")
        );
        requests.push(sent);
    }
    let counts: Vec<_> = requests.iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 2, 1, 1]);
    // Only the column that is a time.
    let last = &requests[3][0];
    assert!(
        last.contains("SELECT") && last.matches("CAST").count() <= 1,
        "{last}"
    );
    assert!(last.contains("c0 c0") && last.contains("c1 c1"), "{last}");
    Ok(())
}

#[test]
fn disabled_cache_keeps_nothing() -> Result<(), Box<dyn Error>> {
    let db = Database::with(ITEMS);
    let mut recorded = Recorded::to(&db);
    recorded
        .conn
        .set_prepared_statement_cache_size(CacheSize::Disabled);
    for _ in 0..3 {
        let (count, sent) = recorded.sent(|conn| items::table.count().get_result::<i64>(conn));
        assert_eq!(count?, 3);
        assert!(sent.len() == 1 && sent[0].contains("WITH"), "{sent:?}");
    }
    Ok(())
}

/// Raw SQL and lists of any length are not likely to come again with the same text.
#[test]
fn list_of_values_is_one_request_each_time() -> Result<(), Box<dyn Error>> {
    let db = Database::with(ITEMS);
    let mut recorded = Recorded::to(&db);
    for _ in 0..3 {
        let (made, sent) = recorded.sent(|conn| {
            let some = items::table
                .filter(items::id.eq_any([1, 2]))
                .order(items::id);
            some.select(items::made)
                .load::<Option<chrono::NaiveDateTime>>(conn)
        });
        assert!(matches!(&made?[..], [Some(_), None]));
        assert_eq!(sent.len(), 1, "{sent:?}");
    }
    Ok(())
}

/// What a connection knows of the schema is as old as its last look; a look notices that there is another.
#[test]
fn transaction_sees_what_others_have_done_to_the_schema() {
    let mut db = Database::with("CREATE TABLE t (a INTEGER); CREATE TABLE w (n INTEGER)");
    let mut other = db.another();
    let change = |conn: &mut RqliteConnection| {
        conn.transaction(|conn| {
            diesel::sql_query("SELECT a FROM t").execute(conn)?;
            diesel::sql_query("INSERT INTO t VALUES (1), (2), (3)").execute(conn)
        })
    };
    for _ in 0..2 {
        assert_eq!(change(&mut db), Ok(3));
    }
    let trigger =
        "CREATE TRIGGER one BEFORE INSERT ON t WHEN new.a = 2 BEGIN SELECT RAISE(IGNORE); END";
    other.batch_execute(trigger).expect("creates");
    for _ in 0..2 {
        assert_eq!(change(&mut db), Ok(2));
    }
    // One that is undone has a version, too, which the next one gets.
    let undone: QueryResult<()> = db.transaction(|conn| {
        conn.batch_execute("DROP TRIGGER one")?;
        diesel::sql_query("SELECT a FROM t").execute(conn)?;
        Err(diesel::result::Error::RollbackTransaction)
    });
    assert!(undone.is_err());
    other
        .batch_execute("CREATE TABLE one (a INTEGER)")
        .expect("creates");
    assert_eq!(change(&mut db), Ok(2));
}
