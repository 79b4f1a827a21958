//! Rows.

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::database::Backend;
use super::schema::{books, loans, members};

#[derive(Debug, Identifiable, Queryable, Selectable)]
#[diesel(table_name = books, check_for_backend(Backend))]
pub(crate) struct Book {
    pub(crate) id: i32,
    pub(crate) title: String,
    pub(crate) author: String,
}

#[derive(Insertable)]
#[diesel(table_name = books)]
pub(crate) struct NewBook<'a> {
    pub(crate) title: &'a str,
    pub(crate) author: &'a str,
}

#[derive(Debug, Identifiable, Queryable, Selectable)]
#[diesel(table_name = members, check_for_backend(Backend))]
pub(crate) struct Member {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) active: bool,
}

#[derive(Associations, Debug, Identifiable, Queryable, Selectable)]
#[diesel(table_name = loans, belongs_to(Book), belongs_to(Member), check_for_backend(Backend))]
pub(crate) struct Loan {
    pub(crate) id: i32,
    pub(crate) book_id: i32,
    pub(crate) member_id: i32,
    pub(crate) lent_at: NaiveDateTime,
    pub(crate) returned_at: Option<NaiveDateTime>,
}
