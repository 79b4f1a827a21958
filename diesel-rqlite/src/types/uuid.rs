//! UUIDs, stored as text with hyphens. BLOBs of 16 bytes, as other programs store them, can also be read.

use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Uuid as UuidType;
use uuid::Uuid;

use crate::backend::Rqlite;
use crate::protocol::rows::Value;
use crate::value::RqliteValue;

impl FromSql<UuidType, Rqlite> for Uuid {
    fn from_sql(value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let parsed = match value.value() {
            Value::Binary(bytes) => Uuid::from_slice(bytes).ok(),
            Value::Text(text) => Uuid::try_parse(text).ok(),
            _ => None,
        };
        parsed.ok_or_else(|| value.no("a UUID"))
    }
}

impl ToSql<UuidType, Rqlite> for Uuid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self.hyphenated().to_string());
        Ok(IsNull::No)
    }
}
