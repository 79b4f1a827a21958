//! Support for `diesel_dynamic_schema`: rows and columns that are known only at run time.
//!
//! Its columns need nothing from a backend. Rows of [`Any`] do: each value is read by its storage class, see
//! [`RqliteValue::value_type`](crate::RqliteValue::value_type).

use diesel::deserialize::{self, FromSql, QueryableByName};
use diesel::expression::QueryMetadata;
use diesel::row::NamedRow;
use diesel_dynamic_schema::dynamic_value::{Any, DynamicRow, NamedField};

use crate::backend::{Rqlite, RqliteType};

impl QueryMetadata<Any> for Rqlite {
    fn row_metadata(_lookup: &mut (), out: &mut Vec<Option<RqliteType>>) {
        out.push(None);
    }
}

impl<I: FromSql<Any, Rqlite>> QueryableByName<Rqlite> for DynamicRow<I> {
    fn build<'a>(row: &impl NamedRow<'a, Rqlite>) -> deserialize::Result<Self> {
        Self::from_row(row)
    }
}

impl<I: FromSql<Any, Rqlite>> QueryableByName<Rqlite> for DynamicRow<NamedField<Option<I>>> {
    fn build<'a>(row: &impl NamedRow<'a, Rqlite>) -> deserialize::Result<Self> {
        Self::from_nullable_row(row)
    }
}
