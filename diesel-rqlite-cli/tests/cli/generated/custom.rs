// @generated automatically by Diesel CLI.

pub mod sql_types {
    #[derive(Debug, diesel::query_builder::QueryId, diesel::sql_types::SqlType)]
    pub struct Geometry;

    impl diesel::sql_types::HasSqlType<Geometry> for diesel_rqlite::Rqlite {
        fn metadata(_: &mut ()) -> diesel_rqlite::RqliteType {
            diesel_rqlite::RqliteType::Binary
        }
    }

    #[derive(Debug, diesel::query_builder::QueryId, diesel::sql_types::SqlType)]
    pub struct Mood;

    impl diesel::sql_types::HasSqlType<Mood> for diesel_rqlite::Rqlite {
        fn metadata(_: &mut ()) -> diesel_rqlite::RqliteType {
            diesel_rqlite::RqliteType::Binary
        }
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use super::sql_types::Mood;
    use super::sql_types::Geometry;

    people (id) {
        id -> Integer,
        mood -> Mood,
        other -> Nullable<Mood>,
        place -> Nullable<Geometry>,
    }
}
