//! How results travel: the SQL around a query that makes the server's JSON answer exact.
//!
//! rqlite turns what SQLite stores into JSON by the *declared* type of the column: DATE, DATETIME and
//! TIMESTAMP become RFC 3339 (unparsable text becomes the year 1), BOOLEAN becomes `true`, a BLOB in a column
//! declared TEXT, or in any expression, becomes a lossy string. It cannot write an infinite REAL at all.
//! A unary plus drops the declared type, and `hex()` carries any bytes; both leave indexes alone, since the
//! subquery around a plain SELECT is flattened away by SQLite.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::SqlError;
use super::scan::{Scanned, unquoted};
use super::tokens::{Token, TokenKind, Tokens};
use crate::backend::RqliteType;

/// How one column of an answer is asked for, and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As rqlite writes it, without the declared type.
    Plain,
    /// The same, with an infinite REAL as text, and a whole one as INTEGER: rqlite writes the shortest digits of a REAL and pads them with zeros,
    /// which beyond 2^53 is another integer. (No text SQLite makes of a REAL is exact on all versions.)
    Integer,
    /// As text, the way SQLite converts to it.
    Text,
    /// Text and BLOBs in hexadecimal behind a letter for their storage class; infinite and whole REALs as text, or
    /// they would be no JSON, or INTEGERs. (But 0.0: no SQL tells it from -0.0, and as a number it keeps its sign.)
    Tagged,
    /// The same with a whole REAL as INTEGER, as a transaction shows and compares it.
    Compared,
    /// As [`Tagged`](Self::Tagged), with numbers as text.
    TaggedText,
    /// In front of others: the storage classes of the values behind it, a letter for each.
    Classes,
    /// As rqlite writes it, and what it can't write as if tagged; which of both is in the classes.
    Classed,
    /// What the classes say is a REAL.
    Real,
}

/// A name no table of a user has.
pub(crate) const SUBQUERY: &str = "_diesel_rqlite";

impl Encoding {
    /// What is exact for nearly all values of a type, and for the rest shows that it is not.
    fn of_query(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary => Encoding::TaggedText,
            RqliteType::Text => Encoding::Text,
            RqliteType::SmallInt | RqliteType::Integer | RqliteType::Long => Encoding::Integer,
            RqliteType::Float | RqliteType::Double | RqliteType::Numeric => Encoding::Plain,
        }
    }

    /// What is exact for all values: the answer to a write comes only once.
    fn of_returning(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary | RqliteType::Text => Encoding::TaggedText,
            RqliteType::Float | RqliteType::Double | RqliteType::Numeric => Encoding::Tagged,
            RqliteType::SmallInt | RqliteType::Integer | RqliteType::Long => Encoding::Integer,
        }
    }

    /// What is exact for all values, also those that are no JSON.
    fn exact(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary | RqliteType::Text => Encoding::TaggedText,
            _ => Encoding::Tagged,
        }
    }

    /// Appends the expression that yields a value so encoded.
    pub(crate) fn push(self, sql: &mut String, value: &str) {
        // Writing to a String can't fail.
        let _ = match self {
            Encoding::Plain => write!(sql, "+{value}"),
            Encoding::Integer => write!(
                sql,
                "CASE typeof({value}) WHEN 'real' THEN CASE WHEN CAST({value} AS INTEGER) = {value} \
                 THEN CAST({value} AS INTEGER) WHEN abs({value}) = 9e999 THEN {value} || '' ELSE {value} END \
                 ELSE +{value} END"
            ),
            Encoding::Text => write!(sql, "CAST({value} AS TEXT)"),
            Encoding::Tagged => tagged_value(sql, value, "'r' || "),
            Encoding::Compared => tagged_value(sql, value, ""),
            Encoding::TaggedText => write!(
                sql,
                "CASE typeof({value}) {BLOB}({value}) WHEN 'null' THEN NULL ELSE 't' || hex({value}) END"
            ),
            Encoding::Classes => write!(sql, "substr(typeof({value}),1,1)"),
            Encoding::Classed | Encoding::Real => write!(
                sql,
                "CASE typeof({value}) {BLOB}({value}) WHEN 'real' THEN \
                 CASE WHEN {value} IN (9e999, -9e999) THEN 'r' || {value} ELSE {value} END ELSE {value} END"
            ),
        };
    }
}

const BLOB: &str = "WHEN 'blob' THEN 'b' || hex";

/// `whole`: what is in front of the digits of a whole REAL.
fn tagged_value(sql: &mut String, value: &str, whole: &str) -> std::fmt::Result {
    write!(
        sql,
        "CASE typeof({value}) {BLOB}({value}) WHEN 'text' THEN 't' || hex({value}) \
         WHEN 'real' THEN CASE WHEN {value} IN (9e999, -9e999) THEN 'r' || {value} \
         WHEN {value} <> 0 AND CAST({value} AS INTEGER) = {value} \
         THEN {whole}CAST({value} AS INTEGER) ELSE {value} END ELSE {value} END"
    )
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
        sql: subquery(scanned, &encodings, ""),
        encodings,
        names: item_names(scanned, types.len()),
    }
}

/// Any query with this many columns: exact for nearly all values, and shows where it is not. The storage classes of a
/// row come in front of its values, so that these can be written as they are.
pub(crate) fn classed(scanned: &Scanned<'_>, names: Vec<String>) -> Encoded {
    let mut classes = String::new();
    for index in 0..names.len() {
        classes.push_str(if index == 0 { "" } else { "||" });
        Encoding::Classes.push(&mut classes, &format!("c{index}"));
    }
    let values = vec![Encoding::Classed; names.len()];
    let mut encodings = vec![Encoding::Classes];
    encodings.extend_from_slice(&values);
    Encoded {
        sql: subquery(scanned, &values, &classes),
        encodings,
        names,
    }
}

/// Any query with this many columns, exact for every value SQLite can hold, at twice the bytes. Numbers that are read as
/// text are made text by the server.
pub(crate) fn tagged(
    scanned: &Scanned<'_>,
    types: Option<&[RqliteType]>,
    names: Vec<String>,
) -> Encoded {
    let encodings: Vec<_> = match types {
        Some(types) => types.iter().copied().map(Encoding::exact).collect(),
        None => vec![Encoding::Tagged; names.len()],
    };
    Encoded {
        sql: subquery(scanned, &encodings, ""),
        encodings,
        names,
    }
}

/// `first` is selected in front of the values.
fn subquery(query: &Scanned<'_>, encodings: &[Encoding], first: &str) -> String {
    let mut sql = format!("WITH {SUBQUERY}(");
    for index in 0..encodings.len() {
        let _ = write!(sql, "{}c{index}", if index == 0 { "" } else { "," });
    }
    // An encoding names its value more than once, and SQLite may put an expression in its place: `random()` must
    // be evaluated once all the same.
    let once = if query.suspicious {
        "MATERIALIZED "
    } else {
        ""
    };
    let _ = write!(sql, ") AS {once}({}) SELECT {first}", query.text);
    for (index, encoding) in encodings.iter().enumerate() {
        if index > 0 || !first.is_empty() {
            sql.push(',');
        }
        encoding.push(&mut sql, &format!("c{index}"));
    }
    let _ = write!(sql, " FROM {SUBQUERY}");
    sql
}

/// A write with RETURNING. Without types (raw SQL) every value is tagged.
///
/// An expression is written more than once: its placeholders must have numbers or names.
pub(crate) fn returning(
    scanned: &Scanned<'_>,
    types: Option<&[RqliteType]>,
) -> Result<Encoded, SqlError> {
    let clause = scanned.items.first().map_or(0, |range| range.start);
    let mut sql = scanned.text[..clause].trim_end().to_owned();
    // rqlite looks for `RETURNING` and a blank; behind a line end the rows would be lost (version 10).
    sql.push(' ');
    let mut encodings = Vec::with_capacity(scanned.items.len());
    for (index, range) in scanned.items.iter().enumerate() {
        let item = Item::of(&scanned.text[range.clone()]);
        if item.value.ends_with('*') {
            return Err(SqlError::ReturningStar);
        }
        let encoding = match types {
            None => Encoding::Tagged,
            Some(types) => types
                .get(index)
                .map_or(Encoding::Plain, |kind| Encoding::of_returning(*kind)),
        };
        sql.push_str(if index > 0 { ", " } else { "" });
        encoding.push(&mut sql, &item.operand());
        encodings.push(encoding);
    }
    Ok(Encoded {
        sql,
        encodings,
        names: item_names(scanned, scanned.items.len()),
    })
}

/// The expressions behind RETURNING, each as one operand.
pub(crate) fn returning_items(scanned: &Scanned<'_>) -> Result<Vec<String>, SqlError> {
    let items = scanned.items.iter();
    items
        .map(|range| {
            let item = Item::of(&scanned.text[range.clone()]);
            if item.value.ends_with('*') {
                return Err(SqlError::ReturningStar);
            }
            Ok(item.operand().into_owned())
        })
        .collect()
}

/// The names of a query's columns, if its text tells how many there are.
pub(crate) fn known_names(scanned: &Scanned<'_>) -> Option<Vec<String>> {
    let items = scanned.items.iter();
    let names: Option<Vec<_>> = items
        .map(|range| {
            let item = Item::of(&scanned.text[range.clone()]);
            (!item.value.ends_with('*')).then(|| item.name())
        })
        .collect();
    names.filter(|names| !names.is_empty())
}

/// The names SQLite would give the columns, as far as the text tells; empty names where it does not.
pub(crate) fn item_names(scanned: &Scanned<'_>, columns: usize) -> Vec<String> {
    if scanned.items.len() == columns {
        let items = scanned.items.iter();
        items
            .map(|range| Item::of(&scanned.text[range.clone()]).name())
            .collect()
    } else {
        vec![String::new(); columns]
    }
}

/// An expression behind SELECT or RETURNING.
struct Item<'a> {
    value: &'a str,
    alias: Option<&'a str>,
    /// A column, perhaps with its table's name.
    column: Option<&'a str>,
}

impl<'a> Item<'a> {
    fn of(text: &'a str) -> Self {
        let tokens: Vec<_> = Tokens::new(text).map_while(Result::ok).collect();
        let (value, alias) = match &tokens[..] {
            [value @ .., keyword, alias] if is(text, keyword, "AS") => (value, Some(alias)),
            // `a b` is `a AS b`.
            [value @ .., before, alias] if ends_value(text, before) && is_alias(text, alias) => {
                (&tokens[..=value.len()], Some(alias))
            }
            all => (all, None),
        };
        let name = |token: &Token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
        let column = match value {
            [column] | [_, _, column] | [_, _, _, _, column]
                if value.iter().step_by(2).all(name)
                    && value
                        .iter()
                        .skip(1)
                        .step_by(2)
                        .all(|token| token.kind == TokenKind::Dot) =>
            {
                Some(column)
            }
            _ => None,
        };
        let slice = |token: &Token| &text[token.range.clone()];
        // Without the comments around it.
        let value = match (value.first(), value.last()) {
            (Some(first), Some(last)) => &text[first.range.start..last.range.end],
            _ => text,
        };
        Item {
            value,
            alias: alias.map(slice),
            column: column.map(slice),
        }
    }

    /// The value as one operand.
    fn operand(&self) -> Cow<'a, str> {
        match self.column {
            Some(_) => Cow::Borrowed(self.value),
            None => Cow::Owned(format!("({})", self.value)),
        }
    }

    fn name(&self) -> String {
        match self.alias.or(self.column) {
            Some(name) => unquoted_name(name),
            None => self.value.to_owned(),
        }
    }
}

fn is(text: &str, token: &Token, keyword: &str) -> bool {
    token.kind == TokenKind::Word && text[token.range.clone()].eq_ignore_ascii_case(keyword)
}

/// Whether an expression may end here, so that a name behind it is an alias.
fn ends_value(text: &str, token: &Token) -> bool {
    const OPERATORS: [&str; 17] = [
        "IN", "FROM", "IS", "NOT", "AND", "OR", "LIKE", "GLOB", "MATCH", "REGEXP", "COLLATE",
        "ESCAPE", "BETWEEN", "THEN", "ELSE", "WHEN", "CASE",
    ];
    match token.kind {
        TokenKind::Word => !OPERATORS.iter().any(|keyword| is(text, token, keyword)),
        TokenKind::Operator | TokenKind::Dot | TokenKind::Comma | TokenKind::Open => false,
        _ => true,
    }
}

fn is_alias(text: &str, token: &Token) -> bool {
    const KEYWORDS: [&str; 4] = ["END", "ISNULL", "NOTNULL", "NULL"];
    match token.kind {
        TokenKind::Word => !KEYWORDS.iter().any(|keyword| is(text, token, keyword)),
        TokenKind::Quoted | TokenKind::String => true,
        _ => false,
    }
}

/// `"a""b"` → `a"b`; SQLite also takes an alias in single quotes.
fn unquoted_name(name: &str) -> String {
    match name.chars().next() {
        Some(quote @ ('"' | '`' | '\'')) if name.len() > 1 => {
            let doubled = format!("{quote}{quote}");
            name[1..name.len() - 1].replace(&doubled, &quote.to_string())
        }
        _ => unquoted(name).to_owned(),
    }
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
        let scanned = scan("SELECT \"t\".\"a\", \"t\".\"b\", 1 FROM \"t\"");
        let types = [RqliteType::Text, RqliteType::Binary, RqliteType::Double];
        let encoded = typed_query(&scanned, &types);
        assert_eq!(
            encoded.sql,
            "WITH _diesel_rqlite(c0,c1,c2) AS (SELECT \"t\".\"a\", \"t\".\"b\", 1 FROM \"t\") \
             SELECT CAST(c0 AS TEXT),\
             CASE typeof(c1) WHEN 'blob' THEN 'b' || hex(c1) WHEN 'null' THEN NULL ELSE 't' || hex(c1) END,\
             +c2 FROM _diesel_rqlite"
        );
        assert_eq!(encoded.names, ["a", "b", "1"]);
    }

    #[test]
    fn returning_is_encoded_in_place() {
        let scanned =
            scan("INSERT INTO \"t\" (\"a\") VALUES (?) RETURNING\n\"a\", b + 1 -- c\n AS d");
        let types = [RqliteType::Long, RqliteType::Text];
        let encoded = returning(&scanned, Some(&types)).expect("encodes");
        assert_eq!(
            encoded.sql,
            "INSERT INTO \"t\" (\"a\") VALUES (?) RETURNING \
             CASE typeof(\"a\") WHEN 'real' THEN CASE WHEN CAST(\"a\" AS INTEGER) = \"a\" \
             THEN CAST(\"a\" AS INTEGER) WHEN abs(\"a\") = 9e999 THEN \"a\" || '' ELSE \"a\" END ELSE +\"a\" END, \
             CASE typeof((b + 1)) WHEN 'blob' THEN 'b' || hex((b + 1)) WHEN 'null' THEN NULL \
             ELSE 't' || hex((b + 1)) END"
        );
        assert_eq!(encoded.encodings, [Encoding::Integer, Encoding::TaggedText]);
        assert_eq!(encoded.names, ["a", "d"]);
    }

    #[test]
    fn returning_star_is_refused() {
        for sql in [
            "DELETE FROM t RETURNING *",
            "DELETE FROM t RETURNING a, t.*",
        ] {
            let refused = returning(&scan(sql), None).err();
            assert_eq!(refused, Some(SqlError::ReturningStar), "{sql}");
        }
    }

    #[test]
    fn names_are_those_of_sqlite() {
        let sql = "SELECT a AS \"b \"\"c\"\"\", \"t\".\"d\", count(*), t.x, f y, g AS 'z', h IS NULL, \
                   CASE i WHEN 1 THEN 2 END, j COLLATE NOCASE, main.t.k FROM t";
        assert_eq!(
            item_names(&scan(sql), 10),
            [
                "b \"c\"",
                "d",
                "count(*)",
                "x",
                "y",
                "z",
                "h IS NULL",
                "CASE i WHEN 1 THEN 2 END",
                "j COLLATE NOCASE",
                "k"
            ]
        );
    }
}
