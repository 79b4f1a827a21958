configured
database 'CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL);
CREATE TABLE posts (id INTEGER PRIMARY KEY NOT NULL, user_id INTEGER NOT NULL REFERENCES users, n INTEGER);
CREATE TABLE wide (id BIGINT PRIMARY KEY NOT NULL);'
schema schema.rs <<'EOF'
diesel::table! {
    users (id) {
        id -> BigInt,
    }
}

diesel::table! {
    fresh (id) {
        id -> BigInt,
        user_id -> BigInt,
    }
}

diesel::joinable!(fresh -> users (user_id));
EOF
difference --sqlite-integer-primary-key-is-bigint
there_and_back --sqlite-integer-primary-key-is-bigint
difference
printf '[print_schema]\nsqlite_integer_primary_key_is_bigint = true\n' > diesel.toml
difference
silent migration generate other --sqlite-integer-primary-key-is-bigint
files
