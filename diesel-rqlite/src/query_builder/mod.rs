//! Renders the AST as SQL text.

mod batch;
mod combination;
mod explain;
mod insert;
mod insert_select;
mod limit_offset;
mod options;
mod returning;

use diesel::QueryResult;
use diesel::query_builder::QueryBuilder;

use self::batch::Batch;
pub use self::explain::{Explain, ExplainQueryPlan, Opcode, QueryPlan, QueryPlanStep};
pub use self::insert_select::{RqliteInsertSelectDsl, SelectedRows};
pub use self::options::{QueryWithOptions, RqliteQueryDsl, WithOptions};
use crate::backend::Rqlite;

/// Builds SQL in rqlite's dialect.
///
/// Names are quoted with `"`: servers before 9.3.16 lose the rows of a RETURNING statement that contains a
/// back-quote.
#[derive(Debug, Default)]
pub struct RqliteQueryBuilder {
    sql: String,
    binds: usize,
    batch: Option<Batch>,
    /// The positions of the placeholders.
    placeholders: Vec<usize>,
}

impl RqliteQueryBuilder {
    /// Creates a builder with an empty query.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Appends a name in quotes.
pub(crate) fn push_quoted(sql: &mut String, name: &str) {
    sql.push('"');
    match name.contains('"') {
        true => sql.push_str(&name.replace('"', "\"\"")),
        false => sql.push_str(name),
    }
    sql.push('"');
}

impl QueryBuilder<Rqlite> for RqliteQueryBuilder {
    fn push_sql(&mut self, sql: &str) {
        // SQL that may be sent never contains a NUL, so a NUL can mark the rows of a batch.
        match sql.strip_prefix('\0') {
            Some(mark) => Batch::mark(mark, &mut self.batch, &mut self.sql, self.binds),
            None => self.sql.push_str(sql),
        }
    }

    fn push_identifier(&mut self, identifier: &str) -> QueryResult<()> {
        push_quoted(&mut self.sql, identifier);
        Ok(())
    }

    fn push_bind_param(&mut self) {
        self.binds += 1;
        self.placeholders.push(self.sql.len());
        self.sql.push('?');
    }

    fn finish(self) -> String {
        match self.batch {
            Some(batch) => batch.finish(self.sql, self.binds, &self.placeholders),
            None => self.sql,
        }
    }
}
