//! What every comparison needs: a schema, two connections, and what a program shows of its results.

use std::fmt::Debug;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
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

diesel::table! {
    toys {
        id -> Integer,
        pet_id -> Integer,
        label -> Nullable<Text>,
    }
}

diesel::joinable!(pets -> people (owner_id));
diesel::joinable!(toys -> pets (pet_id));
diesel::allow_tables_to_appear_in_same_query!(people, pets, toys);

pub(crate) const SCHEMA: &str = "
    CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE CHECK (name <> 'nobody'), age INTEGER,
        height REAL, active BOOLEAN NOT NULL DEFAULT 1, photo BLOB, born TIMESTAMP);
    CREATE TABLE pets (id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES people (id), name TEXT NOT NULL);
    CREATE TABLE toys (id INTEGER PRIMARY KEY, pet_id INTEGER NOT NULL REFERENCES pets (id), label TEXT DEFAULT 'ball');
    INSERT INTO people VALUES (1, 'Ann', 40, 1.75, 1, x'00ff', '1984-02-29 13:14:15.5'),
        (2, 'Bob', NULL, NULL, 0, NULL, NULL), (3, 'Cid', 25, 2.0, 1, x'', '2000-01-01T00:00:00');
    INSERT INTO pets VALUES (1, 1, 'Rex'), (2, 1, 'Tom'), (3, 3, 'Ivy');
    INSERT INTO toys VALUES (1, 1, 'bone'), (2, 1, NULL), (3, 3, 'ball');";

#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Identifiable, AsChangeset)]
#[diesel(table_name = people)]
pub(crate) struct Person {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) age: Option<i32>,
    pub(crate) height: Option<f64>,
    pub(crate) active: bool,
    pub(crate) photo: Option<Vec<u8>>,
    pub(crate) born: Option<chrono::NaiveDateTime>,
}

#[derive(Insertable)]
#[diesel(table_name = people)]
pub(crate) struct NewPerson<'a> {
    pub(crate) name: &'a str,
    pub(crate) age: Option<i32>,
    pub(crate) active: Option<bool>,
}

/// The results of a program, as text.
#[derive(Default)]
pub(crate) struct Shown(Vec<String>);

impl Shown {
    /// A value, or the kind and the message of an error.
    pub(crate) fn add<T: Debug>(&mut self, outcome: QueryResult<T>) {
        self.0.push(shown(outcome));
    }

    pub(crate) fn text(&mut self, value: impl Debug) {
        self.0.push(format!("{value:?}"));
    }

    /// Both programs came to the same results.
    pub(crate) fn compare(ours: &Self, reference: &Self) {
        for (place, (ours, reference)) in ours.0.iter().zip(&reference.0).enumerate() {
            assert_eq!(ours, reference, "rqlite and SQLite, result {place}");
        }
        assert_eq!(ours.0.len(), reference.0.len());
        assert!(!ours.0.is_empty());
    }
}

/// What a program shows of a result. Of an error in reading a value, which has no kinds, that it is one.
pub(crate) fn shown<T: Debug>(outcome: QueryResult<T>) -> String {
    match outcome {
        Ok(value) => format!("{value:?}"),
        Err(Error::DatabaseError(kind, information)) => {
            format!("{kind:?}: {}", information.message())
        }
        Err(Error::DeserializationError(_)) => "DeserializationError".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

/// SQLite with the schema, in memory. Foreign keys are enforced, as on the node of [`rqlite`].
pub(crate) fn sqlite() -> diesel::SqliteConnection {
    let mut sqlite = diesel::SqliteConnection::establish(":memory:").expect("opens");
    sqlite
        .batch_execute("PRAGMA foreign_keys = ON")
        .expect("sets");
    sqlite.batch_execute(SCHEMA).expect("creates");
    sqlite
}

/// A node of its own with the schema.
pub(crate) fn rqlite() -> (Rqlited, RqliteConnection) {
    let node = Rqlited::builder().foreign_keys().start();
    let mut rqlite = connect(&node);
    rqlite.batch_execute(SCHEMA).expect("creates");
    (node, rqlite)
}

pub(crate) fn connect(node: &Rqlited) -> RqliteConnection {
    RqliteConnection::establish(&node.url()).expect("connects")
}

/// Where Diesel has SQLite's own functions and methods, and where we have them.
pub(crate) mod own {
    pub(crate) mod sqlite {
        pub(crate) use diesel::SqliteExpressionMethods as Methods;
        // Not from `diesel::dsl`, which here has those of PostgreSQL, too.
        pub(crate) use diesel::sqlite::expression::functions::{
            json, json_array_0, json_array_2, json_array_length, json_array_length_with_path,
            json_error_position, json_group_array, json_group_object, json_patch, json_pretty,
            json_pretty_with_indentation, json_quote, json_remove_1, json_remove_2, json_type,
            json_type_with_path, json_valid, jsonb, jsonb_array_2, jsonb_group_array,
            jsonb_group_object, jsonb_patch, jsonb_remove_1,
        };
        pub(crate) type Backend = diesel::sqlite::Sqlite;
        pub(crate) type PointInTime = diesel::sql_types::TimestamptzSqlite;
    }
    pub(crate) mod rqlite {
        pub(crate) use diesel_rqlite::RqliteExpressionMethods as Methods;
        pub(crate) use diesel_rqlite::json_functions::{
            json, json_array_0, json_array_2, json_array_length, json_array_length_with_path,
            json_error_position, json_group_array, json_group_object, json_patch, json_pretty,
            json_pretty_with_indentation, json_quote, json_remove_1, json_remove_2, json_type,
            json_type_with_path, json_valid, jsonb, jsonb_array_2, jsonb_group_array,
            jsonb_group_object, jsonb_patch, jsonb_remove_1,
        };
        pub(crate) type Backend = diesel_rqlite::Rqlite;
        pub(crate) type PointInTime = diesel::sql_types::Timestamptz;
    }
}

/// Runs a body with both connections. What it shows of its results is compared.
///
/// In the body, `own` is the module above for the connection that runs it.
macro_rules! same {
    ($($(#[$attribute:meta])* fn $name:ident($conn:ident, $shown:ident) $body:block)*) => {$(
        $(#[$attribute])*
        #[test]
        fn $name() {
            fn on_sqlite($conn: &mut diesel::SqliteConnection, $shown: &mut crate::kit::Shown) {
                #[allow(unused_imports)]
                use crate::kit::own::sqlite as own;
                $body
            }
            fn on_rqlite($conn: &mut diesel_rqlite::RqliteConnection, $shown: &mut crate::kit::Shown) {
                #[allow(unused_imports)]
                use crate::kit::own::rqlite as own;
                $body
            }
            let (mut reference, mut ours) = (crate::kit::Shown::default(), crate::kit::Shown::default());
            on_sqlite(&mut crate::kit::sqlite(), &mut reference);
            let (_node, mut rqlite) = crate::kit::rqlite();
            on_rqlite(&mut rqlite, &mut ours);
            crate::kit::Shown::compare(&ours, &reference);
        }
    )*};
}
pub(crate) use same;
