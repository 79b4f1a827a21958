//! SQL as text: `sql_query`, with values and names.

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Double, Integer, Nullable, Text, Timestamp};

use crate::kit::{people, same};

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

#[derive(Debug, QueryableByName)]
#[diesel(table_name = people)]
#[allow(dead_code)]
struct OfTable {
    id: i32,
    #[diesel(embed)]
    rest: Rest,
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = people)]
#[allow(dead_code)]
struct Rest {
    age: Option<i32>,
    #[diesel(column_name = name)]
    called: String,
}

#[derive(Debug, QueryableByName)]
#[allow(dead_code)]
struct Number {
    #[diesel(sql_type = Nullable<BigInt>)]
    number: Option<i64>,
}

same! {
    fn raw_rows_by_name(conn, shown) {
        shown.add(diesel::sql_query("SELECT * FROM people ORDER BY id").load::<Row>(conn));
        shown.add(diesel::sql_query("SELECT name, age, id FROM people ORDER BY id").load::<OfTable>(conn));
        shown.add(diesel::sql_query("SELECT id FROM people").load::<Row>(conn).map_err(|_| diesel::result::Error::NotFound));
        shown.add(diesel::sql_query("SELECT max(age) AS number FROM people").get_result::<Number>(conn));
        shown.add(diesel::sql_query("WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n LIMIT 4) SELECT * FROM n")
            .load::<Number>(conn));
        shown.add(diesel::sql_query("SELECT count(*) AS number FROM pragma_table_info('people')").load::<Number>(conn));
        shown.add(diesel::sql_query("SELECT 1 AS number WHERE 0").get_result::<Number>(conn));
    }

    fn raw_queries_with_values(conn, shown) {
        let bound = diesel::sql_query("SELECT name, born, active, photo FROM people WHERE id = ? OR name = ?");
        shown.add(bound.bind::<Integer, _>(1).bind::<Text, _>("Cid").load::<Row>(conn));
        let numbered = diesel::sql_query("SELECT ?2 + ?1 + ?2 AS number");
        shown.add(numbered.bind::<BigInt, _>(1).bind::<Integer, _>(20).load::<Number>(conn));
        let null = diesel::sql_query("SELECT ? AS number").bind::<Nullable<BigInt>, _>(None::<i64>);
        shown.add(null.load::<Number>(conn));
        let mut boxed = diesel::sql_query("SELECT id AS number FROM people WHERE id IN (").into_boxed::<own::Backend>();
        for (place, id) in [1_i64, 3].into_iter().enumerate() {
            boxed = boxed.sql(if place == 0 { "?" } else { ", ?" }).bind::<BigInt, _>(id);
        }
        shown.add(boxed.sql(") ORDER BY id").load::<Number>(conn));
    }

    fn raw_writes(conn, shown) {
        shown.add(diesel::sql_query("UPDATE people SET height = ? WHERE id = 1").bind::<Double, _>(0.5).execute(conn));
        let returned = diesel::sql_query("UPDATE people SET active = 0 WHERE id = 1 RETURNING name, born, active, photo");
        shown.add(returned.load::<Row>(conn));
        shown.add(diesel::sql_query("DELETE FROM toys").execute(conn));
        shown.add(diesel::sql_query("CREATE TABLE x (a); ").execute(conn).map(|_| ()));
        shown.add(diesel::sql_query("INSERT INTO x SELECT id FROM people").execute(conn));
        shown.add(diesel::sql_query("SELECT sum(a) AS number FROM x").load::<Number>(conn));
        shown.add(conn.batch_execute("DELETE FROM x; INSERT INTO x VALUES (7); -- done"));
        shown.add(diesel::sql_query("SELECT sum(a) AS number FROM x").load::<Number>(conn));
        shown.add(conn.batch_execute("INSERT INTO x VALUES (8); INSERT INTO nowhere VALUES (1)"));
    }

    fn queries_as_text(conn, shown) {
        use diesel::query_builder::{QueryBuilder, QueryFragment};
        let query = people::table.filter(people::id.gt(1)).select(people::name);
        let mut builder = <own::Backend as diesel::backend::Backend>::QueryBuilder::default();
        shown.add(QueryFragment::<own::Backend>::to_sql(&query, &mut builder, &own::Backend::default()));
        shown.text(builder.finish().replace(['`', '"'], ""));
        shown.add(query.load::<String>(conn));
    }
}

/// Texts are the same but for the quotes around names, which SQLite takes both.
#[test]
fn debug_query_shows_the_same_text() {
    macro_rules! text {
        ($query:expr) => {{
            let query = $query;
            let reference = diesel::debug_query::<diesel::sqlite::Sqlite, _>(&query).to_string();
            let ours = diesel::debug_query::<diesel_rqlite::Rqlite, _>(&query).to_string();
            assert_eq!(ours.replace('"', "`"), reference.replace('"', "`"));
        }};
    }
    use crate::kit::pets;
    text!(
        people::table
            .filter(people::id.eq(1).or(people::name.like("A%")))
            .limit(3)
            .offset(1)
    );
    text!(people::table.offset(1).select(people::id));
    text!(
        people::table
            .left_join(pets::table)
            .select((people::id, pets::name.nullable()))
    );
    text!(
        people::table
            .select(people::id)
            .union_all(pets::table.select(pets::id))
    );
    text!(diesel::insert_into(people::table).values((people::name.eq("x"), people::age.eq(1))));
    text!(diesel::update(people::table.find(1)).set(people::age.eq(2)));
    text!(diesel::delete(
        people::table.filter(people::id.eq_any([1, 2]))
    ));
    text!(diesel::replace_into(people::table).values(people::name.eq("x")));
    text!(diesel::insert_or_ignore_into(people::table).values(people::name.eq("x")));
    text!(
        diesel::insert_into(people::table)
            .values(people::name.eq("x"))
            .on_conflict(people::name)
            .do_update()
            .set(people::age.eq(1))
    );
    text!(diesel::insert_into(people::table).default_values());
    text!(diesel::sql_query("SELECT ?").bind::<Integer, _>(1));
    text!(people::table.select(people::id.cast::<Text>()));
    text!(people::table.count());
}
