// @generated automatically by Diesel CLI.

diesel::table! {
    addresses (id) {
        id -> Integer,
        email -> Nullable<Text>,
    }
}

diesel::table! {
    categories (id) {
        id -> Integer,
        parent_id -> Nullable<Integer>,
    }
}

diesel::table! {
    eggs (id) {
        id -> Integer,
        hen_id -> Nullable<Integer>,
    }
}

diesel::table! {
    emails (id) {
        id -> Integer,
        email -> Nullable<Text>,
    }
}

diesel::table! {
    hens (id) {
        id -> Integer,
        egg_id -> Nullable<Integer>,
    }
}

diesel::table! {
    messages (id) {
        id -> Integer,
        sender -> Integer,
        receiver -> Integer,
        post_id -> Nullable<Integer>,
    }
}

diesel::table! {
    notes (id) {
        id -> Integer,
        post_id -> Integer,
        category_id -> Integer,
    }
}

diesel::table! {
    orphans (id) {
        id -> Integer,
        nowhere_id -> Nullable<Integer>,
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
    shouters (id) {
        id -> Integer,
        user_id -> Nullable<Integer>,
    }
}

diesel::table! {
    solitary (id) {
        id -> Integer,
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

diesel::joinable!(messages -> posts (post_id));
diesel::joinable!(post_categories -> categories (category_id));
diesel::joinable!(post_categories -> posts (post_id));
diesel::joinable!(posts -> users (author));
diesel::joinable!(profiles -> users (user_id));
