//! The text of a user's query, parsed once.
//!
//! A [`Query`] is what the connection hands to the session: parsed, but not yet checked and without values. It is made
//! from the text, or from the cache without parsing. `Plan::new` consumes it. Between the two, the session may replace
//! its statements by others with the same placeholders (`Query::with`, `Query::answered`).
//!
//! This module also recognizes the texts that Diesel renders for batch inserts, since Diesel hands over a text only: an
//! insert of no rows, and `BEGIN; …; COMMIT` around several inserts.

use std::sync::Arc;

use diesel_rqlite_sql::{Control, Form, Parsed, SqlError, parse};

use super::cache::Learnt;
use super::read::ReadFacts;

/// The text of a query: one statement, or a batch insert that Diesel rendered as several.
#[derive(Debug, PartialEq)]
pub(crate) struct Query<'a> {
    pub(super) found: Vec<Parsed<'a>>,
    /// Set if BEGIN and COMMIT surrounded it.
    pub(super) is_framed: bool,
    /// Set if it is the text that Diesel renders for an insert of no rows.
    pub(super) is_nothing: bool,
    /// Those of the only statement, if it is a read.
    pub(super) facts: Arc<ReadFacts>,
    /// `Some` if the query was run before.
    pub(super) learnt: Option<Arc<Learnt>>,
}

impl<'a> Query<'a> {
    /// Parses a text. Fails if it is not SQL: an unclosed quote, parentheses that do not match, a NUL, or a statement
    /// that begins like none of SQLite's. A text without a statement is no error here. `Plan::new` decides whether the
    /// statements may be sent.
    pub(crate) fn parse(sql: &'a str) -> Result<Self, SqlError> {
        if is_empty_batch(sql) {
            return Ok(Query {
                found: Vec::new(),
                is_framed: false,
                is_nothing: true,
                facts: Arc::default(),
                learnt: None,
            });
        }
        // Line numbers in a query mean nothing to the user.
        let mut found = parse(sql).map_err(SqlError::bare)?;
        let is_framed = strip_begin_and_commit(&mut found);
        Ok(Query {
            found,
            is_framed,
            is_nothing: false,
            facts: Arc::default(),
            learnt: None,
        })
    }

    /// Returns a copy that borrows nothing.
    ///
    /// The copy has no `learnt`: the cache keeps that separately, and adds it in `again`.
    pub(super) fn to_owned(&self) -> Query<'static> {
        let found = self.found.iter().cloned();
        Query {
            found: found.map(Parsed::into_owned).collect(),
            is_framed: self.is_framed,
            is_nothing: self.is_nothing,
            facts: Arc::clone(&self.facts),
            learnt: None,
        }
    }

    /// Returns the query, to run it again with what was learnt about it. Nothing is parsed or copied.
    pub(super) fn again(&self, learnt: Arc<Learnt>) -> Query<'_> {
        Query {
            found: self.found.iter().map(Parsed::borrowed).collect(),
            is_framed: self.is_framed,
            is_nothing: self.is_nothing,
            facts: Arc::clone(&self.facts),
            learnt: Some(learnt),
        }
    }

    /// Its statements.
    pub(crate) fn found(&self) -> &[Parsed<'a>] {
        &self.found
    }

    /// Replaces its statements.
    ///
    /// What was learnt stays, although it is about the former text. It decides only about the form that is tried first.
    pub(crate) fn with(self, found: Vec<Parsed<'a>>) -> Self {
        Query {
            found,
            facts: Arc::default(),
            ..self
        }
    }

    /// Returns the transaction control that it is, if any.
    ///
    /// Returns `None` for a query of several statements. Fails if it begins like transaction control but is not valid
    /// in SQLite.
    pub(crate) fn control(&self) -> Result<Option<Control>, SqlError> {
        match &self.found[..] {
            [parsed] => Control::of(parsed),
            _ => Ok(None),
        }
    }
}

/// Removes BEGIN and COMMIT around other statements: `BEGIN; a; b; COMMIT` is an atomic request of `a` and `b`. A batch
/// insert is rendered that way, too.
///
/// Returns whether they were there, so that the statements have to be applied as a whole.
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

/// Returns the text after the leading comments, which name the query.
fn behind_names(mut sql: &str) -> &str {
    while let Some(rest) = sql.strip_prefix("/* ") {
        let Some((_, behind)) = rest.split_once("*/ ") else {
            break;
        };
        sql = behind;
    }
    sql
}

/// Returns whether the text is, token by token, the one that Diesel renders for an insert of no rows.
fn is_empty_batch(sql: &str) -> bool {
    let table = behind_names(sql).strip_prefix("SELECT 1 FROM \"");
    let table = table.and_then(|rest| rest.strip_suffix("\" WHERE 1=0"));
    // `a` or `a"."b`: a quote occurs only in a pair, or around the dot.
    table.is_some_and(|name| !name.replace("\"\"", "").replace("\".\"", "").contains('"'))
}
