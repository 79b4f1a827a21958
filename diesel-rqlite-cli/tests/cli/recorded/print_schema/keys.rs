// @generated automatically by Diesel CLI.

diesel::table! {
    solitary (id) {
        id -> Integer,
    }
}
// @generated automatically by Diesel CLI.

diesel::table! {
    use diesel::sql_types::*;

    profiles (user_id) {
        user_id -> Integer,
        motto -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    users (id) {
        id -> Integer,
        name -> Text,
        email -> Nullable<Text>,
        created -> Timestamp,
    }
}

diesel::joinable!(profiles -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(profiles, users,);
// @generated automatically by Diesel CLI.

diesel::table! {
    notes (id) {
        id -> Integer,
        post_id -> Integer,
        category_id -> Integer,
    }
}

diesel::table! {
    pages (id) {
        id -> Integer,
        a -> Integer,
        b -> Integer,
        c -> Nullable<Integer>,
    }
}

diesel::table! {
    places (id) {
        id -> Integer,
        x -> Nullable<Integer>,
        y -> Nullable<Integer>,
    }
}

diesel::table! {
    post_categories (category_id, post_id) {
        category_id -> Integer,
        post_id -> Integer,
        place -> Nullable<SmallInt>,
    }
}

diesel::table! {
    posts (id) {
        id -> Integer,
        author -> BigInt,
        title -> Text,
    }
}

diesel::joinable!(post_categories -> posts (post_id));

diesel::allow_tables_to_appear_in_same_query!(post_categories, posts,);
