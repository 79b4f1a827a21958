//! Protection against transactions that have lost a lock outside of rqlite. A table stores the
//! highest fence that was seen for each lock.
//!
//! Every commit presents its fence. A transaction whose commit does not compare what it read
//! presents the fence before its first read as well. From there on, no transaction with a lower
//! fence can change the data it is about to read.

use super::Fence;
use crate::bind_collector::Bind;
use crate::sql::cells::GUARD;
use crate::statement::Statement;

pub(crate) const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS __diesel_rqlite_fences (name TEXT PRIMARY KEY, \
     fence INTEGER NOT NULL, owner TEXT NOT NULL) WITHOUT ROWID";

/// Fails if a later acquisition was seen.
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
