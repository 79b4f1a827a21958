//! UUIDs, as text with hyphens; BLOBs of 16 bytes, as other programs store them, are read too.

use diesel::deserialize::{self, FromSql};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Uuid as UuidType;
use uuid::Uuid;

use crate::backend::Rqlite;
use crate::value::RqliteValue;

impl FromSql<UuidType, Rqlite> for Uuid {
    fn from_sql(mut value: RqliteValue<'_>) -> deserialize::Result<Self> {
        let bytes = value.read_blob()?;
        let parsed = Uuid::from_slice(bytes).or_else(|_| Uuid::try_parse_ascii(bytes));
        parsed.map_err(|_| value.no("a UUID"))
    }
}

impl ToSql<UuidType, Rqlite> for Uuid {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Rqlite>) -> serialize::Result {
        out.set_value(self.hyphenated().to_string());
        Ok(IsNull::No)
    }
}
