//! A write with RETURNING inside a transaction.
//!
//! It is sent in three forms. A peek has its rows in an exact form. Before a later peeked statement it has no
//! RETURNING, since a RETURNING statement that fails does not end a server's transaction before version 9.4.2. At the
//! commit it has a RETURNING that fails unless it returns the rows that were shown.
//!
//! `Statement::of` takes the clause off the statement and keeps it as a [`Returning`] in `Statement::source`. The
//! session sends [`Returning::peeked`] as the tail of a peek, shows the rows to the closure, and stores
//! [`Returning::guarded`] in the journal, next to the statement without the clause.
//!
//! SQLite does not guarantee the order of the rows. So the guard looks for each row among those that were shown, and
//! the guard of the count compares their number. Together they would not notice if one of several equal rows was
//! replaced by another row of the set. Therefore the key of the table is returned and compared as well.

use std::collections::HashSet;

use diesel_rqlite_sql::{Parsed, Pin, SqlError, unescaped};

use super::writer::{Names, Values};
use super::{Statement, one_more};
use crate::bind_collector::Bind;
use crate::protocol::encoding::Encoding;
use crate::protocol::rows::Rows;
use crate::sql::cells::{self, Classes, GUARD, TextCell};
use crate::sql::results;
use crate::sql::unstable::Unstable;

/// A write with RETURNING.
///
/// Placeholders in all of its texts have numbers, since an expression is written several times.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Returning<'a> {
    /// The text before RETURNING.
    text: String,
    /// All names before RETURNING, in lower case.
    text_names: HashSet<String>,
    items: Vec<Expression>,
    pub(crate) names: Vec<String>,
    /// The values of the statement with its clause.
    binds: Vec<Bind<'a>>,
}

/// An expression after RETURNING.
#[derive(Clone, Debug, PartialEq)]
struct Expression {
    /// Its SQL, as one operand.
    sql: String,
    /// The names in it, in lower case.
    names: HashSet<String>,
}

impl Expression {
    /// Creates a column from its name, which may be in quotes.
    fn column(name: &str) -> Self {
        Expression {
            sql: name.to_owned(),
            names: HashSet::from([unescaped(name).to_ascii_lowercase()]),
        }
    }
}

impl<'a> Returning<'a> {
    /// Takes all values. Also returns those of the statement without the clause.
    ///
    /// Fails if the clause has a `*`, since the columns are not known then.
    pub(super) fn of(
        parsed: &Parsed<'_>,
        mut values: Values<'a>,
        pins: &[Pin],
    ) -> Result<(Self, Vec<Bind<'a>>), SqlError> {
        // Expressions are written more than once, so placeholders need numbers.
        values.names = Names::Numbered;
        let writer = values.writer(parsed);
        let before = parsed.before(parsed.returning().unwrap_or(parsed.tokens().len()));
        let sql = results::operands(parsed, |part| writer.part(part, pins))?;
        let items = sql.into_iter().zip(parsed.parsed_items());
        let items = items.map(|(sql, item)| Expression {
            sql,
            names: parsed.names(|place| item.value.contains(&place)),
        });
        let own = values.binds[..writer.values_in(before.clone())].to_vec();
        let returning = Returning {
            text: writer.part(before.clone(), pins),
            text_names: parsed.names(|place| before.contains(&place)),
            items: items.collect(),
            names: parsed.item_names(parsed.items().len()),
            binds: values.binds,
        };
        Ok((returning, own))
    }

    /// Returns the statement without the clause.
    pub(super) fn without(&self) -> String {
        self.text.clone()
    }

    /// Returns the statement for a peek. The last columns are the key, which tells equal rows apart.
    ///
    /// `key` has the names of the columns, in quotes where they need them. The caller removes the columns of the key
    /// before it shows the rows.
    pub(crate) fn peeked(&self, key: &[String]) -> Statement<'static> {
        let mut sql = format!("{} RETURNING ", self.text);
        let mut encodings = Vec::with_capacity(self.items.len() + 1);
        for item in self.all_items(key) {
            if !encodings.is_empty() {
                sql.push_str(", ");
            }
            Encoding::Compared.push(&mut sql, &item.sql);
            encodings.push(Encoding::Compared);
        }
        let mut statement = Statement::with_written(sql, self.owned_binds());
        statement.encodings = encodings;
        statement.returning = true;
        statement
    }

    /// Returns the expressions of the clause, followed by the columns of the key.
    fn all_items(&self, key: &[String]) -> Vec<Expression> {
        let key = key.iter().map(|column| Expression::column(column));
        self.items.iter().cloned().chain(key).collect()
    }

    fn owned_binds(&self) -> Vec<Bind<'static>> {
        let binds = self.binds.iter().cloned();
        binds.map(Bind::into_owned).collect()
    }

    /// Returns the statement for the commit. It fails unless it returns these rows, in any order, as far as they may be
    /// compared. Returns `None` if no value may be compared.
    ///
    /// `rows` are those of [`Returning::peeked`] with the same key, including the columns of the key. Columns that
    /// differ between nodes are left out, as `unstable` tells. The guard is evaluated for each row, so it passes if no
    /// row is returned.
    pub(crate) fn guarded(
        &self,
        rows: &Rows,
        key: &[String],
        unstable: &Unstable,
    ) -> Option<Statement<'static>> {
        let items = self.all_items(key);
        let wanted: Vec<_> = items
            .iter()
            .map(|item| unstable.is_comparable(&self.text_names, &item.names))
            .collect();
        let compared = items.iter().zip(Classes::of(rows)).zip(&wanted);
        let compared: Vec<_> = compared
            .filter(|(_, wanted)| **wanted)
            .map(|((item, classes), _)| (item.sql.clone(), classes))
            .collect();
        if compared.is_empty() {
            return None;
        }
        let row = cells::row(&compared, TextCell::Hex);
        let texts = (0..rows.len()).map(|row| cells::row_text(rows, row, |column| wanted[column]));
        let texts: Vec<_> = texts.collect();
        let mut binds = self.owned_binds();
        let expected = one_more(
            &mut binds,
            serde_json::to_string(&texts).unwrap_or_default(),
        );
        let sql = format!(
            "{} RETURNING CASE WHEN {row} IN (SELECT value FROM json_each({expected})) IS NOT DISTINCT FROM 1 \
             THEN 1 ELSE json_extract('{{}}','{GUARD}returning') END",
            self.text
        );
        Some(Statement::with_written(sql, binds))
    }

    pub(super) fn into_owned(self) -> Returning<'static> {
        Returning {
            binds: self.owned_binds(),
            text: self.text,
            text_names: self.text_names,
            items: self.items,
            names: self.names,
        }
    }
}
