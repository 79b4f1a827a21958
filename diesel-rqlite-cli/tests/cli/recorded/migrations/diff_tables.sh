configured
schema schema.rs <<'EOF'
diesel::table! {
    everything {
        id -> Integer,
        a -> Bool,
        b -> Nullable<SmallInt>,
        c -> BigInt,
        d -> Nullable<Float>,
        e -> Double,
        f -> Nullable<Text>,
        g -> Binary,
        h -> Nullable<Date>,
        i -> Time,
        j -> Timestamp,
    }
}
EOF
difference
there_and_back
schema schema.rs <<'EOF'
diesel::table! {
    other_names (key) {
        key -> Varchar,
        a -> Int4,
        b -> Nullable<Int8>,
        #[max_length = 255]
        c -> Nullable<VarChar>,
        d -> diesel::sql_types::Bigint,
        e -> Nullable<diesel::sql_types::Int2>,
    }
}
EOF
difference
there_and_back
schema schema.rs <<'EOF'
use diesel::table;

/// A table that joins.
table! {
    use diesel::sql_types::*;

    /// Its key has two columns.
    memberships (user_id, group_id) {
        /// One.
        user_id -> Integer,
        /// Two.
        group_id -> Integer,
        #[sql_name = "since"]
        since -> Nullable<Timestamp>,
    }
}
EOF
difference
there_and_back
