//! Defaults that each node would compute for itself, such as `DEFAULT CURRENT_TIMESTAMP`.
//!
//! The schema comes with the greeting and with each peek of a transaction. If an INSERT leaves out such
//! a column, the column's default is added to it as an expression. That expression is then replaced by a value from the
//! client, as in any write. If it can't be added, a warning is logged once.
//!
//! The order matters: the defaults are added to the parsed text before [`Plan::new`](crate::statement::Plan::new),
//! which replaces the values. What a statement does to the schema is noted by [`Session::learn_from_schema`] when the
//! statement is sent or kept for the commit. The next INSERT then asks for the schema first, if defaults may have
//! changed.
//!
//! A change by another client is noticed only where the schema is read anyway. Until then, a new default of this kind
//! is left to the nodes.

use std::borrow::Cow;

use diesel::QueryResult;
use diesel_rqlite_sql::{Form, Parsed};

use super::{Client, Session};
use crate::sql::unstable;
use crate::statement::{Query, Statement};

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
    /// If the script has an INSERT and defaults may have changed, the schema is asked for. Fails if that fails. Tables
    /// that the script itself creates are not known yet, so their defaults are not added.
    pub(super) async fn script_with_defaults<'s, 'a>(
        &mut self,
        found: &'s [Parsed<'a>],
    ) -> QueryResult<Cow<'s, [Parsed<'a>]>> {
        if found.iter().all(|parsed| parsed.form() != Form::Insert) {
            return Ok(Cow::Borrowed(found));
        }
        if self.defaults_are_news {
            self.learn_defaults().await?;
        }
        let given: Vec<_> = found.iter().map(|parsed| self.given(parsed)).collect();
        if given.iter().all(Option::is_none) {
            return Ok(Cow::Borrowed(found));
        }
        let all = given.into_iter().zip(found);
        let all = all.map(|(given, parsed)| given.unwrap_or_else(|| parsed.clone()));
        Ok(Cow::Owned(all.collect()))
    }

    /// Returns the statement with its defaults added. Returns `None` if none are to be added, or they can't be. In the
    /// latter case there is a warning if the statement is an `INSERT … SELECT` that does not name the column.
    fn given(&self, parsed: &Parsed<'_>) -> Option<Parsed<'static>> {
        let schema = self.unstable.as_ref()?;
        let table = parsed.table_name()?.to_lowercase();
        let defaults = schema.defaults_of(&table);
        let (column, _) = *defaults.first()?;
        let given = parsed.with_defaults(&defaults);
        if given.is_none() && parsed.selects() && !parsed.names(|_| true).contains(column) {
            warn_of_default(&table, column);
        }
        given
    }

    /// Asks for the schema as the transaction sees it. It is not asked for again until a statement may have changed
    /// defaults, or if this request fails.
    async fn learn_defaults(&mut self) -> QueryResult<()> {
        let query = Statement::raw(unstable::QUERY);
        let rows = self.ask_as_seen(&query).await?;
        self.learn_unstable(&rows);
        self.defaults_are_news = false;
        Ok(())
    }

    /// Notes how a statement changes what is known of the schema. Sends nothing. It is called whether or not the
    /// statement will succeed: to ask once too often does no harm.
    pub(super) fn learn_from_schema(&mut self, statement: &Statement<'_>) {
        self.defaults_are_news |= statement.is_news_of_defaults;
        // Which tables skip rows is then unknown, so no count is predicted until the next peek.
        if statement.is_news_of_schema {
            // The knowledge of defaults is lost with the rest.
            let known = self.unstable.take();
            self.schema_version = None;
            self.defaults_are_news |= known.is_some_and(|schema| schema.has_defaults());
        }
    }
}

/// Warns once for each column, per process. Does nothing without the feature `tracing`.
fn warn_of_default(table: &str, column: &str) {
    #[cfg(feature = "tracing")]
    {
        use std::collections::HashSet;
        use std::sync::Mutex;

        use crate::mutex::locked;

        static WARNED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
        let name = format!("{table}.{column}");
        let mut warned = locked(&WARNED);
        if warned.get_or_insert_default().insert(name) {
            tracing::warn!(
                table,
                column,
                "the column has a default that each node makes for itself, and an INSERT … SELECT leaves it to that: the nodes \
                 will differ; give it its value"
            );
        }
    }
    #[cfg(not(feature = "tracing"))]
    let _ = (table, column);
}
