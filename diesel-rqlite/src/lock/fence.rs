//! Keeps those out who lost a lock that is not in rqlite: the highest number that was ever here is in a table.
//!
//! Every commit brings its number. A transaction whose commit does not compare what it read brings it before its
//! first read, too: from there on nobody with a lower number can change what it is about to see.

use super::Fence;
use crate::bind_collector::Bind;
use crate::sql::cells::GUARD;
use crate::statement::Statement;

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS __diesel_rqlite_fences (name TEXT PRIMARY KEY, \
     fence INTEGER NOT NULL, owner TEXT NOT NULL) WITHOUT ROWID";

/// Fails if a later acquisition has been here.
pub(crate) fn check(lock: &str, fence: &Fence) -> Statement<'static> {
    let sql = format!(
        "INSERT INTO __diesel_rqlite_fences AS seen VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET \
         fence = CASE WHEN seen.fence < excluded.fence OR (seen.fence = excluded.fence AND seen.owner = excluded.owner) \
         THEN excluded.fence ELSE json_extract('{{}}','{GUARD}lock') END, owner = excluded.owner"
    );
    Statement::with_binds(
        sql,
        vec![
            Bind::Text(lock.to_owned().into()),
            Bind::Integer(fence.number),
            Bind::Text(fence.owner.clone().into()),
        ],
    )
}
