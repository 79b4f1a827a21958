// @generated automatically by Diesel CLI.

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Mine;

    posts (id) {
        id -> Integer,
        author -> Integer,
        title -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::types::Mine;

    users (id) {
        id -> Integer,
        name -> Text,
        email -> Nullable<Text>,
        created -> Timestamp,
    }
}

diesel::joinable!(posts -> users (author));

diesel::allow_tables_to_appear_in_same_query!(posts, users,);
