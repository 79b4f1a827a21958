// @generated automatically by Diesel CLI.

diesel::table! {
    posts (id) {
        id -> Integer,
        author -> Integer,
        title -> Text,
    }
}

diesel::table! {
    solitary (id) {
        id -> Integer,
    }
}

diesel::allow_tables_to_appear_in_same_query!(posts, solitary,);
