configured
database 'CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL);
CREATE TABLE pairs (a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b));'
of() {
    printf '%b' "$1" > schema.rs
    diesel migration generate error --version 1 --diff-schema=schema.rs
}
of 'diesel::table! {\n    users {\n        id Integer,\n    }\n}\n'
of 'diesel::table! {\n    users {\n        id -> 5,\n    }\n}\n'
of 'diesel::joinable!(users, pairs);\n'
of 'diesel::table! { users (id) { id -> Integer, #[max_length = "a"] name -> Text } }'
of 'this is not Rust'
of 'diesel::table! { users (name) { id -> Integer, name -> Text } }'
of 'diesel::table! { pairs (a) { a -> Text, b -> Text } }'
of 'diesel::table! { pairs (b, a) { a -> Text, b -> Text } } table! { users { id -> Integer, name -> Text } }'
show migrations/*/*.sql
files
