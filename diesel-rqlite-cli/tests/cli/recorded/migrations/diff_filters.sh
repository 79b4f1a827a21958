configured
database 'CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL);
CREATE TABLE posts (id INTEGER PRIMARY KEY NOT NULL);
CREATE TABLE tags (id INTEGER PRIMARY KEY NOT NULL);'
schema schema.rs <<'EOF'
diesel::table! {
    fresh (id) {
        id -> Integer,
    }
}
EOF
difference -o '^users$'
difference --only-tables u p
difference -e s
difference --except-tables '^users$' tags
difference users
difference -e -o users -o
difference -o '('
printf '[print_schema]\nfilter = { only_tables = ["^tags$"] }\n' > diesel.toml
difference
difference -o posts
