//! A write with RETURNING inside a transaction.
//!
//! It is sent in three forms: to be looked at, with its rows in an exact form; without RETURNING, in front of what
//! is looked at later (before version 9.4.2 a failing RETURNING statement does not end a server's transaction);
//! and at the commit, with a RETURNING that fails unless it returns the rows that were shown.

use std::borrow::Cow;

use super::Statement;
use crate::bind_collector::Bind;
use crate::protocol::rows::Rows;
use crate::sql::cells::{self, Classes, GUARD, TextCell};
use crate::sql::placeholders::{number_variables, placeholders};
use crate::sql::results::{self, Encoding};
use crate::sql::scan::{Scanned, scan_one};
use crate::sql::unstable::Unstable;
use crate::sql::{SqlError, results::returning_items};

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Returning<'a> {
    /// Up to RETURNING.
    text: String,
    /// The expressions behind it, each as one operand.
    items: Vec<String>,
    pub(crate) names: Vec<String>,
    binds: Vec<Bind<'a>>,
    /// How many values stand before RETURNING.
    own_binds: usize,
}

impl<'a> Returning<'a> {
    pub(super) fn of(scanned: &Scanned<'_>) -> Result<Self, SqlError> {
        // Expressions are written more than once.
        let numbered = number_variables(scanned)?;
        let scanned = match &numbered {
            Some(text) => &scan_one(text)?,
            None => scanned,
        };
        let at = scanned.returning_at.unwrap_or(scanned.text.len());
        let text = scanned.text[..at].trim_end().to_owned();
        Ok(Returning {
            own_binds: placeholders(&scan_one(&text)?)?,
            items: returning_items(scanned)?,
            names: results::item_names(scanned, scanned.items.len()),
            text,
            binds: Vec::new(),
        })
    }

    /// The statement without the clause.
    pub(super) fn without(&self) -> String {
        self.text.clone()
    }

    /// Takes all values, and leaves those of the statement without the clause.
    pub(super) fn bind(&mut self, binds: &mut Vec<Bind<'a>>) {
        self.binds.clone_from(binds);
        binds.truncate(self.own_binds);
    }

    /// As it is looked at. Behind the other columns are those that tell equal rows apart.
    pub(crate) fn looked_at(&self, key: &[String]) -> Statement<'static> {
        let mut sql = format!("{} RETURNING ", self.text);
        let mut encodings = Vec::with_capacity(self.items.len() + 1);
        for item in self.all_items(key) {
            if !encodings.is_empty() {
                sql.push_str(", ");
            }
            Encoding::Compared.push(&mut sql, item);
            encodings.push(Encoding::Compared);
        }
        let mut statement = Statement::plain(sql);
        statement.encodings = encodings;
        statement.returning = true;
        statement.bind(self.owned_binds());
        statement
    }

    fn all_items<'s>(&'s self, key: &'s [String]) -> impl Iterator<Item = &'s str> {
        self.items.iter().chain(key).map(String::as_str)
    }

    fn owned_binds(&self) -> Vec<Bind<'static>> {
        let binds = self.binds.iter().cloned();
        binds.map(Bind::into_owned).collect()
    }

    /// As it is committed: fails unless it returns these rows, in any order, as far as they may be compared.
    pub(crate) fn guarded(
        &self,
        rows: &Rows,
        key: &[String],
        unstable: &Unstable,
    ) -> Option<Statement<'static>> {
        let items: Vec<_> = self.all_items(key).collect();
        let wanted: Vec<_> = items
            .iter()
            .map(|item| unstable.is_comparable(&self.text, item))
            .collect();
        let compared = items.iter().zip(Classes::of(rows)).zip(&wanted);
        let compared: Vec<_> = compared
            .filter(|(_, wanted)| **wanted)
            .map(|((item, classes), _)| ((*item).to_owned(), classes))
            .collect();
        if compared.is_empty() {
            return None;
        }
        let row = cells::row(&compared, TextCell::Hex);
        let place = self.binds.len() + 1;
        let sql = format!(
            "{} RETURNING CASE WHEN {row} IN (SELECT value FROM json_each(?{place})) IS NOT DISTINCT FROM 1 \
             THEN 1 ELSE json_extract('{{}}','{GUARD}returning') END",
            self.text
        );
        let texts = (0..rows.len()).map(|row| cells::row_text(rows, row, |column| wanted[column]));
        let texts: Vec<_> = texts.collect();
        let mut binds = self.owned_binds();
        let expected = serde_json::to_string(&texts).unwrap_or_default();
        binds.push(Bind::Text(Cow::Owned(expected)));
        Some(Statement::with_binds(sql, binds))
    }

    pub(super) fn into_owned(self) -> Returning<'static> {
        Returning {
            binds: self.owned_binds(),
            text: self.text,
            items: self.items,
            names: self.names,
            own_binds: self.own_binds,
        }
    }
}
