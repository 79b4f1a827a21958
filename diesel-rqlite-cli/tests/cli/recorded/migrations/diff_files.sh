diesel setup
database 'CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT);'
mkdir -p src/deep
schema src/schema.rs <<'EOF'
diesel::table! {
    users (id) {
        id -> Integer,
    }
}
EOF
schema src/other.rs <<'EOF'
diesel::table! {
    users (id) {
        id -> Integer,
        name -> Nullable<Text>,
    }
}
EOF
diesel migration generate of_the_file --version 1 --diff-schema
show migrations/1_of_the_file/*.sql
diesel migration generate nothing --version 2 --diff-schema=src/other.rs
show migrations/2_nothing/*.sql
cd src/deep
diesel migration generate from_below --version 3 --no-down --diff-schema=src/schema.rs
cd ../..
show migrations/3_from_below/*.sql
diesel migration generate gone --version 4 --diff-schema=src/gone.rs
diesel migration generate taken --version 3 --diff-schema
diesel migration generate a_name --version 5 --diff-schema src/other.rs
show migrations/5_a_name/*.sql
files
configured
diesel migration generate no_file --version 6 --diff-schema
show migrations/6_no_file/*.sql
unset DATABASE_URL
diesel migration generate no_database --version 7 --diff-schema=src/schema.rs
diesel migration generate no_database --version 7 --diff-schema=src/gone.rs
files
