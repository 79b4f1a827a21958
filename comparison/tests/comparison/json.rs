//! SQLite's JSON functions, as Diesel declares them, and JSON as a type of columns.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Binary, Integer, Json, Jsonb, Nullable, Text};
use serde_json::{Value, json as document};

use crate::kit::{people, same};

diesel::table! {
    documents { id -> Integer, plain -> Nullable<Json>, binary -> Nullable<Jsonb>, }
}

same! {
    fn functions_of_json(conn, shown) {
        macro_rules! result {
            ($type:ty: $expression:expr) => {
                shown.add(diesel::select($expression).get_result::<$type>(conn))
            };
        }
        let object = || document!({"a": [1, 2.5, null], "b": {"c": "d'"}});
        result!(Value: own::json::<Text, _>(" { \"a\" : [ 1 ] } "));
        result!(Option<Value>: own::json::<Nullable<Text>, _>(None::<&str>));
        result!(Value: own::json::<Text, _>("{"));
        result!(Value: own::jsonb::<Binary, _>(&b"{\"a\":1}"[..]));
        result!(i32: own::json_array_length::<Json, _>(document!([1, 2])));
        result!(Option<i32>: own::json_array_length_with_path::<Jsonb, _, _>(object(), "$.a"));
        result!(Option<i32>: own::json_array_length_with_path::<Json, _, _>(object(), "$.x"));
        result!(i32: own::json_error_position::<Text, _>("{\"a\":}"));
        result!(bool: own::json_valid::<Json, _>(object()));
        result!(String: own::json_type::<Jsonb, _>(object()));
        result!(Option<String>: own::json_type_with_path::<Json, _, _>(object(), "$.a[1]"));
        result!(Option<String>: own::json_type_with_path::<Json, _, _>(object(), "$.zz"));
        result!(Value: own::json_quote::<Integer, _>(42));
        result!(Value: own::json_quote::<Text, _>("it's \"x\""));
        result!(Value: own::json_array_0());
        result!(Value: own::json_array_2::<Text, Integer, _, _>("a", 1));
        result!(Value: own::jsonb_array_2::<Json, Nullable<Integer>, _, _>(object(), None::<i32>));
        result!(Option<Value>: own::json_remove_1::<Json, _, _>(object(), "$.a"));
        result!(Option<Value>: own::json_remove_2::<Jsonb, _, _, _>(object(), "$.a[0]", "$.b.c"));
        result!(Option<Value>: own::jsonb_remove_1::<Jsonb, _, _>(object(), "$.b"));
        result!(Value: own::json_patch::<Json, Json, _, _>(object(), document!({"a": null, "e": 1})));
        result!(Value: own::jsonb_patch::<Jsonb, Json, _, _>(object(), document!({"b": {"c": null}})));
        result!(Option<Value>: own::json_patch::<Nullable<Json>, Json, _, _>(None::<Value>, document!({})));
    }

    fn aggregates_of_json(conn, shown) {
        shown.add(people::table.select(own::json_group_array(people::name)).get_result::<Value>(conn));
        shown.add(people::table.select(own::jsonb_group_array(people::age)).get_result::<Value>(conn));
        shown.add(people::table.select(own::json_group_object(people::name, people::height)).get_result::<Value>(conn));
        shown.add(people::table.select(own::jsonb_group_object(people::name, people::active)).get_result::<Value>(conn));
        shown.add(people::table.group_by(people::active).order(people::active)
            .select((people::active, own::json_group_array(people::id))).load::<(bool, Value)>(conn));
    }

    fn columns_of_json(conn, shown) {
        conn.batch_execute("CREATE TABLE documents (id INTEGER PRIMARY KEY, plain JSON, binary JSONB)").expect("creates");
        let values = [document!({"a": [1, true, null, "é"]}), document!([]), document!("text"), document!(1.5), document!(null)];
        for value in values {
            let new = (documents::plain.eq(&value), documents::binary.eq(&value));
            shown.add(diesel::insert_into(documents::table).values(new).execute(conn));
        }
        shown.add(documents::table.order(documents::id).load::<(i32, Option<Value>, Option<Value>)>(conn));
        shown.add(documents::table.order(documents::id).select(own::json_type::<Nullable<Json>, _>(documents::plain))
            .load::<Option<String>>(conn));
        shown.add(diesel::sql_query("UPDATE documents SET plain = 'no json' WHERE id = 1").execute(conn));
        shown.add(documents::table.find(1).select(documents::plain).first::<Option<Value>>(conn));
    }
}

/// json_pretty is a function of SQLite 3.46; on an older server its error says so.
#[test]
fn functions_of_newer_versions() {
    let (mut sqlite, (_node, mut rqlite)) = (crate::kit::sqlite(), crate::kit::rqlite());
    let value = || document!({"a": [1, {}]});
    macro_rules! pretty {
        ($own:ident, $conn:expr) => {{
            let plain = crate::kit::own::$own::json_pretty::<Json, _>(value());
            let indented =
                crate::kit::own::$own::json_pretty_with_indentation::<Json, _, _>(value(), ">");
            [
                crate::kit::shown(diesel::select(plain).get_result::<String>($conn)),
                crate::kit::shown(diesel::select(indented).get_result::<String>($conn)),
            ]
        }};
    }
    let version = diesel::select(diesel::dsl::sql::<Text>("sqlite_version()"))
        .get_result::<String>(&mut rqlite)
        .expect("reads");
    let minor: u32 = version
        .split('.')
        .nth(1)
        .and_then(|minor| minor.parse().ok())
        .expect("a version");
    let wanted = match minor {
        ..46 => [
            "Unknown: no such function: json_pretty".to_owned(),
            "Unknown: no such function: json_pretty".to_owned(),
        ],
        _ => pretty!(sqlite, &mut sqlite),
    };
    assert_eq!(pretty!(rqlite, &mut rqlite), wanted);
}
