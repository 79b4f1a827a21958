configured
database 'CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL);'
schema schema.rs <<'EOF'
diesel::table! {
    users (id) {
        id -> Integer,
    }
}

diesel::table! {
    posts (id) {
        id -> Integer,
        title -> Text,
        user_id -> Integer,
        other_id -> Integer,
    }
}

diesel::joinable!(posts -> users (user_id));
diesel::joinable!(posts -> not_there (other_id));
diesel::joinable!(users -> posts (id));

diesel::allow_tables_to_appear_in_same_query!(posts, users);
EOF
difference
there_and_back
# Diesel's own tool writes several new tables in any order.
in_any_order() {
    for file in migrations/1_difference/*.sql; do
        echo "== lines of $file"
        LC_ALL=C sort "$file"
    done
}
cat >> schema.rs <<'EOF'
diesel::table! { comments (key) { key -> Text, post -> Integer, pair -> Integer } }
diesel::table! { pairs (a, b) { a -> Integer, b -> Integer, c -> Nullable<Text> } }
diesel::joinable!(comments -> posts (post));
diesel::joinable!(comments -> pairs (pair));
diesel::joinable!(pairs -> comments (c));
EOF
silent migration generate difference --version 1 --diff-schema=schema.rs
in_any_order
there_and_back
