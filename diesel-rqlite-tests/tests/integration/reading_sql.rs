//! How SQL is read: once, and with a verdict on every function that a server has.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use diesel_rqlite_sql::{count, function_named};

use super::RqliteConnection;
use super::database::Database;

diesel::table! {
    t (id) {
        id -> Integer,
        a -> Nullable<Text>,
        b -> Nullable<Text>,
    }
}

const SCHEMA: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)";

#[derive(QueryableByName)]
struct Function {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Integer)]
    arguments: i32,
}

#[test]
fn every_function_of_the_server_has_a_row_in_the_table() {
    let mut db = Database::new();
    let functions: Vec<Function> = diesel::sql_query(
        "SELECT DISTINCT name, narg AS arguments FROM pragma_function_list WHERE builtin",
    )
    .load(&mut *db)
    .expect("is a list");
    assert!(functions.len() > 100, "{}", functions.len());
    let wrong = functions.iter().filter(|function| {
        let known = function_named(&function.name);
        !known.is_some_and(|known| {
            let (from, to) = known.arguments;
            match u8::try_from(function.arguments) {
                Ok(number) => (from..=to).contains(&number),
                // Any number.
                Err(_) => to == u8::MAX || known.arguments == (0, 2),
            }
        })
    });
    let wrong = wrong.map(|function| format!("{}/{}", function.name, function.arguments));
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
}

/// How many texts are read while this runs.
fn read<T>(run: impl FnOnce() -> QueryResult<T>) -> usize {
    count::take();
    run().unwrap_or_else(|error| panic!("{error}"));
    count::take()
}

/// Each way in which a text can enter, with how many texts do. `known`: what is likely to come again was read before, by this
/// connection or another one.
fn ways(connection: &mut RqliteConnection, known: bool) {
    let unless_known = usize::from(!known);
    let rows = |from: i32, to: i32| -> Vec<_> {
        let row = |id: i32| (t::id.eq(id), t::a.eq((id % 2 == 0).then_some("x'41'")));
        (from..to).map(row).collect()
    };
    assert_eq!(
        read(|| diesel::sql_query("SELECT id FROM t LIMIT 2").execute(connection)),
        1
    );
    assert_eq!(
        read(|| t::table
            .filter(t::a.eq("x'41'"))
            .load::<(i32, Option<String>, Option<String>)>(connection)),
        unless_known
    );
    assert_eq!(
        read(|| {
            let write = diesel::sql_query(
                "UPDATE t SET a = datetime('now'), b = ? WHERE id = ? RETURNING id",
            );
            let write = write.bind::<Text, _>("x'42'").bind::<Integer, _>(1);
            write.execute(connection)
        }),
        1
    );
    assert_eq!(
        read(|| {
            let row = (t::id.eq(1), t::a.eq("x'41'"));
            let insert = diesel::replace_into(t::table).values(row);
            insert.returning(t::id).get_result::<i32>(connection)
        }),
        unless_known
    );
    // Rendered as several statements, or with literals.
    assert_eq!(
        read(|| diesel::replace_into(t::table)
            .values(rows(2, 5))
            .execute(connection)),
        1
    );
    assert_eq!(
        read(|| diesel::replace_into(t::table)
            .values(rows(2, 400))
            .execute(connection)),
        1
    );
    assert_eq!(
        read(|| diesel::delete(t::table.find(3)).execute(connection)),
        unless_known
    );
    assert_eq!(
        read(|| connection.batch_execute(
            "INSERT INTO t (a) VALUES (random()); DELETE FROM t WHERE id > 400 RETURNING id"
        )),
        1
    );
}

#[test]
fn each_text_is_read_once_at_most() {
    let mut db = Database::with(SCHEMA);
    ways(&mut db, false);
    ways(&mut db, true);
    for mode in ["interactive", "eager"] {
        let mut connection = db.another_with(&format!("transaction={mode}"));
        connection
            .transaction(|connection| {
                // What the schema says of triggers and defaults is read, too, where it says something.
                ways(connection, true);
                ways(connection, true);
                QueryResult::Ok(())
            })
            .expect("commits");
    }
}
