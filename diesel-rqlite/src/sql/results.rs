//! How results travel: the SQL around a query that makes the server's JSON answer exact.
//!
//! rqlite turns what SQLite stores into JSON by the *declared* type of the column: DATE, DATETIME and
//! TIMESTAMP become RFC 3339 (unparsable text becomes the year 1), BOOLEAN becomes `true`, a BLOB in a column
//! declared TEXT, or in any expression, becomes a lossy string. It cannot write an infinite REAL at all.
//! A unary plus drops the declared type, and `hex()` carries any bytes; both leave indexes alone, since the
//! subquery around a plain SELECT is flattened away by SQLite.

use std::fmt::Write as _;

use super::SqlError;
use super::scan::{Scanned, Verb, unquoted};
use super::tokens::Tokens;
use crate::backend::RqliteType;

/// How one column of an answer is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As rqlite writes it.
    Plain,
    /// NULL, or the bytes in hexadecimal.
    Hex,
    /// REAL, or `Inf`/`-Inf` as text.
    Real,
    /// Text and BLOBs in hexadecimal behind a letter for their storage class, see [`tagged`].
    Tagged,
}

/// A name no table of a user has.
pub(crate) const SUBQUERY: &str = "_diesel_rqlite";

impl Encoding {
    /// The encoding in which values of a type are exact, when the answer can be asked for again.
    fn of_query(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary => Encoding::Hex,
            _ => Encoding::Plain,
        }
    }

    /// The same for a write, whose answer comes only once.
    fn of_returning(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary => Encoding::Hex,
            RqliteType::Float | RqliteType::Double => Encoding::Real,
            _ => Encoding::Plain,
        }
    }

    fn push(self, sql: &mut String, value: &str) {
        // Writing to a String can't fail.
        let _ = match self {
            Encoding::Plain => write!(sql, "+{value}"),
            Encoding::Hex => write!(
                sql,
                "CASE WHEN {value} IS NULL THEN NULL ELSE hex({value}) END"
            ),
            Encoding::Real => write!(
                sql,
                "CASE WHEN {value} IN (9e999, -9e999) THEN CAST({value} AS TEXT) ELSE {value} END"
            ),
            Encoding::Tagged => write!(
                sql,
                "CASE typeof({value}) WHEN 'text' THEN 't' || hex({value}) \
                 WHEN 'blob' THEN 'b' || hex({value}) \
                 WHEN 'real' THEN CASE WHEN {value} IN (9e999, -9e999) THEN 'r' || {value} ELSE {value} END \
                 ELSE {value} END"
            ),
        };
    }
}

/// A text to send and how its answer is to be read.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) sql: String,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) names: Vec<String>,
}

/// A query whose columns have known SQL types.
pub(crate) fn typed_query(scanned: &Scanned<'_>, types: &[RqliteType]) -> Encoded {
    let encodings: Vec<_> = types.iter().copied().map(Encoding::of_query).collect();
    Encoded {
        sql: subquery(scanned.text, &encodings),
        encodings,
        names: item_names(scanned, types.len()),
    }
}

/// Any query with this many columns, exact for every value SQLite can hold, at twice the bytes.
pub(crate) fn tagged(sql: &str, names: Vec<String>) -> Encoded {
    let encodings = vec![Encoding::Tagged; names.len()];
    Encoded {
        sql: subquery(sql, &encodings),
        encodings,
        names,
    }
}

fn subquery(query: &str, encodings: &[Encoding]) -> String {
    let mut sql = format!("WITH {SUBQUERY}(");
    for index in 0..encodings.len() {
        let _ = write!(sql, "{}c{index}", if index == 0 { "" } else { "," });
    }
    let _ = write!(sql, ") AS ({query}) SELECT ");
    for (index, encoding) in encodings.iter().enumerate() {
        if index > 0 {
            sql.push(',');
        }
        encoding.push(&mut sql, &format!("c{index}"));
    }
    let _ = write!(sql, " FROM {SUBQUERY}");
    sql
}

/// A write with RETURNING. Without types (raw SQL) every value is tagged.
pub(crate) fn returning(
    scanned: &Scanned<'_>,
    types: Option<&[RqliteType]>,
) -> Result<Encoded, SqlError> {
    let items: Vec<&str> = scanned
        .items
        .iter()
        .map(|range| &scanned.text[range.clone()])
        .collect();
    if items.iter().any(|item| item.ends_with('*')) {
        return Err(SqlError::ReturningStar);
    }
    let encoding = |index: usize| match types {
        None => Encoding::Tagged,
        Some(types) => types
            .get(index)
            .map_or(Encoding::Plain, |kind| Encoding::of_returning(*kind)),
    };
    let clause = scanned.items.first().map_or(0, |range| range.start);
    let mut sql = scanned.text[..clause].trim_end().to_owned();
    // rqlite looks for `RETURNING` and a blank; behind a line end the rows would be lost (version 10).
    sql.push(' ');
    let mut encodings = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            sql.push_str(", ");
        }
        let (value, _) = split_alias(item);
        // A placeholder must not be written twice.
        let encoding = match encoding(index) {
            _ if has_variable(scanned, index) => Encoding::Plain,
            encoding => encoding,
        };
        encoding.push(&mut sql, value);
        encodings.push(encoding);
    }
    Ok(Encoded {
        sql,
        encodings,
        names: item_names(scanned, items.len()),
    })
}

fn has_variable(scanned: &Scanned<'_>, item: usize) -> bool {
    let range = &scanned.items[item];
    scanned
        .variables
        .iter()
        .any(|variable| range.contains(&variable.start))
}

/// The names SQLite would give the columns, as far as the text tells; empty names where it does not.
fn item_names(scanned: &Scanned<'_>, columns: usize) -> Vec<String> {
    let name = |item: &str| {
        let (value, alias) = split_alias(item);
        alias.unwrap_or_else(|| unqualified(value)).to_owned()
    };
    if scanned.items.len() == columns {
        let items = scanned.items.iter();
        items
            .map(|range| name(&scanned.text[range.clone()]))
            .collect()
    } else {
        vec![String::new(); columns]
    }
}

/// `a AS b` → `a`, `b`.
fn split_alias(item: &str) -> (&str, Option<&str>) {
    let mut before = None;
    let mut last = None;
    for token in Tokens::new(item).map_while(Result::ok) {
        before = last.replace(token.range);
    }
    match (before, last) {
        (Some(keyword), Some(alias)) if item[keyword.clone()].eq_ignore_ascii_case("as") => (
            item[..keyword.start].trim_end(),
            Some(unquoted(&item[alias])),
        ),
        _ => (item, None),
    }
}

/// `"t"."c"` → `c`; any expression that is not a column is its own name.
fn unqualified(value: &str) -> &str {
    let last = value.rsplit('.').next().unwrap_or(value);
    let quoted = last.len() > 2 && last.starts_with('"') && last.ends_with('"');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.\"".contains(&byte) || byte >= 0x80;
    if value.bytes().all(plain) || (quoted && !last[1..last.len() - 1].contains('"')) {
        unquoted(last)
    } else {
        value
    }
}

/// Whether the statement can stand inside a subquery.
pub(crate) fn is_wrappable(scanned: &Scanned<'_>) -> bool {
    scanned.verb == Verb::Select
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::statements;

    fn scan(sql: &str) -> Scanned<'_> {
        statements(sql).expect("scans").remove(0)
    }

    #[test]
    fn a_query_is_wrapped_by_position() {
        let scanned = scan("SELECT \"t\".\"a\", \"t\".\"b\" FROM \"t\"");
        let encoded = typed_query(&scanned, &[RqliteType::Text, RqliteType::Binary]);
        assert_eq!(
            encoded.sql,
            "WITH _diesel_rqlite(c0,c1) AS (SELECT \"t\".\"a\", \"t\".\"b\" FROM \"t\") \
             SELECT +c0,CASE WHEN c1 IS NULL THEN NULL ELSE hex(c1) END FROM _diesel_rqlite"
        );
        assert_eq!(encoded.names, ["a", "b"]);
    }

    #[test]
    fn returning_is_encoded_in_place() {
        let scanned = scan("INSERT INTO \"t\" (\"a\") VALUES (?) RETURNING\n\"a\", \"b\"");
        let encoded =
            returning(&scanned, Some(&[RqliteType::Long, RqliteType::Double])).expect("encodes");
        assert_eq!(
            encoded.sql,
            "INSERT INTO \"t\" (\"a\") VALUES (?) RETURNING +\"a\", \
             CASE WHEN \"b\" IN (9e999, -9e999) THEN CAST(\"b\" AS TEXT) ELSE \"b\" END"
        );
        assert_eq!(encoded.encodings, [Encoding::Plain, Encoding::Real]);
    }

    #[test]
    fn returning_star_is_refused() {
        assert_eq!(
            returning(&scan("DELETE FROM t RETURNING *"), None).err(),
            Some(SqlError::ReturningStar)
        );
    }

    #[test]
    fn names_are_those_of_sqlite() {
        let names = item_names(
            &scan("SELECT a AS \"b c\", \"t\".\"d\", count(*), t.x FROM t"),
            4,
        );
        assert_eq!(names, ["b c", "d", "count(*)", "x"]);
    }
}
