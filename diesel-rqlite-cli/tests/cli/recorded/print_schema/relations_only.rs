// @generated automatically by Diesel CLI.

diesel::table! {
    posts (id) {
        id -> Integer,
        author -> Integer,
        title -> Text,
    }
}

diesel::table! {
    profiles (user_id) {
        user_id -> Integer,
        motto -> Nullable<Text>,
    }
}

diesel::table! {
    users (id) {
        id -> Integer,
        name -> Text,
        email -> Nullable<Text>,
        created -> Timestamp,
    }
}

diesel::joinable!(posts -> users (author));
diesel::joinable!(profiles -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(posts, profiles, users,);
