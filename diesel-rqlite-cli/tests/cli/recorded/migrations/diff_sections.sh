mkdir migrations
database 'CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL);
CREATE TABLE posts (id INTEGER PRIMARY KEY NOT NULL);'
mkdir src
schema src/people.rs <<'EOF'
diesel::table! {
    people (id) {
        id -> BigInt,
    }
}
EOF
schema src/all.rs <<'EOF'
pub mod one {
    diesel::table! {
        users (id) {
            id -> Integer,
        }
    }
    pub mod two {
        table! {
            posts {
                id -> Integer,
                title -> Nullable<Text>,
            }
        }
    }
}
EOF
cat > diesel.toml <<'EOF'
[print_schema]
file = "src/all.rs"
[print_schema.people]
file = "src/people.rs"
filter = { only_tables = ["^users$"] }
sqlite_integer_primary_key_is_bigint = true
[print_schema.none]
EOF
diesel migration generate all --version 1 --diff-schema
diesel migration generate default --version 2 --diff-schema --schema-key default
diesel migration generate people --version 3 --diff-schema --schema-key people
diesel migration generate first --version 4 --diff-schema --schema-key people --schema-key default
diesel migration generate other_file --version 5 --diff-schema=src/people.rs --schema-key default
diesel migration generate no_file --version 6 --diff-schema --schema-key none
diesel migration generate unknown --version 7 --diff-schema --schema-key unknown
diesel migration generate unused --version 8 --schema-key unknown
show migrations/*/*.sql
