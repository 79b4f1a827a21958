//! Each program runs on a SQLite in memory by Diesel's own connection, and on a real rqlite by ours. What it shows
//! of its results must be the same.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::{
    BigInt, Binary, Bool, Date, Double, Float, Integer, Nullable, SmallInt, Text, Time, Timestamp,
};
use diesel::upsert::excluded;
use diesel_rqlite::RqliteConnection;
use diesel_rqlite_tests::Rqlited;

diesel::table! {
    people {
        id -> Integer,
        name -> Text,
        age -> Nullable<Integer>,
        height -> Nullable<Double>,
        active -> Bool,
        photo -> Nullable<Binary>,
        born -> Nullable<Timestamp>,
    }
}

diesel::table! {
    pets {
        id -> Integer,
        owner_id -> Integer,
        name -> Text,
    }
}

diesel::joinable!(pets -> people (owner_id));
diesel::allow_tables_to_appear_in_same_query!(people, pets);

const SCHEMA: &str = "
    CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name <> 'nobody'), age INTEGER,
        height REAL, active BOOLEAN NOT NULL DEFAULT 1, photo BLOB, born TIMESTAMP);
    CREATE TABLE pets (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL, name TEXT NOT NULL);
    INSERT INTO people VALUES (1, 'Ann', 40, 1.75, 1, x'00ff', '1984-02-29 13:14:15.5'),
        (2, 'Bob', NULL, NULL, 0, NULL, NULL), (3, 'Cid', 25, 2.0, 1, x'', '2000-01-01T00:00:00');
    INSERT INTO pets VALUES (1, 1, 'Rex'), (2, 1, 'Tom'), (3, 3, 'Ivy');";

#[derive(Debug, PartialEq, Queryable, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = people)]
struct Person {
    id: i32,
    name: String,
    age: Option<i32>,
    height: Option<f64>,
    active: bool,
    photo: Option<Vec<u8>>,
    born: Option<NaiveDateTime>,
}

#[derive(Insertable)]
#[diesel(table_name = people)]
struct NewPerson<'a> {
    name: &'a str,
    age: Option<i32>,
    active: Option<bool>,
}

/// What a program shows of a result: the value, or the kind of the error.
fn shown<T: std::fmt::Debug>(outcome: QueryResult<T>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(Error::DatabaseError(kind, information)) => {
            format!("{kind:?}: {}", information.message())
        }
        Err(Error::DeserializationError(_)) => "DeserializationError".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// Runs a body with both connections. The body pushes what is to be compared.
macro_rules! same {
    ($($name:ident: |$conn:ident, $show:ident| $body:block)*) => {$(
        #[test]
        fn $name() {
            fn on_sqlite($conn: &mut diesel::SqliteConnection, $show: &mut Vec<String>) $body
            fn on_rqlite($conn: &mut RqliteConnection, $show: &mut Vec<String>) $body
            let mut sqlite = diesel::SqliteConnection::establish(":memory:").expect("opens");
            sqlite.batch_execute(SCHEMA).expect("creates");
            let node = Rqlited::start();
            let mut rqlite = RqliteConnection::establish(&node.url()).expect("connects");
            rqlite.batch_execute(SCHEMA).expect("creates");
            let (mut reference, mut ours) = (Vec::new(), Vec::new());
            on_sqlite(&mut sqlite, &mut reference);
            on_rqlite(&mut rqlite, &mut ours);
            assert_eq!(ours, reference);
            assert!(!ours.is_empty());
        }
    )*};
}

same! {
    selects: |conn, show| {
        show.push(shown(people::table.order(people::id).select(Person::as_select()).load(conn)));
        show.push(shown(people::table.find(2).select(people::name).first::<String>(conn)));
        show.push(shown(people::table.find(9).select(people::name).first::<String>(conn)));
        show.push(shown(people::table.find(9).select(people::name).first::<String>(conn).optional()));
        show.push(shown(people::table.filter(people::age.is_null()).select(people::id).load::<i32>(conn)));
        show.push(shown(people::table.filter(people::age.between(20, 30)).select(people::id).load::<i32>(conn)));
        show.push(shown(people::table.filter(people::name.like("%n%")).select(people::id).load::<i32>(conn)));
        show.push(shown(people::table.filter(people::name.like("A\\_%").escape('\\')).select(people::id).load::<i32>(conn)));
        show.push(shown(people::table.filter(people::id.eq_any(vec![1, 3])).select(people::id).load::<i32>(conn)));
        show.push(shown(people::table.filter(people::id.ne_all(Vec::<i32>::new())).select(people::id).load::<i32>(conn)));
        show.push(shown(people::table.filter(people::id.eq_any(Vec::<i32>::new())).select(people::id).load::<i32>(conn)));
        show.push(shown(people::table.order(people::name.desc()).limit(1).offset(1).select(people::name).load::<String>(conn)));
        show.push(shown(people::table.order(people::age.asc()).select(people::age).load::<Option<i32>>(conn)));
        show.push(shown(people::table.select(people::active).distinct().load::<bool>(conn)));
        show.push(shown(people::table.select((people::name.concat("!"), people::id * 2 + 1)).load::<(String, i32)>(conn)));
    }

    joins_and_groups: |conn, show| {
        let joined = people::table.left_join(pets::table).order((people::id, pets::id));
        show.push(shown(joined.select((people::name, pets::name.nullable())).load::<(String, Option<String>)>(conn)));
        show.push(shown(people::table.inner_join(pets::table).select(pets::name).order(pets::id).load::<String>(conn)));
        let counts = people::table.inner_join(pets::table).group_by(people::name).order(people::name);
        show.push(shown(counts.select((people::name, diesel::dsl::count_star())).load::<(String, i64)>(conn)));
        show.push(shown(people::table.select(diesel::dsl::sum(people::age)).first::<Option<i64>>(conn)));
        show.push(shown(people::table.select(diesel::dsl::avg(people::height)).first::<Option<f64>>(conn)));
        show.push(shown(people::table.select(diesel::dsl::max(people::born)).first::<Option<NaiveDateTime>>(conn)));
        show.push(shown(people::table.filter(people::id.lt(0)).select(diesel::dsl::max(people::age)).first::<Option<i32>>(conn)));
        let owners = pets::table.select(pets::owner_id);
        show.push(shown(people::table.filter(people::id.eq_any(owners)).order(people::id).select(people::id).load::<i32>(conn)));
        show.push(shown(diesel::select(diesel::dsl::exists(people::table.filter(people::id.eq(1)))).get_result::<bool>(conn)));
        let names = people::table.select(people::name).union(pets::table.select(pets::name));
        show.push(shown(names.load::<String>(conn).map(|mut names| { names.sort(); names })));
        let except = people::table.select(people::id).except(pets::table.select(pets::owner_id));
        show.push(shown(except.load::<i32>(conn)));
    }

    writes: |conn, show| {
        let new = [
            NewPerson { name: "Dee", age: Some(1), active: None },
            NewPerson { name: "Eve", age: None, active: Some(false) },
        ];
        show.push(shown(diesel::insert_into(people::table).values(&new[0]).execute(conn)));
        show.push(shown(diesel::insert_into(people::table).values(&new[1]).returning(Person::as_returning()).get_result(conn)));
        show.push(shown(diesel::insert_into(people::table).values(&new[..0]).execute(conn)));
        show.push(shown(diesel::insert_into(people::table).values(&new[0]).execute(conn)));
        show.push(shown(diesel::insert_or_ignore_into(people::table).values(&new[0]).execute(conn)));
        show.push(shown(diesel::insert_into(people::table).values((people::name.eq("nobody"), people::active.eq(true))).execute(conn)));
        let upsert = diesel::insert_into(people::table).values((people::name.eq("Ann"), people::age.eq(41)));
        let upsert = upsert.on_conflict(people::name).do_update().set(people::age.eq(excluded(people::age)));
        show.push(shown(upsert.returning((people::id, people::age)).get_results::<(i32, Option<i32>)>(conn)));
        show.push(shown(diesel::replace_into(people::table).values((people::id.eq(2), people::name.eq("Bea"))).execute(conn)));
        show.push(shown(diesel::update(people::table.filter(people::age.is_not_null())).set(people::age.eq(people::age + 1)).execute(conn)));
        show.push(shown(diesel::update(people::table.find(99)).set(people::age.eq(1)).execute(conn)));
        let returned = diesel::update(people::table.find(1)).set(people::photo.eq(None::<Vec<u8>>));
        show.push(shown(returned.returning((people::photo, people::born)).get_result::<(Option<Vec<u8>>, Option<NaiveDateTime>)>(conn)));
        show.push(shown(diesel::delete(people::table.find(3)).returning(people::name).get_results::<String>(conn)));
        show.push(shown(diesel::delete(pets::table).execute(conn)));
        show.push(shown(diesel::insert_into(pets::table).values(
            people::table.select((people::id, people::name)).filter(people::active)
        ).into_columns((pets::owner_id, pets::name)).execute(conn)));
        show.push(shown(people::table.order(people::id).select(Person::as_select()).load(conn)));
        let mut person = people::table.find(1).select(Person::as_select()).first(conn).expect("is there");
        person.name = "Anne".to_owned();
        show.push(shown(person.save_changes::<Person>(conn)));
    }

    errors: |conn, show| {
        for sql in [
            "INSERT INTO people (name) VALUES (NULL)",
            "INSERT INTO people (id, name) VALUES (1, 'x')",
            "INSERT INTO nowhere VALUES (1)",
            "UPDATE people SET nothing = 1",
            "SELEC 1",
            "INSERT INTO people (id, name) VALUES ('text', 'y')",
        ] {
            show.push(shown(diesel::sql_query(sql).execute(conn)));
        }
        show.push(shown(diesel::dsl::sql::<Integer>("SELECT nope").get_result::<i32>(conn)));
        show.push(shown(diesel::dsl::sql::<Integer>("SELECT abs(-9223372036854775808)").get_result::<i32>(conn)));
        show.push(shown(diesel::dsl::sql::<Integer>("SELECT NULL").get_result::<i32>(conn)));
        show.push(shown(diesel::dsl::sql::<Timestamp>("SELECT 'soon'").get_result::<NaiveDateTime>(conn)));
        show.push(shown(diesel::dsl::sql::<Text>("SELECT CAST(x'ff' AS TEXT)").get_result::<String>(conn)));
    }

    transactions: |conn, show| {
        let committed = conn.transaction(|conn| {
            diesel::insert_into(people::table).values(people::name.eq("Dee")).execute(conn)?;
            let inner = conn.transaction(|conn| {
                diesel::delete(people::table).execute(conn)?;
                Err::<(), _>(Error::RollbackTransaction)
            });
            assert_eq!(inner, Err(Error::RollbackTransaction));
            diesel::update(people::table.find(1)).set(people::age.eq(7)).execute(conn)?;
            Ok::<_, Error>("done")
        });
        show.push(shown(committed));
        let rolled_back = conn.transaction(|conn| {
            diesel::delete(people::table).execute(conn)?;
            Err::<(), _>(Error::RollbackTransaction)
        });
        show.push(shown(rolled_back));
        let failed = conn.transaction(|conn| {
            diesel::insert_into(people::table).values(people::name.eq("Fay")).execute(conn)?;
            diesel::insert_into(people::table).values(people::name.eq("Ann")).execute(conn)
        });
        show.push(shown(failed));
        show.push(shown(people::table.order(people::id).select((people::name, people::age)).load::<(String, Option<i32>)>(conn)));
    }

    // A Julian day with a fraction differs: Diesel keeps the noise of the REAL, we round to SQLite's milliseconds.
    text_of_dates_and_times: |conn, show| {
        for text in [
            "2024-02-29 13:14:15", "2024-02-29 13:14:15.123456", "2024-02-29T13:14:15", "2024-02-29 13:14", "2024-02-29 13:14Z",
            "2024-02-29T13:14:15.5Z", "2024-02-29 13:14:15+05:30", "2024-02-29T13:14:15.25-01:00", "2460369.5", "2024-02-29",
            "29.2.2024", "", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999",
        ] {
            let timestamp = diesel::select(diesel::dsl::sql::<Timestamp>("").bind::<Text, _>(text));
            show.push(shown(timestamp.get_result::<NaiveDateTime>(conn)));
        }
        for text in ["2024-02-29", "2024-02-30", "2024-2-9", "2024-02-29 00:00:00"] {
            let date = diesel::select(diesel::dsl::sql::<Date>("").bind::<Text, _>(text));
            show.push(shown(date.get_result::<NaiveDate>(conn)));
        }
        for text in ["13:14:15", "13:14", "13:14:15.5", "13:14Z", "13:14:15+02:00", "13", "25:00"] {
            let time = diesel::select(diesel::dsl::sql::<Time>("").bind::<Text, _>(text));
            show.push(shown(time.get_result::<NaiveTime>(conn)));
        }
    }

    values_of_other_storage_classes: |conn, show| {
        conn.batch_execute("CREATE TABLE odd (id INTEGER PRIMARY KEY, v); INSERT INTO odd (v) VALUES (1), (1.0), (2.5), ('3'), (x'34'), (-0.0), (1e300)")
            .expect("creates");
        let text = diesel::dsl::sql::<Text>("SELECT v FROM odd ORDER BY id");
        show.push(shown(text.load::<String>(conn)));
        let bytes = diesel::dsl::sql::<Binary>("SELECT v FROM odd ORDER BY id");
        show.push(shown(bytes.load::<Vec<u8>>(conn)));
        let reals = diesel::dsl::sql::<Double>("SELECT v FROM odd WHERE typeof(v) <> 'blob' ORDER BY id");
        show.push(shown(reals.load::<f64>(conn)));
        let integers = diesel::dsl::sql::<BigInt>("SELECT v FROM odd WHERE id IN (1, 2, 4) ORDER BY id");
        show.push(shown(integers.load::<i64>(conn)));
        show.push(shown(diesel::select(3_i16.into_sql::<SmallInt>()).get_result::<i16>(conn)));
        show.push(shown(diesel::select(0.1_f32.into_sql::<Float>()).get_result::<f32>(conn)));
        show.push(shown(diesel::select(true.into_sql::<Bool>()).get_result::<bool>(conn)));
        show.push(shown(diesel::select(f64::NAN.into_sql::<Nullable<Double>>()).get_result::<Option<f64>>(conn)));
        show.push(shown(diesel::select(f64::INFINITY.into_sql::<Double>()).get_result::<f64>(conn)));
        show.push(shown(diesel::select("a\0b".into_sql::<Text>()).get_result::<String>(conn)));
    }

    expressions: |conn, show| {
        diesel::define_sql_function! {
            fn upper(text: Text) -> Text;
        }
        diesel::define_sql_function! {
            fn strftime(format: Text, time: Timestamp) -> Text;
        }
        diesel::define_sql_function! {
            #[aggregate]
            fn group_concat(text: Text, separator: Text) -> Text;
        }
        use diesel::dsl::{case_when, count, date, not, rank, row_number, sum};
        show.push(shown(people::table.select(upper(people::name)).order(people::id).load::<String>(conn)));
        show.push(shown(people::table.filter(people::born.is_not_null()).order(people::id)
            .select(strftime("%Y/%m", people::born.assume_not_null())).load::<String>(conn)));
        show.push(shown(pets::table.select(group_concat(pets::name, "+")).first::<String>(conn)));
        show.push(shown(people::table.filter(people::born.is_not_null()).order(people::id)
            .select(date(people::born.assume_not_null())).load::<NaiveDate>(conn)));
        let words = case_when(people::age.gt(30), "old".into_sql::<Text>()).otherwise("young");
        show.push(shown(people::table.order(people::id).select(words).load::<String>(conn)));
        show.push(shown(people::table.order(people::id).select(people::id.cast::<Text>()).load::<String>(conn)));
        show.push(shown(people::table.order(people::id).select(people::active.and(people::age.gt(30)).nullable()).load::<Option<bool>>(conn)));
        show.push(shown(people::table.filter(not(people::active)).select(people::name).load::<String>(conn)));
        let windows = (row_number().window_order(people::name.desc()), rank().partition_by(people::active).window_order(people::id));
        show.push(shown(people::table.order(people::id).select(windows).load::<(i64, i64)>(conn)));
        show.push(shown(people::table.select(count(people::age).aggregate_distinct()).first::<i64>(conn)));
        show.push(shown(people::table.select(sum(people::height).aggregate_filter(people::active)).first::<Option<f64>>(conn)));
        let others = diesel::alias!(people as others);
        let pairs = people::table.inner_join(others.on(others.field(people::id).gt(people::id)));
        show.push(shown(pairs.order((people::id, others.field(people::id))).select((people::name, others.field(people::name)))
            .load::<(String, String)>(conn)));
        let mut boxed = people::table.select(people::name).into_boxed();
        for word in ["A", "C"] {
            boxed = boxed.or_filter(people::name.like(format!("{word}%")));
        }
        show.push(shown(boxed.order(people::id).limit(5).load::<String>(conn)));
        show.push(shown(diesel::select((1.into_sql::<Integer>() / 2, 7.5.into_sql::<Double>() - 0.5)).get_result::<(i32, f64)>(conn)));
        show.push(shown(people::table.group_by(people::active).having(count(people::id).gt(1))
            .select((people::active, count(people::id))).load::<(bool, i64)>(conn)));
    }

    raw_sql_by_name: |conn, show| {
        #[derive(Debug, QueryableByName)]
        #[allow(dead_code)]
        struct Row {
            #[diesel(sql_type = Text)]
            name: String,
            #[diesel(sql_type = Nullable<Timestamp>)]
            born: Option<NaiveDateTime>,
            #[diesel(sql_type = Bool)]
            active: bool,
            #[diesel(sql_type = Nullable<Binary>)]
            photo: Option<Vec<u8>>,
        }
        show.push(shown(diesel::sql_query("SELECT * FROM people ORDER BY id").load::<Row>(conn)));
        let bound = diesel::sql_query("SELECT name, born, active, photo FROM people WHERE id = ? OR name = ?");
        show.push(shown(bound.bind::<Integer, _>(1).bind::<Text, _>("Cid").load::<Row>(conn)));
        let returned = diesel::sql_query("UPDATE people SET active = 0 WHERE id = 1 RETURNING name, born, active, photo");
        show.push(shown(returned.load::<Row>(conn)));
        show.push(shown(diesel::sql_query("DELETE FROM pets").execute(conn)));
    }
}
