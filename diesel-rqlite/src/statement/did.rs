//! What a connection did last: `last_insert_rowid()`, `changes()`.
//!
//! A server answers these for the node's own connection, which is everybody's. But it tells with each write what came of
//! that, so that the client knows.

use std::borrow::Cow;

use diesel_rqlite_sql::{Form, InsertRows, Parsed, SqlError};

use super::{Query, Statement};
use crate::protocol::message::{GUARD, NO_ROWID};
use crate::protocol::response::StatementResult;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Did {
    rowid: Rowid,
    /// The rows of the last write.
    changes: Option<usize>,
}

/// The rowid of the last row that was inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rowid {
    /// No row was.
    None,
    /// If the table has rowids.
    Of {
        table: String,
        id: i64,
    },
    Unknown,
}

/// What writes in front of a statement, of the same request or transaction, do to these.
#[derive(Debug, Default)]
pub(crate) struct InFront {
    /// One of them has a count.
    pub(crate) writes: bool,
    /// One of them may insert a row.
    pub(crate) inserts: bool,
    /// The tables in which one certainly does.
    pub(crate) tables: Vec<String>,
    /// The last of them has been rolled back, which the server has not seen, and SQLite does not care about.
    pub(crate) undone_write: bool,
    /// So may have been the last that inserted a row.
    pub(crate) undone_insert: bool,
}

impl Default for Did {
    fn default() -> Self {
        Did {
            rowid: Rowid::None,
            changes: Some(0),
        }
    }
}

impl Did {
    pub(crate) fn unknown() -> Self {
        Did {
            rowid: Rowid::Unknown,
            changes: None,
        }
    }

    /// Notes what came of a statement.
    pub(crate) fn wrote(&mut self, statement: &Statement<'_>, result: &StatementResult) {
        if statement.drops.is_some() {
            // With foreign keys its rows are deleted before it is.
            self.changes = None;
        }
        if !statement.counted {
            return;
        }
        let (rows, id) = match result {
            StatementResult::Executed {
                rows_affected,
                last_insert_id,
            } => (*rows_affected, *last_insert_id),
            // The answer has rows in place of the id.
            StatementResult::Rows(rows) => (rows.len(), None),
            StatementResult::Failed(_) => return,
        };
        self.changes = Some(rows);
        if statement.is_insert() && rows > 0 {
            let table = statement.insert_name.clone();
            self.rowid = match (table, id) {
                (Some(table), Some(id)) if !statement.upserts => Rowid::Of { table, id },
                _ => Rowid::Unknown,
            };
        }
    }

    /// What stands in place of a function that asks for it. `None`: the server knows.
    fn answer(
        &self,
        function: &'static str,
        in_front: &InFront,
    ) -> Result<Option<String>, SqlError> {
        let unknown = || SqlError::OfConnection(function);
        match function {
            "changes" if in_front.undone_write => Err(unknown()),
            "changes" if in_front.writes => Ok(None),
            "changes" => self
                .changes
                .map(|rows| Some(rows.to_string()))
                .ok_or_else(unknown),
            _ if in_front.undone_insert => Err(unknown()),
            "last_insert_rowid" if !in_front.tables.is_empty() => {
                Ok(Some(if_rowids(&in_front.tables, "last_insert_rowid()")))
            }
            "last_insert_rowid" if !in_front.inserts => match &self.rowid {
                Rowid::None => Ok(Some("0".to_owned())),
                Rowid::Of { table, id } => {
                    let table = std::slice::from_ref(table);
                    Ok(Some(if_rowids(table, &id.to_string())))
                }
                Rowid::Unknown => Err(unknown()),
            },
            // Also counts what triggers and foreign keys did.
            _ => Err(unknown()),
        }
    }
}

impl InFront {
    /// Notes a statement in front of others.
    fn passes(&mut self, parsed: &Parsed<'_>) {
        self.writes |= parsed.form().writes_rows();
        if parsed.form() != Form::Insert {
            return;
        }
        self.inserts = true;
        let is_certain =
            !parsed.upserts() && matches!(parsed.insert_rows(), InsertRows::Exactly(1..));
        self.tables
            .extend(parsed.table_name().filter(|_| is_certain));
    }
}

/// Statements with what the connection did in place of the functions that ask for it.
pub(crate) fn answered<'s, 'a>(
    found: &'s [Parsed<'a>],
    did: &Did,
    mut in_front: InFront,
) -> Result<Cow<'s, [Parsed<'a>]>, SqlError> {
    if found
        .iter()
        .all(|parsed| parsed.connection_function().is_none())
    {
        return Ok(Cow::Borrowed(found));
    }
    let mut all = Vec::with_capacity(found.len());
    for parsed in found {
        let answered = parsed.answered(|function| did.answer(function, &in_front))?;
        in_front.passes(parsed);
        all.push(answered.unwrap_or_else(|| parsed.clone()));
    }
    Ok(Cow::Owned(all))
}

impl Query<'_> {
    /// The same for a query.
    pub(crate) fn answered(
        self,
        did: &Did,
        in_front: impl FnOnce() -> InFront,
    ) -> Result<Self, SqlError> {
        let mut found = self.found.iter();
        if found.all(|parsed| parsed.connection_function().is_none()) {
            return Ok(self);
        }
        let found = answered(&self.found, did, in_front()).map_err(SqlError::bare)?;
        Ok(Query {
            found: found.into_owned(),
            ..self
        })
    }
}

/// A value, which is an error unless one of the tables has rowids. That is the same on all nodes.
fn if_rowids(tables: &[String], value: &str) -> String {
    let names = tables
        .iter()
        .map(|table| format!("'{}'", table.to_lowercase().replace('\'', "''")));
    let names: Vec<_> = names.collect();
    format!(
        "(CASE WHEN EXISTS (SELECT 1 FROM pragma_table_list WHERE schema='main' AND type='table' AND wr=0 AND lower(name) \
         IN ({})) THEN {value} ELSE json_extract('{{}}','{GUARD}{NO_ROWID}') END)",
        names.join(",")
    )
}
