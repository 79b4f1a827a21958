//! Errors: their kinds, and the messages of SQLite.

use chrono::NaiveDateTime;
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text, Timestamp};

use crate::kit::{Person, people, pets, same};

same! {
    fn constraints(conn, shown) {
        conn.batch_execute("CREATE TABLE strict_one (a INTEGER NOT NULL, b TEXT, CHECK (a > 0), UNIQUE (a, b)) STRICT;
            CREATE TRIGGER no_zeros BEFORE DELETE ON pets WHEN old.name = 'Rex' BEGIN SELECT RAISE(ABORT, 'Rex stays'); END;")
            .expect("creates");
        for sql in [
            "INSERT INTO people (name) VALUES (NULL)",
            "INSERT INTO people (name) VALUES ('Ann')",
            "INSERT INTO people (id, name) VALUES (1, 'x')",
            "INSERT INTO people (name) VALUES ('nobody')",
            "INSERT INTO people (id, name) VALUES ('text', 'y')",
            "INSERT INTO pets (owner_id, name) VALUES (99, 'Lost')",
            "DELETE FROM people WHERE id = 1",
            "DELETE FROM pets WHERE id = 1",
            "INSERT INTO strict_one VALUES ('one', 'x')",
            "INSERT INTO strict_one VALUES (0, 'x')",
            "INSERT INTO strict_one VALUES (1, 'x'), (1, 'x')",
        ] {
            shown.add(diesel::sql_query(sql).execute(conn));
        }
        shown.add(diesel::insert_into(people::table).values(people::name.eq("Ann")).execute(conn));
        shown.add(diesel::update(people::table.find(2)).set(people::name.eq("nobody")).execute(conn));
        shown.add(diesel::insert_into(pets::table).values((pets::owner_id.eq(77), pets::name.eq("Lost"))).execute(conn));
        shown.add(diesel::insert_into(pets::table).values((pets::owner_id.eq(77), pets::name.eq("Lost"))).returning(pets::id).get_result::<i32>(conn));
        shown.add(diesel::update(people::table.find(1)).set(people::id.eq(50)).execute(conn));
        shown.add(people::table.count().get_result::<i64>(conn));
    }

    fn wrong_sql(conn, shown) {
        for text in ["INSERT INTO nowhere VALUES (1)", "UPDATE people SET nothing = 1", "SELEC 1", "DROP TABLE nowhere",
            "CREATE TABLE people (a)", "INSERT INTO people VALUES (1)", "SELECT count(*) FROM people GROUP BY"] {
            shown.add(diesel::sql_query(text).execute(conn));
        }
        shown.add(sql::<Integer>("SELECT nope").get_result::<i32>(conn));
        shown.add(sql::<Integer>("SELECT abs(-9223372036854775808)").get_result::<i32>(conn));
        shown.add(sql::<Text>("SELECT json('{')").get_result::<String>(conn));
        shown.add(sql::<Text>("SELECT nothing(1)").get_result::<String>(conn));
    }

    fn nothing_found(conn, shown) {
        shown.add(people::table.find(99).first::<Person>(conn));
        shown.add(people::table.find(99).get_result::<Person>(conn));
        shown.add(people::table.find(99).first::<Person>(conn).optional());
        shown.add(diesel::delete(people::table.find(99)).get_result::<Person>(conn));
        shown.add(people::table.filter(people::id.lt(0)).load::<Person>(conn));
    }

    fn values_that_do_not_fit(conn, shown) {
        shown.add(sql::<Integer>("SELECT NULL").get_result::<i32>(conn));
        shown.add(sql::<Timestamp>("SELECT 'soon'").get_result::<NaiveDateTime>(conn));
        shown.add(sql::<Text>("SELECT CAST(x'ff' AS TEXT)").get_result::<String>(conn));
        shown.add(sql::<Text>("SELECT x'ff'").get_result::<String>(conn));
    }
}
