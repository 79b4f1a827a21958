// @generated automatically by Diesel CLI.

diesel::table! {
    addresses (id) {
        id -> BigInt,
        email -> Nullable<Text>,
    }
}

diesel::table! {
    categories (id) {
        id -> BigInt,
        parent_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    eggs (id) {
        id -> BigInt,
        hen_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    emails (id) {
        id -> BigInt,
        email -> Nullable<Text>,
    }
}

diesel::table! {
    hens (id) {
        id -> BigInt,
        egg_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    messages (id) {
        id -> BigInt,
        sender -> BigInt,
        receiver -> BigInt,
        post_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    notes (id) {
        id -> BigInt,
        post_id -> Integer,
        category_id -> Integer,
    }
}

diesel::table! {
    orphans (id) {
        id -> BigInt,
        nowhere_id -> Nullable<Integer>,
    }
}

diesel::table! {
    pages (id) {
        id -> BigInt,
        a -> BigInt,
        b -> BigInt,
        c -> Nullable<BigInt>,
    }
}

diesel::table! {
    places (id) {
        id -> BigInt,
        x -> Nullable<Integer>,
        y -> Nullable<Integer>,
    }
}

diesel::table! {
    post_categories (category_id, post_id) {
        category_id -> BigInt,
        post_id -> BigInt,
        place -> Nullable<SmallInt>,
    }
}

diesel::table! {
    posts (id) {
        id -> BigInt,
        author -> BigInt,
        title -> Text,
    }
}

diesel::table! {
    profiles (user_id) {
        user_id -> BigInt,
        motto -> Nullable<Text>,
    }
}

diesel::table! {
    shouters (id) {
        id -> BigInt,
        user_id -> Nullable<Integer>,
    }
}

diesel::table! {
    solitary (id) {
        id -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> BigInt,
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
