//! What a user's text says, read once.

use std::sync::Arc;

use diesel_rqlite_sql::{Control, Form, Parsed, SqlError, parse};

use super::cache::Learnt;

/// The text of a query, which is one statement, or a batch insert that was rendered as several.
#[derive(Debug, PartialEq)]
pub(crate) struct Query<'a> {
    pub(super) found: Vec<Parsed<'a>>,
    /// BEGIN and COMMIT stood around it.
    pub(super) is_framed: bool,
    /// What Diesel renders for an insert of no rows.
    pub(super) is_nothing: bool,
    /// It was run before.
    pub(super) learnt: Option<Arc<Learnt>>,
}

impl<'a> Query<'a> {
    pub(crate) fn parse(sql: &'a str) -> Result<Self, SqlError> {
        if is_empty_batch(sql) {
            return Ok(Query {
                found: Vec::new(),
                is_framed: false,
                is_nothing: true,
                learnt: None,
            });
        }
        // The lines of a query are nobody's.
        let mut found = parse(sql).map_err(SqlError::bare)?;
        let is_framed = strip_begin_and_commit(&mut found);
        Ok(Query {
            found,
            is_framed,
            is_nothing: false,
            learnt: None,
        })
    }

    /// For as long as anybody likes.
    pub(super) fn to_owned(&self) -> Query<'static> {
        let found = self.found.iter().cloned();
        Query {
            found: found.map(Parsed::into_owned).collect(),
            is_framed: self.is_framed,
            is_nothing: self.is_nothing,
            learnt: None,
        }
    }

    /// The same once more, with what was learnt of it: nothing is read or copied.
    pub(super) fn again(&self, learnt: Arc<Learnt>) -> Query<'_> {
        Query {
            found: self.found.iter().map(Parsed::borrowed).collect(),
            is_framed: self.is_framed,
            is_nothing: self.is_nothing,
            learnt: Some(learnt),
        }
    }

    /// Its statements.
    pub(crate) fn found(&self) -> &[Parsed<'a>] {
        &self.found
    }

    /// With other statements in place of its own.
    pub(crate) fn with(self, found: Vec<Parsed<'a>>) -> Self {
        Query { found, ..self }
    }

    /// If it is transaction control.
    pub(crate) fn control(&self) -> Result<Option<Control>, SqlError> {
        match &self.found[..] {
            [parsed] => Control::of(parsed),
            _ => Ok(None),
        }
    }
}

/// `BEGIN; a; b; COMMIT` is an atomic request of `a` and `b`. So is a batch insert rendered.
pub(crate) fn strip_begin_and_commit(found: &mut Vec<Parsed<'_>>) -> bool {
    let is = |parsed: Option<&Parsed<'_>>, form| parsed.is_some_and(|found| found.form() == form);
    let framed =
        found.len() > 1 && is(found.first(), Form::Begin) && is(found.last(), Form::Commit);
    if framed {
        found.pop();
        found.remove(0);
    }
    framed
}

/// The text behind what a query is called, which stands in comments in front.
fn behind_names(mut sql: &str) -> &str {
    while let Some(rest) = sql.strip_prefix("/* ") {
        let Some((_, behind)) = rest.split_once("*/ ") else {
            break;
        };
        sql = behind;
    }
    sql
}

/// Whether the text is, token by token, what Diesel renders for an insert of no rows.
fn is_empty_batch(sql: &str) -> bool {
    let table = behind_names(sql).strip_prefix("SELECT 1 FROM \"");
    let table = table.and_then(|rest| rest.strip_suffix("\" WHERE 1=0"));
    // `a` or `a"."b`: no quote but in a pair, or around the dot.
    table.is_some_and(|name| !name.replace("\"\"", "").replace("\".\"", "").contains('"'))
}
