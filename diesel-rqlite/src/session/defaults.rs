//! Defaults that each node would compute for itself, such as `DEFAULT CURRENT_TIMESTAMP`.
//!
//! The schema comes with the greeting, and with a peek if its version has changed. If an INSERT leaves out such a column, the
//! column's default is added to it as an expression. That expression is then replaced by a value from the client, as
//! in any write.
//!
//! The order matters: the defaults are added to the parsed text before [`Plan::new`](crate::statement::Plan::new),
//! which replaces the values. Two kinds of changes to the schema count before the next INSERT:
//!
//! * Those of the same text, and those of the open transaction where it can't be asked how it sees the schema: their
//!   SQL tells ([`Unstable::change_columns`]).
//! * Those that were sent or kept for the commit, by any session of the configuration: the next INSERT asks for the
//!   schema first ([`SchemaChanges`]).
//!
//! A change by another process is noticed only where the schema is read anyway. Until then, a new default of this kind
//! is left to the nodes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use diesel::QueryResult;
use diesel_rqlite_sql::{ColumnChange, Form, Parsed, SqlError, parse};

use super::{Client, Session, rows_of_query};
use crate::bind_collector::Bind;
use crate::error;
use crate::protocol::failure::Failure;
use crate::protocol::request::ReadConsistency;
use crate::protocol::rows::Rows;
use crate::sql::unstable::{self, Unstable};
use crate::statement::{self, Defaults, MIGRATIONS, Query, Statement};

/// The number of statements that may have changed defaults of this kind, by all sessions of a configuration.
#[derive(Debug, Default)]
pub(crate) struct SchemaChanges(AtomicU64);

impl SchemaChanges {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A request that may change defaults. Other sessions learn of it when this is dropped: once its outcome is known, or
/// if the future is dropped.
pub(crate) struct Announcement(Arc<SchemaChanges>);

impl Drop for Announcement {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Release);
    }
}

impl<C: Client> Session<C> {
    /// Adds defaults to the INSERTs of a query. Returns the query as it is if there is nothing to add. Sends a request
    /// only if defaults may have changed, see [`script_with_defaults`](Self::script_with_defaults).
    pub(super) async fn with_defaults<'q>(&mut self, query: Query<'q>) -> QueryResult<Query<'q>> {
        match self.script_with_defaults(query.found()).await? {
            Cow::Borrowed(_) => Ok(query),
            Cow::Owned(found) => Ok(query.with(found)),
        }
    }

    /// Adds defaults to the INSERTs of a script. Nothing is copied if there is nothing to add.
    ///
    /// If the script has an INSERT and defaults may have changed, the schema is asked for. If the script
    /// creates a table with such a default only if it does not exist, it is asked whether the table exists. Fails if a
    /// question fails, or if a default can't be added.
    pub(super) async fn script_with_defaults<'s, 'a>(
        &mut self,
        found: &'s [Parsed<'a>],
    ) -> QueryResult<Cow<'s, [Parsed<'a>]>> {
        if !found.iter().any(may_need_defaults) {
            return Ok(Cow::Borrowed(found));
        }
        if self.defaults_are_news || self.seen_changes != self.changes.count() {
            Box::pin(self.learn_defaults()).await?;
        }
        let changes: Vec<_> = found.iter().map(Parsed::column_change).collect();
        let is_unchanged = changes.iter().all(Option::is_none);
        if is_unchanged
            && self
                .unstable
                .as_ref()
                .is_none_or(|schema| !schema.has_defaults())
        {
            return Ok(Cow::Borrowed(found));
        }
        let mut existing = Box::pin(self.existing_tables(&changes)).await?;
        let none = Unstable::default();
        let mut schema = Cow::Borrowed(self.unstable.as_ref().unwrap_or(&none));
        let mut given = Vec::with_capacity(found.len());
        for (parsed, change) in found.iter().zip(changes) {
            if let Some(change) = change
                && existing.follow(&change)
            {
                schema.to_mut().change_columns(&change);
            }
            let with = given_defaults(&schema, parsed);
            given.push(with.map_err(|error| error::not_sent(error.at(parsed.position())))?);
        }
        if given.iter().all(Option::is_none) {
            return Ok(Cow::Borrowed(found));
        }
        let all = given.into_iter().zip(found);
        let all = all.map(|(given, parsed)| given.unwrap_or_else(|| parsed.clone()));
        Ok(Cow::Owned(all.collect()))
    }

    /// Returns which of the tables exist already, among those that are created only if they do not exist. Asks only
    /// about tables with a default that each node computes for itself.
    async fn existing_tables(&mut self, changes: &[Option<ColumnChange>]) -> QueryResult<Tables> {
        let mut existing = Tables::default();
        for change in changes.iter().flatten() {
            if let Some(query) = question_of_existence(change)
                && !self.ask_as_seen(&query).await?.is_empty()
            {
                existing.insert(change);
            }
        }
        for change in self.own_changes() {
            existing.follow(&change);
        }
        Ok(existing)
    }

    /// Asks for the schema as the transaction sees it. It is not asked for again until a statement may have changed
    /// defaults, or if this request fails.
    async fn learn_defaults(&mut self) -> QueryResult<()> {
        // A change that is announced meanwhile may be too late for the answer.
        let seen = self.changes.count();
        let query = Statement::raw(unstable::QUERY);
        let rows = self.ask_as_seen(&query).await?;
        self.learn_unstable(&rows);
        let own = self.own_changes();
        if let Some(schema) = &mut self.unstable {
            own.iter().for_each(|change| schema.change_columns(change));
        }
        self.defaults_are_news = false;
        self.seen_changes = seen;
        Ok(())
    }

    /// Returns the changes to columns that wait for the commit, if an answer of a server does not show them.
    fn own_changes(&self) -> Vec<ColumnChange> {
        if self.sees_own_writes() {
            return Vec::new();
        }
        let statements = self.transaction.journal().schema_changes().into_iter();
        let parsed = statements.flat_map(|statement| parse(&statement.sql).unwrap_or_default());
        parsed.filter_map(|parsed| parsed.column_change()).collect()
    }

    /// Returns a statement of a text that is loaded with its defaults added, or `None` if it needs none. The inner error
    /// is that of a default that can't be added. Fails if the schema can't be asked for.
    ///
    /// What the statement itself does to the schema counts for the next one, though it may not have been sent yet.
    /// `tables` are those that the text has created. The schema is asked for at the beginning, and again
    /// once it was forgotten. A schema that the server can't read is taken to have no defaults.
    pub(crate) async fn loaded_with_defaults(
        &mut self,
        parsed: &Parsed<'_>,
        tables: &mut Tables,
    ) -> Result<Result<Option<Parsed<'static>>, SqlError>, Failure> {
        let change = parsed.column_change();
        if change.is_none() && parsed.form() != Form::Insert {
            return Ok(Ok(None));
        }
        if self.defaults_are_news {
            let rows = self.ask_leader(&Statement::raw(unstable::QUERY)).await?;
            if let Some(rows) = rows {
                self.learn_unstable(&rows);
            }
            self.defaults_are_news = false;
        }
        if let Some(change) = change {
            if let Some(query) = question_of_existence(&change)
                && let Some(rows) = self.ask_leader(&query).await?
                && !rows.is_empty()
            {
                tables.insert(&change);
            }
            if tables.follow(&change) {
                let schema = self.unstable.get_or_insert_default();
                schema.change_columns(&change);
            }
        }
        let none = Unstable::default();
        let schema = self.unstable.as_ref().unwrap_or(&none);
        Ok(given_defaults(schema, parsed))
    }

    /// Forgets the schema, because a text that is loaded changes it. Returns the announcement for other sessions.
    pub(crate) fn loads_schema(&mut self) -> Announcement {
        self.forget_schema();
        Announcement(Arc::clone(&self.changes))
    }

    /// Runs a query at the leader, outside of the transaction. Returns `None` if the server can't run it.
    async fn ask_leader(&mut self, query: &Statement<'_>) -> Result<Option<Rows>, Failure> {
        let exchange = statement::query(query).at(ReadConsistency::Linearizable);
        let body = self.send(&exchange).await?;
        Ok(rows_of_query(&exchange, &body, query).ok())
    }

    /// Notes how a statement changes what is known of the schema. Sends nothing. It is called whether or not the
    /// statement will succeed: to ask once too often does no harm.
    pub(super) fn note_schema_change(&mut self, statement: &Statement<'_>) {
        let has_defaults = (self.unstable.as_ref()).is_some_and(Unstable::has_defaults);
        let is_news = match statement.defaults {
            Defaults::Kept => false,
            Defaults::Added => true,
            Defaults::Moved => has_defaults,
        };
        // Which tables skip rows is then unknown, so no count is predicted until the next peek.
        if statement.is_news_of_schema {
            // The knowledge of defaults is lost with the rest.
            self.unstable = None;
            self.schema_version = None;
            self.defaults_are_news |= has_defaults;
        }
        self.defaults_are_news |= is_news;
        self.is_unannounced |= is_news;
    }

    /// Returns the announcement of a request that is about to be sent, if it may change defaults.
    pub(super) fn announcement(&mut self) -> Option<Announcement> {
        std::mem::take(&mut self.is_unannounced).then(|| Announcement(Arc::clone(&self.changes)))
    }
}

/// Returns whether a statement is an INSERT that may leave out columns. The one that records a migration gives all
/// values itself.
fn may_need_defaults(parsed: &Parsed<'_>) -> bool {
    parsed.form() == Form::Insert && parsed.table_name().as_deref() != Some(MIGRATIONS)
}

/// Returns the statement with its defaults added. Returns `None` if none are to be added.
fn given_defaults(
    schema: &Unstable,
    parsed: &Parsed<'_>,
) -> Result<Option<Parsed<'static>>, SqlError> {
    if parsed.form() != Form::Insert {
        return Ok(None);
    }
    let Some(table) = parsed.table_name() else {
        return Ok(None);
    };
    match schema.defaults_of(&table.to_ascii_lowercase()) {
        defaults if defaults.is_empty() => Ok(None),
        defaults => parsed.with_defaults(&defaults),
    }
}

/// Returns the query for whether a table exists that is created only if it does not. Returns `None` if that does not
/// matter, since the table has no default that each node computes for itself.
fn question_of_existence(change: &ColumnChange) -> Option<Statement<'static>> {
    match change {
        ColumnChange::Create {
            table,
            if_not_exists: true,
            ..
        } if unstable::has_volatile_default(change) => Some(Statement::with_binds(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)",
            vec![Bind::Text(table.clone().into())],
        )),
        _ => None,
    }
}

/// The tables that are known to exist, in lower case.
#[derive(Debug, Default)]
pub(crate) struct Tables(HashSet<String>);

impl Tables {
    /// Notes that the table that a change would create exists.
    fn insert(&mut self, change: &ColumnChange) {
        if let ColumnChange::Create { table, .. } = change {
            self.0.insert(table.to_ascii_lowercase());
        }
    }

    /// Notes what a change does to the tables. Returns whether it has an effect: a table that is created only if it
    /// does not exist may exist.
    fn follow(&mut self, change: &ColumnChange) -> bool {
        match change {
            ColumnChange::Create {
                table,
                if_not_exists,
                ..
            } => self.0.insert(table.to_ascii_lowercase()) || !if_not_exists,
            ColumnChange::Drop { table } => {
                self.0.remove(&table.to_ascii_lowercase());
                true
            }
            ColumnChange::Rename { table, to } => {
                self.0.remove(&table.to_ascii_lowercase());
                self.0.insert(to.to_ascii_lowercase());
                true
            }
            ColumnChange::RenameColumn { .. }
            | ColumnChange::AddColumn { .. }
            | ColumnChange::DropColumn { .. } => true,
        }
    }
}
