configured
database 'CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, gone TEXT, wider INTEGER NOT NULL, maybe TEXT NOT NULL, alias INT,
    surely DATE, name VARCHAR(20), old BLOB NOT NULL);
CREATE TABLE same (name TEXT NOT NULL, n BIGINT);
CREATE TABLE views (id INTEGER PRIMARY KEY NOT NULL);'
schema schema.rs <<'EOF'
diesel::table! {
    same (rowid) {
        rowid -> Integer,
        name -> Varchar,
        n -> Nullable<Int8>,
    }
}

diesel::table! {
    users (id) {
        id -> Integer,
        wider -> BigInt,
        maybe -> Nullable<Text>,
        alias -> Nullable<Int4>,
        surely -> Date,
        name -> Nullable<Text>,
        added -> Nullable<Timestamp>,
    }
}

diesel::table! {
    views (id) {
        id -> Integer,
        count -> Double,
    }
}
EOF
difference
there_and_back
schema schema.rs <<'EOF'
diesel::table! {
    users (id) {
        id -> Integer,
        #[max_length = 20]
        name -> Nullable<Varchar>,
    }
}
EOF
difference --only-tables users
there_and_back
