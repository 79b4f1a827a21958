//! The encoding of results: the SQL around a query that makes the server's JSON answer exact.
//!
//! rqlite converts stored values to JSON by the *declared* type of the column. DATE, DATETIME and TIMESTAMP become RFC
//! 3339, where unparsable text becomes the year 1. BOOLEAN becomes `true`. A BLOB in a column declared TEXT, or in any
//! expression, becomes a lossy string. rqlite can't write an infinite REAL at all. A unary plus removes the declared
//! type, and `hex()` carries any bytes. Both leave the use of indexes alone, since SQLite flattens away the subquery
//! around a plain SELECT.
//!
//! The functions return an [`Encoded`]: the text to send, the encoding of each column of the answer, and the names that
//! the columns have for the user. `protocol::rows` decodes by the encodings. SQL and decoder of an encoding belong
//! together: what `Encoding::push` writes, `rows` has to read.
//!
//! | function | for | exact |
//! |---|---|---|
//! | [`stored`], [`stored_anyhow`] | a query that is sent as it is written | the decoder shows where not |
//! | [`partly_stored`] | the same, with SQL around some columns | the same |
//! | [`typed_query`], [`classed`] | a query with SQL around all columns | nearly; the decoder shows where not |
//! | [`tagged`] | a query that is asked again | always |
//! | [`returning`] | a write | always, since it can't be asked again |
//!
//! Invariants: the SQL around a query never changes its rows or their order, and names its columns by their positions,
//! since names need not be unique. A query with a volatile function is evaluated once.

use std::fmt::Write as _;
use std::ops::Range;

use diesel_rqlite_sql::{Classes, Item, Parsed, SqlError};

use crate::backend::RqliteType;
use crate::protocol::encoding::{Doubtful, Encoding, Wanted};

/// A name that no table of a user has.
pub(crate) const SUBQUERY: &str = "_diesel_rqlite";

impl Encoding {
    /// Returns the encoding that is exact for nearly all values of a type, and shows for the others that it is not.
    fn of_query(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary => Encoding::TaggedText,
            RqliteType::Text => Encoding::Text,
            RqliteType::SmallInt | RqliteType::Integer | RqliteType::Long => Encoding::Integer,
            RqliteType::Float | RqliteType::Double | RqliteType::Numeric => Encoding::Plain,
        }
    }

    /// Returns the encoding that is exact for all values, since the answer to a write comes only once.
    fn of_returning(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary | RqliteType::Text => Encoding::TaggedText,
            RqliteType::Float | RqliteType::Double | RqliteType::Numeric => Encoding::Tagged,
            RqliteType::SmallInt | RqliteType::Integer | RqliteType::Long => Encoding::Integer,
        }
    }

    /// Returns the encoding that is exact for all values, including those that JSON can't carry.
    fn exact(kind: RqliteType) -> Self {
        match kind {
            RqliteType::Binary | RqliteType::Text => Encoding::TaggedText,
            _ => Encoding::Tagged,
        }
    }

    /// Returns the encoding of values that come as they are stored.
    fn stored(kind: RqliteType) -> Self {
        Encoding::Stored(match kind {
            RqliteType::Binary => Wanted::Binary,
            RqliteType::Text => Wanted::Text,
            RqliteType::SmallInt | RqliteType::Integer | RqliteType::Long => Wanted::Integer,
            RqliteType::Float | RqliteType::Double | RqliteType::Numeric => Wanted::Real,
        })
    }

    /// Appends the expression that yields a value in this encoding.
    ///
    /// `value` is written several times, so it must be a name or an expression in parentheses.
    pub(crate) fn push(self, sql: &mut String, value: &str) {
        // Writing to a String can't fail.
        let _ = match self {
            Encoding::Plain => write!(sql, "+{value}"),
            Encoding::Stored(_) => write!(sql, "{value}"),
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

/// The part of a CASE that writes a BLOB. The value in parentheses follows.
const BLOB: &str = "WHEN 'blob' THEN 'b' || hex";

/// Appends a tagged value. `whole` is the SQL before the digits of a whole REAL.
fn tagged_value(sql: &mut String, value: &str, whole: &str) -> std::fmt::Result {
    write!(
        sql,
        "CASE typeof({value}) {BLOB}({value}) WHEN 'text' THEN 't' || hex({value}) \
         WHEN 'real' THEN CASE WHEN {value} IN (9e999, -9e999) THEN 'r' || {value} \
         WHEN {value} <> 0 AND CAST({value} AS INTEGER) = {value} \
         THEN {whole}CAST({value} AS INTEGER) ELSE {value} END ELSE {value} END"
    )
}

/// A text to send, and the encodings of its answer.
///
/// A column of classes at the start has an encoding but no name.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) sql: String,
    pub(crate) encodings: Vec<Encoding>,
    pub(crate) names: Vec<String>,
}

/// Returns a query whose columns have known SQL types. `text` is the text of the query, written for its values.
///
/// `types` has one type for each column of the query. If their number is another, SQLite reports it.
pub(crate) fn typed_query(parsed: &Parsed<'_>, text: &str, types: &[RqliteType]) -> Encoded {
    let encodings: Vec<_> = types.iter().copied().map(Encoding::of_query).collect();
    Encoded {
        sql: subquery(parsed, text, &encodings, ""),
        encodings,
        names: parsed.item_names(types.len()),
    }
}

/// Returns the encodings of a query that is sent as it is.
pub(crate) fn stored(types: &[RqliteType]) -> Vec<Encoding> {
    types.iter().copied().map(Encoding::stored).collect()
}

/// Returns the encodings of a query that is sent as it is, if the types of its columns are unknown.
///
/// A column and an expression are distinguished, because the type in an answer is the declared one for a column, but
/// only that of the first value for an expression. The text must tell the number of columns.
pub(crate) fn stored_anyhow(parsed: &Parsed<'_>) -> Vec<Encoding> {
    let items = parsed.parsed_items();
    items
        .map(|item| match item.is_column() {
            true => Encoding::Stored(Wanted::AnyOfColumn),
            false => Encoding::Stored(Wanted::AnyOfExpression),
        })
        .collect()
}

/// Returns a query with SQL around the columns that are not exact as they are stored.
///
/// A doubtful column without a type gets its storage class: the classes of all such columns are one text, in a column
/// that precedes the others.
pub(crate) fn partly_stored(
    parsed: &Parsed<'_>,
    text: &str,
    types: Option<&[RqliteType]>,
    doubtful: Doubtful,
) -> Encoded {
    let mut values = match types {
        Some(types) => stored(types),
        None => stored_anyhow(parsed),
    };
    let mut classes = String::new();
    for (column, value) in values.iter_mut().enumerate() {
        if !doubtful.contains(column) {
            continue;
        }
        *value = match types.and_then(|types| types.get(column)) {
            Some(kind) => Encoding::of_query(*kind),
            None => {
                classes.push_str(if classes.is_empty() { "" } else { "||" });
                Encoding::Classes.push(&mut classes, &format!("c{column}"));
                Encoding::Classed
            }
        };
    }
    let sql = subquery(parsed, text, &values, &classes);
    let names = parsed.item_names(values.len());
    if !classes.is_empty() {
        values.insert(0, Encoding::Classes);
    }
    Encoded {
        sql,
        encodings: values,
        names,
    }
}

/// Returns any query with this many columns in a form that is exact for nearly all values, and shows where it is not.
/// The storage classes of a row precede its values, so that the values can be written as they are.
pub(crate) fn classed(parsed: &Parsed<'_>, text: &str, names: Vec<String>) -> Encoded {
    let mut classes = String::new();
    for index in 0..names.len() {
        classes.push_str(if index == 0 { "" } else { "||" });
        Encoding::Classes.push(&mut classes, &format!("c{index}"));
    }
    let values = vec![Encoding::Classed; names.len()];
    let mut encodings = vec![Encoding::Classes];
    encodings.extend_from_slice(&values);
    Encoded {
        sql: subquery(parsed, text, &values, &classes),
        encodings,
        names,
    }
}

/// Returns any query with this many columns in the form that is exact for every value that SQLite can store. It takes
/// twice the bytes. The server converts numbers that are read as text.
///
/// Without types, the number of `names` is that of the columns.
pub(crate) fn tagged(
    parsed: &Parsed<'_>,
    text: &str,
    types: Option<&[RqliteType]>,
    names: Vec<String>,
) -> Encoded {
    let encodings: Vec<_> = match types {
        Some(types) => types.iter().copied().map(Encoding::exact).collect(),
        None => vec![Encoding::Tagged; names.len()],
    };
    Encoded {
        sql: subquery(parsed, text, &encodings, ""),
        encodings,
        names,
    }
}

/// Returns SQL that selects the encoded values of a query. `first` is selected before the values.
///
/// `first` is empty, or the expression of one more column, which has no name of its own.
fn subquery(query: &Parsed<'_>, text: &str, encodings: &[Encoding], first: &str) -> String {
    let mut sql = format!("WITH {SUBQUERY}(");
    for index in 0..encodings.len() {
        let _ = write!(sql, "{}c{index}", if index == 0 { "" } else { "," });
    }
    // An encoding names its value more than once, and SQLite may replace the name by the expression. `random()` must
    // nevertheless be evaluated only once.
    let once = if query.classes().contains(Classes::VOLATILE) {
        "MATERIALIZED "
    } else {
        ""
    };
    let _ = write!(sql, ") AS {once}({text}) SELECT {first}");
    for (index, encoding) in encodings.iter().enumerate() {
        if index > 0 || !first.is_empty() {
            sql.push(',');
        }
        encoding.push(&mut sql, &format!("c{index}"));
        // Without a name, the expression would come back as the name of the column.
        let _ = write!(sql, " c{index}");
    }
    let _ = write!(sql, " FROM {SUBQUERY}");
    sql
}

/// Returns a write with RETURNING. Without types (raw SQL) every value is tagged. `part` writes a part of the
/// statement.
///
/// An expression is written more than once, so its placeholders must have numbers or names.
///
/// There must be no `*` among the expressions: it is an error, because the columns are unknown. If there are more
/// expressions than types, the others are returned as they are.
pub(crate) fn returning(
    parsed: &Parsed<'_>,
    part: impl Fn(Range<usize>) -> String,
    types: Option<&[RqliteType]>,
) -> Result<Encoded, SqlError> {
    let clause = parsed.returning().unwrap_or(parsed.tokens().len());
    let mut sql = part(parsed.before(clause));
    // rqlite looks for `RETURNING` followed by a space; with a line end the rows would be lost (version 10).
    sql.push_str(" RETURNING ");
    let mut encodings = Vec::with_capacity(parsed.items().len());
    for (index, operand) in operands(parsed, part)?.iter().enumerate() {
        let encoding = match types {
            None => Encoding::Tagged,
            Some(types) => types
                .get(index)
                .map_or(Encoding::Plain, |kind| Encoding::of_returning(*kind)),
        };
        sql.push_str(if index > 0 { ", " } else { "" });
        encoding.push(&mut sql, operand);
        encodings.push(encoding);
    }
    Ok(Encoded {
        sql,
        encodings,
        names: parsed.item_names(parsed.items().len()),
    })
}

/// Returns the expressions after RETURNING, each as one operand.
///
/// An expression that is more than a column gets parentheses. Fails if one of them is a `*`.
pub(crate) fn operands(
    parsed: &Parsed<'_>,
    part: impl Fn(Range<usize>) -> String,
) -> Result<Vec<String>, SqlError> {
    let operand = |item: Item| match item {
        item if item.is_star => Err(SqlError::ReturningStar),
        item if item.is_column() => Ok(part(item.value)),
        item => Ok(format!("({})", part(item.value))),
    };
    parsed.parsed_items().map(operand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::one;

    fn scan(sql: &str) -> Parsed<'_> {
        one(sql).expect("parses")
    }

    fn returning_as_it_is(sql: &str, types: Option<&[RqliteType]>) -> Result<Encoded, SqlError> {
        let parsed = scan(sql);
        returning(&parsed, |part| parsed.span(part).to_owned(), types)
    }

    #[test]
    fn a_query_is_wrapped_by_position() {
        let scanned = scan("SELECT \"t\".\"a\", \"t\".\"b\", 1 FROM \"t\"");
        let types = [RqliteType::Text, RqliteType::Binary, RqliteType::Double];
        let encoded = typed_query(&scanned, scanned.text(), &types);
        assert_eq!(
            encoded.sql,
            "WITH _diesel_rqlite(c0,c1,c2) AS (SELECT \"t\".\"a\", \"t\".\"b\", 1 FROM \"t\") \
             SELECT CAST(c0 AS TEXT) c0,\
             CASE typeof(c1) WHEN 'blob' THEN 'b' || hex(c1) WHEN 'null' THEN NULL ELSE 't' || hex(c1) END c1,\
             +c2 c2 FROM _diesel_rqlite"
        );
        assert_eq!(encoded.names, ["a", "b", "1"]);
    }

    #[test]
    fn returning_is_encoded_in_place() {
        let sql = "INSERT INTO \"t\" (\"a\") VALUES (?) -- b\n RETURNING\n\"a\", b + 1 -- c\n AS d";
        let types = [RqliteType::Long, RqliteType::Text];
        let encoded = returning_as_it_is(sql, Some(&types)).expect("encodes");
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
            let refused = returning_as_it_is(sql, None).err();
            assert_eq!(refused, Some(SqlError::ReturningStar), "{sql}");
        }
    }
}
