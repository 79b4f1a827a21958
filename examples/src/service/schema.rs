//! The tables of the migrations.

diesel::table! {
    bank_accounts (id) {
        id -> Integer,
        owner -> Text,
        cents -> BigInt,
    }
}

diesel::table! {
    bank_transfers (id) {
        id -> Text,
        source -> Integer,
        target -> Integer,
        cents -> BigInt,
    }
}
