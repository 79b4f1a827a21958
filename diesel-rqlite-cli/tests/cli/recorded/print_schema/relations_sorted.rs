// @generated automatically by Diesel CLI.

diesel::table! {
    addresses (id) {
        email -> Nullable<Text>,
        id -> Integer,
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
        hen_id -> Nullable<Integer>,
        id -> Integer,
    }
}

diesel::table! {
    emails (id) {
        email -> Nullable<Text>,
        id -> Integer,
    }
}

diesel::table! {
    hens (id) {
        egg_id -> Nullable<Integer>,
        id -> Integer,
    }
}

diesel::table! {
    messages (id) {
        id -> Integer,
        post_id -> Nullable<Integer>,
        receiver -> Integer,
        sender -> Integer,
    }
}

diesel::table! {
    notes (id) {
        category_id -> Integer,
        id -> Integer,
        post_id -> Integer,
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
        a -> Integer,
        b -> Integer,
        c -> Nullable<Integer>,
        id -> Integer,
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
        place -> Nullable<SmallInt>,
        post_id -> Integer,
    }
}

diesel::table! {
    posts (id) {
        author -> Integer,
        id -> Integer,
        title -> Text,
    }
}

diesel::table! {
    profiles (user_id) {
        motto -> Nullable<Text>,
        user_id -> Integer,
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
        created -> Timestamp,
        email -> Nullable<Text>,
        id -> Integer,
        name -> Text,
    }
}

diesel::joinable!(messages -> posts (post_id));
diesel::joinable!(post_categories -> categories (category_id));
diesel::joinable!(post_categories -> posts (post_id));
diesel::joinable!(posts -> users (author));
diesel::joinable!(profiles -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    addresses,
    categories,
    eggs,
    emails,
    hens,
    messages,
    notes,
    orphans,
    pages,
    places,
    post_categories,
    posts,
    profiles,
    shouters,
    solitary,
    users,
);
