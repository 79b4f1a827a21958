//! The DSL: what Diesel programs do every day.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::query_dsl::positional_order_dsl::PositionalOrderDsl;
use diesel::upsert::excluded;

use super::RqliteConnection;
use super::database::Database;

diesel::table! {
    authors {
        id -> Integer,
        name -> Text,
        born -> Nullable<Integer>,
    }
}

diesel::table! {
    books {
        id -> Integer,
        author_id -> Integer,
        title -> Text,
        rating -> Nullable<Double>,
        in_print -> Bool,
    }
}

diesel::joinable!(books -> authors (author_id));
diesel::allow_tables_to_appear_in_same_query!(authors, books);

#[derive(Debug, PartialEq, Queryable, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = authors)]
struct Author {
    id: i32,
    name: String,
    born: Option<i32>,
}

#[derive(Insertable)]
#[diesel(table_name = authors)]
struct NewAuthor<'a> {
    name: &'a str,
    born: Option<i32>,
}

#[derive(Debug, PartialEq, Queryable, Selectable, Identifiable, Associations)]
#[diesel(belongs_to(Author))]
struct Book {
    id: i32,
    author_id: i32,
    title: String,
    rating: Option<f64>,
    in_print: bool,
}

const SCHEMA: &str = "
    CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, born INTEGER);
    CREATE TABLE books (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES authors (id),
        title TEXT NOT NULL, rating REAL, in_print BOOLEAN NOT NULL DEFAULT 1);
    INSERT INTO authors VALUES (1, 'Ursula', 1929), (2, 'Stanislaw', 1921), (3, 'Anonymous', NULL);
    INSERT INTO books VALUES (1, 1, 'The Dispossessed', 4.5, 1), (2, 1, 'The Lathe of Heaven', NULL, 0),
        (3, 2, 'Solaris', 4.0, 1);";

fn library() -> Database {
    Database::with(SCHEMA)
}

#[test]
fn inserted_row_is_read_back() {
    let mut db = library();
    let rows = diesel::insert_into(authors::table)
        .values(NewAuthor {
            name: "Octavia",
            born: Some(1947),
        })
        .execute(&mut *db);
    assert_eq!(rows, Ok(1));
    let found = authors::table
        .filter(authors::name.eq("Octavia"))
        .select(Author::as_select())
        .first(&mut *db);
    assert_eq!(
        found,
        Ok(Author {
            id: 4,
            name: "Octavia".to_owned(),
            born: Some(1947)
        })
    );
}

#[test]
fn filter_order_limit_and_offset() {
    let mut db = library();
    let names = |db: &mut Database, limit, offset| -> Vec<String> {
        authors::table
            .filter(authors::born.is_not_null().or(authors::name.like("Anon%")))
            .order(authors::name.desc())
            .limit(limit)
            .offset(offset)
            .select(authors::name)
            .load(&mut **db)
            .expect("loads")
    };
    assert_eq!(names(&mut db, 2, 0), ["Ursula", "Stanislaw"]);
    assert_eq!(names(&mut db, 2, 2), ["Anonymous"]);
    let rest: Vec<i32> = authors::table
        .order(authors::id)
        .offset(1)
        .select(authors::id)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(rest, [2, 3]);
    let boxed: Vec<i32> = authors::table
        .into_boxed()
        .filter(authors::id.ge(2))
        .offset(1)
        .select(authors::id)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(boxed, [3]);
}

/// Where rows are found by a key, numbers are written into the text unless they are negative.
#[test]
fn any_number_is_a_limit() {
    const ALL: [i32; 3] = [1, 2, 3];
    let mut db = library();
    let numbers = [i64::MIN, -1, 0, 1, 2, 7, i64::MAX];
    let check = |conn: &mut RqliteConnection| {
        for limit in numbers {
            let rows = usize::try_from(limit).unwrap_or(usize::MAX);
            let wanted: Vec<_> = ALL.into_iter().take(rows).collect();
            let ids = authors::table.select(authors::id).order(authors::id);
            assert_eq!(ids.limit(limit).load(conn), Ok(wanted), "{limit}");
            for offset in numbers {
                let skipped = usize::try_from(offset).unwrap_or(0);
                let wanted: Vec<_> = ALL.into_iter().skip(skipped).take(rows).collect();
                let found = ids.limit(limit).offset(offset).load(conn);
                assert_eq!(found, Ok(wanted.clone()), "{limit}, {offset}");
                let found = ids.into_boxed().limit(limit).offset(offset).load(conn);
                assert_eq!(found, Ok(wanted), "{limit}, {offset}");
                let by_key = authors::table.find(2).select(authors::id);
                let wanted: Vec<_> = [2].into_iter().skip(skipped).take(rows).collect();
                let found = by_key.limit(limit).offset(offset).load(conn);
                assert_eq!(found, Ok(wanted), "{limit}, {offset}");
            }
        }
        diesel::QueryResult::Ok(())
    };
    check(&mut db).expect("reads");
    db.transaction(check).expect("reads");
}

#[test]
fn joins_aggregates_and_subqueries() {
    let mut db = library();
    let pairs: Vec<(String, Option<String>)> = authors::table
        .left_join(books::table)
        .order((authors::id, books::id))
        .select((authors::name, books::title.nullable()))
        .load(&mut *db)
        .expect("loads");
    assert_eq!(pairs.len(), 4);
    assert_eq!(pairs[3], ("Anonymous".to_owned(), None));

    let counts: Vec<(String, i64)> = authors::table
        .inner_join(books::table)
        .group_by(authors::name)
        .having(diesel::dsl::count(books::id).gt(0))
        .order(diesel::dsl::count(books::id).desc())
        .select((authors::name, diesel::dsl::count(books::id)))
        .load(&mut *db)
        .expect("loads");
    assert_eq!(
        counts,
        [("Ursula".to_owned(), 2), ("Stanislaw".to_owned(), 1)]
    );

    let printed = books::table
        .filter(books::in_print)
        .select(books::author_id);
    let names: Vec<String> = authors::table
        .filter(authors::id.eq_any(printed))
        .order(authors::id)
        .select(authors::name)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(names, ["Ursula", "Stanislaw"]);
    let any = diesel::select(diesel::dsl::exists(
        authors::table.filter(authors::id.eq(9)),
    ));
    assert_eq!(any.get_result(&mut *db), Ok(false));
    let average = books::table
        .select(diesel::dsl::avg(books::rating))
        .first::<Option<f64>>(&mut *db);
    assert_eq!(average, Ok(Some(4.25)));
}

#[test]
fn compounds_keep_their_order() {
    let mut db = library();
    let names: Vec<String> = authors::table
        .select(authors::name)
        .union_all(books::table.select(books::title))
        .positional_order_by(1)
        .limit(3)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(names, ["Anonymous", "Solaris", "Stanislaw"]);
    let distinct: Vec<i32> = books::table
        .select(books::author_id)
        .distinct()
        .order(books::author_id.desc())
        .load(&mut *db)
        .expect("loads");
    assert_eq!(distinct, [2, 1]);
}

#[test]
fn children_are_grouped_by_their_parents() {
    let mut db = library();
    let authors = authors::table
        .order(authors::id)
        .select(Author::as_select())
        .load(&mut *db)
        .expect("loads");
    let books = Book::belonging_to(&authors)
        .select(Book::as_select())
        .load(&mut *db)
        .expect("loads");
    let grouped: Vec<usize> = books.grouped_by(&authors).iter().map(Vec::len).collect();
    assert_eq!(grouped, [2, 1, 0]);
}

#[test]
fn updates_and_deletes_count_their_rows() {
    let mut db = library();
    let update =
        diesel::update(books::table.filter(books::author_id.eq(1))).set(books::in_print.eq(false));
    assert_eq!(update.execute(&mut *db), Ok(2));
    let delete = diesel::delete(books::table.filter(books::in_print.eq(false)));
    assert_eq!(delete.execute(&mut *db), Ok(2));
    assert_eq!(
        diesel::delete(books::table.find(99)).execute(&mut *db),
        Ok(0)
    );
    assert_eq!(books::table.count().get_result(&mut *db), Ok(1_i64));
}

#[test]
fn save_changes_is_one_request() {
    let mut db = library();
    let author = Author {
        id: 3,
        name: "Somebody".to_owned(),
        born: Some(1900),
    };
    let (saved, requests) = db.requests(|conn| author.save_changes::<Author>(conn));
    assert_eq!((saved, requests), (Ok(author), 1));
}

#[test]
fn returning_on_every_kind_of_write() {
    let mut db = library();
    let new = NewAuthor {
        name: "Octavia",
        born: None,
    };
    let inserted = diesel::insert_into(authors::table)
        .values(&new)
        .returning(Author::as_returning())
        .get_result(&mut *db);
    assert_eq!(
        inserted,
        Ok(Author {
            id: 4,
            name: "Octavia".to_owned(),
            born: None
        })
    );
    let updated: Vec<(i32, Option<f64>, bool)> = diesel::update(books::table)
        .filter(books::author_id.eq(1))
        .set(books::rating.eq(5.0))
        .returning((books::id, books::rating, books::in_print))
        .get_results(&mut *db)
        .expect("updates");
    assert_eq!(updated, [(1, Some(5.0), true), (2, Some(5.0), false)]);
    let deleted: Vec<String> = diesel::delete(books::table.filter(books::id.gt(2)))
        .returning(books::title)
        .get_results(&mut *db)
        .expect("deletes");
    assert_eq!(deleted, ["Solaris"]);
    let counted = diesel::insert_into(authors::table)
        .values((authors::name.eq("N."), authors::born.eq(1)))
        .returning(authors::id)
        .execute(&mut *db);
    assert_eq!(counted, Ok(1));
}

#[test]
fn upserts() {
    let mut db = library();
    let new = [
        NewAuthor {
            name: "Ursula",
            born: Some(2000),
        },
        NewAuthor {
            name: "Octavia",
            born: Some(1947),
        },
    ];
    let ignored = diesel::insert_into(authors::table)
        .values(&new)
        .on_conflict_do_nothing()
        .execute(&mut *db);
    assert_eq!(ignored, Ok(1));
    let upserted: Vec<Author> = diesel::insert_into(authors::table)
        .values(&new)
        .on_conflict(authors::name)
        .do_update()
        .set(authors::born.eq(excluded(authors::born)))
        .returning(Author::as_returning())
        .get_results(&mut *db)
        .expect("upserts");
    assert_eq!(
        upserted[0],
        Author {
            id: 1,
            name: "Ursula".to_owned(),
            born: Some(2000)
        }
    );
    assert_eq!(upserted[1].born, Some(1947));
    let or_ignore = diesel::insert_or_ignore_into(authors::table)
        .values(&new[0])
        .execute(&mut *db);
    assert_eq!(or_ignore, Ok(0));
    let replaced = diesel::replace_into(authors::table)
        .values((authors::id.eq(1), authors::name.eq("Ursula K.")))
        .execute(&mut *db);
    assert_eq!(replaced, Ok(1));
    assert_eq!(
        authors::table
            .find(1)
            .select(authors::born)
            .first::<Option<i32>>(&mut *db),
        Ok(None)
    );
}

#[test]
fn insert_from_select_and_defaults() {
    let mut db = library();
    let copied = diesel::insert_into(books::table)
        .values(
            authors::table
                .select((authors::id, authors::name))
                .filter(authors::id.lt(3)),
        )
        .into_columns((books::author_id, books::title))
        .execute(&mut *db);
    assert_eq!(copied, Ok(2));
    db.batch_execute("CREATE TABLE d (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x')")
        .expect("creates");
    diesel::table! { d { id -> Integer, a -> Text, } }
    let row = diesel::insert_into(d::table)
        .default_values()
        .get_result::<(i32, String)>(&mut *db);
    assert_eq!(row, Ok((1, "x".to_owned())));
}

#[test]
fn raw_sql_with_values_and_names() {
    #[derive(Debug, PartialEq, QueryableByName)]
    #[diesel(table_name = books)]
    struct Titled {
        title: String,
        in_print: bool,
        rating: Option<f64>,
    }
    let mut db = library();
    let sql = "SELECT title, rating, in_print FROM books WHERE author_id = ? AND id = ? -- why not";
    let found = diesel::sql_query(sql)
        .bind::<diesel::sql_types::Integer, _>(1)
        .bind::<diesel::sql_types::BigInt, _>(2_i64)
        .get_result::<Titled>(&mut *db);
    assert_eq!(
        found,
        Ok(Titled {
            title: "The Lathe of Heaven".to_owned(),
            in_print: false,
            rating: None
        })
    );
    let returned = diesel::sql_query(
        "UPDATE books SET rating = ?1 WHERE id = ?2 RETURNING title, in_print, rating",
    )
    .bind::<diesel::sql_types::Double, _>(1.5)
    .bind::<diesel::sql_types::Integer, _>(1)
    .get_result::<Titled>(&mut *db);
    assert_eq!(
        returned,
        Ok(Titled {
            title: "The Dispossessed".to_owned(),
            in_print: true,
            rating: Some(1.5)
        })
    );
    let pragma: i64 = db.one("SELECT count(*) AS value FROM pragma_table_info('books')");
    assert_eq!(pragma, 5);
}

#[test]
fn window_functions_case_and_cast() {
    let mut db = library();
    let ranks: Vec<(i32, i64)> = books::table
        .select((
            books::id,
            diesel::dsl::row_number()
                .partition_by(books::author_id)
                .window_order(books::id.desc()),
        ))
        .order(books::id)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(ranks, [(1, 2), (2, 1), (3, 1)]);
    let words: Vec<String> = books::table
        .select(
            diesel::dsl::case_when(books::in_print, "yes".into_sql::<diesel::sql_types::Text>())
                .otherwise("no"),
        )
        .order(books::id)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(words, ["yes", "no", "yes"]);
    let text: Vec<String> = books::table
        .select(books::id.cast::<diesel::sql_types::Text>())
        .order(books::id)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(text, ["1", "2", "3"]);
}

#[test]
fn debug_query_shows_double_quotes() {
    let query = authors::table
        .filter(authors::id.eq(1))
        .select(authors::name);
    assert_eq!(
        diesel::debug_query::<diesel_rqlite::Rqlite, _>(&query).to_string(),
        r#"SELECT "authors"."name" FROM "authors" WHERE ("authors"."id" = ?) -- binds: [1]"#
    );
}

#[test]
fn is_and_is_not_know_null() {
    use diesel_rqlite::RqliteExpressionMethods;
    let mut db = library();
    let unknown: Vec<i32> = authors::table
        .filter(
            authors::born
                .is(None::<i32>)
                .and(authors::name.is_not("Ursula")),
        )
        .select(authors::id)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(unknown, [3]);
    let known: Vec<i32> = authors::table
        .filter(authors::born.is_not(None::<i32>))
        .order(authors::id)
        .select(authors::id)
        .load(&mut *db)
        .expect("loads");
    assert_eq!(known, [1, 2]);
    let null = diesel::select(
        None::<i32>
            .into_sql::<diesel::sql_types::Nullable<diesel::sql_types::Integer>>()
            .is(1),
    );
    assert_eq!(null.get_result(&mut *db), Ok(false));
}

#[test]
fn functions_for_json() {
    use diesel::sql_types::{Json, Jsonb, Nullable, Text};
    use diesel_rqlite::json_functions::*;
    use serde_json::{Value, json};
    let mut db = library();
    let document = json!({"a": [1, 2, 3], "b": null});
    let parsed =
        diesel::select(json("{ \"a\" : 1 }".into_sql::<Text>())).get_result::<Value>(&mut *db);
    assert_eq!(parsed, Ok(json!({"a": 1})));
    let length = json_array_length_with_path::<Json, _, _>(document.clone(), "$.a");
    assert_eq!(
        diesel::select(length).get_result::<Option<i32>>(&mut *db),
        Ok(Some(3))
    );
    let kind = json_type_with_path::<Jsonb, _, _>(document.clone(), "$.b");
    assert_eq!(
        diesel::select(kind).get_result::<Option<String>>(&mut *db),
        Ok(Some("null".to_owned()))
    );
    let nothing = json_type::<Nullable<Json>, _>(None::<Value>);
    assert_eq!(
        diesel::select(nothing).get_result::<Option<String>>(&mut *db),
        Ok(None)
    );
    let without = jsonb_remove_1::<Jsonb, _, _>(document, "$.a");
    assert_eq!(
        diesel::select(without).get_result::<Option<Value>>(&mut *db),
        Ok(Some(json!({"b": null})))
    );
    let names = authors::table
        .filter(authors::id.lt(3))
        .select(json_group_array(authors::name));
    assert_eq!(
        names.get_result::<Value>(&mut *db),
        Ok(json!(["Ursula", "Stanislaw"]))
    );
    let years = authors::table.select(jsonb_group_object(authors::name, authors::born));
    let wanted = json!({"Ursula": 1929, "Stanislaw": 1921, "Anonymous": null});
    assert_eq!(years.get_result::<Value>(&mut *db), Ok(wanted));
}

#[test]
fn own_sql_functions_aliases_and_now() {
    diesel::define_sql_function! {
        /// SQLite's own.
        fn upper(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
    }
    let mut db = library();
    let loud: Vec<String> = authors::table
        .filter(upper(authors::name).like("U%"))
        .select(upper(authors::name))
        .load(&mut *db)
        .expect("loads");
    assert_eq!(loud, ["URSULA"]);
    let others = diesel::alias!(authors as others);
    let older: Vec<(String, String)> = authors::table
        .inner_join(others.on(others.field(authors::born).lt(authors::born)))
        .select((authors::name, others.field(authors::name)))
        .load(&mut *db)
        .expect("loads");
    assert_eq!(older, [("Ursula".to_owned(), "Stanislaw".to_owned())]);

    diesel::table! { seen (id) { id -> Integer, at -> Timestamp, } }
    db.batch_execute("CREATE TABLE seen (id INTEGER PRIMARY KEY, at TIMESTAMP NOT NULL)")
        .expect("creates");
    diesel::insert_into(seen::table)
        .values(seen::at.eq(diesel::dsl::now))
        .execute(&mut *db)
        .expect("inserts");
    let at = seen::table
        .select(seen::at)
        .first::<chrono::NaiveDateTime>(&mut *db)
        .expect("reads");
    let server = diesel::select(diesel::dsl::now)
        .get_result::<chrono::NaiveDateTime>(&mut *db)
        .expect("reads");
    assert!((server - at).num_minutes().abs() < 5, "{at} {server}");
}

#[test]
fn selected_rows_may_be_upserted() {
    use diesel::upsert::excluded;
    use diesel_rqlite::RqliteInsertSelectDsl;

    diesel::table! { post (id) { id -> Integer, title -> Text, } }
    diesel::table! { archive (id) { id -> Integer, title -> Text, } }
    let mut db = Database::with(
        "CREATE TABLE post (id INTEGER PRIMARY KEY, title TEXT NOT NULL); \
         CREATE TABLE archive (id INTEGER PRIMARY KEY, title TEXT NOT NULL); \
         INSERT INTO post VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO archive VALUES (2, 'old')",
    );
    let ignored = diesel::insert_into(archive::table)
        .values(
            post::table
                .filter(post::id.lt(3))
                .into_rows_of((archive::id, archive::title)),
        )
        .on_conflict_do_nothing()
        .execute(&mut *db);
    assert_eq!(ignored, Ok(1));
    let rows: QueryResult<Vec<(i32, String)>> = diesel::insert_into(archive::table)
        .values(
            post::table
                .select((post::title, post::id))
                .order(post::id.desc())
                .limit(2)
                .into_rows_of((archive::title, archive::id)),
        )
        .on_conflict(archive::id)
        .do_update()
        .set(archive::title.eq(excluded(archive::title)))
        .get_results(&mut *db);
    let mut rows = rows.expect("upserts");
    rows.sort();
    assert_eq!(rows, [(2, "b".to_owned()), (3, "c".to_owned())]);
}
