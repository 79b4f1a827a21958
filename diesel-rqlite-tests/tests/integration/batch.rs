//! Batch inserts: one request, atomic, in order, whatever the rows leave out.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::database::Database;
use crate::support::assert_kind;

diesel::table! {
    items {
        id -> Integer,
        name -> Text,
        price -> Nullable<Double>,
        note -> Nullable<Text>,
    }
}

#[derive(Clone, Debug, Default, Insertable)]
#[diesel(table_name = items)]
struct NewItem {
    id: Option<i32>,
    name: String,
    price: Option<f64>,
    note: Option<String>,
}

const SCHEMA: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, \
    price REAL DEFAULT 9.5, note TEXT DEFAULT 'none')";

fn item(name: &str, price: Option<f64>, note: Option<&str>) -> NewItem {
    NewItem {
        name: name.to_owned(),
        price,
        note: note.map(str::to_owned),
        ..NewItem::default()
    }
}

fn mixed() -> Vec<NewItem> {
    vec![
        item("a", Some(1.0), None),
        item("b", Some(2.0), None),
        item("c", None, Some("n")),
        item("d", Some(4.0), Some("m")),
        item("e", Some(5.0), None),
    ]
}

#[test]
fn uniform_batch_is_one_request() {
    let mut db = Database::with(SCHEMA);
    let rows: Vec<_> = (0..300)
        .map(|n| item(&n.to_string(), Some(1.0), Some("x")))
        .collect();
    let (inserted, requests) = db.requests(|conn| {
        diesel::insert_into(items::table)
            .values(&rows)
            .execute(conn)
    });
    assert_eq!((inserted, requests), (Ok(300), 1));
}

#[test]
fn rows_that_leave_out_different_columns_get_their_defaults() {
    let mut db = Database::with(SCHEMA);
    let rows = mixed();
    let (inserted, requests) = db.requests(|conn| {
        diesel::insert_into(items::table)
            .values(&rows)
            .execute(conn)
    });
    assert_eq!((inserted, requests), (Ok(5), 1));
    let stored: Vec<(i32, String, Option<f64>, Option<String>)> =
        items::table.order(items::id).load(&mut *db).expect("loads");
    let row = |id, name: &str, price, note: &str| {
        (id, name.to_owned(), Some(price), Some(note.to_owned()))
    };
    assert_eq!(
        stored,
        [
            row(1, "a", 1.0, "none"),
            row(2, "b", 2.0, "none"),
            row(3, "c", 9.5, "n"),
            row(4, "d", 4.0, "m"),
            row(5, "e", 5.0, "none"),
        ]
    );
}

#[test]
fn returning_comes_in_the_order_of_the_rows() {
    let mut db = Database::with(SCHEMA);
    let (returned, requests) = db.requests(|conn| {
        diesel::insert_into(items::table)
            .values(mixed())
            .returning((items::id, items::name, items::price))
            .get_results::<(i32, String, Option<f64>)>(conn)
    });
    let returned = returned.expect("inserts");
    assert_eq!(requests, 1);
    let names: Vec<_> = returned.iter().map(|row| (row.0, row.1.as_str())).collect();
    assert_eq!(names, [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]);
    assert_eq!(returned[2].2, Some(9.5));
}

#[test]
fn a_failing_row_undoes_the_whole_batch() {
    let mut db = Database::with(SCHEMA);
    for place in 0..5 {
        let mut rows = mixed();
        rows[place].name = if place == 0 { "e" } else { "a" }.to_owned();
        let outcome = diesel::insert_into(items::table)
            .values(&rows)
            .execute(&mut *db);
        assert_kind!(outcome, UniqueViolation);
        assert_eq!(db.count("items"), 0, "plain, {place}");
        let outcome = diesel::insert_into(items::table)
            .values(&rows)
            .returning(items::id)
            .get_results::<i32>(&mut *db);
        assert_kind!(outcome, UniqueViolation);
        assert_eq!(db.count("items"), 0, "returning, {place}");
    }
}

#[test]
fn batches_with_a_conflict_clause() {
    let mut db = Database::with(SCHEMA);
    let insert = |db: &mut Database| {
        diesel::insert_into(items::table)
            .values(mixed())
            .on_conflict(items::name)
            .do_update()
            .set(items::note.eq("again"))
            .returning(items::note)
            .get_results::<Option<String>>(&mut **db)
    };
    let first = insert(&mut db).expect("inserts");
    assert_eq!(first[4].as_deref(), Some("none"));
    let second = insert(&mut db).expect("updates");
    assert_eq!(second, vec![Some("again".to_owned()); 5]);
    assert_eq!(db.count("items"), 5);
    let nothing = diesel::insert_into(items::table)
        .values(mixed())
        .on_conflict_do_nothing()
        .execute(&mut *db);
    assert_eq!(nothing, Ok(0));
}

#[test]
fn batches_are_cut_at_the_limit_of_variables_and_stay_atomic() {
    let mut db = Database::with(SCHEMA);
    let mut rows: Vec<_> = (0..12_000)
        .map(|n| item(&n.to_string(), Some(1.0), Some("x")))
        .collect();
    let (inserted, requests) = db.requests(|conn| {
        diesel::insert_into(items::table)
            .values(&rows)
            .execute(conn)
    });
    assert_eq!((inserted, requests), (Ok(12_000), 1));
    diesel::delete(items::table)
        .execute(&mut *db)
        .expect("deletes");
    rows[11_999].name = "0".to_owned();
    let outcome = diesel::insert_into(items::table)
        .values(&rows)
        .execute(&mut *db);
    let information = assert_kind!(outcome, UniqueViolation);
    assert_eq!(information.details(), Some("statement 2 of 2"));
    assert_eq!(db.count("items"), 0);
}

/// Servers before 9.4.2 need checks among the statements, which are none of the user's.
#[test]
fn error_counts_the_statements_of_the_user() {
    let mut db = Database::with(SCHEMA);
    let rows = [item("a", Some(1.0), None), item("a", None, None)];
    let insert = || diesel::insert_into(items::table).values(&rows);
    let plain = insert().execute(&mut *db);
    let returning = insert()
        .returning(items::id)
        .get_results::<i32>(&mut *db)
        .map(|rows| rows.len());
    for outcome in [plain, returning] {
        let information = assert_kind!(outcome, UniqueViolation);
        assert_eq!(information.details(), Some("statement 2 of 2"));
    }
    // A trigger ignores the row of the first statement, which only the check after it tells.
    db.batch_execute(
        "CREATE TRIGGER g BEFORE INSERT ON items WHEN new.name = 'ignored'
        BEGIN SELECT raise(IGNORE); END",
    )
    .expect("creates");
    let rows = [item("ignored", Some(1.0), None), item("b", None, None)];
    let outcome = diesel::insert_into(items::table)
        .values(&rows)
        .returning(items::id)
        .get_results::<i32>(&mut *db);
    let information = assert_kind!(outcome, Unknown);
    assert_eq!(information.details(), Some("statement 1 of 2"));
}

#[test]
fn empty_batch_sends_nothing() {
    let mut db = Database::with(SCHEMA);
    let none: Vec<NewItem> = Vec::new();
    let (counted, requests) = db.requests(|conn| {
        diesel::insert_into(items::table)
            .values(&none)
            .execute(conn)
    });
    assert_eq!((counted, requests), (Ok(0), 0));
    let (returned, requests) = db.requests(|conn| {
        diesel::insert_into(items::table)
            .values(&none)
            .returning(items::id)
            .get_results::<i32>(conn)
    });
    assert_eq!((returned, requests), (Ok(Vec::new()), 0));
}

#[test]
fn rows_of_defaults_only() {
    diesel::table! { bare { id -> Integer, a -> Nullable<Text>, } }
    #[derive(Insertable)]
    #[diesel(table_name = bare)]
    struct Bare {
        a: Option<&'static str>,
    }
    let mut db = Database::with("CREATE TABLE bare (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'd')");
    let rows = [Bare { a: None }, Bare { a: Some("x") }, Bare { a: None }];
    let returned = diesel::insert_into(bare::table)
        .values(&rows)
        .get_results::<(i32, Option<String>)>(&mut *db)
        .expect("inserts");
    let values: Vec<_> = returned.iter().map(|(_, a)| a.as_deref()).collect();
    assert_eq!(values, [Some("d"), Some("x"), Some("d")]);
}

#[test]
fn a_batch_that_may_skip_rows_and_returns_is_refused_not_torn() {
    let mut db = Database::with(SCHEMA);
    let outcome = diesel::insert_into(items::table)
        .values(mixed())
        .on_conflict_do_nothing()
        .returning(items::id)
        .get_results::<i32>(&mut *db);
    assert!(
        matches!(outcome, Err(diesel::result::Error::QueryBuilderError(_))),
        "{outcome:?}"
    );
    let uniform: Vec<_> = mixed().into_iter().take(2).collect();
    let returned = diesel::insert_into(items::table)
        .values(uniform)
        .on_conflict_do_nothing()
        .returning(items::id)
        .get_results::<i32>(&mut *db);
    assert_eq!(returned, Ok(vec![1, 2]));
}

#[test]
fn rows_of_a_returning_batch_are_counted_once() {
    let mut db = Database::with(SCHEMA);
    let counted = diesel::insert_into(items::table)
        .values(mixed())
        .returning(items::id)
        .execute(&mut *db);
    assert_eq!(counted, Ok(5));
}

#[test]
fn scripts_are_atomic() {
    let mut db = Database::with(SCHEMA);
    let script = "BEGIN; INSERT INTO items (name) VALUES ('a;b'); -- ; \n INSERT INTO items (name) VALUES ('a;b'); COMMIT;";
    assert_kind!(db.batch_execute(script), UniqueViolation);
    assert_eq!(db.count("items"), 0);
    db.batch_execute(
        "INSERT INTO items (name) VALUES ('a'); ; INSERT INTO items (name) VALUES ('b');",
    )
    .expect("runs");
    assert_eq!(db.count("items"), 2);
    let (outcome, requests) = db.requests(|conn| conn.batch_execute(" -- nothing\n;"));
    assert_eq!((outcome, requests), (Ok(()), 0));
}

/// Long batches travel as literals. They must store what parameters store.
#[test]
fn long_batches_store_the_same_values_as_single_rows() {
    diesel::table! {
        v (id) {
            id -> Integer,
            i -> BigInt,
            r -> Double,
            t -> Text,
            b -> Binary,
            n -> Nullable<Text>,
        }
    }
    type Row = (i32, i64, f64, String, Vec<u8>, Option<String>);
    let texts = [
        "",
        "'",
        "''",
        "it's; -- /*",
        "x'41'",
        "?",
        "?1",
        ":a",
        "\\",
        "\"",
        "`",
        "[",
        "line\nend\r\n\t",
        "naïve 🦀\u{2028}",
        "nul \0 in it",
        "NULL",
        "'); DROP TABLE v; --",
        "\u{FFFD}",
        "\u{feff}",
    ];
    let integers = [0, -1, i64::MAX, i64::MIN, 1 << 53];
    let reals = [
        0.0,
        -1.5,
        1e300,
        5e-324,
        0.1,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let rows: Vec<Row> = (0_i32..400)
        .map(|id| {
            let n = usize::try_from(id).expect("counts up");
            (
                id,
                integers[n % integers.len()],
                reals[n % reals.len()],
                texts[n % texts.len()].to_owned(),
                vec![u8::try_from(n % 256).expect("fits"); (n * 37) % 3000],
                (n % 2 == 0).then(|| texts[n % texts.len()].to_owned()),
            )
        })
        .collect();
    let mut db = Database::with("CREATE TABLE v (id INTEGER PRIMARY KEY, i, r, t, b, n)");
    let values: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                v::id.eq(row.0),
                v::i.eq(row.1),
                v::r.eq(row.2),
                v::t.eq(&row.3),
                v::b.eq(&row.4),
                v::n.eq(&row.5),
            )
        })
        .collect();
    let inserted = diesel::insert_into(v::table)
        .values(&values)
        .execute(&mut *db);
    assert_eq!(inserted, Ok(rows.len()));
    let classes = "SELECT count(*) AS value FROM v WHERE typeof(i) = 'integer' AND typeof(r) = 'real' AND typeof(t) = 'text' \
        AND typeof(b) = 'blob' AND typeof(n) IN ('text', 'null')";
    assert_eq!(db.one(classes), 400);
    let stored: Vec<Row> = v::table.order(v::id).load(&mut *db).expect("loads");
    for (stored, row) in stored.iter().zip(&rows) {
        assert_eq!(stored, row);
    }
    assert_eq!(stored.len(), rows.len());
    let again = diesel::insert_into(v::table)
        .values(&values)
        .on_conflict(v::id)
        .do_update()
        .set(v::n.eq("it's -1"))
        .execute(&mut *db);
    assert_eq!(again, Ok(rows.len()));
    assert_eq!(
        db.one("SELECT count(*) AS value FROM v WHERE n = 'it''s -1'"),
        400
    );
}
