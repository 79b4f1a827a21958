// @generated automatically by Diesel CLI.

diesel::table! {
    solitary (id) {
        id -> Integer,
    }
}
