//! The last effects of a connection: `last_insert_rowid()` and `changes()`.
//!
//! A server answers these functions for the node's own connection, which all clients share. But the answer to each
//! write tells its effects, so the client knows them.
//!
//! Before a statement is planned, `Query::answered` (or [`answered`], for a script) replaces the functions in its text.
//! The value comes from one of two sources:
//!
//! * No write precedes the statement in its request or transaction: [`Did`] has the value, and the text gets a literal.
//! * A write precedes it: [`InFront`] tells so, and the function stays, since the server runs both one after the other
//!   and knows the value by then.
//!
//! If neither source is certain, the statement is refused with `SqlError::OfConnection`. A wrong value would be worse:
//! it would be that of another client. After every answer to writes, the session notes the results by [`Did::wrote`];
//! after a write whose outcome is unknown it notes [`Did::unknown`].

use std::borrow::Cow;

use diesel_rqlite_sql::{Form, InsertRows, Parsed, SqlError};

use super::{Query, Statement};
use crate::protocol::message::{GUARD, NO_ROWID};
use crate::protocol::response::StatementResult;

/// The last effects of one connection.
///
/// It starts as SQLite does on a new connection: no row was inserted, and `changes()` is 0. Either value may be
/// unknown, until the next write that tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Did {
    rowid: Rowid,
    /// The number of rows that the last write affected. `None` if unknown.
    changes: Option<usize>,
}

/// The rowid of the last row that was inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rowid {
    /// No row was inserted.
    None,
    /// The rowid of a row in this table, if the table has rowids.
    Of {
        table: String,
        id: i64,
    },
    Unknown,
}

/// The effects on these functions of the writes that precede a statement in its request or transaction.
///
/// The default means that nothing precedes the statement.
#[derive(Debug, Default)]
pub(crate) struct InFront {
    /// Set if one of them has a count.
    pub(crate) writes: bool,
    /// Set if one of them may insert a row.
    pub(crate) inserts: bool,
    /// The tables into which one of them certainly inserts a row.
    pub(crate) tables: Vec<String>,
    /// Set if the last of them has been rolled back. The server has not seen it, but on SQLite it would still count.
    pub(crate) undone_write: bool,
    /// Set if the last one that inserted a row may have been rolled back likewise.
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
    /// Returns the state after a write whose effects are not known.
    pub(crate) fn unknown() -> Self {
        Did {
            rowid: Rowid::Unknown,
            changes: None,
        }
    }

    /// Notes the result of a statement.
    ///
    /// Statements that are not counted leave both values as they are, except that `DROP TABLE` makes `changes()`
    /// unknown. A counted statement that failed changes neither. The rowid becomes unknown after an INSERT that
    /// returned rows, or that may have updated a row instead of inserting one. Must be called once for each statement,
    /// in the order in which they ran.
    pub(crate) fn wrote(&mut self, statement: &Statement<'_>, result: &StatementResult) {
        if statement.drops.is_some() {
            // With foreign keys, the rows of the table are deleted before the table is dropped.
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
            // The answer has rows instead of the id.
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

    /// Returns the SQL that replaces a function. Returns `None` if the server knows the value. Fails if nobody does.
    ///
    /// The answer for `last_insert_rowid()` contains a check that the table has rowids, because a table without them
    /// leaves the function at its former value, and the client does not know whether a table has them.
    /// `total_changes()` is always an error.
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
            // This function also counts what triggers and foreign keys did.
            _ => Err(unknown()),
        }
    }
}

impl InFront {
    /// Notes a statement that precedes others.
    ///
    /// An INSERT is certain to insert if its text says how many rows, and it can neither update a row nor skip one.
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

/// Replaces the functions that ask for the connection's last effects by their values.
///
/// Each statement is answered as if those before it had run. Borrows `found` if no statement calls one of the
/// functions, which is the usual case. Fails at the first function whose value nobody knows.
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
    /// Replaces these functions in a query by their values.
    ///
    /// `in_front` is called only if the query calls one of the functions.
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
        let found = found.into_owned();
        Ok(self.with(found))
    }
}

/// Returns SQL for a value that is an error unless one of the tables has rowids. The result is the same on all nodes.
fn if_rowids(tables: &[String], value: &str) -> String {
    let names = tables
        .iter()
        .map(|table| format!("'{}'", table.to_ascii_lowercase().replace('\'', "''")));
    let names: Vec<_> = names.collect();
    format!(
        "(CASE WHEN EXISTS (SELECT 1 FROM pragma_table_list WHERE schema='main' AND type='table' AND wr=0 AND lower(name) \
         IN ({})) THEN {value} ELSE json_extract('{{}}','{GUARD}{NO_ROWID}') END)",
        names.join(",")
    )
}
