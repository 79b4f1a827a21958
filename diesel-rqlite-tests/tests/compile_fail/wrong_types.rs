//! Columns and Rust types must fit.

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

diesel::table! { users { id -> Integer, name -> Text, note -> Nullable<Text>, } }

fn text_as_number(conn: &mut RqliteConnection) -> QueryResult<Vec<i32>> {
    users::table.select(users::name).load(conn)
}

fn null_as_text(conn: &mut RqliteConnection) -> QueryResult<Vec<String>> {
    users::table.select(users::note).load(conn)
}

fn rows_of_another_query(conn: &mut RqliteConnection) -> QueryResult<usize> {
    use diesel_rqlite::RqliteInsertSelectDsl;

    diesel::insert_into(users::table)
        .values(users::table.select(users::name).as_rows_of(users::id))
        .on_conflict_do_nothing()
        .execute(conn)
}

fn main() {}
