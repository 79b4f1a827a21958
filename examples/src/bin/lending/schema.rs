// @generated automatically by Diesel CLI.

diesel::table! {
    books (id) {
        id -> Integer,
        title -> Text,
        author -> Text,
    }
}

diesel::table! {
    loans (id) {
        id -> Integer,
        book_id -> Integer,
        member_id -> Integer,
        lent_at -> Timestamp,
        returned_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    members (id) {
        id -> Integer,
        name -> Text,
        active -> Bool,
    }
}

diesel::joinable!(loans -> books (book_id));
diesel::joinable!(loans -> members (member_id));

diesel::allow_tables_to_appear_in_same_query!(books, loans, members,);
