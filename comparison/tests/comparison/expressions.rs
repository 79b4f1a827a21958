//! Expressions: CASE, CAST, functions of one's own and of SQLite, operators of one's own.

use chrono::{NaiveDate, NaiveDateTime};
use diesel::connection::SimpleConnection;
use diesel::dsl::{case_when, date, not, now, sql, today};
use diesel::expression::functions::declare_sql_function;
use diesel::prelude::*;
use diesel::sql_types::{
    BigInt, Binary, Bool, Double, Integer, Nullable, SmallInt, Text, Timestamp,
};

use crate::kit::{people, pets, same};

#[declare_sql_function]
extern "SQL" {
    fn lower(text: Text) -> Text;
    fn length(text: Text) -> Integer;
    fn iif(condition: Bool, yes: Text, no: Text) -> Text;
    fn coalesce<T: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>(
        first: Nullable<T>,
        second: T,
    ) -> T;
    fn abs(number: Integer) -> Integer;
    fn round(number: Double, digits: Integer) -> Double;
    fn hex(bytes: Binary) -> Text;
    fn glob(pattern: Text, text: Text) -> Bool;
    fn substr(text: Text, from: Integer, length: Integer) -> Text;
    fn printf(format: Text, number: Integer) -> Text;
    #[sql_name = "typeof"]
    fn storage_class<T: diesel::sql_types::SqlType + diesel::sql_types::SingleValue>(
        value: T,
    ) -> Text;
    #[sql_name = "json_patch"]
    fn patched(target: Text, patch: Text) -> Text;
    #[aggregate]
    fn total(number: Nullable<Integer>) -> Double;
    #[variadic(1)]
    fn max(value: Integer) -> Integer;
}

diesel::define_sql_function! {
    fn upper(text: Text) -> Text;
}

diesel::define_sql_function! {
    fn strftime(format: Text, time: Timestamp) -> Text;
}

diesel::define_sql_function! {
    #[sql_name = "julianday"]
    fn julian_day(time: Timestamp) -> Double;
}

diesel::define_sql_function! {
    #[sql_name = "datetime"]
    fn moved(time: Timestamp, by: Text) -> Timestamp;
}

diesel::infix_operator!(Glob, " GLOB ");
diesel::infix_operator!(Match, " MATCH ");
diesel::infix_operator!(Element, " -> ", Nullable<Text>);
diesel::infix_operator!(ElementText, " ->> ", Nullable<Text>);
diesel::postfix_operator!(NoCase, " COLLATE NOCASE", Text);
diesel::prefix_operator!(Inverted, "~", Integer);

diesel::table! {
    /// An FTS5 table: its name stands for all of its columns in MATCH.
    notes (rowid) {
        rowid -> Integer,
        #[sql_name = "notes"]
        whole_row -> Text,
        title -> Text,
        body -> Text,
        rank -> Float,
    }
}

same! {
    fn case_expressions(conn, shown) {
        let words = case_when(people::age.gt(30), "old".into_sql::<Text>()).otherwise("young");
        shown.add(people::table.order(people::id).select(words).load::<String>(conn));
        let ages = case_when(people::age.is_null(), 0.into_sql::<Integer>()).when(people::id.eq(1), 1);
        shown.add(people::table.order(people::id).select(ages).load::<Option<i32>>(conn));
        shown.add(people::table.order(people::id).filter(case_when(people::active, true.into_sql::<Bool>()).otherwise(false))
            .select(people::id).load::<i32>(conn));
    }

    fn casts(conn, shown) {
        shown.add(people::table.order(people::id).select(people::id.cast::<Text>()).load::<String>(conn));
        shown.add(people::table.order(people::id).select(people::id.cast::<BigInt>()).load::<i64>(conn));
        shown.add(people::table.order(people::id).select(people::age.cast::<Nullable<Text>>()).load::<Option<String>>(conn));
        shown.add(diesel::select("12".into_sql::<Text>().fallible_cast::<Integer>()).get_result::<i32>(conn));
        shown.add(diesel::select("1.5".into_sql::<Text>().fallible_cast::<Integer>()).get_result::<i32>(conn));
    }

    fn arithmetic_and_text(conn, shown) {
        shown.add(diesel::select((1.into_sql::<Integer>() / 2, 7.5.into_sql::<Double>() - 0.5, 7.into_sql::<BigInt>() * 3))
            .get_result::<(i32, f64, i64)>(conn));
        shown.add(diesel::select(5_i16.into_sql::<SmallInt>() + 2).get_result::<i16>(conn));
        shown.add(people::table.order(people::id).select(people::age + 1).load::<Option<i32>>(conn));
        shown.add(people::table.order(people::id).select(people::name.concat(" & ").concat(people::name)).load::<String>(conn));
        shown.add(people::table.order(people::id).select(people::active.and(people::age.gt(30)).nullable()).load::<Option<bool>>(conn));
        shown.add(people::table.order(people::id).select(people::photo.concat(people::photo)).load::<Option<Vec<u8>>>(conn));
        shown.add(people::table.filter(not(people::active)).select(people::name.nullable()).load::<Option<String>>(conn));
    }

    fn functions_of_sqlite(conn, shown) {
        shown.add(people::table.select((upper(people::name), lower(people::name), length(people::name))).order(people::id)
            .load::<(String, String, i32)>(conn));
        shown.add(people::table.select(iif(people::active, "yes", "no")).order(people::id).load::<String>(conn));
        shown.add(people::table.select(coalesce::<Integer, _, _>(people::age, -1)).order(people::id).load::<i32>(conn));
        shown.add(diesel::select((abs(-3), round(2.567, 1), hex(vec![0_u8, 171]))).get_result::<(i32, f64, String)>(conn));
        shown.add(people::table.filter(glob("[AB]*", people::name)).order(people::id).select(people::id).load::<i32>(conn));
        shown.add(diesel::select((substr("rqlite", 2, 3), printf("%05d", 42))).get_result::<(String, String)>(conn));
        shown.add(people::table.select((storage_class(people::height), storage_class(people::photo))).order(people::id)
            .load::<(String, String)>(conn));
        shown.add(diesel::select(patched("{\"a\":1}", "{\"b\":[2]}")).get_result::<String>(conn));
        shown.add(people::table.select(total(people::age)).first::<f64>(conn));
        shown.add(diesel::select(max_2(3, 7)).get_result::<i32>(conn));
        shown.add(pets::table.filter(upper(pets::name).eq("REX")).select(pets::id).load::<i32>(conn));
    }

    fn functions_of_dates_and_times(conn, shown) {
        let born = people::table.filter(people::born.is_not_null()).order(people::id);
        shown.add(born.select(strftime("%Y/%m", people::born.assume_not_null())).load::<String>(conn));
        shown.add(born.select(date(people::born.assume_not_null())).load::<NaiveDate>(conn));
        shown.add(born.select(julian_day(people::born.assume_not_null())).load::<f64>(conn));
        shown.add(born.select(moved(people::born.assume_not_null(), "+1 month")).load::<NaiveDateTime>(conn));
        shown.add(people::table.filter(people::born.lt(now.nullable())).count().get_result::<i64>(conn));
        shown.add(diesel::select(date(now).eq(today)).get_result::<bool>(conn));
        shown.add(diesel::update(people::table.find(2)).set(people::born.eq(now.nullable())).execute(conn));
        let recently = sql::<Bool>("born BETWEEN datetime('now', '-1 hour') AND datetime('now', '+1 hour')");
        shown.add(people::table.filter(recently).select(people::id).load::<i32>(conn));
    }

    fn sql_in_the_middle_of_a_query(conn, shown) {
        shown.add(people::table.filter(sql::<Bool>("age IS NOT NULL")).order(people::id).select(people::id).load::<i32>(conn));
        shown.add(people::table.select(sql::<Text>("name || ").bind::<Text, _>("?!").sql(" || id")).order(people::id).load::<String>(conn));
        shown.add(sql::<(Integer, Nullable<Text>)>("SELECT id, label FROM toys WHERE id > ").bind::<Integer, _>(1).sql(" ORDER BY id")
            .load::<(i32, Option<String>)>(conn));
        shown.add(people::table.order(sql::<Text>("name COLLATE NOCASE DESC")).select(people::id).load::<i32>(conn));
    }

    fn operators_of_ones_own(conn, shown) {
        shown.add(people::table.filter(Glob::new(people::name, "[A-B]*".into_sql::<Text>())).order(people::id)
            .select(people::id).load::<i32>(conn));
        let document = "{\"a\":{\"b\":[1,\"x\"]}}".into_sql::<Text>();
        shown.add(diesel::select((
            Element::new(document, "a".into_sql::<Text>()),
            ElementText::new(document, "$.a.b[1]".into_sql::<Text>()),
            Element::new(document, "c".into_sql::<Text>()),
        )).get_result::<(Option<String>, Option<String>, Option<String>)>(conn));
        shown.add(people::table.filter(NoCase::new(people::name).eq("ANN")).select(people::id).load::<i32>(conn));
        shown.add(diesel::select(Inverted::new(5.into_sql::<Integer>())).get_result::<i32>(conn));
    }

    fn full_text_search(conn, shown) {
        conn.batch_execute("CREATE VIRTUAL TABLE notes USING fts5(title, body);
            INSERT INTO notes VALUES ('Raft', 'leaders and followers'), ('Paxos', 'harder than Raft'), ('Zab', 'another');")
            .expect("creates");
        macro_rules! titles {
            ($words:expr) => {
                shown.add(notes::table.filter(Match::new(notes::whole_row, $words.into_sql::<Text>())).order(notes::rank)
                    .select((notes::rowid, notes::title)).load::<(i32, String)>(conn))
            };
        }
        titles!("raft");
        titles!("body : raft");
        titles!("lead*");
        titles!("nothing");
        titles!("\"");
        shown.add(diesel::insert_into(notes::table).values((notes::title.eq("VR"), notes::body.eq("views"))).execute(conn));
        shown.add(diesel::delete(notes::table.filter(Match::new(notes::whole_row, "zab".into_sql::<Text>()))).execute(conn));
        shown.add(notes::table.order(notes::rowid).select(notes::title).load::<String>(conn));
    }

    fn equality_that_knows_null(conn, shown) {
        macro_rules! ids {
            ($condition:expr) => {
                shown.add(people::table.filter($condition).order(people::id).select(people::id).load::<i32>(conn))
            };
        }
        ids!(own::Methods::is(people::age, None::<i32>));
        ids!(own::Methods::is(people::age, 40));
        ids!(own::Methods::is_not(people::age, 40));
        ids!(own::Methods::is_not(people::age, people::id.nullable()));
    }
}
