// @generated automatically by Diesel CLI.

diesel::table! {
    wide (id) {
        id -> Uuid,
        doc -> Nullable<Json>,
        packed -> Jsonb,
        price -> Nullable<Numeric>,
        at -> Nullable<Timestamptz>,
        other -> Nullable<Timestamptz>,
        short -> Nullable<Timestamp>,
    }
}
