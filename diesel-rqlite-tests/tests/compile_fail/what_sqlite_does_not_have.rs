//! SQL of other databases is refused when it is compiled.

use diesel::prelude::*;
use diesel_rqlite::RqliteConnection;

diesel::table! { users { id -> Integer, name -> Text, } }

fn locked_rows(conn: &mut RqliteConnection) -> QueryResult<Vec<(i32, String)>> {
    users::table.for_update().load(conn)
}

fn distinct_on(conn: &mut RqliteConnection) -> QueryResult<Vec<(i32, String)>> {
    users::table.distinct_on(users::name).load(conn)
}

fn intersect_all(conn: &mut RqliteConnection) -> QueryResult<Vec<i32>> {
    users::table.select(users::id).intersect_all(users::table.select(users::id)).load(conn)
}

fn main() {}
