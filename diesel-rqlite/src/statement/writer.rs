//! The text of a statement, with its placeholders in the form in which they are sent.
//!
//! Some become literals. A statement of thousands of parameters is slow on the server: each is parsed from JSON, copied
//! through the Raft log as a message of its own and bound one by one. 10,000 rows of three columns without REALs took
//! 40 ms as literals and 126 ms as parameters on rqlite 10.2.7, 77 and 185 ms on 8.26. Only values that SQLite reads
//! back exactly from a literal become one: NULL, integers, text without NUL and short BLOBs. REALs stay parameters,
//! since SQLite 3.45, in rqlite 8.26, reads some of them an ulp off. With one REAL in each row rqlite 10.2.7 took 62
//! ms, and 8.26 gained nothing.
//!
//! [`Values`] assigns the values to the placeholders, and fails if their numbers do not match. It decides how
//! placeholders are written ([`Names`]). A [`Writer`] borrows both the parsed text and the values, and writes any range
//! of tokens: `all` for the whole text, `part` for a piece that is put into other SQL, and `inlined` for writes, where
//! literals may pay. All of them replace pins, and put SQL around placeholders whose values JSON can't carry.
//!
//! Invariant: texts that were written from the same [`Values`] are sent with the same values, in the order of their
//! numbers. Only `inlined` and `literals` leave some out, and return the rest.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ops::Range;

use diesel_rqlite_sql::{Form, Parsed, Pin, SqlError};

use super::wire::conversion;
use crate::bind_collector::Bind;
use crate::hex;

/// The number of values from which literals pay.
const WORTH_IT: usize = 256;

/// The size of a BLOB, in bytes, above which a parameter is faster.
const LONG_BLOB: usize = 1024;

/// The form in which a placeholder is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// As in the text.
    Own,
    /// `?`, if the values are in the order of the text.
    Plain,
    /// `?1`, so that an expression that contains it may be written twice.
    Numbered,
}

/// The values of a statement's placeholders.
///
/// A placeholder that is used several times has one number and one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values<'a> {
    /// The number of each placeholder, from 1.
    pub(super) numbers: Vec<usize>,
    pub(super) names: Names,
    /// The values, by their numbers.
    pub(super) binds: Vec<Bind<'a>>,
}

impl<'a> Values<'a> {
    /// Returns the values of a single statement. Fails unless each placeholder has its value.
    pub(super) fn of(parsed: &Parsed<'_>, binds: Vec<Bind<'a>>) -> Result<Self, SqlError> {
        let numbers = parsed.numbers()?;
        let (wanted, given) = (numbers.iter().copied().max().unwrap_or(0), binds.len());
        // Version 10 stores NULL for values that are missing altogether.
        if wanted != given {
            return Err(SqlError::Placeholders { wanted, given });
        }
        Ok(Values {
            numbers,
            names: Names::Own,
            binds,
        })
    }

    /// Returns the values of one statement of a script, in which placeholders are numbered throughout.
    ///
    /// Panics if a number exceeds the number of values, which the caller has checked. The values are copied in the
    /// order of the statement's own placeholders, which are then written as `?`.
    pub(super) fn of_script(parsed: &Parsed<'_>, binds: &[Bind<'a>]) -> Result<Self, SqlError> {
        let numbers = parsed.numbers()?.into_iter();
        let own: Vec<_> = numbers.map(|number| binds[number - 1].clone()).collect();
        Ok(Values {
            numbers: (1..=own.len()).collect(),
            names: match own.is_empty() {
                true => Names::Own,
                false => Names::Plain,
            },
            binds: own,
        })
    }

    /// Returns a writer of the statement that these values were made for, which `parsed` must be.
    pub(super) fn writer<'w>(&'w self, parsed: &'w Parsed<'_>) -> Writer<'w, 'a> {
        Writer::new(parsed, &self.numbers, self.names, &self.binds)
    }
}

/// A writer of a statement's text.
pub(super) struct Writer<'w, 'a> {
    parsed: &'w Parsed<'w>,
    numbers: &'w [usize],
    names: Names,
    binds: &'w [Bind<'a>],
}

impl<'w, 'a> Writer<'w, 'a> {
    pub(super) fn new(
        parsed: &'w Parsed<'_>,
        numbers: &'w [usize],
        names: Names,
        binds: &'w [Bind<'a>],
    ) -> Self {
        Writer {
            parsed,
            numbers,
            names,
            binds,
        }
    }

    /// Returns the whole text, or `None` if it needs no change.
    pub(super) fn all(&self, pins: &[Pin]) -> Option<String> {
        let carried = || self.binds.iter().any(|bind| conversion(bind).is_some());
        if pins.is_empty() && self.names == Names::Own && !carried() {
            return None;
        }
        Some(self.part(self.parsed.all(), pins))
    }

    /// Returns the text of these tokens.
    pub(super) fn part(&self, tokens: Range<usize>, pins: &[Pin]) -> String {
        self.parsed.rewritten(tokens, pins, |place, own, sql| {
            self.push_placeholder(place, own, sql);
        })
    }

    /// Returns the value of a placeholder, by its place among all placeholders of the statement.
    fn bind(&self, place: usize) -> Option<&Bind<'a>> {
        self.binds.get(self.numbers.get(place)?.checked_sub(1)?)
    }

    /// Appends a placeholder, with SQL around it if JSON can't carry the value.
    fn push_placeholder(&self, place: usize, own: Range<usize>, sql: &mut String) {
        let (before, behind) = self.bind(place).and_then(conversion).unwrap_or_default();
        sql.push_str(before);
        match (self.names, self.numbers.get(place)) {
            (Names::Plain, _) => sql.push('?'),
            (Names::Numbered, Some(number)) => {
                // Writing to a String can't fail.
                let _ = write!(sql, "?{number}");
            }
            _ => sql.push_str(&self.parsed.text()[own]),
        }
        sql.push_str(behind);
    }

    /// Returns the number of values that these tokens need. They must be the first of the statement.
    pub(super) fn values_in(&self, tokens: Range<usize>) -> usize {
        let variables = self.parsed.variables_in(tokens);
        self.numbers[variables].iter().copied().max().unwrap_or(0)
    }

    /// Returns the whole text, and the values that are left to bind if some became literals. In `INSERT … VALUES` a
    /// literal means the same as a parameter (in `ORDER BY ?` it would not).
    ///
    /// The text is `None` if the parsed text can be sent unchanged. The values are `None` if all of them are left.
    /// Literals are used only for an `INSERT … VALUES` with at least [`WORTH_IT`] values whose placeholders are plain
    /// and in order, without RETURNING.
    pub(super) fn inlined(&self, pins: &[Pin]) -> (Option<String>, Option<Vec<Bind<'a>>>) {
        let pays = self.binds.len() >= WORTH_IT && self.numbers.len() == self.binds.len();
        let is_plain = self.names == Names::Plain || self.parsed.has_only_plain_variables();
        if !pays
            || !is_plain
            || self.parsed.form() != Form::Insert
            || self.parsed.selects()
            || self.parsed.returns()
        {
            return (self.all(pins), None);
        }
        let (sql, left) = self.literals(pins);
        (Some(sql), Some(left))
    }

    /// Returns the whole text with literals where they are possible, and the values that are left.
    ///
    /// Placeholders that are left keep their form, so they must be plain: their values are bound in order.
    fn literals(&self, pins: &[Pin]) -> (String, Vec<Bind<'a>>) {
        // After ON CONFLICT a literal may match a partial index that a parameter does not match.
        let rows_end = self.parsed.variables_before_conflict();
        let left = RefCell::new(Vec::new());
        let sql = self
            .parsed
            .rewritten(self.parsed.all(), pins, |place, own, sql| {
                let next = self.parsed.text().as_bytes().get(own.end).copied();
                let Some(bind) = self.bind(place) else {
                    return;
                };
                if place >= rows_end || !push_literal(sql, bind, next) {
                    self.push_placeholder(place, own, sql);
                    left.borrow_mut().push(bind.clone());
                }
            });
        (sql, left.into_inner())
    }
}

/// Appends a literal, separated from the words around it, as in `CASE WHEN ?THEN`. Returns `false` if the value can't
/// be one.
///
/// `next` is the byte after the placeholder. If it returns `false`, `sql` is as before, and the caller has to write the
/// placeholder.
fn push_literal(sql: &mut String, bind: &Bind<'_>, next: Option<u8>) -> bool {
    let is_of_name = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let length = sql.len();
    if is_of_name(sql.as_bytes().last().copied()) {
        sql.push(' ');
    }
    // Writing to a String can't fail.
    let _ = match bind {
        Bind::Null => write!(sql, "NULL"),
        // Without parentheses, a minus before it would begin a comment.
        Bind::Integer(value @ ..0) => write!(sql, "({value})"),
        Bind::Integer(value) => write!(sql, "{value}"),
        Bind::Text(text) if !text.contains('\0') => {
            push_text(sql, text);
            Ok(())
        }
        Bind::Binary(bytes) if bytes.len() <= LONG_BLOB => {
            sql.push_str("x'");
            hex::push_str(sql, bytes);
            sql.push('\'');
            Ok(())
        }
        _ => {
            sql.truncate(length);
            return false;
        }
    };
    if is_of_name(next) {
        sql.push(' ');
    }
    true
}

fn push_text(sql: &mut String, text: &str) {
    sql.push('\'');
    let mut parts = text.split('\'');
    sql.push_str(parts.next().unwrap_or_default());
    for part in parts {
        sql.push_str("''");
        sql.push_str(part);
    }
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::sql::one;

    fn with_literals(sql: &str, binds: Vec<Bind<'static>>) -> (String, Vec<Bind<'static>>) {
        let parsed = one(sql).expect("parses");
        let values = Values::of(&parsed, binds).expect("as many as there are placeholders");
        values.writer(&parsed).literals(&[])
    }

    #[test]
    fn literals_are_quoted() {
        let text = |text: &'static str| Bind::Text(Cow::Borrowed(text));
        let binds = vec![
            text("it's '' ?"),
            Bind::Integer(i64::MIN),
            Bind::Integer(7),
            Bind::Null,
            Bind::Binary(Cow::Borrowed(&[0, 255])),
            Bind::Real(1.5),
            text("a\0b"),
            Bind::Binary(Cow::Owned(vec![1; LONG_BLOB + 1])),
        ];
        let (sql, left) = with_literals(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?) -- ?",
            binds.clone(),
        );
        assert_eq!(
            sql,
            "INSERT INTO t VALUES ('it''s '''' ?', (-9223372036854775808), 7, NULL, x'00FF', ?, ?, unhex(?))"
        );
        assert_eq!(left, binds[5..]);
    }

    #[test]
    fn literals_stand_apart_and_end_before_on_conflict() {
        let binds = vec![
            Bind::Integer(1),
            Bind::Integer(2),
            Bind::Null,
            Bind::Integer(3),
        ];
        let (sql, left) = with_literals(
            "INSERT INTO t VALUES (CASE WHEN?THEN ?ELSE?END) ON CONFLICT (a) WHERE a > ? DO NOTHING",
            binds,
        );
        assert_eq!(
            sql,
            "INSERT INTO t VALUES (CASE WHEN 1 THEN 2 ELSE NULL END) ON CONFLICT (a) WHERE a > ? DO NOTHING"
        );
        assert_eq!(left, [Bind::Integer(3)]);
    }
}
